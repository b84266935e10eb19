"""What the tests of data share: a writer of compress's format."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def encode(
    data: bytes, *, max_width: int = 16, block_mode: bool = True, clear_after: tuple[int, ...] = ()
) -> bytes:
    """`data` in compress's format, written code by code as whole numbers of bits.

    Written from the format's description and not from the decoder under test. `clear_after`: the
    places in `data` at which the table is emptied.
    """
    out = bytearray([0x1F, 0x9D, max_width | (0x80 if block_mode else 0)])
    group: list[int] = []
    width = 9

    def flush(last: bool) -> None:
        bits = sum(code << (place * width) for place, code in enumerate(group))
        out.extend(bits.to_bytes((len(group) * width + 7) // 8 if last else width, "little"))
        group.clear()

    def emit(code: int) -> None:
        group.append(code)
        if len(group) == 8:
            flush(last=False)

    first_free = 257 if block_mode else 256
    table = {bytes([value]): value for value in range(256)}
    free = first_free
    prefix = b""
    for place, value in enumerate(data):
        letter = bytes([value])
        if prefix + letter in table:
            prefix += letter
        else:
            emit(table[prefix])
            if free < 1 << max_width:
                table[prefix + letter] = free
                free += 1
            if free > 1 << width and width < max_width:
                if group:
                    flush(last=False)
                width += 1
            prefix = letter
        if place in clear_after:
            emit(table[prefix])
            # The reader adds an entry for every code, this one as well.
            if free < 1 << max_width and free + 1 > 1 << width and width < max_width:
                if group:
                    flush(last=False)
                width += 1
            emit(256)
            if group:
                flush(last=False)
            table = {bytes([value]): value for value in range(256)}
            free, width, prefix = first_free, 9, b""
    if prefix:
        emit(table[prefix])
    flush(last=True)
    return bytes(out)


@pytest.fixture(scope="session")
def compressed() -> Callable[..., bytes]:
    return encode
