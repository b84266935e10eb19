"""What an executor is.

The driver, which is whoever calls `Executor.work`, alone reads the corpus, makes keys and writes
blocks. A worker is a pure function of a task, prepared once for a search; where it is makes no
difference to what it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from gtr_beir.progress import Progress

Tell = Callable[[int], None]
"""Is told of work as it is done: so many documents more, or fewer where they are done again."""


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

    def do(self, task: T_contra, tell: Tell) -> R_co:
        """What the task yields."""
        ...


@dataclass(frozen=True)
class Job(Generic[T, R]):
    """A search, as executors need it.

    what: for sentences; worker: prepared in this process; prepare: a module's own function that
    prepares one elsewhere, from what `elsewhere` gives for a device ("cpu", "cuda", "cuda:1") and
    the number of workers that share the cores of the machine.
    """

    what: str
    worker: Worker[T, R]
    prepare: Callable[..., Worker[T, R]]
    elsewhere: Callable[[str, int], tuple[object, ...]]


@dataclass(frozen=True)
class Done(Generic[T, R]):
    """A task that was done."""

    task: T
    result: R


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
    ) -> Iterator[Done[T, R]]:
        """Do every task, in whatever order they end. The next task is asked for when somebody is
        free for it; None means that there is none just now, and that there may be one later.

        progress: is told of documents as they are done, by the thread that iterates.
        """
        ...
