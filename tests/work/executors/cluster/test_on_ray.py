"""A Ray that is started here: the same bytes, whoever dies; what cannot be is a sentence."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doubles import many
from gtr_beir import benchmark, load_system
from gtr_beir.cli import main
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.errors import ClusterError, UsageError
from gtr_beir.work.executors.cluster.crew import times
from gtr_beir.work.executors.cluster.executor import OnRay
from work.executors.waiting import Shelf, Wait, job, progress, refuses

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (gtr-beir[ray])"
)
GTR, COLBERT = str(CHECKPOINT_DIR), f"colbert:{COLBERT_DIR}"


@pytest.fixture(scope="module", autouse=True)
def workers_find_these_tests() -> Iterator[None]:
    tests = Path(__file__).resolve().parents[3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tests), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def two() -> Iterator[OnRay]:
    """A worker a core."""
    with OnRay("ray", cpus_per_worker=1) as cluster:
        yield cluster


def numbers(cluster: OnRay, tasks: list[Wait], *arguments: Any, **choices: Any) -> list[int]:
    done = cluster.work(job(*arguments, **choices), iter(tasks), progress())
    return sorted(each.result[0] for each in done)


@needs_ray
def test_one_ray_does_search_after_search(two: OnRay) -> None:
    shown = progress()
    tasks: list[Wait | None] = [None, *(Wait(n, 0.05) for n in range(12))]
    done = list(two.work(job(), iter(tasks), shown))
    assert sorted(each.result[0] for each in done) == list(range(12))
    assert shown.done == 12
    assert sum(hand.blocks for hand in two.hands.values()) == 12
    first = {each.result[1] for each in done}
    again = list(two.work(job(), iter([Wait(0, 0.1)]), progress()))
    assert again[0].result[1] in first, "workers are kept for the next search"


@needs_ray
def test_parts_of_a_task_come_while_it_is_at_work(two: OnRay) -> None:
    shelf = Shelf()
    assert numbers(two, [Wait(n, 4.0) for n in range(2)], keep=shelf) == [0, 1]
    assert set(shelf.parts) == {(0, 0), (1, 1)}


@needs_ray
def test_a_worker_that_dies_is_replaced_and_its_task_done_again(two: OnRay, tmp_path: Path) -> None:
    tasks = [Wait(n, 0.05, tmp_path / "died" if n == 3 else None) for n in range(8)]
    assert numbers(two, tasks, "once") == list(range(8))
    assert (tmp_path / "died").exists()


def process() -> dict[str, str]:
    """What no two processes have."""
    return {"process": str(os.getpid())}


@needs_ray
@pytest.mark.parametrize(
    ("arguments", "choices", "said"),
    [
        (("die",), {}, "lost its worker 2 times"),
        (("raise",), {}, "a sentence of its own"),
        (("", {"weights": "b"}), {}, r"has weights b, not a"),
        ((), {"prepare": refuses}, "cannot prepare it: there is no checkpoint here"),
        ((), {"first": process}, r"has process \d+, not \d+"),
    ],
)
def test_what_fails_everywhere_is_told(
    arguments: tuple[Any, ...], choices: dict[str, Any], said: str
) -> None:
    with OnRay("ray") as cluster, pytest.raises(ClusterError, match=said):
        numbers(cluster, [Wait(n, 0.1) for n in range(5)], *arguments, **choices)


@needs_ray
def test_with_nothing_to_do_ray_is_not_started() -> None:
    """A minute would go by at this address."""
    with OnRay("192.0.2.1:6379") as cluster:
        assert numbers(cluster, []) == []


@needs_ray
@pytest.mark.parametrize("more", [{"gpus_per_worker": 1.0}, {"cpus_per_worker": 4096.0}])
def test_what_this_machine_has_not_is_told_at_once(more: dict[str, float]) -> None:
    start = time.monotonic()
    said = "this machine has not what a worker needs"
    with OnRay("ray", **more) as cluster, pytest.raises(ClusterError, match=said):
        numbers(cluster, [Wait(1)])
    assert time.monotonic() - start < 40


@needs_ray
def test_no_ray_on_this_machine_is_a_sentence() -> None:
    with OnRay("auto") as cluster, pytest.raises(ClusterError, match="there is no Ray on this"):
        numbers(cluster, [Wait(1)])


@needs_ray
def test_after_a_failure_the_next_search_begins_anew() -> None:
    with OnRay("ray") as cluster:
        with pytest.raises(ClusterError, match="there is no checkpoint here"):
            numbers(cluster, [Wait(1)], prepare=refuses)
        assert numbers(cluster, [Wait(1)]) == [1]


@needs_ray
def test_on_request_devices_may_differ_and_the_task_says_its_own() -> None:
    other = {"weights": "a", "kind": "other"}
    with OnRay("ray", mixed_devices=True) as cluster:
        work = job("", other, by_device=frozenset({"kind"}))
        (done,) = cluster.work(work, iter([Wait(1)]), progress())
    assert done.device


@needs_ray
def test_the_record_says_on_which_device_each_block_was_done(tmp_path: Path) -> None:
    """Also of blocks that an earlier run did."""
    dataset, system = many(tmp_path), load_system(GTR, device="cpu", offline=True)
    choices: dict[str, Any] = {"results_dir": tmp_path, "label": "toy"}
    with OnRay("ray", mixed_devices=True) as cluster:
        first = benchmark(system, dataset, executor=cluster, **choices)
    found = first.facts["first_rows_of_blocks"]
    assert list(found.values()) == [[0, 1024, 2048]]
    assert list(found) == [first.facts["workers"][0]["device"]]
    (tmp_path / "toy" / "many" / "record.json").unlink()
    again = benchmark(system, dataset, **choices)
    assert again.facts["first_rows_of_blocks"] == found
    assert "workers" not in again.facts


@needs_ray
@pytest.mark.parametrize("which", ["gtr", "colbert", "rerank"])
def test_the_bytes_are_those_of_one_process(which: str, two: OnRay, tmp_path: Path) -> None:
    dataset = many(tmp_path)
    system = load_system(GTR if which == "gtr" else COLBERT, device="cpu", offline=True)
    rerank = None
    if which == "rerank":
        rerank = tmp_path / "bm25" / "bm25-flat"
        benchmark(load_system("bm25-flat"), dataset, results_dir=rerank.parent)
    found = []
    for name, executor in (("one", None), ("ray", two)):
        choices: dict[str, Any] = {"rerank": rerank, "depth": 50, "label": "toy"}
        where = tmp_path / name
        record = benchmark(system, dataset, results_dir=where, executor=executor, **choices)
        folder = where / "toy" / "many"
        files = ("run.trec.gz", "queries.csv")
        found.append([(folder / file).read_bytes() for file in files])
    assert found[0] == found[1]
    assert sum(hand["blocks"] for hand in record.facts["workers"]) == 3


@needs_ray
def test_a_driver_that_is_killed_leaves_nobody(tmp_path: Path) -> None:
    """Neither a worker nor the Ray that was started for it."""
    many(tmp_path)
    command = [sys.executable, "-m", "gtr_beir", "run", GTR, "-d", "many", "--on", "ray"]
    command += ["--datasets-dir", str(tmp_path / "datasets"), "--results-dir", str(tmp_path)]
    mark = f"GTR_BEIR_TEST={tmp_path}"
    (tmp_path / "tmp").mkdir()
    more = {"GTR_BEIR_TEST": str(tmp_path), "TMPDIR": str(tmp_path / "tmp")}
    driver = subprocess.Popen([*command, "-q"], env={**os.environ, **more})
    for _ in range(300):
        if any("NodeWorker" in line for line in marked(mark)) or driver.poll() is not None:
            break
        time.sleep(0.1)
    assert driver.poll() is None, "it is at work"
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    end = time.monotonic() + 30
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.2)
    assert left == []
    assert list((tmp_path / "tmp").glob("gtr-*")) == []


def marked(mark: str) -> list[str]:
    """Processes with this in their environment, by command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@needs_ray
@pytest.mark.parametrize("on", ["", "here", "ray:/x:1", "ray://host", "http://host:1", "host:x"])
def test_an_address_that_is_none(on: str) -> None:
    with pytest.raises(UsageError, match="give ray"):
        OnRay(on)


@needs_ray
@pytest.mark.parametrize(
    "choice", [{"gpus_per_worker": n} for n in (-1.0, 1.5, 1e-5)] + [{"cpus_per_worker": 0.0}]
)
def test_resources_that_cannot_be(choice: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="per-worker"):
        OnRay("ray", **choice)


def test_without_the_extra_a_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'gtr-beir\[ray\]'"):
        OnRay("ray")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--gpus-per-worker", "1"], "name one with --on"),
        (["--send-checkpoint"], "name one with --on"),
        (["--on", "ray", "--shard", "0/2"], "two ways to share work"),
        (["--on", ""], "--on '' is not possible"),
    ],
)
def test_flags_that_cannot_be_meant(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", GTR, "-d", "scifact", *flags]) == 2
    assert said in capsys.readouterr().err


@needs_ray
def test_a_system_that_works_here_alone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "bm25-flat", "-d", "scifact", "--on", "ray"]) == 2
    assert "bm25-flat works on the cores of this machine alone" in capsys.readouterr().err


WITHOUT_CLOSE = """
from gtr_beir.work.executors.cluster.executor import OnRay
from work.executors.waiting import Wait, job, progress
if __name__ == "__main__":
    print(len(list(OnRay("ray").work(job(), iter([Wait(1), Wait(2)]), progress()))))
"""


@needs_ray
def test_who_forgets_to_close_ends_nevertheless(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(WITHOUT_CLOSE)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, timeout=90
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


@needs_ray
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").symlink_to("/proc/self/mem")
    with (
        OnRay("ray", send_checkpoint=True) as cluster,
        pytest.raises(ClusterError, match="model cannot be read to be sent"),
    ):
        numbers(cluster, [Wait(1)], folders=(tmp_path / "model",))


@pytest.mark.parametrize(("whole", "part", "often"), [(1, 0.1, 10), (1, 0.2, 5), (8, 3, 2)])
def test_parts_of_a_gpu(whole: float, part: float, often: int) -> None:
    assert times(whole, part) == often


@needs_ray
def test_nobody_at_the_address_is_a_sentence() -> None:
    with (
        OnRay("127.0.0.1:1") as cluster,
        pytest.raises(ClusterError, match=r"nobody answers at 127\.0\.0\.1:1"),
    ):
        numbers(cluster, [Wait(1)])


@needs_ray
def test_a_manager_that_is_frozen_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither hearing, nor sending of more than a pipe holds, nor closing."""
    with OnRay("ray") as cluster:
        done = cluster.work(job(), (Heavy(n) for n in range(100)), progress())
        next(done)
        monkeypatch.setattr("gtr_beir.work.executors.cluster.executor.SILENT", 3.0)
        manager = cluster._manager
        assert manager is not None
        assert manager._process.pid is not None
        os.kill(manager._process.pid, signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(ClusterError, match="has not answered for 3 s"):
            list(done)
    assert time.monotonic() - start < 30


@dataclass(frozen=True)
class Heavy(Wait):
    """A task of 8 MB."""

    data: bytes = bytes(8 << 20)


@needs_ray
def test_while_there_may_be_more_a_late_task_is_given_to_who_is_idle(
    two: OnRay, tmp_path: Path
) -> None:
    """The first worker at it hangs; the task that comes afterwards needs it to be done."""

    def tasks(done: list[int]) -> Iterator[Wait | None]:
        yield Wait(1, 600.0, tmp_path / "first")
        while not done:
            yield None
        yield Wait(2)

    done: list[int] = []
    for each in two.work(job("hang"), tasks(done), progress()):
        done.append(each.result[0])  # noqa: PERF401 - tasks look at it meanwhile
    assert done == [1, 2]
