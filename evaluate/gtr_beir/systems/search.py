"""The search of a corpus block by block, resumable and shared among devices, for any encoder.

What a system does with one block is its own (`find`); the keys under which results are kept, the
merge, the progress and the processes of further devices are the same for all.

Of a block is kept what can still be in the answer. What was found before, here or by another
process, is a floor: a document is left out if k others are better. A document of the final top k
never has k better ones, so it is kept whenever its block is searched and whatever was known then.
So stored blocks differ with the order of work and any mixture of them gives the same run; a block
that is damaged or missing is searched again on its own.
"""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from gtr_beir.data.columns import UNIT
from gtr_beir.data.store import Dataset
from gtr_beir.digests import Digest
from gtr_beir.encoders.devices import resolve_device
from gtr_beir.encoders.precision import products_of
from gtr_beir.errors import UsageError
from gtr_beir.progress import Progress, SharedCount
from gtr_beir.ranking.packing import pack, unpack
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import TopK, above, empty, merge
from gtr_beir.systems.base import SearchOptions, load_system
from gtr_beir.systems.options import EncoderOptions
from gtr_beir.work.blocks import DEFAULT_BLOCK, Arrays, Block, content_key, plan_blocks
from gtr_beir.work.executors import beside
from gtr_beir.work.store import BlockStore

_STORED = "rankings above a floor, packed"
"""The form of stored rankings; a part of their key, so that those of another form are not found."""


@dataclass(frozen=True)
class BlockFound:
    """What a block yields: its top k; tokens encoded and texts cut."""

    top: TopK
    tokens: int
    truncated: int


class BlockSearch(ABC):
    """One corpus, one set of queries; every block is kept as soon as it is done.

    `queries_digest` stands for the encoded queries, `key` for all else that decides scores.
    """

    def __init__(
        self,
        dataset: Dataset,
        options: SearchOptions,
        store: BlockStore,
        progress: Progress,
        key: str,
        queries_digest: bytes,
    ):
        self._dataset, self._options = dataset, options
        self._store, self._progress = store, progress
        self._excluded = dataset.self_rows if options.self_matches == "drop" else None
        # Ties go by the rank of ids in the whole corpus, so all of it decides what a block yields.
        corpus = dataset.manifest["fingerprints"]["corpus"]
        digest = Digest().add(key).add(queries_digest).add(corpus)
        digest.add(str(options.k)).add(options.self_matches)
        if self._excluded is not None:
            digest.add(self._excluded.tobytes())
        if options.rerank is not None:
            digest.add(options.rerank.doc_rows.tobytes())
        self._search_key = digest.add(_STORED).hex()
        self._best: TopK | None = None
        self._taken: set[Block] = set()
        self._tokens = self._truncated = 0
        self.seconds = {"encode": 0.0, "search": 0.0}

    @abstractmethod
    def _find(self, block: Block) -> BlockFound:
        """Encode and search one block; what does not reach `self._best` need not be found."""

    def run(self) -> tuple[Run, dict[str, Any]]:
        """The merged run, computing what is missing; and facts for the record."""
        for block in self._blocks():
            if block not in self._taken:
                self._take(block, self._done(block))
            self._progress.reach(block.stop)
        self._progress.finish()
        best = self._best
        if best is None:
            best = empty(len(self._dataset.query_ids), self._options.k)
        facts = {
            "document_tokens": self._tokens,
            "documents_truncated": self._truncated,
            "seconds": self.seconds,
        }
        return Run.of(self._dataset.query_ids, best), facts

    def compute(self, share: int, shares: int, *, watch: Callable[[], None] = lambda: None) -> None:
        """Do every `shares`-th block from `share` on; `watch` is called after each."""
        blocks = self._blocks()
        for block in blocks[share::shares]:
            before = self._progress.done
            if block not in self._taken:
                self._take(block, self._done(block))
            self._progress.skip(len(block) - (self._progress.done - before))
            watch()
            for other in blocks:
                if other not in self._taken and self._store.has(self._name(other)):
                    found = self._store.get(self._name(other))
                    if found is not None:
                        self._take(other, found)

    def _blocks(self) -> list[Block]:
        return plan_blocks(self._dataset.n_documents, self._options.block_documents)

    def _name(self, block: Block) -> str:
        return "topk-" + content_key(self._dataset.unit_digests, block, self._search_key)

    def _take(self, block: Block, arrays: Arrays) -> None:
        """Merge what was found in a block."""
        self._taken.add(block)
        found = unpack(arrays, block.start, self._dataset.id_rank[block.start : block.stop])
        if self._best is None:
            queries = len(self._dataset.query_ids)
            self._best = empty(queries, self._options.k)
        self._best = merge(self._best, found, self._options.k)
        self._tokens += int(arrays["tokens"][0])
        self._truncated += int(arrays["truncated"][0])

    def _done(self, block: Block) -> Arrays:
        def compute() -> Arrays:
            found = self._find(block)
            return {
                **pack(above(found.top, self._best, self._options.k), block.start),
                "tokens": np.array([found.tokens]),
                "truncated": np.array([found.truncated]),
            }

        return self._store.get_or_compute(self._name(block), compute)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - start


S = TypeVar("S", bound=BlockSearch)
S_co = TypeVar("S_co", bound=BlockSearch, covariant=True)
Chosen = TypeVar("Chosen", bound=EncoderOptions)


class SharedSystem(Protocol[S_co]):
    """A system whose search, an S, can be shared among devices."""

    def block_search(
        self, dataset: Dataset, options: SearchOptions, progress: Progress
    ) -> S_co: ...


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


def search_on(
    system: SharedSystem[S],
    name: str,
    each: Sequence[EncoderOptions],
    dataset: Dataset,
    options: SearchOptions,
    progress: Progress,
) -> tuple[S, Run, dict[str, Any]]:
    """Search with this process on the first device and one more process for each of the others,
    which load the system `name` themselves; blocks are dealt out among them. A process that dies
    fails the search."""
    shares = len(each)
    if shares > 1:
        # Every device gets a block, also of a small corpus.
        usual = options.block_documents or DEFAULT_BLOCK
        size = max(min(usual, -(-dataset.n_documents // shares)), UNIT)
        options = replace(options, block_documents=size)
    search = system.block_search(dataset, options, progress)
    if shares > 1:
        with tempfile.TemporaryDirectory() as scratch:
            counts = Path(scratch) / "done"
            progress.share(SharedCount(counts, shares, new=True), 0)
            calls = [
                (
                    name,
                    replace(settings, offline=True),
                    dataset.path,
                    options,
                    share,
                    shares,
                    counts,
                )
                for share, settings in enumerate(each)
            ]
            others = beside(
                work_share, calls[1:], processes=shares - 1, waiting_on=lambda: progress.advance(0)
            )
            with others as look:
                search.compute(0, shares, watch=look)
            progress.gather()
    run, facts = search.run()
    return search, run, facts


def work_share(
    name: str,
    settings: EncoderOptions,
    path: Path,
    options: SearchOptions,
    share: int,
    shares: int,
    counts: Path,
) -> None:
    """In a process of its own: the blocks of one share, left in the folder of blocks; `counts` is
    the file of the shared count."""
    if settings.device == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // shares))
    system: Any = load_system(name, settings)
    dataset = Dataset(path)
    progress = Progress(name, dataset.n_documents, "documents", quiet=True)
    progress.share(SharedCount(counts, shares), share)
    system.block_search(dataset, options, progress).compute(share, shares)
