"""What the line of progress says, also of work that several processes share."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from doubles import many
from gtr_beir import progress as module
from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.progress import Progress, duration
from gtr_beir.systems.base import SearchOptions, load_system


def of_stage(stream: io.StringIO, total: int = 1000) -> Progress:
    return Progress("toy", total, "documents", stream=stream)


def test_what_was_there_already_makes_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = of_stage(stream)
    progress.skip(500)
    now[0] += 20
    progress.advance(100)
    assert stream.getvalue() == (
        "toy: 600 of 1,000 documents, 500 were there already, 5.00/s, 1 min 20 s left\n"
    )


def test_the_time_until_work_begins_makes_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = of_stage(stream)
    now[0] += 30
    progress.at_work()
    now[0] += 20
    progress.advance(100)
    progress.finish()
    assert stream.getvalue().splitlines() == [
        "toy: 100 of 1,000 documents, 5.00/s, 3 min 00 s left",
        "toy: 100 of 1,000 documents, 5.00/s, took 20 s after 30 s of getting ready",
    ]


def test_a_log_has_few_lines_of_a_long_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 15 s, 45 s, 105 s, ... and then every ten minutes."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = of_stage(stream, 4 * 3600)
    shown = []
    for _ in range(4 * 3600):
        now[0] += 1
        before = len(stream.getvalue())
        progress.advance(1)
        if len(stream.getvalue()) > before:
            shown.append(now[0])
    assert shown[:6] == [15, 45, 105, 225, 465, 945]
    assert {b - a for a, b in pairwise(shown[6:])} == {600}
    assert len(shown) < 30


def test_two_devices_count_every_document_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = many(tmp_path)
    system = load_system(str(CHECKPOINT_DIR), device="cpu,cpu", offline=True)
    options = SearchOptions(work_dir=tmp_path / "work", block_documents=1024, quiet=False)
    system.search(dataset, options)
    n = f"{dataset.n_documents:,}"
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(rf".*: {n} of {n} documents, [0-9.,]+/s, took .*", last)
    system.search(dataset, options)
    assert f"{n} of {n} documents, {n} were there already" in capsys.readouterr().err


def test_one_device_that_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = load_dataset("demo", datasets_dir=tmp_path / "datasets")
    assert isinstance(demo, Dataset)
    system = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True)
    options = SearchOptions(work_dir=tmp_path / "work", quiet=False)
    for said in (r": 341 of 341 documents, [0-9.,]+/s", r"documents, 341 were there already, took"):
        system.search(demo, options)
        assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (42, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_who_is_at_work_ends_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("toy on small", 100, "documents")
    progress._interval = 0.0
    progress.beside("3 hosts, 12.3 MB/s")
    progress.advance(10)
    progress.finish()
    moving, last = capsys.readouterr().err.splitlines()
    assert moving.endswith("left, 3 hosts, 12.3 MB/s")
    assert "hosts" not in last


def test_a_moving_line_does_not_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    progress = Progress("a system with a long name on a dataset", 10, "documents", stream=stream)
    progress._interval = 0.0
    progress.advance(1)
    line = stream.getvalue().removeprefix("\r\x1b[K").rstrip("\r")
    assert len(line) == 39
    # What moves stays in sight.
    assert line.startswith("a system wit...: 1 of 10 documents")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("done", [0, 100])
def test_the_line_moves_while_a_batch_takes_long(
    done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TICK", 0.02)
    stream = Terminal()
    progress = of_stage(stream)
    with progress.moving():
        progress.advance(done)
        wait_until(lambda: stream.getvalue().count("\r\x1b[K") >= 3)
        lines = [line.strip() for line in stream.getvalue().split("\r\x1b[K")[1:4]]
    assert len(set(lines)) == 3, lines
    shape = r"toy: 100 of 1,000 documents, [\d,]+/s, [\d.]+ s left"
    if not done:
        shape = r"toy: 0 of 1,000 documents, [\d.]+ s so far"
    assert all(re.fullmatch(shape, line) for line in lines[1:]), lines
    shown = stream.getvalue()
    time.sleep(0.2)
    assert stream.getvalue() == shown


def test_nothing_moves_after_the_last_word() -> None:
    """Nor when what was done within it failed."""
    stream = Terminal()
    progress = of_stage(stream)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), progress.moving():
        assert threading.active_count() == before + 1
        _ = 1 / 0
    assert threading.active_count() == before
    with progress.moving():
        progress.finish()
        shown = stream.getvalue()
        progress.advance(0)
    assert stream.getvalue() == shown
    with of_stage(stream, 5).moving(), Progress("toy", 5, "documents", quiet=True).moving():
        assert threading.active_count() == before + 1


def test_a_log_is_told_before_the_first_batch_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICK", 0.01)
    monkeypatch.setattr(module, "_FIRST", 0.1)
    stream = io.StringIO()
    with of_stage(stream).moving():
        wait_until(lambda: "\n" in stream.getvalue())
    first = stream.getvalue().splitlines()[0]
    assert re.fullmatch(r"toy: 0 of 1,000 documents, 0\.\d s so far", first)


class Slow:
    """Words, after a while."""

    def encode(self, texts: list[str]) -> np.ndarray:
        if len(texts) > 3:
            time.sleep(0.5)
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def test_a_slow_batch_of_a_run_is_seen(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TICK", 0.05)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    load_system(Slow()).search(small, SearchOptions(work_dir=tmp_path, quiet=False))
    assert len(re.findall(r"0 of 5 documents, [\d.]+ s so far\r", terminal.getvalue())) > 2


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it did not come to that in time")
