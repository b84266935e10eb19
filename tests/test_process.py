"""The program as a process: signals at any moment, streams that cannot take its words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gtr_beir.demo import CHECKPOINT_DIR

STOPPED = b"gtr-beir: stopped; the same command continues from there"
RUN = ("run", "bm25-flat", "-d", "demo", "--offline")


def as_usual() -> None:
    """Whoever started the tests may ignore a signal, as nohup does, and that is inherited."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def started(*arguments: str, **how: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gtr_beir", *arguments]
    return subprocess.Popen(command, preexec_fn=as_usual, **how)


def folders(tmp_path: Path) -> tuple[str, ...]:
    return ("--results-dir", str(tmp_path / "results"), "--datasets-dir", str(tmp_path / "data"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("after", [0.15, 0.3, 0.8])
def test_whoever_stops_it_gets_a_sentence(name: str, after: float, tmp_path: Path) -> None:
    """Also in the first moments, while modules are imported."""
    number = getattr(signal, name)
    process = started(
        *("run", "bm25-flat", "-d", "demo", "-d", "demo", "--again"),
        *folders(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(after)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert b"Traceback" not in told
    # Before Python itself is up, and when it has ended, nobody is there to say anything.
    assert process.returncode in (0, 128 + number, -number)
    assert process.returncode != 128 + number or STOPPED in told


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_work_that_is_stopped(name: str, tmp_path: Path) -> None:
    """Once it has said anything, every signal ends it with the sentence and its own number."""
    number = getattr(signal, name)
    process = started(
        *("run", str(CHECKPOINT_DIR), "-d", "demo", "--device", "cpu", "--offline"),
        *folders(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b"loading ")
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert told.endswith(STOPPED + b"\n")
    assert b"Traceback" not in told


def test_a_second_signal_does_not_wait_for_the_first() -> None:
    code = (
        "import os, signal\n"
        "from gtr_beir import process\n"
        "process.stop_when_told()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "except process.Stopped as stopped:\n"
        "    assert stopped.code == 143\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help")])
def test_help_that_cannot_be_written(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = started(*arguments, stdout=full, stderr=subprocess.PIPE)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told == b"gtr-beir: standard output could not be written: No space left on device\n"
    assert started(*arguments, stdout=subprocess.DEVNULL).wait(timeout=60) == 0


def test_a_run_outlives_a_full_disk_under_its_words(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        code = started(*RUN, *folders(tmp_path), stdout=full, stderr=full).wait(timeout=120)
    assert (tmp_path / "results/bm25-flat/demo/record.json").is_file()
    assert code == 1  # what it had to say is lost, which is told by the exit code


def test_a_run_outlives_its_reader(tmp_path: Path) -> None:
    process = started(*RUN, *folders(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert (tmp_path / "results/bm25-flat/demo/record.json").is_file()


def test_closed_streams(tmp_path: Path) -> None:
    """No file that is opened later gets their numbers, so nothing is written into it."""
    words = " ".join(["exec", sys.executable, "-m", "gtr_beir", *RUN, *folders(tmp_path)])
    shell = ["sh", "-c", f"{words} <&- >&- 2>&-"]
    assert subprocess.run(shell, check=False, timeout=120).returncode == 0
    assert (tmp_path / "results/bm25-flat/demo/record.json").is_file()
    assert (tmp_path / "results/bm25-flat/demo/.lock").read_bytes() == b""


def test_letters_that_a_terminal_does_not_have(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "gtr_beir", *RUN, *folders(tmp_path), "--rerank", "é"],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert done.stderr.startswith(b"gtr-beir: ")
