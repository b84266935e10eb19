"""Parts of a block that takes long: what is kept while it is at work, so that little is lost.

A slow encoder may be at one block for hours. What it has done of it is kept now and then, as arrays
that only its own kind of work understands, and goes when the block is whole. What a block yields
does not depend on it: parts hold whole batches, and what is batched with what is the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from gtr_beir.work.blocks import Arrays

EVERY = 20.0
"""Seconds of work that are kept together; a batch under way comes to it."""
DONE = "done"
"""The array that each part has: int32[n], the rows of the corpus that it is of."""

STANDS_FOR_ALL = "units"
"""The array of a part in whose place no other part of the same rows is needed."""

KeepPart = Callable[[Arrays], None]


def keep_no_part(_: Arrays) -> None:
    """For work that is not resumed."""


class Parts:
    """known: parts that are there from an earlier start, in order; keep: where more of them go."""

    def __init__(
        self,
        known: Sequence[Arrays] = (),
        keep: KeepPart = keep_no_part,
        *,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.known = known
        self._keep, self._clock = keep, clock
        self._kept_at = clock()
        self.kept = 0
        """How many were kept from here."""

    @property
    def due(self) -> bool:
        """Whether there has been work for long enough to be kept."""
        return self._clock() - self._kept_at >= EVERY

    def keep(self, arrays: Arrays) -> None:
        self._keep(arrays)
        self._kept_at = self._clock()
        self.kept += 1


def rows_of(parts: Sequence[Arrays]) -> int:
    """How many rows the parts are of."""
    if not parts:
        return 0
    return len(np.unique(np.concatenate([part[DONE] for part in parts])))
