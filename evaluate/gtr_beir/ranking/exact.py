"""Dot products of single-precision vectors, rounded correctly, once, to single precision.

Products of two float32 are exact in float64, and so is the last word about their sum: most sums
taken in float64 are far from where float32 rounds one way or the other, and the few that are not
are summed without any error. So a score does not depend on the order in which it is summed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

_AT_ONCE = 1 << 16
"""Numbers that are gathered and widened at once: they stay in a core's own cache, so that memory is
read once and nothing is written to it."""


class ExactScores:
    """Scores of some of the documents for one query after another; for one thread.

    documents: float32[n, dim], contiguous; norms: float64[n], theirs.
    """

    def __init__(self, documents: npt.NDArray[np.float32], norms: npt.NDArray[np.float64]):
        import torch

        self._documents, self._norms = documents, norms
        dimension = documents.shape[1]
        self._rows = max(1, _AT_ONCE // max(1, dimension))
        self._gathered = np.empty((self._rows, dimension), dtype=np.float32)
        self._narrow = torch.from_numpy(self._gathered)
        self._wide = torch.empty((self._rows, dimension), dtype=torch.float64)

    def __call__(
        self, query: torch.Tensor, norm: float, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """float32[len(rows)]: the products of a query (float64[dim] of float32 values; norm: its
        length) and these documents; never -0.0."""
        import torch

        sums = torch.empty(len(rows), dtype=torch.float64)
        for start in range(0, len(rows), self._rows):
            part = rows[start : start + self._rows]
            count = len(part)
            # "clip" lets numpy copy straight into place; every row is there.
            np.take(self._documents, part, axis=0, out=self._gathered[:count], mode="clip")
            self._wide[:count].copy_(self._narrow[:count])
            torch.mv(self._wide[:count], query, out=sums[start : start + count])
        found = sums.numpy()
        # |found - true| <= dim 2^-53 |q| |d|; twice that leaves room for what is rounded below.
        error = self._documents.shape[1] * 2.0**-52 * norm * self._norms[rows]
        exact = (found - error).astype(np.float32)
        for place in np.flatnonzero(exact != (found + error).astype(np.float32)):
            products = self._documents[rows[place]].astype(np.float64) * query.numpy()
            exact[place] = rounded_sum(products[products != 0].tolist())
        result: npt.NDArray[np.float32] = exact + np.float32(0.0)  # -0.0 becomes 0.0
        return result


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
