"""Batches of texts of similar length under a budget of tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt


def padded_batches(tokens: npt.NDArray[np.int32], budget: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of texts in batches of similar length, longest first: texts times the longest of
    them stays within the budget, or the batch is one text."""
    order = _longest_first(tokens)
    start = 0
    while start < len(order):
        size = max(1, budget // max(int(tokens[order[start]]), 1))
        yield order[start : start + size]
        start += size


def packed_batches(tokens: npt.NDArray[np.int32], budget: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of texts in batches, longest first: their tokens together stay within the budget, or
    the batch is one text."""
    order = _longest_first(tokens)
    ends = np.cumsum(tokens[order], dtype=np.int64)
    start, before = 0, 0
    while start < len(order):
        stop = max(int(np.searchsorted(ends, before + budget, side="right")), start + 1)
        yield order[start:stop]
        start, before = stop, int(ends[stop - 1])


def _longest_first(tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    return np.argsort(-tokens.astype(np.int64), kind="stable")
