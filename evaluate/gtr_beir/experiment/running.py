"""Carrying an experiment out: what fails is told and the rest goes on.

System by system, so that each is loaded once and no two models are in memory at a time; and for
each the smallest dataset first, so that the first results come early.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.registry import registered
from gtr_beir.data.store import datasets_folder
from gtr_beir.errors import GtrBeirError, UsageError, sentence
from gtr_beir.evaluation import (
    RunOptions,
    benchmark_or_find,
    benchmark_shard,
    cannot_be_sent,
    cannot_share,
    name_in_folders,
)
from gtr_beir.experiment.checking import check_record, check_systems, datasets_in_order
from gtr_beir.experiment.description import Experiment
from gtr_beir.files import results_folder
from gtr_beir.memory import give_back
from gtr_beir.records import Record
from gtr_beir.report.plain_text import printable
from gtr_beir.systems.base import Shard, ShardDone, SharesWork, System, load_system, system_class
from gtr_beir.systems.colbert import ColbertSystem
from gtr_beir.systems.dense import DenseSystem
from gtr_beir.work.executors.base import Executor


@dataclass(frozen=True)
class Work:
    """An experiment that was checked. datasets: in the order in which they are done; how: of each
    system; fetch: whether datasets may be fetched; names: of each system's results in folders, as
    far as they can be told; shard: whose blocks alone are done, without records (None: everything).
    """

    experiment: Experiment
    datasets: tuple[str, ...]
    how: tuple[RunOptions, ...]
    results_dir: Path
    datasets_dir: Path
    fetch: bool
    names: tuple[str, ...]
    shard: Shard | None = None

    @property
    def pairs(self) -> int:
        """How many results there will be."""
        return len(self.experiment.systems) * len(self.datasets)


@dataclass(frozen=True)
class Outcome:
    """What became of one system on one dataset.

    place: of the system in the experiment, from 0; system: its name, in folders where it is known;
    record: None if it failed, why: then says why in a sentence; shard: in its place, what a shard
    has done; found: whether all of it was there already; loaded: False if the system itself
    failed, so that the dataset was not tried.
    """

    place: int
    system: str
    dataset: str
    record: Record | None = None
    found: bool = False
    shard: ShardDone | None = None
    why: str = ""
    loaded: bool = True


def prepare(
    experiment: Experiment,
    *,
    results_dir: Path | str | None = None,
    datasets_dir: Path | str | None = None,
    offline: bool = False,
    block_documents: int | None = None,
    again: bool = False,
    shard: Shard | None = None,
    executor: Executor | None = None,
    quiet: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Work:
    """Check everything that can be checked before the start.

    results_dir, datasets_dir: in the place of the experiment's own, and without either
    $GTR_BEIR_RESULTS and $GTR_BEIR_DATASETS hold; again: replace records that are
    there; shard: do its blocks alone; executor: who does the blocks of encoders; say: is told of
    what is left out. Raises UsageError for wrong use: nothing has been loaded or written then.
    """
    results = results_folder(results_dir or experiment.results_dir)
    datasets = datasets_folder(datasets_dir or experiment.datasets_dir)
    if offline:
        experiment = experiment.offline()
    how = tuple(
        RunOptions(
            results_dir=results,
            label=choice.label,
            depth=choice.depth,
            self_matches=experiment.self_matches,
            block_documents=block_documents,
            rerank=choice.rerank,
            executor=executor,
            again=again,
            quiet=quiet,
        )
        for choice in experiment.systems
    )
    shares = [issubclass(system_class(c.name), SharesWork) for c in experiment.systems]
    if executor is not None and not any(shares):
        raise UsageError(cannot_be_sent(experiment.systems[0].name))
    if shard is not None:
        if not any(shares):
            raise UsageError(cannot_share(experiment.systems[0].name))
        for choice, can in zip(experiment.systems, shares, strict=True):
            if not can:
                say(f"left out: {cannot_share(choice.label or choice.name)}")
        how = tuple(h for h, can in zip(how, shares, strict=True) if can)
        systems = tuple(c for c, can in zip(experiment.systems, shares, strict=True) if can)
        experiment = replace(experiment, systems=systems, baseline=None, reports=())
    names = datasets_in_order(experiment, datasets, offline=offline, say=say)
    kept_as = check_systems(experiment, results, offline=offline)
    return Work(experiment, tuple(names), how, results, datasets, not offline, kept_as, shard)


def carry_out(work: Work) -> Iterator[Outcome]:
    """Do the work; yields an outcome as soon as it is there.

    Only failed work is an outcome: errors of this program's own tree, of the system, and of memory
    that ran out. If there is but one result to be had, its error is raised as it is.
    """
    taken: dict[str, int] = {}
    for place, (choice, how) in enumerate(zip(work.experiment.systems, work.how, strict=True)):
        shown, why = choice.label or choice.name, ""
        system: System | None = None
        refused = _refused(work, place)
        if len(refused) == len(work.datasets):
            for dataset in work.datasets:
                yield Outcome(place, shown, dataset, why=refused[dataset])
            continue
        if not how.quiet and issubclass(system_class(choice.name), DenseSystem | ColbertSystem):
            print(f"loading {printable(choice.name)}", file=sys.stderr, flush=True)
        try:
            system = load_system(choice.name, choice.options)
            shown = _own_name(system, how, taken, place)
        except Exception as error:
            why = _why(error, alone=work.pairs == 1)
        for dataset in work.datasets:
            if system is None or why:
                yield Outcome(place, shown, dataset, why=why, loaded=False)
            else:
                yield _outcome(work, how, system, Outcome(place, shown, dataset))
        del system
        _release()


def _refused(work: Work, place: int) -> dict[str, str]:
    """Datasets with a record of other settings, which will be refused, and why: if that is all of
    them, the system need not be loaded."""
    choice, how = work.experiment.systems[place], work.how[place]
    found: dict[str, str] = {}
    if how.again or work.shard is not None:
        return found
    for dataset in work.datasets:
        spec = registered(dataset)
        if spec is not None and spec.parts:
            continue  # its record is made anew from those of its parts
        folder = work.results_dir / work.names[place] / dataset
        try:
            check_record(folder, choice, how.self_matches)
        except UsageError as error:
            found[dataset] = _why(error, alone=work.pairs == 1)
    return found


def _own_name(system: System, how: RunOptions, taken: dict[str, int], place: int) -> str:
    """The system's name, unless an earlier one has it: their results would replace each other."""
    name = name_in_folders(system.identity, how)
    if taken.setdefault(name, place) != place:
        raise UsageError(f"an earlier system is kept as '{name}' too; give each a label of its own")
    return name


def _outcome(work: Work, how: RunOptions, system: System, asked: Outcome) -> Outcome:
    try:
        dataset = load_dataset(
            asked.dataset, datasets_dir=work.datasets_dir, fetch=work.fetch, quiet=how.quiet
        )
        if work.shard is not None:
            shard = benchmark_shard(system, dataset, work.shard, how)
            return replace(asked, shard=shard, found=not shard.done)
        record, searched = benchmark_or_find(system, dataset, how)
    except Exception as error:
        return replace(asked, why=_why(error, alone=work.pairs == 1))
    return replace(asked, system=record.system, record=record, found=not searched)


def _why(error: Exception, *, alone: bool) -> str:
    """The sentence of failed work; whatever else it is, a mistake of this program, is raised."""
    torch = sys.modules.get("torch")
    failures: tuple[type[Exception], ...] = (GtrBeirError, OSError, MemoryError)
    if torch is not None:
        failures = (*failures, torch.OutOfMemoryError)
    if alone or isinstance(error, BrokenPipeError) or not isinstance(error, failures):
        raise error
    return sentence(error)


def _release() -> None:
    """Give the memory of a system back before the next one is loaded."""
    gc.collect()
    give_back()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
