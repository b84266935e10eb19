"""Exact top-k of a block on a GPU: products, floor, candidates, exact scores and order stay there.

The steps are those of `ranking.topk`, each taken for all queries of a tile at once: products in
single precision with the bound of `candidates.single_error`, what can be among the k best, dot
products of that in float64, rounded as `ranking.exact` rounds them, and the one ordering. Only what
is kept comes back, and the few documents whose rounding float64 cannot decide are summed on the
host. So the rankings are the same bytes as a CPU's. Everything is torch's own, so that a CPU runs
the same code where it is tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.candidates import single_error
from gtr_beir.ranking.exact import rounded_sum

if TYPE_CHECKING:
    import torch

_TILE_BYTES = 1 << 29
"""Scores held at once."""
_PAIRS = 1 << 22
"""Of a query and a document, that are scored exactly and ordered at once."""
_NUMBERS = 1 << 25
"""That are gathered and widened at once."""


@dataclass(frozen=True)
class Kept:
    """What a tile of queries keeps, on the host: one entry a document of a query.

    queries: int64[n], rows of the tile's queries in the whole; columns: int64[n], places in their
    rankings; rows: int64[n], of the block; scores: float32[n].
    """

    queries: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


class DeviceBlock:
    """A block's documents on a device.

    documents: float32[n, dim], contiguous; id_ranks: int32[n].
    """

    def __init__(
        self, documents: npt.NDArray[np.float32], id_ranks: npt.NDArray[np.int32], device: str
    ):
        import torch

        torch.set_float32_matmul_precision("highest")  # the bound is that of true single precision
        self._host = documents
        self._documents = torch.from_numpy(documents).to(device)
        self._id_ranks = torch.from_numpy(id_ranks.astype(np.int64)).to(device)
        norms = torch.linalg.vector_norm(self._documents, dim=1, dtype=torch.float64)
        self._norms = norms * (1 + 2.0**-30)
        self.largest = float(self._norms.max())
        """No less than the greatest length; NaN if a document is."""

    def search(
        self,
        queries: npt.NDArray[np.float32],
        norms: npt.NDArray[np.float64],
        *,
        k: int,
        excluded: npt.NDArray[np.int64] | None,
        floor: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]] | None,
    ) -> Iterator[Kept]:
        """What is kept for float32[Q, dim], whose lengths are norms (float64[Q]), part by part.

        excluded: int64[Q], a row of the block that a query must not return (others: none); floor:
        scores (float32[Q]) that documents must reach and order keys (int64[Q]) they must beat.
        """
        import torch

        device, count = self._documents.device, len(self._documents)
        errors = single_error(self._documents.shape[1], norms, self.largest)
        tile = max(1, _TILE_BYTES // 4 // count)
        for first in range(0, len(queries), tile):
            some = slice(first, min(first + tile, len(queries)))
            wanted = torch.from_numpy(np.ascontiguousarray(queries[some])).to(device)
            scores = wanted @ self._documents.T
            if excluded is not None:
                own = excluded[some]
                at = np.flatnonzero((own >= 0) & (own < count))
                places = torch.from_numpy(at).to(device), torch.from_numpy(own[at]).to(device)
                scores[places] = -math.inf
            error = torch.from_numpy(errors[some]).to(device)
            keys = None if floor is None else torch.from_numpy(floor[1][some]).to(device)
            if floor is None:
                least = self._kth(scores, k, error)
            else:
                low = torch.from_numpy(floor[0][some].astype(np.float64)).to(device)
                least = _below(low - error)
            # What is minus infinity is excluded, whatever the threshold is.
            reaching = (scores >= least[:, None]) & (scores > -math.inf)
            del scores
            counts = reaching.sum(dim=1).cpu().numpy()
            lengths = torch.from_numpy(norms[some]).to(device)
            for part in _parts(counts, _PAIRS):
                kept = self._best(wanted[part], lengths[part], reaching[part], k, keys, part)
                kept.queries[:] += first + part.start
                yield kept

    def _kth(self, scores: torch.Tensor, k: int, error: torch.Tensor) -> torch.Tensor:
        """float32[Q]: what a computed score must reach, given the k-th of the computed."""
        import torch

        if k >= scores.shape[1]:
            return torch.full((len(scores),), -math.inf, device=scores.device)
        kth = scores.topk(k, dim=1, sorted=False).values.amin(dim=1)
        return _below(_below(kth).double() - 2 * error)

    def _best(
        self,
        queries: torch.Tensor,
        norms: torch.Tensor,
        reaching: torch.Tensor,
        k: int,
        keys: torch.Tensor | None,
        part: slice,
    ) -> Kept:
        """The k best of what reaches its threshold, under the one ordering."""
        import torch

        query, row = reaching.nonzero(as_tuple=True)
        scores = self._exact(queries, norms, query, row)
        key = _order_key(scores, self._id_ranks[row])
        key, order = key.sort(descending=True)
        query, again = query[order].sort(stable=True)
        key, order = key[again], order[again]
        starts = torch.searchsorted(query, torch.arange(len(queries), device=query.device))
        column = torch.arange(len(query), device=query.device) - starts[query]
        kept = column < k
        if keys is not None:
            kept &= key > keys[part][query]
        order = order[kept]
        found = (query[kept], column[kept], row[order], scores[order])
        return Kept(*(each.cpu().numpy() for each in found))

    def _exact(
        self, queries: torch.Tensor, norms: torch.Tensor, query: torch.Tensor, row: torch.Tensor
    ) -> torch.Tensor:
        """float32[n]: products of pairs, rounded once; never -0.0."""
        import torch

        dimension = self._documents.shape[1]
        wide = queries.double()
        scores = torch.empty(len(row), dtype=torch.float32, device=row.device)
        for start in range(0, len(row), max(1, _NUMBERS // dimension)):
            some = slice(start, start + max(1, _NUMBERS // dimension))
            documents = self._documents[row[some]].double()
            sums = torch.linalg.vecdot(documents, wide[query[some]])
            # As in `ranking.exact`: |sum - true| <= dim 2^-53 |q| |d|, twice that has room.
            error = dimension * 2.0**-52 * norms[query[some]] * self._norms[row[some]]
            low, high = (sums - error).float(), (sums + error).float()
            scores[some] = low
            unclear = (low != high).nonzero()[:, 0]
            if len(unclear):
                exact = [
                    rounded_sum(self._products(queries[which], place))
                    for which, place in zip(
                        query[some][unclear], row[some][unclear].tolist(), strict=True
                    )
                ]
                scores[start + unclear] = torch.from_numpy(np.array(exact, np.float32)).to(
                    scores.device
                )
        return scores + 0.0  # -0.0 becomes 0.0

    def _products(self, query: torch.Tensor, row: int) -> list[float]:
        products = self._host[row].astype(np.float64) * query.double().cpu().numpy()
        found: list[float] = products[products != 0].tolist()
        return found


def _below(values: torch.Tensor) -> torch.Tensor:
    """float32 that are surely not above values: one step down."""
    import torch

    single = values.float()
    return torch.nextafter(single, torch.full_like(single, -math.inf))


def _order_key(scores: torch.Tensor, id_ranks: torch.Tensor) -> torch.Tensor:
    """As `topk.order_key`; scores are never -0.0."""
    import torch

    bits = scores.view(torch.int32)
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    return (ordered << 32) | id_ranks


def _parts(counts: npt.NDArray[np.int64], most: int) -> Iterator[slice]:
    """Neighbouring queries that together have at most so many candidates, or are one."""
    first = held = 0
    for query, count in enumerate(counts.tolist()):
        if query > first and held + count > most:
            yield slice(first, query)
            first, held = query, 0
        held += count
    if len(counts):
        yield slice(first, len(counts))
