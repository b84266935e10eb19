"""Dot products of single-precision vectors, rounded correctly, once, to single precision.

Products of two float32 are exact in float64, and so is the last word about their sum: most sums
taken in float64 are far from where float32 rounds one way or the other, and the few that are not
are summed without any error. So a score does not depend on the order in which it is summed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.kernels import dot_products

_AT_ONCE = 1 << 16
"""Numbers that are gathered and widened at once: they stay in a core's own cache, so that memory is
read once and nothing is written to it."""


class ExactScores:
    """Scores of some of the documents for some queries each; for one thread.

    documents: float32[n, dim], contiguous; norms: float64[n], no less than their lengths;
    compiled: whether so many are asked for that compiling a loop is worth it, where that can be
    done.
    """

    def __init__(
        self,
        documents: npt.NDArray[np.float32],
        norms: npt.NDArray[np.float64],
        *,
        compiled: bool = False,
    ):
        self._documents, self._norms = documents, norms
        self._loop = dot_products() if compiled else None

    def __call__(
        self,
        queries: npt.NDArray[np.float32],
        norms: npt.NDArray[np.float64],
        found: Sequence[npt.NDArray[np.int64]],
    ) -> list[npt.NDArray[np.float32]]:
        """float32[len(rows)] for each query: its products with these documents; never -0.0.

        queries: float32[Q, dim]; norms: float64[Q], their lengths; found: rows of each.
        """
        ends = np.concatenate(([0], np.cumsum([len(rows) for rows in found])))
        rows = np.concatenate(found)
        wide = np.ascontiguousarray(queries, dtype=np.float64)
        if self._loop is not None:
            sums = self._loop(self._documents, wide, ends, rows)
        else:
            sums = self._gathered(wide, ends, rows)
        # |sum - true| <= dim 2^-53 |q| |d|; twice that leaves room for what is rounded below.
        relative = self._documents.shape[1] * 2.0**-52
        error = relative * np.repeat(norms, np.diff(ends)) * self._norms[rows]
        exact = (sums - error).astype(np.float32)
        for place in np.flatnonzero(exact != (sums + error).astype(np.float32)):
            query = np.searchsorted(ends, place, side="right") - 1
            products = self._documents[rows[place]].astype(np.float64) * wide[query]
            exact[place] = rounded_sum(products[products != 0].tolist())
        exact += np.float32(0.0)  # -0.0 becomes 0.0
        return np.split(exact, ends[1:-1])

    def _gathered(
        self,
        queries: npt.NDArray[np.float64],
        ends: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        """As `kernels.dot_products`, by gathering and widening some documents at a time."""
        import torch

        dimension = self._documents.shape[1]
        step = max(1, _AT_ONCE // max(1, dimension))
        gathered = np.empty((step, dimension), dtype=np.float32)
        narrow = torch.from_numpy(gathered)
        wide = torch.empty((step, dimension), dtype=torch.float64)
        sums = torch.empty(len(rows), dtype=torch.float64)
        for query, vector in enumerate(torch.from_numpy(queries)):
            for start in range(int(ends[query]), int(ends[query + 1]), step):
                stop = min(start + step, int(ends[query + 1]))
                count = stop - start
                # "clip" lets numpy copy straight into place; every row is there.
                part = rows[start:stop]
                np.take(self._documents, part, axis=0, out=gathered[:count], mode="clip")
                wide[:count].copy_(narrow[:count])
                torch.mv(wide[:count], vector, out=sums[start:stop])
        return sums.numpy()


def rounded_sum(values: list[float]) -> np.float32:
    """The float32 that is nearest to the true sum; of two equally near, the even one.

    `fsum` rounds to float64. That misleads only where it lands in the middle of two float32: there
    the sign of what the true sum is off by decides, and `fsum` never errs in a sign.
    """
    middle = math.fsum(values)
    near = np.float32(middle)
    if float(near) == middle:
        return near
    other = np.nextafter(near, np.float32(math.copysign(math.inf, middle - float(near))))
    if float(near) + float(other) != 2 * middle:
        return near
    off = math.fsum([*values, -middle])
    return near if off == 0 else max(near, other) if off > 0 else min(near, other)


def norms_of(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """float64[n]: lengths of float32[n, dim], right also where squares leave float32's range."""
    norms = np.empty(len(vectors))
    step = max(1, _AT_ONCE // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        wide = vectors[start : start + step].astype(np.float64)
        norms[start : start + step] = np.sqrt(np.vecdot(wide, wide))
    return norms


def norms_at_most(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """float64[n]: no less than the lengths of float32[n, dim], and hardly more; for bounds, and
    several times as fast as `norms_of`."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.vecdot(vectors, vectors)
    # A sum of dim squares is off by dim 2^-24 of it; so little is lost to what is no normal number.
    bounds: npt.NDArray[np.float64] = np.sqrt(squares.astype(np.float64)) * (
        1 + vectors.shape[1] * 2.0**-22
    )
    exact = ~((squares > 1e-30) & (squares < 1e37))
    if exact.any():
        bounds[exact] = norms_of(vectors[exact]) * (1 + 2.0**-30)
    return bounds
