"""Rankings of one block as few bytes: about four for a document that is found, none for a pad.

Rows are counted from the block's first. A score is the step down from the one before it, in units
of the order that `order_key` gives to float32: two bytes nearly always where many documents are
found, and a list of the others; three where few are, which lie further apart.
Places in id order are the dataset's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.topk import NO_DOCUMENT, TopK, order_key


def pack(top: TopK, first_row: int) -> dict[str, npt.NDArray[Any]]:
    """Rankings in order, of a block that begins at `first_row`.

    counts: int32[Q], documents of each query; rows: of all queries, uint16 or int32; highest:
    int32[Q], the first score's place in the order of float32; steps: uint16 of all, the low half;
    long: uint32 or int64, where a step has a high half, and long_steps: uint16, that half. Where
    many have one, high: uint8 of all, has as much of it as that holds, and long the rest.
    """
    held = top.rows != NO_DOCUMENT
    counts = held.sum(axis=1, dtype=np.int32)
    rows = top.rows[held] - first_row
    if not len(rows) or rows.max() <= np.iinfo(np.uint16).max:
        rows = rows.astype(np.uint16)
    places = order_key(top.scores[held], np.zeros(len(rows), dtype=np.int32)) >> 32
    starts = (np.cumsum(counts) - counts)[counts > 0]
    highest = np.zeros(len(counts), dtype=np.int32)
    highest[counts > 0] = places[starts]
    steps = -np.diff(places, prepend=0)
    steps[starts] = 0
    above, high = steps >> 16, np.zeros(0, dtype=np.uint8)
    long = np.flatnonzero(above)
    # Six bytes for one of a list, or one more for every document.
    if len(long) * 6 > len(steps):
        high = np.minimum(above, np.iinfo(np.uint8).max).astype(np.uint8)
        above -= high
        long = np.flatnonzero(above)
    return {
        "counts": counts,
        "rows": rows,
        "highest": highest,
        "steps": (steps & 0xFFFF).astype(np.uint16),
        "long": long if len(steps) > np.iinfo(np.uint32).max else long.astype(np.uint32),
        "long_steps": above[long].astype(np.uint16),
        "high": high,
    }


def unpack(
    arrays: Mapping[str, npt.NDArray[Any]], first_row: int, id_ranks: npt.NDArray[np.int32]
) -> TopK:
    """What was packed, with as many columns as the longest ranking has; id_ranks: int32[n] of the
    block's documents."""
    counts = np.asarray(arrays["counts"])
    rows = np.asarray(arrays["rows"]).astype(np.int32)
    steps = np.asarray(arrays["steps"]).astype(np.int64)
    steps[arrays["long"]] += np.asarray(arrays["long_steps"]).astype(np.int64) << 16
    if len(arrays.get("high", ())):
        steps += np.asarray(arrays["high"]).astype(np.int64) << 16
    fallen = np.cumsum(steps)
    filled = counts[counts > 0]
    # The first step of a query is 0, so what fell up to it fell before it.
    before = fallen[np.cumsum(filled) - filled]
    places = np.repeat(arrays["highest"][counts > 0] + before, filled) - fallen
    bits = places.astype(np.int32)
    scores = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).view(np.float32)
    held = np.arange(counts.max(initial=0)) < counts[:, None]
    top = TopK(
        np.full(held.shape, NO_DOCUMENT, dtype=np.int32),
        np.full(held.shape, -np.inf, dtype=np.float32),
        np.full(held.shape, -1, dtype=np.int32),
    )
    top.rows[held] = rows + first_row
    top.scores[held] = scores
    top.id_ranks[held] = np.asarray(id_ranks)[rows]
    return top
