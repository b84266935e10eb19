"""One command in a process of its own, and how it ended.

The process is a fork of this one, which has imported everything: so a trial takes as long as its
work. What ends with a traceback, is killed by a signal that nobody sent, or has not ended after a
minute is a fault, whatever else it did.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 60.0
"""Seconds after which a command hangs."""


@dataclass(frozen=True)
class Ended:
    """code: of the exit, negative the signal's number, None if it was still at work at the limit;
    killed: whether it was this campaign that ended it."""

    code: int | None
    out: str
    err: str
    seconds: float
    killed: bool = False

    @property
    def fault(self) -> str:
        """What no command may do; "" if it did not."""
        if self.code is None:
            return f"hangs ({self.seconds:.0f} s)"
        if "Traceback (most recent call last)" in self.err + self.out:
            return "traceback: " + self.err.strip().splitlines()[-1][:300]
        if self.code < 0 and not self.killed:
            return f"ended by signal {-self.code}"
        return ""

    @property
    def told(self) -> bool:
        """Whether it failed with a sentence."""
        last = self.err.strip().splitlines()[-1:] or [""]
        return self.code in (1, 2) and last[0].startswith("gtr-beir: ")


def command(
    *arguments: str | Path,
    limit: float = LIMIT,
    meanwhile: Callable[[int], None] | None = None,
    environment: dict[str, str] | None = None,
) -> Ended:
    """`gtr-beir arguments`, as from a shell. meanwhile: is called with the process number."""
    return call(_program, [str(each) for each in arguments], limit, meanwhile, environment)


def _program(arguments: Sequence[str]) -> int:
    from gtr_beir.__main__ import main

    sys.argv = ["gtr-beir", *arguments]
    return main()


def call(
    act: Callable[[Sequence[str]], int],
    arguments: Sequence[str] = (),
    limit: float = LIMIT,
    meanwhile: Callable[[int], None] | None = None,
    environment: dict[str, str] | None = None,
) -> Ended:
    """A function in a fork; it gives the exit code."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        sys.stdout.flush()
        number = os.fork()
        if number == 0:
            _live(act, arguments, out.fileno(), err.fileno(), environment or {})
        killed = False
        if meanwhile is not None:
            meanwhile(number)
            killed = True
        code = _awaited(number, start + limit)
        seconds = time.perf_counter() - start
        _end_group(number)
        if code is None:
            os.waitpid(number, 0)
        words = []
        for file in (out, err):
            file.seek(0)
            words.append(file.read().decode("utf-8", "replace"))
    return Ended(code, words[0], words[1], seconds, killed)


def _live(
    act: Callable[[Sequence[str]], int],
    arguments: Sequence[str],
    out: int,
    err: int,
    environment: dict[str, str],
) -> None:
    code = 70
    try:
        os.setsid()
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        code = act(arguments)
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(code)


def _awaited(number: int, until: float) -> int | None:
    pause = 0.002
    while True:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.perf_counter() > until:
            return None
        time.sleep(pause)
        pause = min(pause * 1.2, 0.05)


def _end_group(number: int) -> None:
    try:
        os.killpg(number, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


@dataclass
class Tally:
    """What came of a campaign. right: as undisturbed; told: refused or failed with a sentence;
    wrong: another result without a word; halves: files that have their name and are not whole;
    other: results after a disturbance that are not the undisturbed one's bytes."""

    trials: int = 0
    right: int = 0
    told: int = 0
    wrong: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    halves: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    slowest: float = 0.0
    notes: list[str] = field(default_factory=list)

    def fault(self, what: str, ended: Ended) -> bool:
        """Count a command's end; whether it was one that none may have."""
        self.slowest = max(self.slowest, ended.seconds)
        if not ended.fault:
            return False
        place = self.hangs if ended.code is None else self.tracebacks
        place.append(f"{what}: {ended.fault}")
        return True

    def count(self, what: str, ended: Ended) -> bool:
        """Count a command that may do its work or say why not; whether it was right."""
        if self.fault(what, ended):
            return False
        if ended.code == 0:
            self.right += 1
            return True
        if ended.told:
            self.told += 1
        else:
            self.tracebacks.append(f"{what}: {ended.code}, {ended.err[-300:]!r}")
        return False

    @property
    def faults(self) -> list[str]:
        kinds = {
            "silent": self.wrong,
            "traceback": self.tracebacks,
            "hang": self.hangs,
            "half-written": self.halves,
            "other bytes": self.other,
        }
        return [f"{kind}: {each}" for kind, found in kinds.items() for each in found]
