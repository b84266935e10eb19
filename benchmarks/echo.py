"""A search whose workers take no time to speak of: what is left is the driver's work.

Of each block a worker gives back what a search of independent scores would find: the k-th largest
of n exponentials is a sum of spacings E_j / j (Rényi 1953), so that nothing has to be sorted.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from gtr_beir.data.store import Dataset
from gtr_beir.progress import Progress
from gtr_beir.ranking.topk import TopK
from gtr_beir.systems.base import SearchOptions
from gtr_beir.systems.block_work import BlockResult, BlockTask
from gtr_beir.systems.search import BlockSearch
from gtr_beir.work.blocks import LARGEST_BLOCK
from gtr_beir.work.executors.base import Executor, Job, Place, Tell
from gtr_beir.work.parts import KeepPart, keep_no_part
from gtr_beir.work.store import BlockStore


class Echo:
    """queries, k: of the rankings; dimension: of vectors that are given back, 0: none."""

    def __init__(self, queries: int, k: int, dimension: int):
        self.queries: dict[str, Any] = {}
        self.queries_digest = ""
        self.deciding: dict[str, Any] = {"arithmetic": {}}
        self.proof = {"echo": "1"}
        self._queries, self._k, self._dimension = queries, k, dimension
        self.vectors_key = "echo" if dimension else None

    def do(self, task: BlockTask, tell: Tell, keep: KeepPart = keep_no_part) -> BlockResult:
        del keep
        size, k = len(task.block), self._k
        chance = np.random.default_rng(task.block.start)
        spacings = chance.standard_exponential((self._queries, k), dtype=np.float32)
        spacings /= np.arange(1, k + 1, dtype=np.float32)
        scores = spacings[:, ::-1].cumsum(axis=1)[:, ::-1] + np.float32(np.log(size / k))
        rows = np.empty((self._queries, k), dtype=np.int32)
        places = chance.permutation(size)[:k].astype(np.int32)
        rows[:] = places + task.block.start
        top = TopK(rows, scores.astype(np.float32), task.id_ranks[rows - task.block.start])
        vectors = None
        if self._dimension:
            vectors = {"vectors": np.zeros((size, self._dimension), dtype=np.float32)}
        tell(size)
        return BlockResult.of(task, top, vectors=vectors)


def prepared(sent: tuple[int, int, int], _: Place) -> Echo:
    return Echo(*sent)


def drive(
    dataset: Dataset, executor: Executor, folder: Path, *, queries: int, k: int, dimension: int
) -> dict[str, float]:
    """The whole way of every block through the driver; seconds of wall clock and of this process's
    processor time a block, and MB."""
    sent = (queries, k, dimension)
    work = Echo(*sent)
    progress = Progress("echo", dataset.n_documents, "documents", quiet=True)
    store = BlockStore(folder)
    options = SearchOptions(folder, k=k, block_documents=LARGEST_BLOCK)
    search = BlockSearch(dataset, options, store, progress, work)
    job = Job("echo", work, prepared, sent)
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    search.run(executor, job)
    seconds, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    blocks = sum(hand.blocks for hand in executor.hands.values())
    kept = sum(path.stat().st_size for path in folder.rglob("*.npy"))
    return {
        "blocks": blocks,
        "seconds": seconds / blocks,
        "processor": processor / blocks,
        "back": kept / blocks / 1e6,
    }
