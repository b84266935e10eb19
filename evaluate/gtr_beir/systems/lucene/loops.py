"""Loops over postings that are compiled where numba is installed; nobody needs them.

They add the same numbers in the same order as numpy does, so sums are the same to the bit. What is
compiled is kept by the process alone, and takes a second or two.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any, NamedTuple

import numpy as np


class Loops(NamedTuple):
    """add: some clauses of a query to the sums; select: what reaches a floor, and sums cleared."""

    add: Any
    select: Any


@functools.cache
def compiled() -> Loops | None:
    """None where numba is not installed."""
    if importlib.util.find_spec("numba") is None:
        return None
    import numba

    # No flags: in another order the last bits would differ.
    return Loops(*(numba.njit(nogil=True)(loop) for loop in (_add, _select)))


def _add(sums, touched, count, documents, scores, spans, clauses):  # type: ignore[no-untyped-def]
    """Add a field's scores of some clauses to float64 sums; returns how many documents have any.

    touched: int32, those documents, of which there are `count` before; documents: uint16 and
    scores: float32, of postings; spans: int64[C, 3], of a clause its first and last document and
    its first score, -1 where there is none; clauses: int32.
    """
    for clause in clauses:
        low, high, at = spans[clause]
        for step in range(high - low):
            document = documents[low + step]
            score = np.float64(scores[at + step])
            # Never negative; 0 where a weight is so small, which is no score.
            if score > 0.0:
                if sums[document] == 0.0:
                    touched[count] = document
                    count += 1
                sums[document] += score
    return count


def _select(sums, touched, count, floor, found):  # type: ignore[no-untyped-def]
    """Puts those of the documents touched that reach a floor into `found`, returns their sums
    (float64, as many), and clears all sums."""
    kept = 0
    values = np.empty(count, dtype=np.float64)
    for place in range(count):
        document = touched[place]
        if sums[document] >= floor:
            found[kept] = document
            values[kept] = sums[document]
            kept += 1
        sums[document] = 0.0
    return values[:kept]
