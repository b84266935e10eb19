"""Originals as they were delivered: plain, gzip, compress, or in a zip or tar; one file or many.

What a file is shows in its first bytes, not in its name: NIST's files end in .z, .0z, .1z, .2z, .gz
or nothing at all. Only a tar shows in its name: its first bytes are those of its first file.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from gtr_beir.data import lines
from gtr_beir.data.opening import (
    GZIP_MAGIC,
    LZW_MAGIC,
    ZIP_MAGIC,
    FirstInTar,
    Gzip,
    Lzw,
    OnlyInZip,
    PlainFile,
    Recognised,
    Source,
    opened,
)
from gtr_beir.errors import UsageError

_TAR = re.compile(r"\.(tar|tgz)(\.gz)?$", re.IGNORECASE)
_Row = TypeVar("_Row")


def opened_original(path: Path, member: str = "") -> AbstractContextManager[IO[bytes]]:
    """The bytes of `path`, decompressed on the way.

    `member`: a pattern (no matter the case) for the name of the one file to read from a zip or tar.
    Raises InputError where the archive is damaged, cut, encrypted or has no such member.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; give the path of the original")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the file itself")
    if not path.is_file():
        raise UsageError(f"{path} is not an ordinary file; save it as one first")
    in_zip = functools.partial(OnlyInZip, pattern=member)
    source: Source = Recognised(
        PlainFile(path), {ZIP_MAGIC: in_zip, GZIP_MAGIC: Gzip, LZW_MAGIC: Lzw}
    )
    if _TAR.search(path.name):
        source = FirstInTar(source, member)
    return opened(source)


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
    path: Path, row: type[_Row], what: str, member: str = ""
) -> Iterator[tuple[int, _Row]]:
    """Line number (from 1) and record of a JSON lines file, a `what` a line.

    Raises InputError with the line for broken JSON, a blank line that is not the last, and for
    anything that is not a `row`; fields that `row` does not name are passed over.
    """
    with opened_original(path, member) as stream:
        yield from lines.json_lines(stream, path, msgspec.json.Decoder(row), what)


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and line of a UTF-8 text file, without its line end."""
    with opened_original(path) as stream:
        yield from lines.text_lines(stream, path)


def optional(module: str, what_for: str) -> Any:
    """Import a module of the extra `gated`; UsageError that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{what_for} needs the package {module}, which is not installed; get it with `pip "
            "install 'gtr-beir[gated]'`"
        ) from error
