"""Lucene's one-byte document length: SmallFloat.intToByte4 and byte4ToInt.

Lengths up to 40 are kept exactly. Above, what is over 24 is kept with four significant bits,
rounded down, so that a score sees a length up to an eighth shorter than it is.

Source: org.apache.lucene.util.SmallFloat; Lucene keeps BM25's lengths so since LUCENE-7730.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_EXACT = 24


def _decode(byte: int) -> int:
    """Three mantissa bits below a hidden one, above them the exponent; the first 24 + 8 as is."""
    if byte < _EXACT:
        return byte
    mantissa, exponent = (byte - _EXACT) & 7, (byte - _EXACT) >> 3
    return _EXACT + (mantissa if exponent == 0 else (mantissa | 8) << (exponent - 1))


DECODED_LENGTHS = np.array([_decode(byte) for byte in range(256)], dtype=np.int64)
"""int64[256]: the length that each byte stands for, ascending."""


def encode_lengths(lengths: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """uint8[n]: for each length the byte of the longest one that is not above it."""
    places = np.searchsorted(DECODED_LENGTHS, lengths, side="right") - 1
    return places.astype(np.uint8)
