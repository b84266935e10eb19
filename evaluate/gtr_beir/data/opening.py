"""The one opener of compressed files: sources of bytes as small objects that nest.

    PlainFile(path)                 the bytes as they lie on the disk
    Gzip(source), Lzw(source)       decompressed on the way
    ZipMember(archive, name, where) one file of a zip that `open_zip` has opened
    OnlyInZip(source, pattern)      the one file of a zip whose name fits
    FirstInTar(source, pattern)     the first file of a tar whose name fits
    Recognised(source, kinds)       what the first bytes say that it is

    with opened(FirstInTar(Gzip(PlainFile(path)), r"\\.jl$")) as stream: ...

Each says in `where` which path an error names. Only `opened` and `open_zip` tell damage, so that it
is told once, whatever is inside of what. Nothing is ever written to disk on the way.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol, cast

from gtr_beir.data import lzw
from gtr_beir.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP_MAGIC = b"\x1f\x8b"
LZW_MAGIC = lzw.MAGIC
ZIP_MAGIC = b"PK\x03\x04"
DAMAGED = "the file is damaged or cut ({}); get it again"

_BUFFER = 1 << 17
_FREE_SIZE, _RATIO = 1 << 24, 200
"""A member above 16 MB may grow to 200 times its compressed size; text stays far below."""
_DAMAGES = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    lzw.LzwError,
)


class Source(Protocol):
    """Bytes that can be opened, as often as one likes."""

    @property
    def where(self) -> str:
        """The path that an error names."""

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """The bytes as a buffered stream, to be read once from its beginning."""


@contextlib.contextmanager
def opened(source: Source, *, damaged: str = DAMAGED) -> Iterator[IO[bytes]]:
    """The bytes of `source`; InputError with its path where they cannot be read to the end.

    damaged: the sentence for a file that is damaged or cut, with {} for what was found.
    """
    with _damage_told(source.where, damaged), source.open() as stream:
        yield stream


def open_zip(path: Path, *, damaged: str = DAMAGED) -> tuple[zipfile.ZipFile, list[str]]:
    """A zip to read members from, and the names of its files.

    Raises InputError where it is damaged, and for a member that no honest zip of texts has.
    """
    with _damage_told(str(path), damaged):
        archive = zipfile.ZipFile(path)
        return archive, _safe_members(archive, str(path))


@contextlib.contextmanager
def _damage_told(where: str, damaged: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGES as error:
        raise InputError(damaged.format(error), path=where) from error
    except _GrowthError as error:
        raise InputError(f"{error}, which no text does; it is not used", path=where) from None
    except NotImplementedError as error:  # a zip's method that Python does not know
        raise InputError(f"{error}; unpack it by hand", path=where) from error
    except OSError as error:
        # What gzip and bz2 say of damage is an OSError without a number.
        if error.errno is None:
            raise InputError(damaged.format(error), path=where) from error
        if error.filename == where:
            raise InputError(f"it cannot be read ({error.strerror})", path=where) from error
        raise


@dataclass(frozen=True)
class PlainFile:
    """A file as it lies on the disk."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    def open(self) -> AbstractContextManager[IO[bytes]]:
        if self.path.exists() and not (self.path.is_file() or self.path.is_dir()):
            # A pipe or a device would be read for ever.
            raise InputError("it is not a file; give a file", path=self.where)
        return self.path.open("rb", buffering=_BUFFER)


@dataclass(frozen=True)
class _Around:
    """A source inside of another one."""

    inner: Source

    @property
    def where(self) -> str:
        return self.inner.where


class Gzip(_Around):
    """What gzip compressed, one member or many."""

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        # GzipFile finds line ends in Python; a buffer around it does so in C, twice as fast.
        with self.inner.open() as raw:
            packed = _Counted(raw)
            with gzip.open(cast(IO[bytes], packed)) as lines:
                growing = _Pieces(_bounded(iter(lambda: lines.read1(_BUFFER), b""), packed))
                with _buffered(growing) as stream:
                    yield stream


class Lzw(_Around):
    """What Unix compress compressed."""

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with self.inner.open() as raw:
            packed = _Counted(raw)
            pieces = lzw.decompress(cast(IO[bytes], packed))
            with _buffered(_Pieces(_bounded(pieces, packed))) as stream:
                yield stream


@dataclass(frozen=True)
class ZipMember:
    """The file `name` of a zip that is open already."""

    archive: zipfile.ZipFile
    name: str
    where: str

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with self.archive.open(self.name) as raw, _buffered(raw) as stream:
            yield stream


@dataclass(frozen=True)
class OnlyInZip(_Around):
    """The one file of a zip whose name `pattern` finds, no matter the case."""

    pattern: str = ""

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with self.inner.open() as raw, zipfile.ZipFile(raw) as archive:
            names = [
                name
                for name in _safe_members(archive, self.where)
                if not name.startswith("__MACOSX/") and re.search(self.pattern, name, re.IGNORECASE)
            ]
            if len(names) != 1:
                raise InputError(
                    f"the zip should hold one file to read, but holds {len(names)} "
                    f"({', '.join(names[:5]) or 'none'}); unpack it and give the file",
                    path=self.where,
                )
            with ZipMember(archive, names[0], self.where).open() as stream:
                yield stream


@dataclass(frozen=True)
class FirstInTar(_Around):
    """The first file of a tar whose name `pattern` finds, no matter the case."""

    pattern: str = ""

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        with self.inner.open() as raw, tarfile.open(fileobj=raw, mode="r|") as archive:
            for info in archive:
                if info.isfile() and re.search(self.pattern, info.name, re.IGNORECASE):
                    member = archive.extractfile(info)
                    assert member is not None  # it is a file
                    with member as stream:
                        yield stream
                    return
        raise InputError(
            "the tar holds no file to read; unpack it and give the file", path=self.where
        )


@dataclass(frozen=True)
class Recognised(_Around):
    """The source as the one of `kinds` whose first bytes it has, else as it is.

    kinds: first bytes -> what to put around the source. The source is opened twice.
    """

    kinds: Mapping[bytes, Callable[[Source], Source]]

    def open(self) -> AbstractContextManager[IO[bytes]]:
        with self.inner.open() as stream:
            start = stream.read(max(map(len, self.kinds)))
        for magic, kind in self.kinds.items():
            if start.startswith(magic):
                return kind(self.inner).open()
        return self.inner.open()


def _buffered(raw: IO[bytes] | io.BufferedIOBase | io.RawIOBase) -> IO[bytes]:
    """A buffer around anything that reads; it need not be a raw stream, whatever the types say."""
    return cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER))


class _Counted:
    """A stream that is read, with the number of bytes that were."""

    def __init__(self, raw: IO[bytes]):
        self._raw = raw
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self.bytes += len(data)
        return data


class _GrowthError(Exception):
    """What was decompressed is out of all proportion to the packed bytes."""


def _bounded(pieces: Iterable[bytes], packed: _Counted) -> Iterator[bytes]:
    """The pieces, as long as they grow no more than text does."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > _FREE_SIZE and total > _RATIO * packed.bytes:
            raise _GrowthError(f"it grows more than {_RATIO}-fold, to over {total:,} bytes")
        yield piece


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a raw stream."""

    def __init__(self, pieces: Iterable[bytes]):
        self._pieces = iter(pieces)
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = piece
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._piece))
        view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count


def _safe_members(archive: zipfile.ZipFile, where: str) -> list[str]:
    """The names of an archive's files; InputError names the first member that no honest zip has.

    Nothing is ever unpacked to disk: this guards memory, time and whoever unpacks by hand.
    """
    members: dict[str, None] = {}
    for info in archive.infolist():
        name = info.filename
        parts = PurePosixPath(name).parts
        problem = None
        if name.startswith(("/", "\\")) or ".." in parts or ":" in (parts or ("",))[0]:
            problem = "points outside the archive"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a symbolic link"
        elif name in members:
            problem = "is in the archive twice"
        elif info.file_size > _FREE_SIZE and info.file_size > _RATIO * info.compress_size:
            ratio = info.file_size // max(info.compress_size, 1)
            problem = f"would grow {ratio:,}-fold to {info.file_size:,} bytes"
        elif info.flag_bits & 1:
            problem = "of the zip is encrypted"
        if problem:
            raise InputError(f"member '{name}' {problem}; this zip is not used", path=where)
        if not info.is_dir():
            members[name] = None
    return list(members)
