"""One huge JSON object of the form {"articles": [{...}, {...}, ...]}, object by object.

The objects may stand one a line, several a line or over many lines. Only a window of the file is
held: it is read as latin-1, in which a character is a byte, so that `json` can find where an object
ends whatever its encoding is; the object itself is handed on as bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gtr_beir.data.lines import BOM
from gtr_beir.errors import InputError

_CHUNK = 1 << 20
_LONGEST = 16 << 20
_BLANK = re.compile(r"[ \t\r\n]*")


def objects_in(stream: IO[bytes], key: str, path: Path) -> Iterator[tuple[int, bytes]]:
    """Line number (from 1) and bytes of each element of the array `key` of the one object.

    Other keys are passed over. Raises InputError with the line for broken JSON, for a file that is
    cut, for one that has no such array, and for an element of more than 16 MiB.
    """
    window = _Window(stream, path)
    found = False
    window.take("{")
    while window.peek() != "}":
        name = window.value()[0]
        window.take(":")
        if name == key and not found:
            found = True
            yield from window.elements()
        else:
            window.value()
        if window.peek() != ",":
            break
        window.take(",")
    window.take("}")
    if window.peek():
        raise window.wrong("there is something after the end of the object")
    if not found:
        raise InputError(f'there is no "{key}" in it; give the released file', path=path)


class _Window:
    """The stretch of the file that is being looked at."""

    def __init__(self, stream: IO[bytes], path: Path):
        self._stream, self._path = stream, path
        self._decoder = json.JSONDecoder()
        self._at, self._line, self._ended = 0, 1, False
        self._text = ""
        self._more()
        if self._text.startswith(BOM.decode("latin-1")):
            self._at = len(BOM)

    def peek(self) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            match = _BLANK.match(self._text, self._at)
            assert match is not None  # it matches nothing at all as well
            self._move(match.end())
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def take(self, character: str) -> None:
        found = self.peek()
        if found != character:
            raise self.wrong(f"'{character}' should stand here, not {found!r}" if found else "")
        self._at += 1

    def value(self) -> tuple[Any, int, bytes]:
        """The next JSON value, the line it begins on, and its bytes."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                held = len(self._text) - self._at
                if self._ended or held > _LONGEST:
                    raise self._broken(error) from None
                self._more()
                continue
            if end == len(self._text) and not self._ended:
                self._more()  # a number may go on
                continue
            line, raw = self._line, self._text[self._at : end].encode("latin-1")
            self._move(end)
            return value, line, raw

    def elements(self) -> Iterator[tuple[int, bytes]]:
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            _, line, raw = self.value()
            yield line, raw
            if self.peek() != ",":
                break
            self.take(",")
        self.take("]")

    def wrong(self, what: str) -> InputError:
        """The error for this place; a file that ends here is a cut one."""
        what = f"broken JSON: {what}" if what else "the file is cut: it ends inside the object"
        return InputError(f"{what}; get it again", path=self._path, line=self._line)

    def _broken(self, error: json.JSONDecodeError | RecursionError) -> InputError:
        if isinstance(error, RecursionError):
            return self.wrong("it is nested too deeply")
        at_end = not self._text[error.pos :].strip() or error.msg.startswith("Unterminated")
        if self._ended and at_end:
            return self.wrong("")
        self._move(error.pos)
        return self.wrong(error.msg)

    def _move(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> None:
        chunk = self._stream.read(_CHUNK)
        self._ended = not chunk
        self._text = self._text[self._at :] + chunk.decode("latin-1")
        self._at = 0
