"""A job whose workers wait, die or differ as they are told."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gtr_beir.errors import NumericalError
from gtr_beir.progress import Progress
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import Job, Place, Tell
from gtr_beir.work.parts import DONE, KeepPart, keep_no_part


@dataclass(frozen=True)
class Wait:
    """A task of so many seconds. once: a file that only the first who does it makes."""

    number: int
    seconds: float = 0.0
    once: Path | None = None

    def carried(self) -> Wait:
        return self


@dataclass
class Waiter:
    """Waits, and says where; fails: "die", "raise", "" or, where nobody did it yet, "once" (die) or
    "hang" (take as long as the task says, else no time)."""

    fails: str = ""
    proof: Mapping[str, str] = field(default_factory=lambda: {"weights": "a"})

    def do(self, task: Wait, tell: Tell, keep: KeepPart = keep_no_part) -> tuple[int, int]:
        if self.fails == "die" or (self.fails == "once" and task.once and first(task.once)):
            os._exit(9)
        if self.fails == "raise":
            raise NumericalError("a sentence of its own")
        keep({DONE: np.array([task.number])})
        waits = self.fails != "hang" or (task.once is not None and first(task.once))
        end = time.monotonic() + task.seconds * waits
        while time.monotonic() < end:
            time.sleep(0.01)
            tell(0)
        tell(1)
        return task.number, os.getpid()


def first(path: Path) -> bool:
    """Whether nobody was here before."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def waiter(sent: tuple[Any, ...], place: Place) -> Waiter:
    return Waiter(*sent)


def refuses(sent: tuple[Any, ...], place: Place) -> Waiter:
    raise NumericalError("there is no checkpoint here")


def job(*arguments: Any, **choices: Any) -> Job[Any, Any]:
    return Job("waiting", Waiter(), choices.pop("prepare", waiter), arguments, **choices)


class Shelf:
    """What a job keeps: (task, row) of each part."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []

    def __call__(self, task: Wait, part: Arrays) -> None:
        self.parts.append((task.number, int(part[DONE][0])))


def progress() -> Progress:
    return Progress("waiting", None, "tasks", quiet=True)
