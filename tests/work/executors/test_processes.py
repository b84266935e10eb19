"""Processes of this machine: whoever is free gets the next task, and failures are told."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gtr_beir.errors import NumericalError, StoreError
from gtr_beir.work.executors.base import Executor
from gtr_beir.work.executors.here import Here
from gtr_beir.work.executors.processes import Processes
from work.executors.waiting import Shelf, Wait, job, progress


def test_whoever_is_free_gets_the_next_and_each_task_is_done_once() -> None:
    """This process sleeps over one task while the other does all the rest."""
    shown, executor = progress(), Processes(["cpu", "cpu"])
    tasks = iter([Wait(0, 8.0), *(Wait(n, 0.01) for n in range(1, 12))])
    # The other process takes a second or so to start: the long one is this process's.
    done = [each.result for each in executor.work(job(), tasks, shown)]
    assert sorted(number for number, _ in done) == list(range(12))
    here = [number for number, process in done if process == os.getpid()]
    assert here == [0]
    assert shown.done == 12
    assert [hand.blocks for hand in executor.hands.values()] == [1, 11]


def test_none_means_later() -> None:
    def tasks() -> Iterator[Wait | None]:
        yield None
        yield Wait(1)

    for executor in (Here(), Processes(["cpu", "cpu"])):
        assert [d.result[0] for d in executor.work(job(), tasks(), progress())] == [1]


@pytest.mark.parametrize("executor", [Here(), Processes(["cpu", "cpu"])])
def test_parts_of_a_task_come_while_it_is_at_work(executor: Executor) -> None:
    shelf = Shelf()
    seen = []
    for done in executor.work(job(keep=shelf), iter([Wait(n, 0.1) for n in range(4)]), progress()):
        seen.append((done.task.number, done.task.number))
        assert set(seen) <= set(shelf.parts)
    assert sorted(shelf.parts) == [(n, n) for n in range(4)]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("die",), StoreError, "a worker process died"),
        (("raise",), NumericalError, "a sentence of its own"),
        (("", {"weights": "b"}), StoreError, r"has weights b, not a"),
    ],
)
def test_what_fails_is_told_and_nobody_is_left(
    arguments: tuple[Any, ...], error: type[Exception], said: str
) -> None:
    tasks = (Wait(n, 0.1) for n in range(1000))
    with pytest.raises(error, match=said):
        list(Processes(["cpu", "cpu"]).work(job(*arguments), tasks, progress()))
    assert multiprocessing.active_children() == []


def test_whoever_stops_leaves_nobody_at_work() -> None:
    """The thread of this process's own worker ends after the step that it is at."""
    before = threading.active_count()
    done = Processes(["cpu", "cpu"]).work(job(), iter([Wait(0, 60.0), Wait(1)]), progress())
    start = time.monotonic()
    assert next(done).result[0] == 1
    done.close()
    assert time.monotonic() - start < 30
    assert multiprocessing.active_children() == []
    assert threading.active_count() <= before + 1
