"""Who does a search, and what each worker is prepared from.

This process does it, processes of this machine, or workers elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from gtr_beir.checkpoints.door import folder_of, moved
from gtr_beir.data.store import Dataset
from gtr_beir.encoders.devices import resolve_device
from gtr_beir.encoders.precision import products_of
from gtr_beir.errors import UsageError
from gtr_beir.progress import Progress
from gtr_beir.ranking.runs import Run
from gtr_beir.systems.base import SearchOptions, Shard, ShardDone, load_system
from gtr_beir.systems.block_work import KIND, QUERIES, Asked, BlockWork, Keep, packages
from gtr_beir.systems.options import EncoderOptions
from gtr_beir.systems.search import BlockJob, BlockSearch
from gtr_beir.work.executors.base import Executor, Job, Place
from gtr_beir.work.executors.here import Here
from gtr_beir.work.executors.processes import Processes
from gtr_beir.work.store import BlockStore

Chosen = TypeVar("Chosen", bound=EncoderOptions)
W = TypeVar("W", bound=BlockWork)
W_co = TypeVar("W_co", bound=BlockWork, covariant=True)


class SharedSystem(Protocol[W_co]):
    """A system whose search can be shared among workers."""

    def work(self, asked: Asked, keep: Keep | None = None) -> W_co: ...


def for_each_device(settings: Chosen) -> list[Chosen]:
    """The options for each device that is named; UsageError if one is not there."""
    if settings.device is None:
        return [settings]
    each = [replace(settings, device=device) for device in settings.device.split(",")]
    kinds = {resolve_device(one.device).partition(":")[0] for one in each}
    if len(kinds) > 1:
        raise UsageError(
            f"--device {settings.device} mixes kinds of devices, whose vectors differ in their "
            "last bits; name devices of one kind"
        )
    if len({products_of(one.dtype or "fp32", resolve_device(one.device)) for one in each}) > 1:
        raise UsageError(
            f"not all devices of --device {settings.device} have {settings.dtype} arithmetic, so "
            "their vectors would differ; name only those that have it, or give --dtype fp32"
        )
    return each


def progress_of(
    name: str, remarks: Iterable[str], dataset: Dataset, options: SearchOptions
) -> Progress:
    """The progress of a search; what its encoder has to say comes first."""
    what = "reranks" if options.rerank is not None else "on"
    stage = f"{options.shown or name} {what} {dataset.name}"
    progress = Progress(stage, dataset.n_documents, "documents", quiet=options.quiet)
    for remark in remarks:
        progress.say(remark)
    return progress


@dataclass(frozen=True)
class SharedSearch(Generic[W]):
    """A search by this process on the first device and one more process for each of the others, or
    by the executor that the options name. name: that the system was asked for by."""

    system: SharedSystem[W]
    name: str
    each: Sequence[EncoderOptions]
    dataset: Dataset
    options: SearchOptions
    progress: Progress

    def run(self) -> tuple[W, Run, dict[str, Any]]:
        """All blocks, merged: what did them here, the run, and facts for the record."""
        with self.progress.moving(), self._begun() as (work, search, executor, job):
            run, facts = search.run(executor, job)
            if self.options.again and (freed := search.remove_others()):
                self.progress.say(
                    f"removed {freed / 1e6:,.1f} MB of blocks of other settings, which no record "
                    "needs"
                )
        if executor.hands:
            facts["workers"] = [asdict(hand) for hand in executor.hands.values()]
        return work, run, facts

    def do_shard(self, shard: Shard) -> ShardDone:
        """The blocks of a shard."""
        with self.progress.moving(), self._begun() as (_, search, executor, job):
            return search.do_shard(shard, executor, job)

    @contextmanager
    def _begun(self) -> Iterator[tuple[W, BlockSearch, Executor, BlockJob]]:
        """The search, and who does it."""
        each = self.each
        store = BlockStore(self.options.work_dir, self.progress.say)
        asked = Asked.of(self.dataset, self.options)
        work = self.system.work(asked, store.by_parts)
        search = BlockSearch(self.dataset, self.options, store, self.progress, work)

        sent = Sent.of(self.name, each[0], asked)
        job: BlockJob = Job(
            self.progress.stage,
            work,
            prepared,
            sent,
            kind=work.proof[KIND],
            first=packages,
            folders=sent.folders,
            by_device=frozenset((KIND, QUERIES, *work.deciding["arithmetic"])),
            keep=search.keep_part,
        )
        threads = torch.get_num_threads()
        executor: Executor = self.options.executor or Here()
        if self.options.executor is not None and len(each) > 1:
            raise UsageError(
                f"--device {','.join(one.device or '' for one in each)} is about this machine; "
                "name one kind of device for workers elsewhere"
            )
        if len(each) > 1:
            executor = Processes([one.device or "cpu" for one in each])
            _share_cores(each[0].device, len(each))
        try:
            yield work, search, executor, job
        finally:
            torch.set_num_threads(threads)


@dataclass(frozen=True)
class Sent:
    """What a worker elsewhere prepares its search from. checkpoint, tokenizer: folders of this
    machine that are named, None for what is not in a folder."""

    system: str
    settings: EncoderOptions
    asked: Asked
    checkpoint: Path | None
    tokenizer: Path | None

    @staticmethod
    def of(system: str, settings: EncoderOptions, asked: Asked) -> Sent:
        tokenizer = getattr(settings, "tokenizer", None)
        there = None if tokenizer is None else folder_of(tokenizer)
        return Sent(system, settings, asked, folder_of(system), there)

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.checkpoint, self.tokenizer) if path is not None)

    def at(self, place: Place) -> tuple[str, EncoderOptions]:
        """Name and settings of the system at another place."""
        settings: Any = self.settings
        # What is on this machine was fetched before; another one may have to.
        offline = settings.offline or not place.far
        settings = replace(settings, device=place.device, offline=offline)
        if self.tokenizer is not None:
            path = str(self.tokenizer)
            settings = replace(settings, tokenizer=place.folders.get(path, path))
        if self.checkpoint is None:
            return self.system, settings
        path = str(self.checkpoint)
        return moved(self.system, place.folders.get(path, path)), settings


_loaded: tuple[tuple[str, EncoderOptions], Any] | None = None
"""What this process has loaded for others; their next search may be of the same."""


def prepared(sent: Sent, place: Place) -> BlockWork:
    """In another process: the system is loaded, and the queries are encoded."""
    global _loaded
    name, settings = asked_for = sent.at(place)
    if _loaded is None or _loaded[0] != asked_for:
        _share_cores(settings.device, place.sharing)
        _loaded = None
        system: Any = load_system(name, settings)
        _loaded = asked_for, system
    work: BlockWork = _loaded[1].work(sent.asked)
    return work


def _share_cores(device: str | None, workers: int) -> None:
    if device == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // workers))
