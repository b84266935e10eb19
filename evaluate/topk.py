"""Exact top-k of a block, and the merge of blocks, under the one ordering.

The ordering is trec_eval's: score descending, then document id descending (`id_rank` holds the
place of each document's id in ascending byte order).

A block is searched in two steps. A matrix product in single precision finds candidates, with a
margin that covers its rounding error; the candidates' scores are then computed again, each as one
dot product accumulated in float64 and rounded to float32. So the kept scores, and the order, do
not depend on block size, tile shape, threads or the device, and equal vectors get equal scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evaluate.errors import NumericalError

if TYPE_CHECKING:
    import torch  # imported where vectors are searched: whoever only ranks starts without it

_TILE_SCORES = 1 << 24
"""Scores held at once: 64 MiB in float32."""

_SLACK = 32
"""Candidates beyond k that a tile fetches, to see the margin without a second look."""

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


def pad(found: TopK, k: int) -> TopK:
    """The same ranking with pads up to k columns."""
    short = k - found.rows.shape[1]
    if short <= 0:
        return found
    pads = empty(found.rows.shape[0], short)
    return TopK(
        np.concatenate((found.rows, pads.rows), axis=1),
        np.concatenate((found.scores, pads.scores), axis=1),
        np.concatenate((found.id_ranks, pads.id_ranks), axis=1),
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
    not return (-1: none). Returns rankings of k columns, padded where the block is shorter.
    Raises NumericalError if a score is not finite.
    """
    import torch

    count = len(documents)
    on_device = torch.from_numpy(np.ascontiguousarray(documents)).to(device)
    largest = float(torch.linalg.vector_norm(on_device, dim=1).max()) if count else 0.0
    tile = max(1, _TILE_SCORES // max(count, 1))
    parts = []
    for start in range(0, len(queries), tile):
        part = torch.from_numpy(np.ascontiguousarray(queries[start : start + tile])).to(device)
        own = None if excluded is None else excluded[start : start + tile] - first_row
        parts.append(_tile_top_k(part, on_device, id_ranks, first_row, k, own, largest))
    return TopK(
        np.concatenate([p.rows for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.id_ranks for p in parts]),
    )


def _tile_top_k(
    queries: torch.Tensor,
    documents: torch.Tensor,
    id_ranks: npt.NDArray[np.int32],
    first_row: int,
    k: int,
    excluded: npt.NDArray[np.int32] | None,
    largest: float,
) -> TopK:
    import torch

    count = documents.shape[0]
    scores = queries @ documents.T
    if excluded is not None:
        held = np.flatnonzero((excluded >= 0) & (excluded < count))
        scores[
            torch.from_numpy(held), torch.from_numpy(excluded[held].astype(np.int64))
        ] = -torch.inf
    fetch = min(k + _SLACK, count)
    best, at = torch.topk(scores, fetch, dim=1)
    if not bool(torch.isfinite(best[:, 0]).all()) and not _only_excluded(best[:, 0], count):
        raise NumericalError("a score is not finite; the vectors or the queries hold NaN")
    # |computed - true| <= dim * 2^-24 * |q| * |d| for a sum of dim products in single precision.
    error = documents.shape[1] * 2.0**-24 * largest * torch.linalg.vector_norm(queries, dim=1)
    unsure = torch.zeros(len(queries), dtype=torch.bool)
    if count > fetch:
        unsure = (best[:, -1] >= best[:, k - 1] - 2 * error).cpu()
    found = _scored(queries, documents, at, best, id_ranks, first_row)
    found = pad(sort_and_cut(found, min(k, fetch)), k)
    for query in np.flatnonzero(unsure.numpy()):
        # More documents stand within the margin than were fetched: take all of them.
        floor = best[query, k - 1] - 2 * error[query]
        wide = torch.nonzero(scores[query] >= floor).T
        one = _scored(
            queries[query : query + 1],
            documents,
            wide,
            scores[query][wide[0]][None],
            id_ranks,
            first_row,
        )
        one = sort_and_cut(one, k)
        found.rows[query], found.scores[query] = one.rows[0], one.scores[0]
        found.id_ranks[query] = one.id_ranks[0]
    return found


def _only_excluded(best: torch.Tensor, count: int) -> bool:
    """True if the bad values are -inf of a query whose only document is excluded."""
    bad = best[~best.isfinite()]
    return count == 1 and bool((bad == -float("inf")).all())


def _scored(
    queries: torch.Tensor,
    documents: torch.Tensor,
    at: torch.Tensor,
    approximate: torch.Tensor,
    id_ranks: npt.NDArray[np.int32],
    first_row: int,
) -> TopK:
    """Candidates with their exact scores: float64 accumulation, rounded once to float32."""
    import torch

    exact = torch.empty(at.shape, dtype=torch.float32, device=documents.device)
    # The work space is kept over queries: fresh pages for each would cost more than the arithmetic.
    gathered = documents.new_empty((at.shape[1], documents.shape[1]))
    wide = gathered.double()
    sums = wide.new_empty(at.shape[1])
    for query in range(len(queries)):
        torch.index_select(documents, 0, at[query], out=gathered)
        wide.copy_(gathered)
        exact[query] = torch.mv(wide, queries[query].double(), out=sums)
    exact[approximate == -torch.inf] = -torch.inf
    rows = at.cpu().numpy().astype(np.int32)
    scores = exact.cpu().numpy()
    dropped = scores == -np.inf
    return TopK(
        np.where(dropped, np.int32(NO_DOCUMENT), rows + np.int32(first_row)),
        scores,
        np.where(dropped, np.int32(-1), np.asarray(id_ranks)[rows]),
    )


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
