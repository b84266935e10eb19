"""Whoever is stopped, or dies in the middle of a message, holds nobody up."""

from __future__ import annotations

import multiprocessing
import os
import time

import numpy as np
import pytest

from gtr_beir.work.executors.cluster.pipe import Message, Pipe


def heard(pipe: Pipe) -> Message | None:
    return pipe.heard(20)


def test_messages_arrive_whole_and_in_order() -> None:
    here, there = (Pipe(end) for end in multiprocessing.Pipe())
    data = np.arange(1 << 20, dtype=np.uint8)
    here.send("a", (1, 2))
    here.send("b", None, data)
    here.send("c", "text", b"")
    assert heard(there) == ("a", (1, 2), None)
    found = heard(there)
    assert found is not None
    assert found[:2] == ("b", None)
    assert found.data == data.tobytes()
    assert heard(there) == ("c", "text", b"")
    assert there.heard(0) is None
    assert not there.waits


def test_sending_to_who_does_not_listen_does_not_wait() -> None:
    near, far = multiprocessing.Pipe()
    pipe = Pipe(near)
    start = time.monotonic()
    pipe.send("task", 1, bytes(64 << 20))
    pipe.finish(0.5)
    pipe.close()
    pipe.send("nobody hears it")
    assert time.monotonic() - start < 5
    far.close()


def test_who_dies_in_the_middle_of_a_message_has_ended() -> None:
    near, far = multiprocessing.Pipe()
    pipe = Pipe(near)
    whole = b"\0\0\1\0" + bytes(16)
    os.write(far.fileno(), whole)
    assert pipe.heard(0.2) is None, "256 bytes were announced"
    far.close()
    for _ in range(2):
        with pytest.raises(EOFError):
            heard(pipe)


def test_what_was_said_before_the_end_is_heard() -> None:
    near, far = multiprocessing.Pipe()
    here, there = Pipe(near), Pipe(far)
    there.send("failed", "a sentence")
    there.finish(20)
    there.close()
    assert heard(here) == ("failed", "a sentence", None)
    with pytest.raises(EOFError):
        heard(here)


def test_few_messages_with_data_are_held_and_closing_waits_for_none() -> None:
    here, there = (Pipe(end) for end in multiprocessing.Pipe())
    for number in range(9):
        there.send("done", number, bytes(1 << 16))
    there.send("state")
    time.sleep(0.5)
    held = here._in.qsize()
    assert held == 4
    assert [heard(here) for _ in range(3)][2][1] == 2  # type: ignore[index]
    deadline = time.monotonic() + 30
    while here._in.qsize() < 4:
        assert time.monotonic() < deadline, "what was heard makes room for as many"
        time.sleep(0.01)
    start = time.monotonic()
    here.close()
    there.close()
    assert time.monotonic() - start < 5
    rest = [heard(here)]
    while rest[-1] is not None:
        try:
            rest.append(here.heard(0))
        except EOFError:
            break
    assert len(rest) >= 4


def test_all_of_many_messages_with_data_come() -> None:
    here, there = (Pipe(end) for end in multiprocessing.Pipe())
    for number in range(50):
        there.send("done", number, bytes([number]) * 1000)
    found = [heard(here) for _ in range(50)]
    assert [each.value for each in found if each is not None] == list(range(50))
