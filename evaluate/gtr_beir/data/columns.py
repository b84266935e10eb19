"""Columns on disk: Arrow files of whole units, memory-mapped when read.

A corpus lies in units of 1,024 documents (the last one may be shorter). A unit is an Arrow record
batch, so any unit is found without reading the others, and it is the smallest piece that a block
of work is made of.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gtr_beir.digests import Digest
from gtr_beir.errors import StoreError

UNIT = 1024
"""Documents in a unit of the store."""

_MAPPED_BYTES = 2 << 20
"""Of units that were read, after which a file is mapped anew."""


class _HashingFile:
    """A file that hashes what is written through it."""

    def __init__(self, path: Path):
        self._file = path.open("wb")
        self._state = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._state.update(view)
        self.size += view.nbytes
        self._file.write(view)
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            self.closed = True

    def hex(self) -> str:
        return self._state.hexdigest()


class ColumnWriter:
    """Writes lists of strings or numbers as record batches, hashing while it writes."""

    def __init__(self, path: Path, schema: pa.Schema):
        self._schema = schema
        self._sink = _HashingFile(path)
        self._writer = pa.ipc.new_file(pa.PythonFile(self._sink, mode="w"), schema)

    def write(self, *columns: Any) -> bytes:
        """Append one record batch; returns 16 bytes of SHA-256 over its values."""
        arrays = [
            pa.array(values, type=field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        return values_digest(arrays)

    def __enter__(self) -> ColumnWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._writer.close()
        self._sink.close()

    def entry(self) -> dict[str, Any]:
        """What the manifest keeps of the file: its size in bytes and its SHA-256."""
        return {"bytes": self._sink.size, "sha256": self._sink.hex()}


def values_digest(arrays: Iterable[pa.Array]) -> bytes:
    """16 bytes of SHA-256 over the values of columns."""
    digest = hashlib.sha256()
    for array in arrays:
        for buffer in array.buffers():
            if buffer is not None:
                digest.update(buffer)
    return digest.digest()[:16]


def unit_digest(ids: bytes, texts: bytes) -> bytes:
    """What a unit holds, from the digests of its ids and of its titles and texts."""
    return Digest().add(ids + texts).raw()[:16]


def _strings(values: list[str]) -> pa.Array:
    """As `pa.array`, which imports pandas: 40 MB in a process that may need none."""
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(
        len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))
    )


class ColumnFile:
    """An Arrow file of units, memory-mapped; opening reads only its footer.

    verify: is told of every unit that is read, and raises what is to be said of one that has
    changed (None: nothing is verified).
    """

    def __init__(self, path: Path, verify: Callable[[int, pa.RecordBatch], None] | None = None):
        self.path = path
        self._verify = verify
        self._open()
        self.unit_count: int = self._reader.num_record_batches

    def _open(self) -> None:
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error
        self._read = 0

    def unit(self, index: int) -> pa.RecordBatch:
        """One unit, validated: an offset that damage has sent outside would kill the process.

        The file is mapped anew now and then: pages of a map count as this process's memory once
        they were read, and reading a corpus from end to end would hold all of it.
        """
        if self._read > _MAPPED_BYTES:
            self._open()
        try:
            batch = self._reader.get_batch(index)
            batch.validate(full=True)
            self._read += batch.nbytes
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error
        if self._verify is not None:
            self._verify(index, batch)
        return batch

    def _damaged(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.path} is damaged or missing ({error}); run `gtr-beir datasets check`"
        )

    def _column(self, index: int, name: str) -> pa.Array:
        try:
            return self.unit(index).column(name)
        except KeyError as error:
            raise self._damaged(error) from error

    @property
    def count(self) -> int:
        """Rows."""
        whole = max(self.unit_count - 1, 0) * UNIT
        return whole + (self.unit(self.unit_count - 1).num_rows if self.unit_count else 0)

    def units(self) -> Iterator[pa.RecordBatch]:
        for index in range(self.unit_count):
            yield self.unit(index)

    def rows(self, column: str, start: int, stop: int) -> list[Any]:
        """The values of rows start..stop-1 as Python objects."""
        values: list[Any] = []
        for index in range(start // UNIT, -(-stop // UNIT)):
            part = self._column(index, column)
            first = index * UNIT
            low, high = max(start - first, 0), min(stop - first, len(part))
            values.extend(part.slice(low, high - low).to_pylist())
        return values

    def take(self, column: str, rows: npt.NDArray[np.integer[Any]]) -> list[Any]:
        """The values of any rows, in the order given; rows may repeat."""
        distinct, inverse = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        values = np.empty(len(distinct), dtype=object)
        units = distinct // UNIT
        edges = np.flatnonzero(np.diff(units, prepend=-1, append=-1))
        for low, high in itertools.pairwise(edges.tolist()):
            part = self._column(int(units[low]), column)
            values[low:high] = part.take(pa.array(distinct[low:high] % UNIT)).to_pylist()
        return list(values[inverse])

    def find(self, column: str, wanted: list[str]) -> npt.NDArray[np.int32]:
        """int32[len(wanted)]: the row of each value, -1 where the column does not hold it.

        One pass over the column; memory goes with what is wanted, not with the column.
        """
        distinct = list(dict.fromkeys(wanted))
        where = np.full(len(distinct), -1, dtype=np.int32)
        if distinct:
            value_set = _strings(distinct)
            for index in range(self.unit_count):
                found = pc.index_in(self._column(index, column), value_set=value_set)
                if found.null_count == len(found):
                    continue
                places = found.to_pylist()
                rows = [row for row, place in enumerate(places) if place is not None]
                where[[places[row] for row in rows]] = np.array(rows) + index * UNIT
        position = {value: place for place, value in enumerate(distinct)}
        return where[[position[value] for value in wanted]] if wanted else where
