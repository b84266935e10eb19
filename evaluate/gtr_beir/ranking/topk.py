"""Exact top-k of a block, and the merge of blocks, under the one ordering.

The ordering is trec_eval's: score descending, then document id descending (`id_rank` holds the
place of each document's id in ascending byte order).

A block is searched in two steps. A matrix product in single precision finds candidates, with a
margin that covers its rounding error; the candidates' scores are then computed again, each as one
dot product that is rounded correctly to float32. So the kept scores, and the order, do not depend
on block size, tile shape, threads or the device, and equal vectors get equal scores.
"""

from __future__ import annotations

import math
from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gtr_beir.errors import NumericalError

if TYPE_CHECKING:
    import torch  # imported where vectors are searched: whoever only ranks starts without it

_TILE_SCORES = 1 << 24
"""Scores held at once by all threads: 64 MiB in float32."""

_PIECE, _WORTH_LAYING_OUT, _SAMPLED, _GATHERED = 512, 8, 16, 4096

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
) -> TopK:
    """Exact top k of one block by dot product.

    queries: float32[Q, dim]; documents: float32[n, dim]; id_ranks: int32[n] of these documents;
    first_row: the corpus row of documents[0]; excluded: int32[Q], a corpus row that a query must
    not return (-1: none); device: where the matrix product runs. Returns rankings of k columns,
    padded where the block is shorter. Raises NumericalError if a score may not be finite.
    """
    import torch

    best = empty(len(queries), k)
    if not len(documents) or not len(queries):
        return best
    block = _Block(documents, np.asarray(id_ranks), first_row, k, device)
    norms = np.linalg.norm(queries.astype(np.float64), axis=1)
    if not block.largest * float(norms.max()) < np.finfo(np.float32).max:
        raise NumericalError("a score is not finite; the vectors or the queries hold NaN")
    # Each thread works alone on its own queries: threads that meet after every small step, as
    # torch's own do, wait for each other most of the time.
    threads = torch.get_num_threads()
    tile = max(1, min(_TILE_SCORES // len(documents) // threads, -(-len(queries) // threads)))

    def work(start: int) -> None:
        torch.set_num_threads(1)
        rows = slice(start, start + tile)
        own = None if excluded is None else excluded[rows] - first_row
        block.search(queries[rows], norms[rows], own, best, start)

    try:
        with futures.ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(work, start) for start in range(0, len(queries), tile)]:
                done.result()
    finally:
        torch.set_num_threads(threads)
    return best


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
        self._documents = torch.from_numpy(self._array)
        self._on_device = self._documents.to(device)
        self._id_ranks, self._first_row, self._k = id_ranks, first_row, k
        self.largest = float(torch.linalg.vector_norm(self._documents, dim=1).max())

    def search(
        self,
        queries: npt.NDArray[np.float32],
        norms: npt.NDArray[np.float64],
        excluded: npt.NDArray[np.int32] | None,
        best: TopK,
        first: int,
    ) -> None:
        """Write the rankings of some queries into `best`, from its row `first` on."""
        import torch

        part = torch.from_numpy(np.ascontiguousarray(queries))
        scores = _product(part, self._on_device).numpy()
        count, dimension = self._array.shape
        if excluded is not None:
            held = np.flatnonzero((excluded >= 0) & (excluded < count))
            scores[held, excluded[held]] = -np.inf
        # |computed - true| <= (dim + 4) 2^-24 |q| |d| for a sum of dim products in single
        # precision in any order; two such errors may lie between a document and the k-th.
        margins = 2 * (dimension + 4) * 2.0**-24 * self.largest * norms
        for query in range(len(part)):
            found = _candidates(scores[query], self._k, float(margins[query]))
            if not len(found):
                continue
            exact = self._exact(part[query], found, float(norms[query]))
            key = order_key(exact, self._id_ranks[found])
            order = np.argsort(key)[::-1][: self._k]
            row = first + query
            best.rows[row, : len(order)] = found[order] + self._first_row
            best.scores[row, : len(order)] = exact[order]
            best.id_ranks[row, : len(order)] = self._id_ranks[found[order]]

    def _exact(
        self, query: torch.Tensor, found: npt.NDArray[np.int64], norm: float
    ) -> npt.NDArray[np.float32]:
        """float32[len(found)]: dot products, rounded correctly, so in whatever order they are
        summed: in float64, and where that leaves two possible roundings, exactly."""
        import torch

        dimension = self._array.shape[1]
        wide = query.double()
        sums = np.empty(len(found))
        for start in range(0, len(found), _GATHERED):
            part = torch.from_numpy(found[start : start + _GATHERED])
            gathered = self._documents.index_select(0, part).double()
            sums[start : start + len(part)] = torch.mv(gathered, wide).numpy()
        error = dimension * 2.0**-52 * self.largest * norm
        exact = (sums - error).astype(np.float32)
        for place in np.flatnonzero(exact != (sums + error).astype(np.float32)):
            products = self._array[found[place]].astype(np.float64) * wide.numpy()
            exact[place] = math.fsum(products[products != 0].tolist())
        result: npt.NDArray[np.float32] = exact + np.float32(0.0)  # -0.0 becomes 0.0
        return result


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


def _candidates(scores: npt.NDArray[np.float32], k: int, margin: float) -> npt.NDArray[np.int64]:
    """Documents whose true score can be among the k best: those whose computed score is at least
    the k-th best computed one less the margin. -inf is never one."""
    count = len(scores)
    if count <= k:
        return np.flatnonzero(scores > -np.inf)
    # A floor from every sixteenth score leaves little to sort; k scores at or above it prove it.
    sample = scores[::_SAMPLED]
    wanted = int(k / _SAMPLED + 4 * math.sqrt(k / _SAMPLED)) + 4
    if wanted < len(sample):
        low = np.partition(sample, len(sample) - wanted)[len(sample) - wanted]
        found = np.flatnonzero(scores >= low - margin)
        if len(found) >= k:
            held = scores[found]
            floor = np.partition(held, len(held) - k)[len(held) - k]
            if floor >= low:
                close: npt.NDArray[np.int64] = found[held >= floor - margin]
                return close
    floor = np.partition(scores, count - k)[count - k]
    return np.flatnonzero((scores >= floor - margin) & (scores > -np.inf))


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
