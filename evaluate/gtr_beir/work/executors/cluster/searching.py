"""One search on a cluster: what a worker is asked for it, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gtr_beir.errors import ClusterError
from gtr_beir.work.executors.base import difference
from gtr_beir.work.executors.cluster.crew import Hired, Life, Refusal
from gtr_beir.work.executors.cluster.schedule import Schedule
from gtr_beir.work.executors.cluster.sending import Sender

_TRIES = 3
"""Times that a task may fail before the work ends."""


@dataclass(frozen=True)
class Search:
    """A search as it is sent: `first`, what gives packages, and `job` are pickled."""

    first: bytes
    here: Mapping[str, str]
    job: bytes
    proof: Mapping[str, str]
    by_device: frozenset[str]
    kind: str
    folders: tuple[str, ...]

    @property
    def what_is_run(self) -> Mapping[str, str]:
        """Of the proof what does not differ between datasets: the system."""
        return {name: value for name, value in self.proof.items() if name not in self.by_device}


class Searching:
    """A search that is going on.

    gpus: of a worker; sender: of its folders, None where they are not sent; mixed: whether devices
    of several kinds may work; put: has Ray hold bytes; send: a message to the driver.
    """

    def __init__(
        self,
        search: Search,
        *,
        gpus: float,
        sender: Sender | None,
        mixed: bool,
        put: Callable[[bytes], Any],
        send: Callable[..., None],
    ):
        self._search, self._gpus, self._sender, self._mixed = search, gpus, sender, mixed
        self._put, self._send = put, send
        self._job = put(search.job)
        self.schedule = Schedule()
        self._tasks: dict[int, Any] = {}
        self._failures: dict[int, int] = {}
        self._told: dict[int, int] = {}
        """What was told of each task that is at work, or was."""
        self._at: dict[str, Hired] = {}
        """Workers at tasks."""

    def add(self, task: int, data: bytes) -> None:
        self._tasks[task] = self._put(data)
        self.schedule.add(task)

    def life(self, hired: Hired) -> Life:
        """Checked, sent to, prepared, compared; then task after task."""
        search, node, actor = self._search, hired.node, hired.actor
        said = yield actor.check.remote(search.first, dict(search.here))
        node.name = said["host"]
        _require_none(said["why"])
        if self._sender is not None:
            for path in search.folders:
                yield from self._sender.send(path, hired)
        device = "cuda" if self._gpus else "cpu"
        place = {"device": device, "far": True, "folders": dict(node.folders)}
        said = yield actor.prepare.remote(self._job, place)
        _require_none(said["why"])
        if differs := difference(self._equal(), said["proof"]):
            raise Refusal(f"has {differs}, so its results would differ")
        hired.ready, hired.device = True, said["device"]
        while True:
            task = self.schedule.next_for(hired.name)
            if task is None:
                yield None
                continue
            hired.task, self._at[hired.name] = task, hired
            result = yield actor.do.remote(task, self._tasks[task])
            hired.task = -1
            del self._at[hired.name]
            # None: it was stopped, since another one was faster.
            if result is not None and task in self._tasks:
                self._take(task, result, hired)
            # Not kept while the next is done.
            del result

    def _equal(self) -> Mapping[str, str]:
        """What must be equal on a node."""
        return self._search.what_is_run if self._mixed else self._search.proof

    def _take(self, task: int, result: Any, hired: Hired) -> None:
        """A task's first result, or a sentence."""
        name = hired.node.name
        if isinstance(result, str):
            self._failures[task] = self._failures.get(task, 0) + 1
            if self._failures[task] >= _TRIES:
                raise ClusterError(f"{name} failed: {result}")
            raise Refusal(f"failed: {result}")
        data, told, seconds = result
        for other in self.schedule.done(task) or ():
            if other in self._at:
                self._at[other].actor.stop.remote(task)
        self._count(task, told)
        del self._tasks[task]
        self._send("done", (task, hired.name, name, hired.device, seconds), data)

    def is_at(self, task: int, told: int, parts: Sequence[bytes]) -> None:
        """A worker says how much of a task is done; of two at one task, the faster counts."""
        if task in self._tasks:
            for part in parts:
                self._send("part", task, part)
            self._count(task, max(told, self._told.get(task, 0)))

    def lost(self, hired: Hired) -> None:
        """A worker is gone: what it was at is given to others."""
        self._at.pop(hired.name, None)
        for task in self.schedule.lost(hired.name):
            self._count(task, 0)

    def _count(self, task: int, told: int) -> None:
        if more := told - self._told.get(task, 0):
            self._told[task] = told
            self._send("did", more)


def _require_none(why: str) -> None:
    if why:
        raise Refusal(why)
