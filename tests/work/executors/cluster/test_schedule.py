"""Which task is whose, against a plain simulation that checks what must hold."""

from __future__ import annotations

import random

import pytest

from gtr_beir.work.executors.cluster.schedule import AHEAD, Schedule


def filled(count: int) -> Schedule:
    schedule = Schedule()
    for task in range(count):
        schedule.add(task)
    return schedule


def test_in_order_and_one_each() -> None:
    schedule = filled(3)
    assert [schedule.next_for(worker) for worker in "abc"] == [0, 1, 2]
    assert schedule.next_for("d") is None
    assert schedule.done(1) == ["b"]


def test_what_a_lost_worker_was_at_comes_first() -> None:
    schedule = filled(4)
    assert [schedule.next_for(worker) for worker in "ab"] == [0, 1]
    assert schedule.lost("a") == [0]
    assert [schedule.next_for("c"), schedule.next_for("d")] == [0, 2]
    assert schedule.lost("nobody") == []


def test_a_late_task_is_given_to_an_idle_worker_once_and_the_first_answer_counts() -> None:
    schedule = filled(2)
    assert [schedule.next_for(worker) for worker in "ab"] == [0, 1]
    assert schedule.next_for("c") is None, "more may come"
    schedule.run_dry()
    assert schedule.next_for("c") == 0
    assert schedule.next_for("d") == 1
    assert schedule.next_for("e") is None
    assert schedule.done(0) == ["a", "c"]
    assert schedule.done(0) is None
    assert schedule.lost("b") == [], "d is at it too"
    assert schedule.next_for("a") == 1
    assert schedule.lost("d") == []
    assert schedule.lost("a") == [1]


def test_late_tasks_wait_again_when_more_come() -> None:
    schedule = filled(1)
    assert schedule.next_for("a") == 0
    schedule.run_dry()
    schedule.add(1)
    assert [schedule.next_for(worker) for worker in "bc"] == [1, None]
    schedule.run_dry()
    assert schedule.next_for("c") == 0


def test_nobody_is_given_what_it_is_at() -> None:
    schedule = filled(1)
    schedule.run_dry()
    assert schedule.next_for("a") == 0
    assert schedule.next_for("a") is None


def test_some_tasks_are_ahead_but_not_many() -> None:
    assert [Schedule().wanted(n) for n in (0, 1, 3, 100)] == [0, 2, 6, 100 + AHEAD]


@pytest.mark.parametrize("seed", range(20))
def test_every_task_is_done_once_whoever_dies(seed: int) -> None:
    chance = random.Random(seed)
    schedule, done, at = Schedule(), [], {}
    given, names = 0, [f"w{n}" for n in range(5)]
    for _ in range(10_000):
        if given < 60 and given - len(done) < schedule.wanted(len(names)):
            schedule.add(given)
            given += 1
            if given == 60:
                schedule.run_dry()
        worker = chance.choice(names)
        if worker not in at:
            task = schedule.next_for(worker)
            if task is not None:
                assert list(at.values()).count(task) < 2
                at[worker] = task
        elif chance.random() < 0.2:
            alone = schedule.lost(worker)
            lost = at.pop(worker)
            still = lost in at.values() or lost in done
            assert alone == ([] if still else [lost])
        else:
            task = at.pop(worker)
            others = schedule.done(task)
            if others is not None:
                done.append(task)
            # The other one answers later, and is not counted.
        if len(done) == 60:
            break
    assert sorted(done) == list(range(60))
