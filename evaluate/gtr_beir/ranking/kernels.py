"""Loops that are compiled where numba is installed (extra `gtr-beir[fast]`); nobody needs them.

A loop is compiled when it is first used, which takes a second or two, and is kept by the process
alone.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

DotProducts = Callable[
    [
        npt.NDArray[np.float32],
        npt.NDArray[np.float64],
        npt.NDArray[np.int64],
        npt.NDArray[np.int64],
    ],
    npt.NDArray[np.float64],
]


@functools.cache
def dot_products() -> DotProducts | None:
    """Products of queries with some documents each, in float64; None where numba is not installed.

    Called with documents: float32[n, dim]; queries: float64[Q, dim]; ends: int64[Q + 1], where a
    query's rows begin and end; rows: int64[P]. Gives float64[P], each a sum of dim products in any
    order.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    import numba

    # Sums may be taken in any order: what bounds their error allows it.
    compiled: Any = numba.njit(nogil=True, fastmath={"reassoc", "contract"})(_dot_products)
    loop: DotProducts = compiled
    return loop


def _dot_products(documents, queries, ends, rows):  # type: ignore[no-untyped-def]
    """Document after document, so that each is read once for all queries that want it."""
    count, dimension = documents.shape
    # A counting sort of all pairs by document.
    places = np.zeros(count + 1, dtype=np.int64)
    for row in rows:
        places[row + 1] += 1
    for row in range(count):
        places[row + 1] += places[row]
    order = np.empty(len(rows), dtype=np.int64)
    owners = np.empty(len(rows), dtype=np.int32)
    for query in range(len(ends) - 1):
        for pair in range(ends[query], ends[query + 1]):
            place = places[rows[pair]]
            places[rows[pair]] += 1
            order[place] = pair
            owners[place] = query
    sums = np.empty(len(rows))
    wide = np.empty(dimension)
    held = -1
    for place in range(len(rows)):
        pair = order[place]
        row = rows[pair]
        if row != held:
            held = row
            for at in range(dimension):
                wide[at] = documents[row, at]
        query = owners[place]
        total = 0.0
        for at in range(dimension):
            total += wide[at] * queries[query, at]
        sums[pair] = total
    return sums
