"""Which documents of a block can be among the best, told from inexact products with proven errors.

Products are taken in bf16 where the processor multiplies it in hardware, which is several times as
fast, else in single precision. What a product may be off by is bounded, so nothing that belongs to
the answer is left out; the bound of bf16 is wider, and leaves more documents to be scored exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.exact import norms_at_most, norms_of

if TYPE_CHECKING:
    import torch  # imported where vectors are searched: whoever only ranks starts without it

_SINGLE = 2.0**-24
"""Unit roundoff of single precision."""
_PIECE, _WORTH_LAYING_OUT, _SAMPLED = 512, 8, 16
_HALF_PIECE = 8192
_AT_ONCE, _SHARE = 1 << 17, 1 << 22
"""Numbers that a thread works on at once, which stay in its cache, and that it takes."""

Result = TypeVar("Result")
Below = Callable[[float], np.float32]
"""The greatest value of a precision that is surely not above a number."""


@dataclass(frozen=True)
class Tile:
    """Computed scores of some queries, in the precision that they were taken in.

    scores: [Q, n] on the CPU, float32 or bfloat16; errors: float64[Q], how far a score may be from
    the true one, rounded, before it was itself rounded to that precision; shifts: float64[Q], what
    is missing of every score of a query; below: for thresholds.
    """

    scores: torch.Tensor
    errors: npt.NDArray[np.float64]
    shifts: npt.NDArray[np.float64]
    below: Below

    def candidates(self, query: int, k: int, least: float, excluded: int) -> npt.NDArray[np.int64]:
        """Documents whose true score can be among the k best of a query and reach `least` (-inf:
        nothing); excluded: one that cannot, -1: none. -inf is never one."""
        row = _Row(self.scores[query])
        if excluded >= 0:
            self.scores[query, excluded] = -math.inf
        shift = float(self.shifts[query])
        return _candidates(row, k, float(self.errors[query]), least - shift, self.below)


class _Row:
    """Scores of one query. Of bf16, the bits of numbers from 0 up are compared as whole numbers."""

    def __init__(self, scores: torch.Tensor):
        import torch

        self._scores = scores
        half = scores.dtype == torch.bfloat16
        self._bits = scores.view(torch.int16).numpy() if half else None

    def __len__(self) -> int:
        return len(self._scores)

    def at_least(self, threshold: np.float32) -> npt.NDArray[np.int64]:
        """Where a score, which is not -inf, is no less."""
        if self._bits is not None and threshold >= 0:
            # Negative numbers have negative bits.
            return np.flatnonzero(self._bits >= (int(threshold.view(np.int32)) >> 16))
        scores = self._scores.float().numpy()
        return np.flatnonzero((scores >= threshold) & (scores > -np.inf))

    def values(self, places: npt.NDArray[np.int64] | slice) -> npt.NDArray[np.float32]:
        """float32: the scores there."""
        import torch

        if self._bits is None:
            found: npt.NDArray[np.float32] = self._scores.numpy()[places]
        else:
            found = torch.from_numpy(self._bits[places]).view(torch.bfloat16).float().numpy()
        return found


class Products(Protocol):
    """A block's documents, ready to be multiplied with queries."""

    def tile(self, queries: npt.NDArray[np.float32], norms: npt.NDArray[np.float64]) -> Tile:
        """queries: float32[Q, dim]; norms: float64[Q], their lengths."""
        ...


class Single:
    """Products in single precision.

    documents: float32[n, dim]; largest: the greatest of their lengths.
    """

    def __init__(self, documents: npt.NDArray[np.float32], largest: float):
        import torch

        torch.set_float32_matmul_precision("highest")  # the bound is that of true single precision
        self._documents = torch.from_numpy(documents)
        self._largest = largest

    def tile(self, queries: npt.NDArray[np.float32], norms: npt.NDArray[np.float64]) -> Tile:
        import torch

        scores = _product(torch.from_numpy(np.ascontiguousarray(queries)), self._documents)
        errors = single_error(self._documents.shape[1], norms, self._largest)
        return Tile(scores, errors, np.zeros(len(norms)), _below_single)


def single_error(
    dimension: int, norms: npt.NDArray[np.float64], largest: float
) -> npt.NDArray[np.float64]:
    """float64[Q]: how far a score in single precision may be from the true one, rounded.

    A sum of dim products in any order is off by at most dim u / (1 - dim u) |q| |d|, u = 2^-24; 4 u
    more lets documents that are further apart than this keep their order when they are rounded.
    What is too small for a normal number may become zero: each of dim values, products and sums.
    """
    relative = (dimension * (1 + dimension * 2.0**-23) + 4) * _SINGLE
    bound: npt.NDArray[np.float64] = relative * largest * norms
    return bound + _underflow(dimension, norms, largest)


def _underflow(
    dimension: int, norms: npt.NDArray[np.float64], largest: float
) -> npt.NDArray[np.float64]:
    bound: npt.NDArray[np.float64] = dimension * 2.0**-125 * (1 + norms + largest)
    return bound


class Half:
    """Products in bf16, of documents less the middle of some of them: q d = q m + q (d - m).

    What is left is shorter, and so is what rounding takes from it. A product of two bf16 is exact
    in single precision, in which it is summed.
    """

    def __init__(self, documents: npt.NDArray[np.float32], largest: float, pool: futures.Executor):
        """pool: of threads, each of which works alone."""
        import torch

        count, self._dimension = documents.shape
        sample = documents[:: max(1, count // 1024)]
        middle = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._middle, self._largest = middle.astype(np.float64), largest
        self._documents = torch.empty(documents.shape, dtype=torch.bfloat16)

        def fill(rows: slice) -> tuple[float, float]:
            centred = documents[rows] - middle
            rounded = torch.from_numpy(centred).bfloat16()
            self._documents[rows] = rounded
            longest = norms_at_most(centred).max()
            centred -= rounded.float().numpy()
            return float(longest), float(norms_at_most(centred).max())

        found = list(shared(pool, fill, documents))
        self._longest, self._lost = (max(each) for each in zip(*found, strict=True))

    def tile(self, queries: npt.NDArray[np.float32], norms: npt.NDArray[np.float64]) -> Tile:
        import torch

        half = torch.from_numpy(np.ascontiguousarray(queries)).bfloat16()
        scores = torch.empty((len(queries), len(self._documents)), dtype=torch.bfloat16)
        for start in range(0, len(self._documents), _HALF_PIECE):
            rows = slice(start, start + _HALF_PIECE)
            scores[:, rows] = half @ self._documents[rows].T
        lost = norms_of(queries - half.float().numpy())
        shifts = queries.astype(np.float64) @ self._middle
        return Tile(scores, self._errors(norms, lost), shifts, below_half)

    def _errors(
        self, norms: npt.NDArray[np.float64], lost: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """float64[Q]: Cauchy-Schwarz on what each vector lost when it was rounded, then the sum's
        own error, twice that of a sum which rounds to the nearest; lost: of the queries.

        With d' = d - m as computed (off by at most u |d'|) and ^ for what was rounded:
        |q (d - m) - q^ d'^| <= |q| (|d - m - d'| + |d' - d'^|) + |q - q^| |d'^|.
        """
        whole = self._longest + self._lost
        rounding = norms * (2 * _SINGLE * self._longest + self._lost) + lost * whole
        summing = 2 * self._dimension * _SINGLE * (norms + lost) * whole
        # That q m is a float64 sum, and the rounding of the true score.
        length = float(norms_of(self._middle[None]).max()) + self._largest
        rest = 2.0**-40 * (rounding + norms * length) + 4 * _SINGLE * norms * self._largest
        bound: npt.NDArray[np.float64] = rounding + summing + rest
        return bound + _underflow(self._dimension, norms, self._largest + self._longest)


def shared(
    pool: futures.Executor, act: Callable[[slice], Result], vectors: npt.NDArray[np.float32]
) -> Iterator[Result]:
    """What a function of rows gives for all of them, a few at a time, by threads that share it."""
    dimension = max(1, vectors.shape[1])
    step = max(1, _AT_ONCE // dimension)
    share = step * max(1, _SHARE // _AT_ONCE)

    def some(first: int) -> list[Result]:
        last = min(first + share, len(vectors))
        starts = range(first, last, step)
        return [act(slice(start, min(start + step, last))) for start in starts]

    for found in pool.map(some, range(0, len(vectors), share)):
        yield from found


def worth_halving(longest: float) -> bool:
    """Whether products in bf16 are fast and right here; longest: of queries and documents."""
    from gtr_beir import onednn

    # So that nothing leaves its range: neither a vector less the middle, nor a product.
    return longest < 2.0**60 and onednn.multiplies_bf16()


def below_half(value: float) -> np.float32:
    """The greatest bf16 that is surely not above a value."""
    bits = int(_below_single(value).view(np.int32))
    low = bits & 0xFFFF
    # Away from zero where it is negative: a larger magnitude.
    bits += (0x10000 - low) if bits < 0 and low else -low
    return np.int32(bits).view(np.float32)


def _below_single(value: float) -> np.float32:
    lowered: np.float32 = np.nextafter(np.float32(value), np.float32(-np.inf))
    return lowered


def _product(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """float32[Q, n]: queries times documents in single precision.

    Through oneDNN with the queries laid out once, which is twice as fast as torch's own product on
    some processors, where its operators work; there is the plain way too.
    """
    import torch

    from gtr_beir import onednn

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
    scores: _Row, k: int, error: float, least: float, below: Below
) -> npt.NDArray[np.int64]:
    """Documents whose true score can be among the k best and reach `least`."""
    count = len(scores)
    if least > -math.inf:
        found = scores.at_least(below(least - error))
        return found if len(found) <= k else _closest(scores, found, k, error, below)
    # A floor from every sixteenth score leaves little to sort; k scores at or above it prove it.
    sample = scores.values(slice(None, None, _SAMPLED))
    wanted = int(k / _SAMPLED + 4 * math.sqrt(k / _SAMPLED)) + 4
    if k < count and wanted < len(sample):
        low = np.partition(sample, len(sample) - wanted)[len(sample) - wanted]
        found = scores.at_least(_reach(low, error, below))
        if len(found) >= k:
            held = scores.values(found)
            floor = np.partition(held, len(held) - k)[len(held) - k]
            if floor >= low:
                close: npt.NDArray[np.int64] = found[held >= _reach(floor, error, below)]
                return close
    found = scores.at_least(np.float32(-np.inf))
    return found if len(found) <= k else _closest(scores, found, k, error, below)


def _closest(
    scores: _Row, found: npt.NDArray[np.int64], k: int, error: float, below: Below
) -> npt.NDArray[np.int64]:
    """Of what was found, that whose true score can reach the k-th best."""
    held = scores.values(found)
    floor = np.partition(held, len(held) - k)[len(held) - k]
    close: npt.NDArray[np.int64] = found[held >= _reach(floor, error, below)]
    return close


def _reach(score: np.float32, error: float, below: Below) -> np.float32:
    """What a computed score must reach whose true one is at least that of a computed `score`: two
    errors may lie between them, and what was rounded to `score` was above the value before it."""
    return below(float(below(float(score))) - 2 * error)
