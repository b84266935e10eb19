"""One array of zarr's format 2 in a folder: `.zarray` says what it is, each chunk is a file.

Read by hand, because a description may name any codec of a registry, one that unpickles among them.
Here codecs and number types are an allowlist, a filter is refused, and a chunk cannot become larger
than its description says (https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.errors import CheckpointError

DESCRIPTION = ".zarray"
BFLOAT16 = "bfloat16"
NUMBERS: Mapping[str, str] = {
    "<f2": "float16",
    "<f4": "float32",
    "<f8": "float64",
    ">f2": "float16",
    ">f4": "float32",
    ">f8": "float64",
    BFLOAT16: BFLOAT16,
}
"""What `.zarray` calls the number types that are read -> what they are. TensorStore, which wrote
T5X's arrays, calls bfloat16 by its name."""

_LARGEST_DESCRIPTION = 1 << 16
_LARGEST_ARRAY = 1 << 32
"""Bytes; the largest array of GTR, in gtr-xxl's MLP, has 2**28."""
_MOST_AXES = 8
_BLOSC_HEADER = 16


@dataclass(frozen=True)
class ArrayDescription:
    """What `.zarray` says, as far as it is read; numbers: a key of NUMBERS; order: C or F."""

    folder: Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    numbers: str
    codec: str | None
    order: str

    @property
    def type(self) -> str:
        """The number type by its full name."""
        return NUMBERS[self.numbers]


def describe(folder: Path) -> ArrayDescription:
    """Read `.zarray`; CheckpointError, naming it, if it is damaged or asks for what is not read."""
    file = folder / DESCRIPTION
    about = _object(file)
    shape, chunks = _sizes(about.get("shape")), _sizes(about.get("chunks"))
    if about.get("zarr_format") != 2 or shape is None or chunks is None:
        raise _unusable(file, "is not the description of an array in zarr's format 2")
    if len(shape) != len(chunks) or any(
        chunk > size for chunk, size in zip(chunks, shape, strict=True)
    ):
        raise _unusable(file, f"cuts an array of shape {shape} into chunks of {chunks}")
    numbers = about.get("dtype")
    if not isinstance(numbers, str) or numbers not in NUMBERS:
        raise CheckpointError(
            f"{file} describes an array of type {_short(numbers)}, which is not a floating-point "
            "type that is read; use a checkpoint in float32, bfloat16, float16 or float64"
        )
    if about.get("filters"):
        raise CheckpointError(
            f"{file} asks for the filter {_short(about['filters'])}, and none is run; use a "
            "checkpoint without filters"
        )
    compressor = about.get("compressor")
    codec = compressor.get("id") if isinstance(compressor, dict) else compressor
    if codec is not None and not (isinstance(codec, str) and codec in _CODECS):
        raise CheckpointError(
            f"{file} asks for the codec {_short(codec)}, which is not run; only none, "
            f"{', '.join(_CODECS)} are"
        )
    order = about.get("order")
    if order not in ("C", "F") or about.get("dimension_separator", ".") != ".":
        raise _unusable(file, "has an order or a dimension separator that is not read")
    description = ArrayDescription(folder, tuple(shape), tuple(chunks), numbers, codec, order)
    if math.prod(shape) * _width(numbers) > _LARGEST_ARRAY:
        raise _unusable(file, f"describes an array of shape {shape}, too large for GTR,")
    return description


def read(description: ArrayDescription) -> npt.NDArray[np.float32]:
    """The whole array as float32; CheckpointError names a chunk that is missing or damaged."""
    shape, chunks = description.shape, description.chunks
    grid = [range(-(-size // chunk)) for size, chunk in zip(shape, chunks, strict=True)]
    # All are looked for before memory is taken: a wrong description could ask for any amount.
    for place in itertools.product(*grid):
        file = _chunk_file(description, place)
        if not file.is_file():
            raise CheckpointError(f"{file}, a part of the array, is missing; {_AGAIN}")
    whole = np.empty(shape, dtype=np.float32)
    for place in itertools.product(*grid):
        block = _read_chunk(description, _chunk_file(description, place))
        corner = [at * chunk for at, chunk in zip(place, chunks, strict=True)]
        inside = tuple(
            slice(at, min(at + chunk, size))
            for at, chunk, size in zip(corner, chunks, shape, strict=True)
        )
        with np.errstate(over="ignore"):  # what float32 cannot hold is told as not finite
            whole[inside] = block[tuple(slice(part.stop - part.start) for part in inside)]
    return whole


def floats(content: bytes, numbers: str) -> npt.NDArray[np.generic]:
    """Bytes as the numbers that a key of NUMBERS stands for; bfloat16 comes as float32."""
    if numbers == BFLOAT16:
        bits = np.frombuffer(content, dtype="<u2").astype(np.uint32) << 16
        return bits.view(np.float32)
    return np.frombuffer(content, dtype=np.dtype(numbers))


_AGAIN = "get the checkpoint again"


def _width(numbers: str) -> int:
    return 2 if numbers == BFLOAT16 else np.dtype(numbers).itemsize


def _chunk_file(description: ArrayDescription, place: tuple[int, ...]) -> Path:
    return description.folder / (".".join(map(str, place)) or "0")


def _read_chunk(description: ArrayDescription, file: Path) -> npt.NDArray[np.generic]:
    size = math.prod(description.chunks) * _width(description.numbers)
    # What cannot be compressed grows by less than this.
    most = size + size // 64 + 4096
    try:
        with file.open("rb") as handle:
            packed = handle.read(most + 1)
        if len(packed) > most:
            raise ValueError(f"more than {most:,} bytes")
        content = packed if description.codec is None else _CODECS[description.codec](packed, size)
        if len(content) != size:
            raise ValueError(f"{len(content):,} bytes where {size:,} belong")
    except (ValueError, EOFError, OSError, RuntimeError, zlib.error) as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{file} cannot be read ({reason}); {_AGAIN}") from error
    numbers = floats(content, description.numbers)
    return numbers.reshape(description.chunks, order="C" if description.order == "C" else "F")


def _inflated(packed: bytes, size: int) -> bytes:
    """gzip or zlib, told by its header; one byte more than `size` is as far as it goes."""
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    content = inflate.decompress(packed, size + 1)
    if len(content) <= size and (not inflate.eof or inflate.unused_data):
        raise EOFError("it is cut, or something follows it")
    return content


def _unblosced(packed: bytes, size: int) -> bytes:
    from numcodecs import blosc

    if len(packed) < _BLOSC_HEADER or int.from_bytes(packed[12:16], "little") != len(packed):
        raise ValueError("it is cut")
    told = int.from_bytes(packed[4:8], "little")
    if told != size:
        raise ValueError(f"{told:,} bytes where {size:,} belong")
    return bytes(blosc.decompress(packed))


def _unzstd(packed: bytes, size: int) -> bytes:
    import pyarrow as pa

    return bytes(pa.Codec("zstd").decompress(packed, decompressed_size=size, asbytes=True))


_CODECS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _inflated,
    "zlib": _inflated,
    "blosc": _unblosced,
    "zstd": _unzstd,
}


def _object(file: Path) -> dict[str, Any]:
    value = None
    # A pipe or a device would be read for ever.
    if file.is_file() and file.stat().st_size <= _LARGEST_DESCRIPTION:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            value = json.loads(file.read_bytes())
    if not isinstance(value, dict):
        raise _unusable(file, "is not a JSON object")
    return value


def _sizes(value: Any) -> list[int] | None:
    """A list of sizes, none of which is zero; None if it is anything else."""
    if not isinstance(value, list) or len(value) > _MOST_AXES:
        return None
    return value if all(type(n) is int and 0 < n <= _LARGEST_ARRAY for n in value) else None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _unusable(file: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{file} {what} and cannot be used; {_AGAIN}")
