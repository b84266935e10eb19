"""Who is replaced and who is left out, with a Ray that does as it is told."""

from __future__ import annotations

import importlib.util
import time
from types import SimpleNamespace
from typing import Any

import pytest

from gtr_beir.errors import ClusterError
from gtr_beir.work.executors.cluster import crew as room
from gtr_beir.work.executors.cluster.crew import Crew, Hired, Life, Refusal
from gtr_beir.work.executors.cluster.reaching import Wanted

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (gtr-beir[ray])"
)


class Told:
    """Stands for Ray: answers are what a test puts into `answers`, by actor and question."""

    def __init__(self, nodes: int = 1):
        self.there = [node(f"n{n}") for n in range(nodes)]
        self.actors = 0
        self.answers: dict[tuple[int, str], Any] = {}
        self.killed: list[int] = []
        self.exceptions = SimpleNamespace(RayTaskError=TaskError, RayError=AnyError)

    def nodes(self) -> list[dict[str, Any]]:
        return self.there

    def remote(self, **_: Any) -> Any:
        return lambda _: SimpleNamespace(remote=self._make)

    def _make(self) -> Any:
        self.actors += 1
        number = self.actors
        told = SimpleNamespace(remote=lambda: (number, "told"))
        return SimpleNamespace(number=number, told=told)

    def wait(self, asked: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        time.sleep(0.005)
        return [each for each in asked if each in self.answers], []

    def get(self, reference: Any) -> Any:
        answer = self.answers[reference]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor: Any) -> None:
        self.killed.append(actor.number)


class AnyError(Exception):
    pass


class TaskError(AnyError):
    cause = None


def node(name: str) -> dict[str, Any]:
    identifier = name.encode().ljust(28).hex()
    return {
        "NodeID": identifier,
        "NodeManagerHostname": name,
        "Alive": True,
        "Resources": {"CPU": 2.0},
    }


def asks_once(hired: Hired) -> Life:
    said = yield (hired.actor.number, "prepare")
    if said != "ready":
        raise Refusal(said)
    hired.ready, hired.task = True, 7
    while True:
        yield (hired.actor.number, "do")


class Seen:
    def __init__(self, ray: Told, monkeypatch: pytest.MonkeyPatch, cpus: float | None = None):
        monkeypatch.setattr("gtr_beir.work.executors.cluster.reaching.LOOK", 0.01)
        monkeypatch.setattr(room, "LOOK", 0.01)
        self.said: list[str] = []
        self.lost: list[str] = []
        wanted: Any = Wanted("somewhere:1", cpus=cpus)
        self.crew = Crew(
            ray,  # type: ignore[arg-type]
            wanted,
            lives=asks_once,
            lost=lambda hired: self.lost.append(hired.name),
            say=self.said.append,
        )
        self.crew.begin(0.0, again=False)

    def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.crew.gather()
            self.crew.get_on()
            list(self.crew.answers(0.01))


def test_who_has_begun_and_does_not_get_on_is_replaced_and_then_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "STUCK", 0.1)
    ray = Told()
    ray.answers = {(n, "told"): (-1, 0) for n in range(9)}
    seen = Seen(ray, monkeypatch)
    with pytest.raises(ClusterError, match=r"n0 lost its worker 2 times \(has not got on for"):
        seen.go_on(5)
    assert seen.lost == ["1", "2"]
    assert "another one takes its place" in seen.said[0]


def test_who_waits_for_cores_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "STUCK", 0.05)
    seen = Seen(Told(), monkeypatch)
    seen.go_on(0.3)
    assert list(seen.crew.hired) == ["1"]
    assert seen.said == []


def test_who_gets_on_slowly_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "STUCK", 0.5)
    ray = Told()
    ray.answers[1, "prepare"] = "ready"
    seen = Seen(ray, monkeypatch)
    for done in range(6):
        ray.answers[1, "told"] = (7, done)
        for hired in seen.crew.hired.values():
            hired.asked_at = 0.0
        seen.go_on(0.2)
    assert seen.lost == []


def test_who_is_at_a_task_and_says_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "UNHEARD", 0.1)
    ray = Told()
    ray.answers[1, "prepare"] = "ready"
    seen = Seen(ray, monkeypatch)
    seen.go_on(0.5)
    assert seen.lost == ["1"]
    assert "the worker on n0 died (no answer for" in seen.said[0]


def test_a_refusal_leaves_its_node_out_and_the_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Told(nodes=2)
    ray.answers = {(1, "prepare"): "has no checkpoint", (2, "prepare"): "ready"}
    seen = Seen(ray, monkeypatch)
    seen.go_on(0.2)
    assert seen.said == ["left out: n0 has no checkpoint"]
    assert [hired.ready for hired in seen.crew.hired.values()] == [True]
    assert ray.killed == [1]
    seen.crew.begin(0.0, again=True)
    seen.go_on(0.1)
    assert len(seen.crew.hired) == 1, "of the same system it is not asked again"
    seen.crew.begin(0.0, again=False)
    seen.go_on(0.1)
    assert len(seen.crew.hired) == 2


def test_a_node_that_goes_is_told_and_another_one_is_hired_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = Told()
    seen = Seen(ray, monkeypatch)
    seen.go_on(0.1)
    ray.there = [node("other")]
    seen.go_on(0.2)
    assert seen.said == ["n0 is gone; what it was at is done elsewhere"]
    assert [hired.node.name for hired in seen.crew.hired.values()] == ["other"]


def test_answers_to_an_earlier_search_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Told()
    seen = Seen(ray, monkeypatch)
    seen.go_on(0.1)
    (hired,) = seen.crew.hired.values()
    before = hired.life
    seen.crew.begin(0.0, again=True)
    assert hired.life is not before
    assert hired.awaited is None


def test_a_manager_that_was_away_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked before has been answered meanwhile."""
    monkeypatch.setattr(room, "UNHEARD", 0.2)
    ray = Told()
    ray.answers[1, "prepare"] = "ready"
    seen = Seen(ray, monkeypatch)
    seen.go_on(0.1)
    (hired,) = seen.crew.hired.values()
    assert hired.asked is not None
    time.sleep(0.5)
    ray.answers[1, "told"] = (7, 1)
    seen.go_on(0.1)
    assert seen.lost == []


def test_who_is_at_work_on_a_node_that_is_left_out_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Told()
    ray.answers[1, "prepare"] = "has no memory left"
    seen = Seen(ray, monkeypatch, cpus=1)
    seen.go_on(0.2)
    assert seen.said == ["left out: n0 has no memory left"]
    assert list(seen.crew.hired) == ["2"]
    ray.answers[2, "prepare"] = "ready"
    seen.go_on(0.1)
    seen.crew.begin(0.0, again=True)
    seen.go_on(0.1)
    assert list(seen.crew.hired) == ["2"], "and in the next search of this system"


def test_one_result_is_taken_at_a_time_and_words_first(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Told(nodes=3)
    ray.answers = {(n, "prepare"): "ready" for n in (1, 2, 3)}
    seen = Seen(ray, monkeypatch)
    seen.go_on(0.2)
    ray.answers = {(n, "do"): "result" for n in (1, 2, 3)} | {(3, "told"): (7, 2)}
    for hired in seen.crew.hired.values():
        hired.asked = (3, "told") if hired.name == "3" else None
    taken: list[Any] = []
    real = ray.get
    ray.get = lambda reference: taken.append(reference) or real(reference)  # type: ignore[method-assign, func-returns-value]
    list(seen.crew.answers(0.01))
    assert taken[0] == (3, "told")
    assert len(taken) == 2
