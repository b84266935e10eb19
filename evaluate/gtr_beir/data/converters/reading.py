"""Opening originals as they were delivered: plain, gzip, compress, or in a zip or tar.

What a file is shows in its first bytes, not in its name: NIST's files end in .z, .0z, .1z, .2z, .gz
or nothing at all.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from gtr_beir.data.converters import lzw
from gtr_beir.errors import InputError, UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 1 << 20
_BOM = b"\xef\xbb\xbf"
_BAD_ID = re.compile(r"[\x00-\x20\x7f]")
_TAR = re.compile(r"\.(tar|tgz)(\.gz)?$", re.IGNORECASE)
_DAMAGES = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    tarfile.TarError,
    lzw.LzwError,
)
_Row = TypeVar("_Row")


@contextlib.contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[IO[bytes]]:
    """The bytes of `path`, unpacked on the way.

    `member`: a pattern (no matter the case) for the name of the one file to read from a zip or tar.
    Raises InputError where the archive is damaged, cut, encrypted or has no such member.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; give the path of the original")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the file itself")
    try:
        with contextlib.ExitStack() as stack:
            stream: IO[bytes] = stack.enter_context(path.open("rb", buffering=_BUFFER))
            start = stream.read(4)
            stream.seek(0)
            if start.startswith(b"PK\x03\x04"):
                archive = stack.enter_context(zipfile.ZipFile(stream))
                stream = stack.enter_context(_zip_member(path, archive, member))
            elif start.startswith(b"\x1f\x8b"):
                stream = cast(IO[bytes], stack.enter_context(gzip.open(stream)))
            elif start.startswith(lzw.MAGIC):
                stream = cast(IO[bytes], io.BufferedReader(_Pieces(lzw.decompress(stream))))
            if _TAR.search(path.name):
                members = stack.enter_context(tarfile.open(fileobj=stream, mode="r|"))
                stream = stack.enter_context(_tar_member(path, members, member))
            yield stream
    except _DAMAGES as error:
        raise InputError(
            f"the file is damaged or cut ({error}); get it again", path=path
        ) from error


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


def _zip_member(path: Path, archive: zipfile.ZipFile, member: str | None) -> IO[bytes]:
    infos = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not info.filename.startswith("__MACOSX/")
        and re.search(member or "", info.filename, re.IGNORECASE)
    ]
    if len(infos) != 1:
        names = ", ".join(info.filename for info in infos[:5]) or "none"
        raise InputError(
            f"the zip should hold one file to read, and holds {len(infos)} ({names}); unpack it "
            "and give the file",
            path=path,
        )
    if infos[0].flag_bits & 1:
        raise InputError("the zip is encrypted; unpack it and give the file", path=path)
    try:
        inner = archive.open(infos[0])
    except NotImplementedError as error:
        raise InputError(f"{error}; unpack it and give the file", path=path) from error
    return cast(IO[bytes], io.BufferedReader(inner, _BUFFER))


def _tar_member(path: Path, archive: tarfile.TarFile, member: str | None) -> IO[bytes]:
    """The first member that fits; the tar is read as a stream and never unpacked to disk."""
    for info in archive:
        if info.isfile() and re.search(member or "", info.name, re.IGNORECASE):
            inner = archive.extractfile(info)
            assert inner is not None  # it is a file
            return inner
    raise InputError("the tar holds no file to read; unpack it and give the file", path=path)


def files_below(folder: Path) -> list[Path]:
    """Every file below `folder`, in name order; follows links to folders, not in circles."""
    seen: set[str] = set()
    found: list[Path] = []
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in files]
    return sorted(found)


def find_one(source: Path, pattern: str, what: str) -> Path:
    """`source` itself if it is a file, else the one file below it whose name fits `pattern`."""
    if not source.exists():
        raise UsageError(f"{source} does not exist; give the file or folder of {what}")
    if not source.is_dir():
        return source
    found = [
        path for path in files_below(source) if re.fullmatch(pattern, path.name, re.IGNORECASE)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"{source} does not hold {what}; give the file itself")
    names = ", ".join(str(path) for path in found[:3])
    raise UsageError(f"{source} holds {what} {len(found)} times ({names}); give one file")


def json_lines(
    path: Path, row: type[_Row], what: str, member: str | None = None
) -> Iterator[tuple[int, _Row]]:
    """Line number (from 1) and record of a JSON lines file, a `what` a line.

    Raises InputError with the line for broken JSON, a blank line that is not the last, and for
    anything that is not a `row`; fields that `row` does not name are passed over.
    """
    decoder = msgspec.json.Decoder(row)
    blank: int | None = None
    with opened(path, member) as stream:
        for number, line in enumerate(stream, start=1):
            data = line.removeprefix(_BOM) if number == 1 else line
            if blank is not None:
                raise InputError(
                    f"the line is blank; every line is one {what}", path=path, line=blank
                )
            if not data.strip():
                blank = number
                continue
            yield number, decoded(decoder, data, what, path, number)


def decoded(
    decoder: msgspec.json.Decoder[_Row], data: bytes, what: str, path: Path, line: int
) -> _Row:
    """One JSON record; InputError with the line where it is not one."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise InputError(f"not the {what} it should be ({error})", path=path, line=line) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"broken JSON ({error}); every record is one {what} as a JSON object",
            path=path,
            line=line,
        ) from None


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and line of a UTF-8 text file, without its line end."""
    with opened(path) as stream:
        for number, raw in enumerate(stream, start=1):
            data = raw.removeprefix(_BOM) if number == 1 else raw
            try:
                line = data.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError("not UTF-8; save it as UTF-8", path=path, line=number) from None
            yield number, line.removesuffix("\n").removesuffix("\r")


def checked_id(identifier: str, what: str, path: Path, line: int) -> str:
    """`identifier`, if a run file can hold it; else InputError."""
    if not identifier or _BAD_ID.search(identifier):
        raise InputError(
            f"{what} id {identifier!r} is empty or holds a blank or control character, which run "
            "files cannot hold",
            path=path,
            line=line,
        )
    return identifier


def optional(module: str, what_for: str) -> Any:
    """Import a module of the extra `gated`; UsageError that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{what_for} needs the package {module}, which is not installed; bring it with "
            "`pip install 'gtr-beir[gated]'`"
        ) from error
