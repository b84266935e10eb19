"""Exact top-k of a block, and the merge of blocks, under the one ordering.

The ordering is trec_eval's: score descending, then document id descending (`id_rank` holds the
place of each document's id in ascending byte order).

A block is searched in two steps. A matrix product in bf16 or single precision finds candidates,
with a margin that covers its rounding error (`ranking.candidates`); the candidates' scores are then
computed again, each as one dot product that is rounded correctly to float32 (`ranking.exact`). So
the kept scores, and the order, do not depend on block size, tile shape, threads, the precision of
products or the device (`ranking.on_device` is the same on a GPU), and equal vectors get equal
scores.

The best that were found in other blocks are a floor: a document is dropped if k others are known to
be better, whichever they are. The order is strict, so a document of the final top k never has k
better ones, and no floor can drop it. Blocks may therefore be searched in any order, at any time,
with different floors or none: merged, they give the same top k.
"""

from __future__ import annotations

import math
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.errors import NumericalError
from gtr_beir.ranking.candidates import Half, Single, shared, worth_halving
from gtr_beir.ranking.exact import ExactScores, norms_at_most, norms_of
from gtr_beir.ranking.kernels import dot_products
from gtr_beir.ranking.on_device import DeviceBlock

_TILE_BYTES = 1 << 25
"""Scores held at once by all threads; three times as many where bf16 did not tell enough."""
_MERGED = 128
"""Queries whose rankings are merged at once."""

_WORTH_COMPILING = 1 << 19
"""Documents that are scored exactly, of all queries."""
_WORTH_A_PRODUCT = 1 / 16
"""Of a block: to score so many documents exactly takes as long as the product of all."""

NO_DOCUMENT = -1
"""Pads the rows of a ranking that is shorter than k; its score is minus infinity."""


@dataclass(frozen=True)
class TopK:
    """The best documents of each query, in order.

    rows: int32[Q, k], rows of the corpus, -1 pads; scores: float32[Q, k], -inf pads;
    id_ranks: int32[Q, k], the documents' places in id order, -1 pads.
    """

    rows: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    id_ranks: npt.NDArray[np.int32]


def order_key(
    scores: npt.NDArray[np.float32], id_ranks: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """int64 that sorts like (score, id rank): the score's bits above, the rank below.

    IEEE 754 single precision orders like its bits once negative numbers have theirs flipped.
    """
    bits = (scores + np.float32(0.0)).view(np.int32)  # -0.0 becomes 0.0
    ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    return (ordered << 32) | id_ranks.astype(np.int64) & 0xFFFFFFFF


def sort_and_cut(found: TopK, k: int) -> TopK:
    """The first k under the one ordering; pads go last."""
    key = order_key(found.scores, found.id_ranks)
    key[found.rows == NO_DOCUMENT] = np.iinfo(np.int64).min
    columns = key.shape[1]
    if columns > 2 * k:
        part = np.argpartition(key, columns - k, axis=1)[:, columns - k :]
        inner = np.argsort(np.take_along_axis(key, part, axis=1), axis=1)[:, ::-1]
        best = np.take_along_axis(part, inner, axis=1)
    else:
        best = np.argsort(key, axis=1)[:, ::-1][:, :k]
    return TopK(
        np.ascontiguousarray(np.take_along_axis(found.rows, best, axis=1)),
        np.ascontiguousarray(np.take_along_axis(found.scores, best, axis=1)),
        np.ascontiguousarray(np.take_along_axis(found.id_ranks, best, axis=1)),
    )


def merge(first: TopK | None, second: TopK, k: int) -> TopK:
    """The top k of two disjoint sets of documents."""
    if first is None:
        return second
    width = min(k, first.rows.shape[1] + second.rows.shape[1])
    merged = empty(len(first.rows), width)
    # A few queries at a time: what is between is several times as large as the rankings.
    for start in range(0, len(first.rows), _MERGED):
        some = slice(start, start + _MERGED)
        both = sort_and_cut(
            TopK(
                np.concatenate((first.rows[some], second.rows[some]), axis=1),
                np.concatenate((first.scores[some], second.scores[some]), axis=1),
                np.concatenate((first.id_ranks[some], second.id_ranks[some]), axis=1),
            ),
            k,
        )
        merged.rows[some], merged.scores[some] = both.rows, both.scores
        merged.id_ranks[some] = both.id_ranks
    return merged


@dataclass(frozen=True)
class Floor:
    """What a document must beat to be among the k best: the k-th best of each query so far.

    scores: float32[Q], -inf where fewer than k are known; id_ranks: int32[Q], -1 there.
    """

    scores: npt.NDArray[np.float32]
    id_ranks: npt.NDArray[np.int32]

    @classmethod
    def of(cls, best: TopK | None, k: int) -> Floor | None:
        """The floor that rankings in order are; None: k are not known yet, of any query."""
        if best is None or best.rows.shape[1] < k:
            return None
        return cls(best.scores[:, k - 1].copy(), best.id_ranks[:, k - 1].copy())

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """int64[Q] in the order of `order_key`; the least there is where nothing must be beaten."""
        keys = order_key(self.scores, self.id_ranks)
        return np.where(self.id_ranks >= 0, keys, np.iinfo(np.int64).min)


def above(found: TopK, floor: Floor | None) -> TopK:
    """What of rankings in order beats a floor of other documents; the rest is made pads, which go
    last."""
    if floor is None:
        return found
    beaten = order_key(found.scores, found.id_ranks) < floor.keys[:, None]
    return TopK(
        np.where(beaten, np.int32(NO_DOCUMENT), found.rows),
        np.where(beaten, np.float32(-np.inf), found.scores),
        np.where(beaten, np.int32(-1), found.id_ranks),
    )


def empty(queries: int, k: int) -> TopK:
    """A ranking of pads."""
    return TopK(
        np.full((queries, k), NO_DOCUMENT, dtype=np.int32),
        np.full((queries, k), -np.inf, dtype=np.float32),
        np.full((queries, k), -1, dtype=np.int32),
    )


def dense_top_k(
    queries: npt.NDArray[np.float32],
    documents: npt.NDArray[np.float32],
    *,
    id_ranks: npt.NDArray[np.int32],
    first_row: int,
    k: int,
    excluded: npt.NDArray[np.int32] | None = None,
    device: str = "cpu",
    floor: Floor | None = None,
) -> TopK:
    """Exact top k of one block by dot product, or what of it can still be among the k best.

    queries: float32[Q, dim]; documents: float32[n, dim]; id_ranks: int32[n] of these documents;
    first_row: the corpus row of documents[0]; excluded: int32[Q], a corpus row that a query must
    not return (-1: none); device: where the block is searched; floor: of documents
    outside of this block, which a document must beat. Returns rankings of k
    columns, padded where fewer were found. Raises NumericalError if a score may not be finite.
    """
    import torch

    best = empty(len(queries), k)
    if not len(documents) or not len(queries):
        return best
    norms = norms_of(queries)
    id_ranks = np.asarray(id_ranks)
    if stays_on(device):
        on_gpu = DeviceBlock(np.ascontiguousarray(documents), id_ranks, device)
        _require_finite_scores(on_gpu.largest * float(norms.max()))
        not_own = None if excluded is None else excluded.astype(np.int64) - first_row
        least = None if floor is None else (floor.scores, floor.keys)
        for kept in on_gpu.search(queries, norms, k=k, excluded=not_own, floor=least):
            place = kept.queries, kept.columns
            best.rows[place] = kept.rows + first_row
            best.scores[place] = kept.scores
            best.id_ranks[place] = id_ranks[kept.rows]
        return best
    # Each thread works alone on its own queries: threads that meet after every small step, as
    # torch's own do, wait for each other most of the time.
    threads = torch.get_num_threads()
    pools = futures.ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with pools as pool:
            block = _Block(documents, id_ranks, first_row, k, norms, pool)
            tile = _TILE_BYTES // block.score_bytes // len(documents) // threads
            tile = max(1, min(tile, -(-len(queries) // threads)))

            def work(start: int) -> None:
                rows = slice(start, start + tile)
                own = None if excluded is None else excluded[rows] - first_row
                block.search(queries[rows], norms[rows], own, best, start, _Least.of(floor, rows))

            for done in [pool.submit(work, start) for start in range(0, len(queries), tile)]:
                done.result()
    finally:
        # Once no thread of the pool can begin any more.
        torch.set_num_threads(threads)
    return best


def stays_on(device: str) -> bool:
    """Whether a block is searched on its device, as a GPU does it."""
    return device != "cpu"


def _require_finite_scores(most: float) -> None:
    """NumericalError unless no score can be larger than single precision holds."""
    if not most < float(np.finfo(np.float32).max) / 2:
        raise NumericalError("a score is not finite; the vectors or the queries hold NaN")


@dataclass(frozen=True)
class _Least:
    """A floor of some queries, as plain numbers: the k-th best's score and order key."""

    scores: list[float]
    keys: list[int]

    @classmethod
    def of(cls, floor: Floor | None, queries: slice) -> _Least | None:
        if floor is None:
            return None
        return cls(floor.scores[queries].tolist(), floor.keys[queries].tolist())


class _Block:
    """Documents of a block, ready to be searched by several threads.

    norms: float64[Q], lengths of the queries. NumericalError if a score may not be finite.
    """

    def __init__(
        self,
        documents: npt.NDArray[np.float32],
        id_ranks: npt.NDArray[np.int32],
        first_row: int,
        k: int,
        norms: npt.NDArray[np.float64],
        pool: futures.Executor,
    ):
        self._array = np.ascontiguousarray(documents)
        self._id_ranks, self._first_row, self._k = id_ranks, first_row, k
        bounds = shared(pool, lambda rows: norms_at_most(self._array[rows]), self._array)
        self._norms = np.concatenate(list(bounds))
        self._many = len(norms) * min(k, len(documents)) >= _WORTH_COMPILING
        if self._many:
            # Once, before threads ask for it at the same time.
            dot_products()
        largest, longest = float(self._norms.max()), float(norms.max())
        _require_finite_scores(largest * longest)
        self._single = Single(self._array, largest)
        self._half: Half | None = None
        if worth_halving(max(largest, longest)):
            self._half = Half(self._array, largest, pool)
        self.score_bytes = 4 if self._half is None else 2

    def search(
        self,
        queries: npt.NDArray[np.float32],
        norms: npt.NDArray[np.float64],
        excluded: npt.NDArray[np.int32] | None,
        best: TopK,
        first: int,
        floor: _Least | None,
    ) -> None:
        """Write the rankings of some queries into `best`, from its row `first` on."""
        found = self._candidates(queries, norms, excluded, floor)
        scores = ExactScores(self._array, self._norms, compiled=self._many)(queries, norms, found)
        for query, (rows, exact) in enumerate(zip(found, scores, strict=True)):
            ranks = self._id_ranks[rows]
            key = order_key(exact, ranks)
            order = np.argsort(key)[::-1][: self._k]
            if floor is not None:
                order = order[key[order] > floor.keys[query]]
            place = first + query
            best.rows[place, : len(order)] = rows[order] + self._first_row
            best.scores[place, : len(order)] = exact[order]
            best.id_ranks[place, : len(order)] = ranks[order]

    def _candidates(
        self,
        queries: npt.NDArray[np.float32],
        norms: npt.NDArray[np.float64],
        excluded: npt.NDArray[np.int32] | None,
        floor: _Least | None,
    ) -> list[npt.NDArray[np.int64]]:
        """Of each query. Where bf16 tells too few documents apart, products are taken again."""
        count, half = len(self._array), self._half
        for products in (half, self._single):
            if products is None:
                continue
            tile = products.tile(queries, norms)
            found = []
            for query in range(len(queries)):
                least = -math.inf if floor is None else floor.scores[query]
                own = -1 if excluded is None else int(excluded[query])
                own = own if own < count else -1
                found.append(tile.candidates(query, self._k, least, own))
            if products is half and sum(map(len, found)) > len(queries) * (
                self._k + count * _WORTH_A_PRODUCT
            ):
                self._half = None
                continue
            return found
        raise AssertionError("single precision is always there")


def require_finite(vectors: npt.NDArray[Any], what: str, names: list[str]) -> None:
    """NumericalError that names up to three of the `names` whose vectors are not finite."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=tuple(range(1, vectors.ndim))))
    if len(bad):
        shown = ", ".join(f"'{names[row]}'" for row in bad[:3])
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise NumericalError(
            f"the encoder gave values that are not finite for {what} {shown}{more}; T5 overflows "
            "in half precision, so check the checkpoint's weights and use --dtype fp32"
        )
