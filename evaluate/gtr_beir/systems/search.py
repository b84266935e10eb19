"""The search of a corpus block by block, resumable and shared among workers, for any encoder.

What is done with one block is the encoder's own (`BlockWork.do`), wherever an executor has it done.
Here is the driver, which is the same for all: it alone reads the corpus, makes keys, keeps blocks
and merges them.

Of a block is kept what can still be in the answer. What was found before, here or by another
process, is a floor: a document is left out if k others are better. A document of the final top k
never has k better ones, so it is kept whenever its block is searched and whatever was known then.
So stored blocks differ with the order of work and any mixture of them gives the same run; a block
that is damaged or missing is searched again on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from gtr_beir.checkpoints.door import folder_of, moved
from gtr_beir.data.store import Dataset
from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.encoders.devices import resolve_device
from gtr_beir.encoders.precision import products_of
from gtr_beir.errors import UsageError
from gtr_beir.files import Lock
from gtr_beir.progress import Progress
from gtr_beir.ranking.packing import unpack
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import Floor, TopK, empty, merge, require_finite
from gtr_beir.systems.base import SearchOptions, Shard, ShardDone, load_system
from gtr_beir.systems.block_work import (
    KIND,
    QUERIES,
    Asked,
    BlockResult,
    BlockTask,
    BlockWork,
    Keep,
    device_of,
    packages,
)
from gtr_beir.systems.options import EncoderOptions
from gtr_beir.systems.shards import NOTES, why_missing, write_note
from gtr_beir.work.blocks import Arrays, Block, content_key, plan_blocks, usual_block
from gtr_beir.work.executors.base import Executor, Job, Place
from gtr_beir.work.executors.here import Here
from gtr_beir.work.executors.processes import Processes
from gtr_beir.work.store import BlockStore

_STORED = "rankings above a floor, packed"
"""The form of stored rankings; a part of their key, so that those of another form are not found."""


BlockJob = Job[BlockTask, BlockResult]


class BlockSearch:
    """One corpus, one set of queries; every block is kept as soon as it is done."""

    def __init__(
        self,
        dataset: Dataset,
        options: SearchOptions,
        store: BlockStore,
        progress: Progress,
        work: BlockWork,
    ):
        self._dataset, self._options, self._work = dataset, options, work
        self._store, self._progress = store, progress
        # Ties go by the rank of ids in the whole corpus, so all of it decides what a block yields.
        self._deciding: Mapping[str, Any] = {
            **work.deciding,
            "encoded queries": work.queries_digest,
            "corpus": dataset.manifest["fingerprints"]["corpus"],
            "queries": dataset.manifest["fingerprints"]["queries"],
            "depth": options.k,
            "self-matches": options.self_matches,
            "run to rerank": _hashed(options.rerank),
            "form of stored blocks": _STORED,
        }
        self._key = fingerprint_of(self._deciding)
        size = options.block_documents or usual_block(dataset.n_documents)
        self._blocks = plan_blocks(dataset.n_documents, size)
        self._deciding = {**self._deciding, "documents in a block": size}
        self._counted = set(self._blocks)
        """Blocks that progress is about."""
        self._notes = options.work_dir / NOTES
        self._best: TopK | None = None
        self._taken: set[Block] = set()
        self._damaged: set[Block] = set()
        """Told once, and done again in their turn."""
        self._claims: dict[Block, Lock] = {}
        self._devices: dict[str, list[int]] = {}
        """First rows of the blocks that were done on each, where devices differ."""
        self._tokens = self._truncated = 0
        self._seconds: dict[str, float] = {"encode": 0.0, "search": 0.0}

    def run(self, executor: Executor, job: BlockJob) -> tuple[Run, dict[str, Any]]:
        """The merged run, doing what is missing; and facts for the record."""
        self._take_stored()
        missing = [n for n, block in enumerate(self._blocks) if block not in self._taken]
        for remark in why_missing(missing, len(self._blocks), self._deciding, self._notes):
            self._progress.say(remark)
        self._do(self._blocks, executor, job)
        best = self._best
        if best is None:
            best = empty(len(self._dataset.query_ids), self._options.k)
        facts: dict[str, Any] = {
            "document_tokens": self._tokens,
            "documents_truncated": self._truncated,
            "seconds": self._seconds,
        }
        if self._devices:
            facts["first_rows_of_blocks"] = {d: sorted(at) for d, at in self._devices.items()}
        return Run.of(self._dataset.query_ids, best), facts

    def do_shard(self, shard: Shard, executor: Executor, job: BlockJob) -> ShardDone:
        """Do the blocks of a shard, and leave a note of what decided their keys."""
        blocks = self._blocks[shard.number :: shard.count]
        self._counted = set(blocks)
        self._progress.begin(0, sum(map(len, blocks)))
        self._take_stored()
        there = len(self._taken & self._counted)
        write_note(self._notes, shard, self._deciding)
        self._do(blocks, executor, job)
        return ShardDone(len(blocks), len(blocks) - there)

    def _do(self, blocks: Sequence[Block], executor: Executor, job: BlockJob) -> None:
        """Have these blocks done, all that are not there."""
        progress = self._progress
        try:
            for done in executor.work(job, self._tasks(blocks), progress):
                self._put(done.task, done.result, done.device)
        finally:
            for claim in self._claims.values():
                claim.release()
            self._claims.clear()
        progress.finish()

    def _tasks(self, blocks: Sequence[Block]) -> Iterator[BlockTask | None]:
        """The blocks that are not there, in order; those that another process is at work on are
        waited for at the end, by asking again (None)."""
        left = list(blocks)
        while left:
            busy = []
            for block in left:
                self._take_stored()
                if block in self._taken:
                    continue
                claim = self._store.claim(self._name(block))
                if claim is None:
                    busy.append(block)
                elif self._take_if_stored(block):
                    claim.release()
                else:
                    self._claims[block] = claim
                    yield self._task(block)
            if busy:
                yield None
            left = busy

    def _task(self, block: Block) -> BlockTask:
        reranked = self._options.rerank
        wanted = None
        if reranked is not None:
            rows = reranked.doc_rows
            wanted = np.unique(rows[(rows >= block.start) & (rows < block.stop)])
        key = self._work.vectors_key
        vectors = None if key is None else self._store.get(self._vectors_name(block, key))
        return BlockTask(
            block,
            id_ranks=np.asarray(self._dataset.id_rank[block.start : block.stop]),
            floor=Floor.of(self._best, self._options.k),
            texts=self._dataset if vectors is None else None,
            vectors=vectors,
            wanted=wanted,
        )

    def _put(self, task: BlockTask, result: BlockResult, device: str) -> None:
        """Keep and merge what was found in a block; device: "" where all are equal."""
        block = task.block
        if result.not_finite:
            rows = np.array(result.not_finite)
            names = self._dataset.document_ids(rows)
            require_finite(np.full((len(rows), 1), np.nan), "documents", names)
        key = self._work.vectors_key
        if result.vectors is not None and key is not None:
            self._store.put(self._vectors_name(block, key), result.vectors)
        arrays = self._store.put(self._name(block), result.arrays(device))
        self._claims.pop(block).release()
        self._take(block, arrays)
        if task.vectors is not None:
            self._progress.skip(len(block))
        for name, seconds in result.seconds.items():
            self._seconds[name] += seconds

    def _take_stored(self) -> None:
        """Merge whatever blocks are there by now, of any process: they raise the floor."""
        for block in self._blocks:
            if block not in self._taken and block not in self._claims:
                self._take_if_stored(block)

    def _take_if_stored(self, block: Block) -> bool:
        name = self._name(block)
        if block in self._damaged or not self._store.has(name):
            return False
        arrays = self._store.get(name)
        if arrays is None:
            self._damaged.add(block)
            return False
        self._take(block, arrays)
        if block in self._counted:
            self._progress.skip(len(block))
        return True

    def _take(self, block: Block, arrays: Arrays) -> None:
        self._taken.add(block)
        found = unpack(arrays, block.start, self._dataset.id_rank[block.start : block.stop])
        if self._best is None:
            self._best = empty(len(self._dataset.query_ids), self._options.k)
        self._best = merge(self._best, found, self._options.k)
        self._tokens += int(arrays["tokens"][0])
        self._truncated += int(arrays["truncated"][0])
        if device := device_of(arrays):
            self._devices.setdefault(device, []).append(block.start)

    def _name(self, block: Block) -> str:
        return "topk-" + content_key(self._dataset.unit_digests, block, self._key)

    def _vectors_name(self, block: Block, key: str) -> str:
        return "vectors-" + content_key(self._dataset.unit_digests, block, key)


def _hashed(run: Run | None) -> str:
    return "" if run is None else Digest().add(run.doc_rows.tobytes()).hex()


Chosen = TypeVar("Chosen", bound=EncoderOptions)
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
    stage = f"{name} {what} {dataset.name}"
    progress = Progress(stage, dataset.n_documents, "documents", quiet=options.quiet)
    for remark in remarks:
        progress.say(remark)
    return progress


def search_with(
    system: SharedSystem[W_co],
    name: str,
    each: Sequence[EncoderOptions],
    dataset: Dataset,
    options: SearchOptions,
    progress: Progress,
) -> tuple[W_co, Run, dict[str, Any]]:
    """Search with this process on the first device and one more process for each of the others."""
    with _begun(system, name, each, dataset, options, progress) as (work, search, executor, job):
        run, facts = search.run(executor, job)
    if executor.hands:
        facts["workers"] = [asdict(hand) for hand in executor.hands.values()]
    return work, run, facts


def do_shard_with(
    system: SharedSystem[W_co],
    name: str,
    each: Sequence[EncoderOptions],
    dataset: Dataset,
    options: SearchOptions,
    progress: Progress,
    shard: Shard,
) -> ShardDone:
    """The blocks of a shard, as `search_with` does all of them."""
    with _begun(system, name, each, dataset, options, progress) as (_, search, executor, job):
        return search.do_shard(shard, executor, job)


@contextmanager
def _begun(
    system: SharedSystem[W_co],
    name: str,
    each: Sequence[EncoderOptions],
    dataset: Dataset,
    options: SearchOptions,
    progress: Progress,
) -> Iterator[tuple[W_co, BlockSearch, Executor, BlockJob]]:
    """The search, and who does it."""
    store = BlockStore(options.work_dir, progress.say)
    asked = Asked.of(dataset, options)
    work = system.work(asked, store.get_or_compute)
    search = BlockSearch(dataset, options, store, progress, work)

    sent = Sent.of(name, each[0], asked)
    job: BlockJob = Job(
        progress.stage,
        work,
        prepared,
        sent,
        kind=work.proof[KIND],
        first=packages,
        folders=sent.folders,
        by_device=frozenset((KIND, QUERIES, *work.deciding["arithmetic"])),
    )
    threads = torch.get_num_threads()
    executor: Executor = options.executor or Here()
    if options.executor is not None and len(each) > 1:
        raise UsageError(
            f"--device {','.join(one.device or '' for one in each)} is about this machine; name "
            "one kind of device for workers elsewhere"
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
