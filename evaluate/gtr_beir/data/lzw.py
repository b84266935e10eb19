"""Unix compress (.Z): a decoder of its LZW format in Python and numpy.

    bytes 0-1   1f 9d
    byte 2      bits 0-4: the widest code, 10 to 16; bits 5 and 6: zero; bit 7: block mode
    then        codes, least significant bit first

Codes 0-255 are bytes; in block mode 256 empties the table and new entries begin at 257, else at
256. Codes are 9 bits wide at first and grow by one bit when the table has 2^width entries. They are
written in groups of eight, so that a group of `width` bytes holds whole codes; at a change of width
and at a clear code the rest of the group is padding.

A widest code of 9 is refused: ncompress writes such files but cannot read them back itself.

Source: compress42.c of ncompress 4.2.4, functions compress() and decompress().
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import IO

import numpy as np
import numpy.typing as npt

MAGIC = b"\x1f\x9d"
_CLEAR = 256
_FIRST_WIDTH = 9
_BATCH = 8 * 512
_TABLE_BYTES = 64 << 20
_LITERALS = [bytes([value]) for value in range(256)]


class LzwError(ValueError):
    """The bytes are not what compress writes."""


class _Codes:
    """The codes of a stream, batch by batch; a batch begins at a group of eight."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self._ahead = b""

    def take(self, width: int, count: int) -> npt.NDArray[np.uint16]:
        """uint16: the next `count` codes, fewer at the end; reads whole groups."""
        wanted = -(-count // 8) * width
        data = self._ahead[:wanted]
        self._ahead = self._ahead[wanted:]
        if len(data) < wanted:
            data += self._stream.read(wanted - len(data))
        self._taken = data
        number = min(count, len(data) * 8 // width)
        bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
        padded = np.zeros((number, 16), dtype=np.uint8)
        padded[:, :width] = bits[: number * width].reshape(number, width)
        return np.packbits(padded, axis=1, bitorder="little").view("<u2").ravel()

    def return_after(self, index: int, width: int) -> None:
        """Give back the groups of the last batch that follow the group of its code `index`."""
        self._ahead = self._taken[(index // 8 + 1) * width :] + self._ahead


def decompress(stream: IO[bytes]) -> Iterator[bytes]:
    """The decompressed bytes, piece by piece; LzwError where the codes make no sense.

    The format has no checksum and no length: a file that was cut between two codes ends early and
    nothing here can tell.
    """
    header = stream.read(3)
    if len(header) < 3 or header[:2] != MAGIC:
        raise LzwError("it does not begin as compress does")
    max_width, block_mode = header[2] & 0x1F, bool(header[2] & 0x80)
    if header[2] & 0x60 or not _FIRST_WIDTH < max_width <= 16:
        raise LzwError(f"its third byte is {header[2]:#04x}, which compress does not write")
    codes = _Codes(stream)
    while True:
        cleared = yield from _until_clear(codes, max_width, block_mode)
        if not cleared:
            return


def _until_clear(codes: _Codes, max_width: int, block_mode: bool) -> Generator[bytes, None, bool]:
    """Decode with a new table; True at a clear code, False at the end of the stream."""
    # The place of the clear code is taken, so that an entry's code is its place in the list.
    table = [*_LITERALS, b""] if block_mode else list(_LITERALS)
    width, held = _FIRST_WIDTH, 0
    previous = b""  # of the first code, which adds no entry
    while True:
        growing = len(table) < 1 << max_width
        count = _BATCH
        if growing:
            count = min(_BATCH, (1 << width) - len(table) + (not previous))
        batch = codes.take(width, count)
        clears = np.flatnonzero(batch == _CLEAR) if block_mode else batch[:0]
        usable = batch[: clears[0]] if len(clears) else batch
        start = len(table)
        if growing:
            pieces = _growing(table, usable.tolist(), previous)
        else:
            pieces = _fixed(table, usable.tolist())
        if pieces:
            previous = pieces[-1]
            yield b"".join(pieces)
        if len(clears):
            codes.return_after(int(clears[0]), width)
            return True
        if len(batch) < count:
            return False
        held += sum(map(len, table[start:]))
        if held > _TABLE_BYTES:
            raise LzwError("its table would fill the memory; text does not compress like this")
        if len(table) == 1 << width and width < max_width:
            width += 1


def _growing(table: list[bytes], codes: list[int], previous: bytes) -> list[bytes]:
    """The pieces of `codes`; every code but the very first adds an entry to the table."""
    pieces: list[bytes] = []
    if not previous and codes:
        first = codes.pop(0)
        if first >= _CLEAR:
            raise LzwError(f"its first code is {first}, which is not defined")
        previous = _LITERALS[first]
        pieces.append(previous)
    size = len(table)
    for code in codes:
        if code < size:
            piece = table[code]
        elif code == size:  # the entry that this very code completes
            piece = previous + previous[:1]
        else:
            raise LzwError(f"its code {code} is not in a table of {size} entries")
        pieces.append(piece)
        table.append(previous + piece[:1])
        size += 1
        previous = piece
    return pieces


def _fixed(table: list[bytes], codes: list[int]) -> list[bytes]:
    try:
        return [table[code] for code in codes]
    except IndexError:
        raise LzwError(f"its code {max(codes)} is not in a table of {len(table)} entries") from None
