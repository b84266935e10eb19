"""ColBERT's score over all documents of a block, exactly: MaxSim (arXiv 2004.12832).

The score of a document is the sum, over the query's token vectors, of the largest dot product with
any of the document's token vectors. Products are single precision and the maximum is exact; the sum
is taken in float64 and rounded once, so it does not depend on an order. Products are taken tile by
tile: tiles of queries and pieces of documents of a fixed size, within units of the corpus. So no
setting (blocks, threads) changes what is multiplied with what. On a GPU the queries stay there, and
what comes back is a score for each query and document.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent import futures

import numpy as np
import numpy.typing as npt
import torch

from gtr_beir.encoders.base import TokenVectors
from gtr_beir.encoders.linear import Matrix

_TILE_TOKENS, _PIECE_TOKENS = 512, 1024
"""Query tokens in a tile and document tokens in a piece, about: their products, two megabytes, stay
in the cache of a core until the largest are taken."""
_GPU_TILE_TOKENS, _GPU_PIECE_TOKENS = 8192, 16_384
_ROWS = 128
"""Rows of a product are rounded up to a multiple, so that there are few shapes to prepare for."""
_PIECES_AT_ONCE = 8
_NOTHING = {"max": -math.inf, "sum": 0.0}


class MaxSim:
    """A set of queries, ready to score documents on one device.

    as_on_gpu: whether all documents of a piece are reduced by one kernel (None: on a GPU).
    """

    def __init__(
        self, queries: TokenVectors, device: str = "cpu", *, as_on_gpu: bool | None = None
    ):
        torch.set_float32_matmul_precision("highest")
        self._device = torch.device(device)
        on_cpu = self._device.type == "cpu"
        self._piece = _PIECE_TOKENS if on_cpu else _GPU_PIECE_TOKENS
        self._queries = queries
        one_kernel = not on_cpu if as_on_gpu is None else as_on_gpu
        self._tiles = [
            (_OneKernelTile if one_kernel else _Tile)(queries, first, stop, self._device)
            for first, stop in _tiles(queries.lengths, _TILE_TOKENS if on_cpu else _GPU_TILE_TOKENS)
        ]

    @torch.inference_mode()
    def scores(self, documents: TokenVectors) -> npt.NDArray[np.float32]:
        """float32[queries, documents]; minus infinity for a document without any token vector.

        A query without any has the score 0 for every other document.
        """
        count = len(documents.lengths)
        found = np.full((len(self._queries.lengths), count), -np.inf, dtype=np.float32)
        order = np.argsort(-documents.lengths, kind="stable")
        order = order[documents.lengths[order] > 0]
        vectors = torch.from_numpy(documents.vectors)
        starts = documents.starts
        pieces = list(_pieces(order, documents.lengths, self._piece))

        def work(first: int) -> None:
            if self._device.type == "cpu":
                torch.set_num_threads(1)  # of this thread: each works on pieces of its own
            for piece in pieces[first : first + _PIECES_AT_ONCE]:
                rows = vectors.index_select(0, _rows(piece, documents.lengths, starts))
                rows = rows.to(self._device)
                lengths = documents.lengths[piece]
                for tile in self._tiles:
                    found[tile.first : tile.stop, piece] = tile.score(rows, lengths)

        if self._device.type != "cpu":
            for first in range(0, len(pieces), _PIECES_AT_ONCE):
                work(first)
            return found
        threads = torch.get_num_threads()
        try:
            with futures.ThreadPoolExecutor(threads) as pool:
                waiting = range(0, len(pieces), _PIECES_AT_ONCE)
                for done in [pool.submit(work, first) for first in waiting]:
                    done.result()
        finally:
            torch.set_num_threads(threads)
        return found

    @torch.inference_mode()
    def pair_scores(
        self, queries: npt.NDArray[np.integer], document: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """float32[len(queries)]: of one document, with one token vector or more, for some of the
        queries."""
        chosen = self._queries.of(queries)
        vectors = torch.from_numpy(document).to(self._device)
        best = (torch.from_numpy(chosen.vectors).to(self._device) @ vectors.T).amax(dim=1)
        return _sums(best.unsqueeze(0).cpu().numpy(), chosen.lengths)[:, 0]


class _Tile:
    """Queries first..stop-1, their token vectors laid out for the product."""

    def __init__(self, queries: TokenVectors, first: int, stop: int, device: torch.device):
        self.first, self.stop = first, stop
        starts = queries.starts
        self._lengths = queries.lengths[first:stop]
        self._device = device
        rows = np.ascontiguousarray(queries.vectors[starts[first] : starts[stop]])
        self._tokens = Matrix(torch.from_numpy(rows).to(device)) if len(rows) else None

    def score(
        self, documents: torch.Tensor, lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """float32[queries, documents] of documents whose token vectors begin `documents`; lengths:
        of each, in order, at least 1."""
        if self._tokens is None:
            return np.zeros((self.stop - self.first, len(lengths)), dtype=np.float32)
        return self._reduced(self._tokens(documents), lengths)

    def _reduced(
        self, products: torch.Tensor, lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Length by length, in the cache: a core does that faster than a kernel for all."""
        best = torch.empty((len(lengths), products.shape[1]))
        row = at = 0
        for texts, length in _groups(lengths):
            part = products[at : at + texts * length].view(texts, length, -1)
            torch.amax(part, dim=1, out=best[row : row + texts])
            at += texts * length
            row += texts
        return _sums(best.numpy(), self._lengths)


class _OneKernelTile(_Tile):
    """A tile whose products are reduced where they are, whatever the documents' lengths."""

    def _reduced(
        self, products: torch.Tensor, lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        def reduced(what: str, values: torch.Tensor, parts: npt.NDArray[np.int64]) -> torch.Tensor:
            # Unsafe: the lengths are right, and to look at them would wait for the device.
            sent = torch.from_numpy(parts).to(self._device)
            found: torch.Tensor = torch.segment_reduce(
                values, what, lengths=sent, axis=0, unsafe=True, initial=_NOTHING[what]
            )
            return found

        best = reduced("max", products[: int(lengths.sum())], lengths)
        sums = reduced("sum", best.T.double().contiguous(), self._lengths)
        return sums.float().cpu().numpy()


def _sums(best: npt.NDArray[np.float32], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """float32[queries, documents] from float32[documents, query tokens]: sums over each query's
    tokens, in float64, in which sums of so few single-precision numbers are as good as exact."""
    sums = np.zeros((len(lengths), len(best)), dtype=np.float32)
    there = np.flatnonzero(lengths)
    if len(there):
        starts = (np.cumsum(lengths) - lengths)[there]
        sums[there] = np.add.reduceat(best, starts, axis=1, dtype=np.float64).T
    return sums


def _tiles(lengths: npt.NDArray[np.int64], budget: int) -> Iterator[tuple[int, int]]:
    """(first, stop) of queries whose tokens together stay within the budget, or are one query."""
    first = tokens = 0
    for query, length in enumerate(lengths.tolist()):
        if query > first and tokens + length > budget:
            yield first, query
            first, tokens = query, 0
        tokens += length
    if len(lengths):
        yield first, len(lengths)


def _pieces(
    order: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], budget: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Documents in the given order, in parts whose tokens together stay within the budget, or that
    are one document."""
    for first, stop in _tiles(lengths[order], budget):
        yield order[first:stop]


def _rows(
    piece: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]
) -> torch.Tensor:
    """Where the token vectors of a piece's documents are, filled up to a round number of rows."""
    held = lengths[piece]
    ends = np.cumsum(held)
    rows = np.zeros(-(-int(ends[-1]) // _ROWS) * _ROWS, dtype=np.int64)
    rows[: ends[-1]] = np.repeat(starts[piece] - ends + held, held) + np.arange(ends[-1])
    return torch.from_numpy(rows)


def _groups(lengths: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """(documents, tokens of each) of lengths that are in order."""
    groups: list[tuple[int, int]] = []
    for length in lengths.tolist():
        if groups and groups[-1][1] == length:
            groups[-1] = (groups[-1][0] + 1, length)
        else:
            groups.append((1, length))
    return groups
