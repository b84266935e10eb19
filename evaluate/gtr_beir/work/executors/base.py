"""What an executor is.

The driver, which is whoever calls `Executor.work`, alone reads the corpus, makes keys and writes
blocks. A worker is a pure function of a task, prepared once for a search; where it is makes no
difference to what it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from gtr_beir.progress import Progress
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.parts import KeepPart, keep_no_part

Tell = Callable[[int], None]
"""Is told of work as it is done: so many documents more, or fewer where they are done again."""


def to_nobody(_: int) -> None:
    """Who is told of work where nobody waits."""


class Task(Protocol):
    """A block's work."""

    def carried(self) -> Self:
        """The same with all that it points at inside, for another process or another machine."""
        ...


T = TypeVar("T", bound=Task)
R = TypeVar("R")
T_contra = TypeVar("T_contra", bound=Task, contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Worker(Protocol[T_contra, R_co]):
    """A search that is prepared: checkpoint loaded, queries encoded.

    proof: what must be equal, by name, wherever blocks of one search are done.
    """

    @property
    def proof(self) -> Mapping[str, str]: ...

    def do(self, task: T_contra, tell: Tell, keep: KeepPart = keep_no_part) -> R_co:
        """What the task yields. keep: is given parts of it while it is at work."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a search is prepared.

    device: "cpu", "cuda" or "cuda:1"; sharing: how many workers share the cores of the machine;
    far: whether it is another machine, which may lack what this one has; folders: where what was
    sent lies, by its path on the driver's machine.
    """

    device: str
    sharing: int = 1
    far: bool = False
    folders: Mapping[str, str] = field(default_factory=dict)


def nothing_first() -> dict[str, str]:
    """For a job whose workers are processes of this program: they have its packages."""
    return {}


def kept_nowhere(_task: object, _part: Arrays) -> None:
    """For a job that is not resumed within a task."""


@dataclass(frozen=True)
class Job(Generic[T, R]):
    """A search, as executors need it.

    what: for sentences; worker: prepared in this process, on a device of this kind ("cpu", or a
    GPU's name); prepare: a module's own function that prepares one elsewhere, called with `sent`
    and a `Place`; first: a module's own function that gives what must be equal before anything is
    prepared (packages); folders: of this machine, which a worker elsewhere needs; by_device: what
    of a worker's proof may differ between kinds of devices; keep: is given parts of a task that is
    at work, by the thread that iterates.
    """

    what: str
    worker: Worker[T, R]
    prepare: Callable[..., Worker[T, R]]
    sent: object
    kind: str = "cpu"
    first: Callable[[], Mapping[str, str]] = nothing_first
    folders: tuple[Path, ...] = ()
    by_device: frozenset[str] = frozenset()
    keep: Callable[[T, Arrays], None] = kept_nowhere


@dataclass(frozen=True)
class Done(Generic[T, R]):
    """A task that was done. device: on what, where devices of several kinds are at work, else
    ""."""

    task: T
    result: R
    device: str = ""


@dataclass
class Hand:
    """A worker, for the record: where it is, what it runs on, how many blocks it did, in how many
    seconds."""

    host: str
    device: str
    blocks: int = 0
    seconds: float = 0.0


class Executor(Protocol):
    """Runs the tasks of a search somewhere.

    hands: the workers of the last search by name, empty where this process did it alone.
    """

    @property
    def hands(self) -> Mapping[str, Hand]: ...

    def work(
        self, job: Job[T, R], tasks: Iterator[T | None], progress: Progress
    ) -> Generator[Done[T, R], None, None]:
        """Do every task, in whatever order they end. The next task is asked for when somebody is
        free for it; None means that there is none just now, and that there may be one later.

        progress: is told of documents as they are done, by the thread that iterates. Closed before
        its end, it leaves nobody at work.
        """
        ...


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """The first thing that is another elsewhere: `torch 2.12.0, not 2.13.0`; "" where all are
    equal."""
    for name, value in here.items():
        if there.get(name) != value:
            return f"{name} {there.get(name, 'none')[:_SHOWN]}, not {value[:_SHOWN]}"
    return ""


_SHOWN = 40
"""Characters of a value in a sentence; a hash is as good cut."""
