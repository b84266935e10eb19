"""Systems that note what they are asked, and experiments over small datasets."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from doubles import FixedSystem, write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.experiment.description import Experiment, SystemChoice
from gtr_beir.systems.base import Found, SearchOptions, make_options
from gtr_beir.systems.dense import DenseOptions


class Spy(FixedSystem):
    """Ranks like FixedSystem. asked: (system, dataset) of every search, and (system, "") of every
    load; alive: the systems that are in memory; on: what to do in a search, by dataset."""

    asked: ClassVar[list[tuple[str, str]]] = []
    alive: ClassVar[weakref.WeakSet[Spy]] = weakref.WeakSet()
    on: ClassVar[dict[tuple[str, str], Callable[[], None]]] = {}

    def __init__(self, name: str, options: DenseOptions):
        assert not self.alive, "one system at a time"
        self.asked.append((name, ""))
        self.on.get((name, ""), lambda: None)()
        super().__init__(name, options)
        self.name = name
        self.alive.add(self)

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        self.asked.append((self.name, dataset.name))
        self.on.get((self.name, dataset.name), lambda: None)()
        return super().search(dataset, options)


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        # A new one each time: its traceback holds the system that it was raised in.
        raise copy.copy(error)

    return fail


def some(folder: Path, **documents: int) -> None:
    """Datasets by name, each of so many documents; two queries, about the first and the last."""
    for name, count in documents.items():
        source = write_beir(
            folder.parent / "sources" / name,
            [{"_id": f"d{n}", "title": "", "text": f"rain {n}"} for n in range(count)],
            {"q1": "rain", "q2": "rain 1"},
            [("q1", "d0", 1), ("q2", f"d{count - 1}", 1)],
        )
        import_beir(source, name=name, datasets_dir=folder)


def experiment(systems: Iterable[str], *datasets: str, suite: str = "") -> Experiment:
    choices = tuple(SystemChoice(name, make_options(name, {})) for name in systems)
    return Experiment(choices, datasets, suite)
