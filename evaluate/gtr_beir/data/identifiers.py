"""Document ids of a whole corpus: their rank in byte order, and duplicates.

Ids are bytes to be compared, never normalised (FEVER's are in NFD, Climate-FEVER's in NFC). The
rank column is what every tie is broken with, so it is made once, at import.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 20


@dataclass(frozen=True)
class PackedIds:
    """n ids as one run of UTF-8 bytes: id i is `data[starts[i]:starts[i + 1]]`.

    data: uint8[total]; starts: int64[n + 1].
    """

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> str:
        return self.data[self.starts[row] : self.starts[row + 1]].tobytes().decode("utf-8")


class IdPacker:
    """Collects ids batch by batch; holds 8 bytes and the id's own bytes for each."""

    def __init__(self) -> None:
        self._data: list[npt.NDArray[np.uint8]] = []
        self._lengths: list[npt.NDArray[np.int32]] = []

    def add(self, ids: list[str]) -> None:
        encoded = [identifier.encode("utf-8") for identifier in ids]
        self._data.append(np.frombuffer(b"".join(encoded), dtype=np.uint8))
        self._lengths.append(np.fromiter(map(len, encoded), dtype=np.int32, count=len(encoded)))

    def pack(self) -> PackedIds:
        """All ids added so far; the packer is empty afterwards."""
        count = sum(map(len, self._lengths))
        starts = np.zeros(count + 1, dtype=np.int64)
        if count:
            np.cumsum(np.concatenate(self._lengths), out=starts[1:])
        data = np.empty(int(starts[-1]), dtype=np.uint8)
        position = 0
        for index, part in enumerate(self._data):
            data[position : position + len(part)] = part
            position += len(part)
            self._data[index] = part[:0]
        self._data, self._lengths = [], []
        return PackedIds(data, starts)


@dataclass(frozen=True)
class Ranking:
    """rank: int32[n], the place of each row's id in ascending byte order.

    `duplicate` is (earlier row, later row) of the first id that is there twice, or None.
    """

    rank: npt.NDArray[np.int32]
    duplicate: tuple[int, int] | None


def rank_ids(ids: PackedIds) -> Ranking:
    """Sort ids by bytes, eight at a time: only ids that still tie are looked at again.

    Ids must not hold NUL bytes (import refuses control characters). Needs about 30 bytes an id
    beside the ids themselves.
    """
    count = len(ids)
    keys = _eight_bytes(ids, np.arange(count, dtype=np.int32), 0)
    order = np.argsort(keys, kind="stable").astype(np.int32)
    sorted_keys = keys[order]
    del keys
    tied = np.flatnonzero(_in_tie(sorted_keys[1:] == sorted_keys[:-1]))
    groups = np.cumsum(np.concatenate(([True], sorted_keys[1:] != sorted_keys[:-1])))[tied]
    del sorted_keys
    duplicates: list[tuple[int, int]] = []
    depth = 0
    while len(tied):
        depth += 8
        rows = order[tied]
        ended = ids.starts[rows + 1] - ids.starts[rows] <= depth
        if ended.any():
            # Same bytes so far and no NUL: whoever ended here has the same id as its whole group.
            at = np.flatnonzero(ended)
            same = at[1:][(groups[at[1:]] == groups[at[:-1]])]
            for later in same:
                earlier = np.searchsorted(groups, groups[later])
                duplicates.append((int(rows[earlier]), int(rows[later])))
        keys = _eight_bytes(ids, rows, depth)
        inner = np.lexsort((keys, groups))
        order[tied] = rows[inner]
        keys, groups = keys[inner], groups[inner]
        equal = (keys[1:] == keys[:-1]) & (groups[1:] == groups[:-1])
        alive = _in_tie(equal) & ~ended[inner]
        new_groups = np.cumsum(np.concatenate(([True], ~equal)))
        tied, groups = tied[alive], new_groups[alive]
    rank = np.empty(count, dtype=np.int32)
    rank[order] = np.arange(count, dtype=np.int32)
    first = min((sorted(pair) for pair in duplicates), key=lambda pair: pair[1], default=None)
    return Ranking(rank, None if first is None else (first[0], first[1]))


def _in_tie(equal_to_next: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """True where a sorted element equals a neighbour."""
    tie = np.zeros(len(equal_to_next) + 1, dtype=bool)
    tie[:-1] |= equal_to_next
    tie[1:] |= equal_to_next
    return tie


def _eight_bytes(ids: PackedIds, rows: npt.NDArray[np.int32], depth: int) -> npt.NDArray[np.uint64]:
    """Bytes depth..depth+7 of each id as a big-endian number; past the end, zeros."""
    keys = np.zeros(len(rows), dtype=np.uint64)
    last = max(len(ids.data) - 1, 0)
    for begin in range(0, len(rows), _CHUNK):
        part = rows[begin : begin + _CHUNK]
        start = ids.starts[part] + depth
        end = ids.starts[part + 1]
        key = np.zeros(len(part), dtype=np.uint64)
        for offset in range(8):
            position = start + offset
            byte = ids.data[np.minimum(position, last)] if len(ids.data) else np.zeros(len(part))
            key = (key << np.uint64(8)) | np.where(position < end, byte, 0).astype(np.uint64)
        keys[begin : begin + _CHUNK] = key
    return keys
