"""A pool of processes: what fails in one is told here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gtr_beir.errors import StoreError
from gtr_beir.work.pool import in_processes


def touch(path: Path) -> None:
    path.write_text(str(os.getpid()))


def test_each_call_is_made_and_told(tmp_path: Path) -> None:
    told: list[int] = []
    files = [tmp_path / str(n) for n in range(5)]
    in_processes(touch, [(file,) for file in files], processes=2, done=told.append)
    assert sorted(told) == list(range(5))
    assert str(os.getpid()) not in {file.read_text() for file in files}


def test_a_process_that_dies_is_a_sentence() -> None:
    with pytest.raises(StoreError, match="a worker process died, perhaps for lack of memory"):
        in_processes(os._exit, [(3,), (3,)], processes=2)
