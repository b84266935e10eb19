"""The encoding of a block: what is there of it already, and what is kept of it on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gtr_beir.encoders.base import Encoded
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import Tell
from gtr_beir.work.parts import DONE, Parts


class Encoding:
    """Follows an encoder through the units of a block, so that its batches are kept in parts.

    units: (start, stop) of those that are still to be encoded, each a group; vectors: float32[n,
    dim], tokens: int32[n] and truncated: bool[n] of all texts. Parts that do not fit are as if they
    were not there.
    """

    def __init__(self, units: Sequence[tuple[int, int]], dimension: int, tell: Tell, parts: Parts):
        self._first = units[0][0] if units else 0
        count = units[-1][1] - self._first if units else 0
        self._tell, self._parts = tell, parts
        self.vectors = np.empty((count, dimension), dtype=np.float32)
        self.tokens = np.empty(count, dtype=np.int32)
        self.truncated = np.empty(count, dtype=bool)
        self._there = np.zeros(count, dtype=bool)
        for part in parts.known:
            self._take(part, dimension)
        self._kept = self._there.copy()
        """Texts that need not be kept any more."""
        self._batches: dict[int, list[tuple[npt.NDArray[np.int64], Callable[[], Encoded]]]] = {}
        """Of groups under way, by group: places in the block, and what fetches the vectors."""
        self.units = [
            (low, high)
            for low, high in units
            if not self._there[low - self._first : high - self._first].all()
        ]

    @property
    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """As they are kept."""
        return {"vectors": self.vectors, "tokens": self.tokens, "truncated": self.truncated}

    def _take(self, part: Arrays, dimension: int) -> None:
        places = part[DONE].astype(np.int64) - self._first
        fits = part["vectors"].shape == (len(places), dimension)
        if not fits or not ((places >= 0) & (places < len(self._there))).all():
            return
        # What is not finite is tried again, as it would be without parts.
        finite = np.isfinite(part["vectors"]).all(axis=1)
        for name, array in self.arrays.items():
            array[places[finite]] = part[name][finite]
        self._there[places[finite]] = True

    def known(self, group: int, places: npt.NDArray[np.int64]) -> Encoded | None:
        rows = places + (self.units[group][0] - self._first)
        return self._encoded(rows) if self._there[rows].all() else None

    def did(self, group: int, places: npt.NDArray[np.int64], fetch: Callable[[], Encoded]) -> None:
        self._tell(len(places))
        rows = places + (self.units[group][0] - self._first)
        self._batches.setdefault(group, []).append((rows, fetch))
        if self._parts.due:
            self._keep()

    def put(self, group: int, encoded: Encoded) -> None:
        """All of a group is there."""
        low, high = (at - self._first for at in self.units[group])
        self._set(np.arange(low, high), encoded)
        self._batches.pop(group, None)

    def up_to(self, group: int) -> Arrays:
        """What is after a group is 0: nobody will look at it."""
        self.vectors[self.units[group][1] - self._first :] = np.float32(0)
        return self.arrays

    def _keep(self) -> None:
        for batches in self._batches.values():
            for rows, fetch in batches:
                self._set(rows, fetch())
            batches.clear()
        fresh = np.flatnonzero(self._there & ~self._kept)
        self._kept[fresh] = True
        part = {name: array[fresh] for name, array in self.arrays.items()}
        self._parts.keep({DONE: (fresh + self._first).astype(np.int32), **part})

    def _set(self, rows: npt.NDArray[np.int64], encoded: Encoded) -> None:
        self.vectors[rows] = encoded.vectors
        self.tokens[rows] = encoded.tokens
        self.truncated[rows] = encoded.truncated
        self._there[rows] = True

    def _encoded(self, rows: npt.NDArray[np.int64]) -> Encoded:
        return Encoded(self.vectors[rows], self.tokens[rows], self.truncated[rows])
