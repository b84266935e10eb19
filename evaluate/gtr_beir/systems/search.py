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

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from gtr_beir.data.store import Dataset
from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.files import Lock
from gtr_beir.progress import Progress
from gtr_beir.ranking.packing import unpack
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import Floor, TopK, empty, merge, require_finite
from gtr_beir.systems.base import SearchOptions, Shard, ShardDone
from gtr_beir.systems.block_work import (
    BlockResult,
    BlockTask,
    BlockWork,
    device_of,
)
from gtr_beir.systems.shards import NOTES, why_missing, write_note
from gtr_beir.work.blocks import Arrays, Block, content_key, plan_blocks, usual_block
from gtr_beir.work.executors.base import Executor, Job
from gtr_beir.work.parts import rows_of
from gtr_beir.work.store import BlockStore

_STORED = "rankings above a floor, packed"
"""The form of stored rankings; a part of their key, so that those of another form are not found."""
_RANKINGS, _VECTORS = "topk-", "vectors-"
"""What the names of blocks begin with."""


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
            # Closed at once where keeping a block fails: others would go on for nobody.
            with closing(executor.work(job, self._tasks(blocks), progress)) as results:
                for done in results:
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
        parts = () if vectors is not None else self._store.parts(self._parts_name(block))
        self._progress.skip(rows_of(parts))
        return BlockTask(
            block,
            id_ranks=np.asarray(self._dataset.id_rank[block.start : block.stop]),
            floor=Floor.of(self._best, self._options.k),
            texts=self._dataset if vectors is None else None,
            vectors=vectors,
            parts=parts,
            wanted=wanted,
        )

    def remove_others(self) -> int:
        """Remove the blocks that lie beside those of this search; returns the bytes of them."""
        mine = {self._name(block) for block in self._blocks}
        if (key := self._work.vectors_key) is not None:
            mine |= {self._vectors_name(block, key) for block in self._blocks}
        return self._store.remove_others(mine, (_RANKINGS, _VECTORS))

    def keep_part(self, task: BlockTask, part: Arrays) -> None:
        """Keep what was done of a block that somebody is at."""
        self._store.keep_part(self._parts_name(task.block), part)

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
        self._store.forget_parts(self._parts_name(block))
        found = unpack(arrays, block.start, self._dataset.id_rank[block.start : block.stop])
        if self._best is None:
            self._best = empty(len(self._dataset.query_ids), self._options.k)
        self._best = merge(self._best, found, self._options.k)
        self._tokens += int(arrays["tokens"][0])
        self._truncated += int(arrays["truncated"][0])
        if device := device_of(arrays):
            self._devices.setdefault(device, []).append(block.start)

    def _name(self, block: Block) -> str:
        return _RANKINGS + content_key(self._dataset.unit_digests, block, self._key)

    def _vectors_name(self, block: Block, key: str) -> str:
        return _VECTORS + content_key(self._dataset.unit_digests, block, key)

    def _parts_name(self, block: Block) -> str:
        """Parts are of vectors where those can be kept, else of rankings."""
        key = self._work.vectors_key
        return self._name(block) if key is None else self._vectors_name(block, key)


def _hashed(run: Run | None) -> str:
    return "" if run is None else Digest().add(run.doc_rows.tobytes()).hex()
