"""Progress of long work, in words: what, how much, how fast, how long still."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO

_FIRST, _MOST = 15.0, 600.0
"""Seconds until the first line in a pipe, and between two lines at most."""
_SHORTEST = 12
"""Letters of a stage that is still known by them."""
_TICK = 1.0
"""Seconds between two moves of the line where no work is told of."""


class Progress:
    """Progress of one stage: a moving line on a terminal; in a pipe a plain line when it ends, and,
    if it is long, some before, ever less often.

    Shows how much is done, the rate, and the time left. Everything goes to standard error.
    """

    def __init__(
        self,
        stage: str,
        total: int | None,
        unit: str,
        *,
        quiet: bool = False,
        stream: IO[str] | None = None,
    ):
        self._stage, self._total, self._unit = stage, total, unit
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._interval = 0.1 if self._terminal else _FIRST
        self._start = self._at_work = time.monotonic()
        self._shown = self._start
        self._done = 0
        self._skipped = 0
        self._beside = ""
        self._finished = False
        self._lock = threading.RLock()
        """Work is told of by one thread; another may keep the line moving."""

    def begin(self, done: int, total: int | None) -> None:
        """Start anew with `done` of `total` there already."""
        self._done = self._skipped = done
        self._total = total
        self._start = self._at_work = time.monotonic()

    def at_work(self) -> None:
        """Work begins only now: the time before counts for no rate."""
        self._at_work = time.monotonic()

    @property
    def stage(self) -> str:
        return self._stage

    @property
    def done(self) -> int:
        return self._done

    def advance(self, count: int) -> None:
        """`count` more units of work were done."""
        self._done += count
        self._show_if_due()

    @contextlib.contextmanager
    def moving(self) -> Iterator[None]:
        """Within it the line moves although no work is told of, as in a batch that takes minutes:
        whoever looks sees that the program is alive."""
        if self._quiet:
            yield
            return
        over = threading.Event()

        def move() -> None:
            # A stream that is gone is the other thread's to tell.
            with contextlib.suppress(OSError, ValueError):
                while not over.wait(_TICK):
                    self._show_if_due(least=_TICK)

        thread = threading.Thread(target=move, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            # Not for ever: it may be writing to a stream that nobody reads.
            thread.join(2 * _TICK)

    def skip(self, count: int) -> None:
        """`count` more units of work were there already."""
        self._done += count
        self._skipped += count

    def beside(self, text: str) -> None:
        """What the line ends with from now on, such as who is at work."""
        self._beside = text

    def finish(self) -> None:
        if not self._quiet:
            with self._lock:
                self._show(end="\n", finished=True)
                self._finished = True

    def say(self, text: str) -> None:
        if not self._quiet:
            clear = "\r\x1b[K" if self._terminal else ""
            with self._lock:
                self._stream.write(f"{clear}{text}\n")
                self._stream.flush()

    def _show_if_due(self, least: float = 0.0) -> None:
        """Show the line if it was not shown for its interval, and not for `least` seconds."""
        if self._quiet:
            return
        with self._lock:
            now = time.monotonic()
            if self._finished or now - self._shown < max(self._interval, least):
                return
            self._shown = now
            self._show(end="\r" if self._terminal else "\n")
            if not self._terminal:
                self._interval = min(2 * self._interval, _MOST)

    def _show(self, *, end: str, finished: bool = False) -> None:
        now, done, skipped = time.monotonic(), self._done, self._skipped
        rate = (done - skipped) / max(now - self._at_work, 1e-9)
        parts = [f"{self._stage}: {done:,}"]
        if self._total is not None:
            parts[0] += f" of {self._total:,}"
        parts[0] += f" {self._unit}"
        if skipped:
            parts.append(f"{skipped:,} were there already")
        if rate > 0:
            parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2f}/s")
        if finished:
            waited = self._at_work - self._start
            before = f" after {duration(waited)} of getting ready" if waited else ""
            parts.append(f"took {duration(now - self._at_work)}{before}")
        elif self._total is not None and rate > 0:
            parts.append(f"{duration((self._total - done) / rate)} left")
        elif rate <= 0:
            parts.append(f"{duration(now - self._start)} so far")
        if self._beside and not finished:
            parts.append(self._beside)
        clear = "\r\x1b[K" if self._terminal else ""
        line = ", ".join(parts)
        if self._terminal and not finished:
            # A line that wraps would not be written over by the next; numbers stay before names.
            room = shutil.get_terminal_size().columns - 1
            if (excess := len(line) - room) > 0:
                held = max(_SHORTEST, len(self._stage) - excess - len("..."))
                if held + len("...") < len(self._stage):
                    line = f"{self._stage[:held]}...{line[len(self._stage) :]}"
            line = line[:room]
        self._stream.write(f"{clear}{line}{end}")
        self._stream.flush()


def duration(seconds: float) -> str:
    """42 s, 3 min 05 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
