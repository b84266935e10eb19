"""The process: its work outlives its words, and whoever stops it gets a sentence.

Imported first, so nothing is imported here that takes time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

STOPPED = "gtr-beir: stopped; the same command continues from there"
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(KeyboardInterrupt):
    """Somebody's signal to stop; code: what the program ends with, 128 and the signal's number."""

    def __init__(self, number: int):
        super().__init__()
        self.code = 128 + number


def leave_when_told(*, quietly: bool = False) -> None:
    """Until `stop_when_told`: a signal to stop ends the program at once. Nothing is begun yet, or
    all is done, and an exception in the middle of an import may come out as anything.

    quietly: without a word, where the command has had its last.
    """

    def leave(number: int, _: FrameType | None) -> NoReturn:
        if not quietly:
            with contextlib.suppress(OSError):
                os.write(2, f"\n{STOPPED}\n".encode())
        os._exit(128 + number)

    _on_signals(leave)


def stop_when_told() -> None:
    """A signal to stop is an exception from now on."""

    def stop(number: int, _: FrameType | None) -> NoReturn:
        # Whoever does not wait for the end of the first is let go.
        leave_when_told(quietly=True)
        raise Stopped(number)

    _on_signals(stop)


def _on_signals(act: Any) -> None:
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        # What is ignored, as by nohup, stays ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, act)


class Words:
    """A stream that people read. What it cannot take is lost, and the work goes on.

    lost: why nothing more is written, None if all was.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        if self.lost is None:
            try:
                return self._stream.write(text)
            except (OSError, ValueError) as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        if self.lost is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        self.lost = error
        # What is still held would be tried again when the program ends.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_streams() -> None:
    """Standard output and error take any letter, and never stop the work.

    One that is closed leads nowhere: a file that is opened later would get its number, and what
    libraries write to it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _guarded(sys.stdout), _guarded(sys.stderr)


def _guarded(stream: TextIO | None) -> Any:
    if stream is None:
        return Words(Path(os.devnull).open("w", encoding="utf-8"))
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return Words(stream)


def told(code: int) -> int:
    """The exit code at last: 1 in place of 0 if standard output could not be written, which is
    told. A reader that has left, as `head` does, has seen what it wanted."""
    out = sys.stdout
    if not isinstance(out, Words):
        return code
    out.flush()
    if out.lost is None or isinstance(out.lost, BrokenPipeError):
        return code
    why = getattr(out.lost, "strerror", None) or out.lost
    print(f"gtr-beir: standard output could not be written: {why}", file=sys.stderr)
    return code or 1
