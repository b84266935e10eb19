"""Exact top-k of a block, and the merge of blocks, under the one ordering.

The ordering is trec_eval's: score descending, then document id descending (`id_rank` holds the
place of each document's id in ascending byte order).

A block is searched in two steps. A matrix product in single precision finds candidates, with a
margin that covers its rounding error; the candidates' scores are then computed again, each as one
dot product that is rounded correctly to float32 (`ranking.exact`). So the kept scores, and the
order, do not depend on block size, tile shape, threads or the device, and equal vectors get equal
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
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gtr_beir.errors import NumericalError
from gtr_beir.ranking.exact import ExactScores, norms_of

if TYPE_CHECKING:
    import torch  # imported where vectors are searched: whoever only ranks starts without it

_TILE_SCORES = 1 << 24
"""Scores held at once by all threads: 64 MiB in float32."""

_PIECE, _WORTH_LAYING_OUT, _SAMPLED = 512, 8, 16

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
    return sort_and_cut(
        TopK(
            np.concatenate((first.rows, second.rows), axis=1),
            np.concatenate((first.scores, second.scores), axis=1),
            np.concatenate((first.id_ranks, second.id_ranks), axis=1),
        ),
        k,
    )


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
    not return (-1: none); device: where the matrix product runs; floor: of documents
    outside of this block, which a document must beat. Returns rankings of k
    columns, padded where fewer were found. Raises NumericalError if a score may not be finite.
    """
    import torch

    best = empty(len(queries), k)
    if not len(documents) or not len(queries):
        return best
    block = _Block(documents, np.asarray(id_ranks), first_row, k, device)
    norms = norms_of(queries)
    if not block.largest * float(norms.max()) < float(np.finfo(np.float32).max) / 2:
        raise NumericalError("a score is not finite; the vectors or the queries hold NaN")
    # Each thread works alone on its own queries: threads that meet after every small step, as
    # torch's own do, wait for each other most of the time.
    threads = torch.get_num_threads()
    tile = max(1, min(_TILE_SCORES // len(documents) // threads, -(-len(queries) // threads)))

    def work(start: int) -> None:
        torch.set_num_threads(1)
        rows = slice(start, start + tile)
        own = None if excluded is None else excluded[rows] - first_row
        block.search(queries[rows], norms[rows], own, best, start, _Least.of(floor, rows))

    try:
        with futures.ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(work, start) for start in range(0, len(queries), tile)]:
                done.result()
    finally:
        torch.set_num_threads(threads)
    return best


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
    """Documents of a block, ready to be searched by several threads."""

    def __init__(
        self,
        documents: npt.NDArray[np.float32],
        id_ranks: npt.NDArray[np.int32],
        first_row: int,
        k: int,
        device: str,
    ):
        import torch

        torch.set_float32_matmul_precision("highest")  # the margin is that of true single precision
        self._array = np.ascontiguousarray(documents)
        self._on_device = torch.from_numpy(self._array).to(device)
        self._id_ranks, self._first_row, self._k = id_ranks, first_row, k
        self._norms = norms_of(self._array)
        self.largest = float(self._norms.max())

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
        import torch

        part = torch.from_numpy(np.ascontiguousarray(queries))
        scores = _product(part, self._on_device).numpy()
        count, dimension = self._array.shape
        if excluded is not None:
            held = np.flatnonzero((excluded >= 0) & (excluded < count))
            scores[held, excluded[held]] = -np.inf
        errors = _error_bound(dimension, norms, self.largest)
        exact_scores, wide = ExactScores(self._array, self._norms), part.double()
        for query in range(len(part)):
            least = -math.inf if floor is None else floor.scores[query]
            found = _candidates(scores[query], self._k, float(errors[query]), least)
            if not len(found):
                continue
            exact = exact_scores(wide[query], float(norms[query]), found)
            key = order_key(exact, self._id_ranks[found])
            order = np.argsort(key)[::-1][: self._k]
            if floor is not None:
                order = order[key[order] > floor.keys[query]]
            row = first + query
            best.rows[row, : len(order)] = found[order] + self._first_row
            best.scores[row, : len(order)] = exact[order]
            best.id_ranks[row, : len(order)] = self._id_ranks[found[order]]


def _error_bound(
    dimension: int, norms: npt.NDArray[np.float64], largest: float
) -> npt.NDArray[np.float64]:
    """float64[Q]: how far a score in single precision may be from the true one, rounded.

    A sum of dim products in any order is off by at most dim u / (1 - dim u) |q| |d|, u = 2^-24; 4 u
    more lets documents that are further apart than this keep their order when they are rounded.
    What is too small for a normal number may become zero: each of dim values, products and sums.
    """
    relative = (dimension * (1 + dimension * 2.0**-23) + 4) * 2.0**-24
    underflow = dimension * 2.0**-125 * (1 + norms + largest)
    bound: npt.NDArray[np.float64] = relative * largest * norms + underflow
    return bound


def _product(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """float32[Q, n] on the CPU: queries times documents in single precision.

    On a CPU through oneDNN with the queries laid out once, which is twice as fast as torch's own
    product on some processors, where its operators work; there is the plain way too.
    """
    import torch

    from gtr_beir import onednn

    if documents.device.type != "cpu":
        product: torch.Tensor = (queries.to(documents.device) @ documents.T).cpu()
        return product
    if len(queries) >= _WORTH_LAYING_OUT and onednn.works():
        try:
            laid_out = onednn.LaidOut(queries)
            scores = torch.empty((len(queries), len(documents)))
            # Small pieces stay in the cache while they are transposed.
            for start in range(0, len(documents), _PIECE):
                piece = laid_out.product(documents[start : start + _PIECE])
                scores[:, start : start + _PIECE].copy_(piece.T)
        except RuntimeError:  # not for this shape
            pass
        else:
            return scores
    return queries @ documents.T


def _candidates(
    scores: npt.NDArray[np.float32], k: int, error: float, least: float
) -> npt.NDArray[np.int64]:
    """Documents whose true score can be among the k best and reach `least`: error bounds how far a
    computed score is from the true one. -inf is never one."""
    count = len(scores)
    if least > -math.inf:
        found = np.flatnonzero(scores >= _lowered(least, error))
        return found if len(found) <= k else _closest(found, scores[found], k, error)
    if count <= k:
        return np.flatnonzero(scores > -np.inf)
    # A floor from every sixteenth score leaves little to sort; k scores at or above it prove it.
    sample = scores[::_SAMPLED]
    wanted = int(k / _SAMPLED + 4 * math.sqrt(k / _SAMPLED)) + 4
    if wanted < len(sample):
        low = np.partition(sample, len(sample) - wanted)[len(sample) - wanted]
        found = np.flatnonzero(scores >= _lowered(low, 2 * error))
        if len(found) >= k:
            held = scores[found]
            floor = np.partition(held, len(held) - k)[len(held) - k]
            if floor >= low:
                close: npt.NDArray[np.int64] = found[held >= _lowered(floor, 2 * error)]
                return close
    found = np.flatnonzero(scores > -np.inf)
    return found if len(found) <= k else _closest(found, scores[found], k, error)


def _closest(
    found: npt.NDArray[np.int64], held: npt.NDArray[np.float32], k: int, error: float
) -> npt.NDArray[np.int64]:
    """Of what was found, that whose true score can reach the k-th best: two errors may lie between
    a document and the k-th."""
    floor = np.partition(held, len(held) - k)[len(held) - k]
    close: npt.NDArray[np.int64] = found[held >= _lowered(floor, 2 * error)]
    return close


def _lowered(score: float | np.float32, by: float) -> np.float32:
    """A float32 that is surely below a score by so much."""
    lowered: np.float32 = np.nextafter(np.float32(float(score) - by), np.float32(-np.inf))
    return lowered


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
