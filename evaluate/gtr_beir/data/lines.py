"""What every file of lines shares: numbers, byte order mark, longest line, UTF-8, JSON, and ids.

Lines are counted from 1. `where` is the path that an error names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from gtr_beir.errors import InputError

BOM = b"\xef\xbb\xbf"
BAD_ID = re.compile(r"[\x00-\x20\x7f]")
"""What an id must not hold, for the columns of a run file stand between blanks."""

LONGEST_LINE = 1 << 26
LONGEST_COLUMNS = 1 << 20
LONGEST_ID = 1 << 12
_Row = TypeVar("_Row")


def numbered_lines(stream: IO[bytes], where: Path | str) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line with its end; a byte order mark is left out.

    Raises InputError for a line of 64 MiB, which is no text: such a file could fill the memory.
    """
    read = functools.partial(stream.readline, LONGEST_LINE)
    for number, line in enumerate(iter(read, b""), start=1):
        if len(line) == LONGEST_LINE:
            raise too_long(where, number)
        yield number, line.removeprefix(BOM) if number == 1 else line


def too_long(where: Path | str, line: int | None = None, most: int | None = None) -> InputError:
    """The error for a line of `most` bytes (LONGEST_LINE) or more."""
    return InputError(
        f"the line is longer than {most or LONGEST_LINE:,} bytes; is it a file of text lines?",
        path=where,
        line=line,
    )


def text_lines(stream: IO[bytes], where: Path | str) -> Iterator[tuple[int, str]]:
    """Number and text of each line, without its end; InputError where it is not UTF-8."""
    for number, data in numbered_lines(stream, where):
        try:
            line = data.decode("utf-8")
        except UnicodeDecodeError:
            raise _not_utf8(where, number) from None
        yield number, line.rstrip("\r\n")


def columns(data: bytes, where: Path | str, line: int) -> list[str]:
    """The columns of a line of TREC's forms; InputError where one is not UTF-8.

    Only ASCII blanks part columns: an id may hold any other character. Raises InputError for a line
    that is longer than any with a few columns.
    """
    if len(data) > LONGEST_COLUMNS:
        raise too_long(where, line, LONGEST_COLUMNS)
    try:
        return list(map(bytes.decode, data.split()))
    except UnicodeDecodeError:
        raise _not_utf8(where, line) from None


def _not_utf8(where: Path | str, line: int) -> InputError:
    return InputError("not UTF-8; save it as UTF-8", path=where, line=line)


def json_lines(
    stream: IO[bytes],
    where: Path | str,
    decoder: msgspec.json.Decoder[_Row],
    kind: str,
    *,
    fields: str | None = None,
) -> Iterator[tuple[int, _Row]]:
    """Number and record of each line; every line is one `kind`.

    fields: what a `kind` has, for the error. Raises InputError for broken JSON, for a blank line
    that is not the last, and for anything that the decoder does not take.
    """
    decode = decoder.decode
    for number, data in numbered_lines(stream, where):
        try:
            record = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            # A blank line is no JSON, so only what fails is looked at.
            if data.strip():
                raise _not_json(error, where, number, kind, "line", fields) from None
            if not stream.read(1):
                return
            raise InputError(
                f"the line is blank; every line is one {kind}", path=where, line=number
            ) from None
        yield number, record


def decoded(
    decoder: msgspec.json.Decoder[_Row], data: bytes, kind: str, where: Path | str, line: int
) -> _Row:
    """The one JSON record that `data` is, wherever it stood; InputError where it is none."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error, where, line, kind, "record") from None


def _not_json(
    error: Exception,
    where: Path | str,
    line: int,
    kind: str,
    unit: str,
    fields: str | None = None,
) -> InputError:
    if not isinstance(error, msgspec.ValidationError):
        what = f"broken JSON ({error}); every {unit} is one {kind} as a JSON object"
    elif fields is None:
        what = f"not a valid {kind} ({error})"
    else:
        what = f"not a {kind} ({error}); a {kind} has {fields}"
    return InputError(what, path=where, line=line)


def checked_id(identifier: str, kind: str, where: Path | str, line: int) -> str:
    """`identifier`, if a run file can hold it; else InputError."""
    if len(identifier) > LONGEST_ID:
        raise InputError(
            f"{kind} id '{identifier[:40]}...' has {len(identifier):,} characters, more than the "
            f"{LONGEST_ID:,} that an id may have; rename it",
            path=where,
            line=line,
        )
    if identifier and not BAD_ID.search(identifier):
        return identifier
    problem = "holds a blank or control character" if identifier else "is empty"
    raise InputError(
        f"{kind} id {identifier!r} {problem}, which run files cannot hold; rename it",
        path=where,
        line=line,
    )
