"""Lines of text and of JSON: numbers, marks, ends, limits; ids."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from gtr_beir.data import lines
from gtr_beir.data.lines import (
    checked_id,
    columns,
    decoded,
    json_lines,
    numbered_lines,
    text_lines,
)
from gtr_beir.errors import InputError


class Row(msgspec.Struct):
    n: int


DECODER = msgspec.json.Decoder(Row)
MARK = b"\xef\xbb\xbf"


def rows(data: bytes, fields: str | None = None) -> list[tuple[int, Row]]:
    return list(json_lines(io.BytesIO(data), "a file", DECODER, "row", fields=fields))


# lines --------------------------------------------------------------------------------------------


def test_numbered_lines() -> None:
    data = MARK + b"a\r\n\n" + MARK + b"b\rc\x0bd"
    assert list(numbered_lines(io.BytesIO(data), "a file")) == [
        (1, b"a\r\n"),
        (2, b"\n"),
        (3, MARK + b"b\rc\x0bd"),  # only the first line of a file has a mark
    ]
    assert list(numbered_lines(io.BytesIO(b""), "a file")) == []


def test_text_lines() -> None:
    data = MARK + "é \r\n\n\u2028a\u0085\tb".encode()
    assert list(text_lines(io.BytesIO(data), "a file")) == [
        (1, "é "),
        (2, ""),
        (3, "\u2028a\u0085\tb"),
    ]


def test_text_that_is_not_utf8() -> None:
    found = text_lines(io.BytesIO(b"a\ncaf\xe9\n"), "a file")
    assert next(found) == (1, "a")
    with pytest.raises(InputError, match=r"^a file:2: not UTF-8; save it as UTF-8$"):
        next(found)


@pytest.mark.parametrize(
    "reader",
    [
        numbered_lines,
        text_lines,
        lambda stream, where: json_lines(stream, where, DECODER, "row"),
    ],
    ids=["numbered", "text", "JSON"],
)
def test_a_line_without_end_is_refused(
    reader: Callable[..., Iterator[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 20)
    stream = io.BytesIO(b'{"n": 1}\n{"n":' + b"1" * 1000)
    with pytest.raises(InputError, match=r"^a file:2: the line is longer than 20 bytes"):
        list(reader(stream, "a file"))
    assert stream.tell() == 9 + 20
    with pytest.raises(InputError, match=r"^a file:1: the line is longer"):
        list(reader(io.BytesIO(MARK + b"1" * 1000), "a file"))


def test_columns_are_parted_by_ascii_blanks_alone() -> None:
    data = "q1\tQ0  d\u00a0é\u2003x \r\n".encode()
    assert columns(data, "a file", 3) == ["q1", "Q0", "d\u00a0é\u2003x"]
    assert columns(b" \t\n", "a file", 3) == []
    with pytest.raises(InputError, match=r"^a file:3: not UTF-8; save it as UTF-8$"):
        columns(b"q1 \xe9", "a file", 3)


# JSON ---------------------------------------------------------------------------------------------


def test_json_lines() -> None:
    two = [(1, Row(1)), (2, Row(2))]
    assert rows(b'{"n": 1}\n{"n": 2}\n') == two
    assert rows(MARK + b' {"n": 1, "more": [null]} \r\n{"n": 2}') == two
    # A blank line at the very end is how some editors end a file.
    assert rows(b'{"n": 1}\n{"n": 2}\n \t\r\n') == two
    assert rows(b"") == rows(b"\n") == rows(MARK) == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b'{"n": 1}\n\n{"n": 2}\n', "2: the line is blank; every line is one row"),
        (b'{"n": 1}\n\n\n', "2: the line is blank; every line is one row"),
        (b'{"n": 1}\n{"n": 2\n', r"2: broken JSON \(.+\); every line is one row as a JSON object"),
        (b'{"n": 1} {"n": 2}\n', r"1: broken JSON \(.+\)"),
        (b'{"n": 1}\n' + MARK + b'{"n": 2}\n', r"2: broken JSON \(.+\)"),
        (b'{"n": 1, "x": ' + b"[" * 9000 + b"]" * 9000 + b"}\n", r"1: broken JSON \(.+\)"),
        (b'{"n": "1"}\n', r"1: not a valid row \(Expected `int`.+\)$"),
        (b"{}\n", r"1: not a valid row \(.+ missing required field `n`\)$"),
        (b"[1]\n", r"1: not a valid row \(.+\)$"),
    ],
)
def test_wrong_json_lines(data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^a file:{sentence}"):
        rows(data)


def test_what_a_record_has_is_said() -> None:
    with pytest.raises(
        InputError, match=r'^a file:1: not a row \(.+\); a row has "n" as a number$'
    ):
        rows(b"{}\n", fields='"n" as a number')


def test_json_that_is_not_utf8() -> None:
    decoder = msgspec.json.Decoder(dict[str, str])
    stream = io.BytesIO(b'{"a": "\xc3\xa9"}\n{"a": "\xe9"}\n')
    found = json_lines(stream, "a file", decoder, "row")
    assert next(found) == (1, {"a": "é"})
    with pytest.raises(InputError, match=r"^a file:2: broken JSON \('utf-8' codec .+\)"):
        next(found)


def test_one_record() -> None:
    assert decoded(DECODER, b'{"n": 7}', "row", "a file", 4) == Row(7)
    for data, sentence in (
        (b'{"n": 7', r"broken JSON \(.+\); every record is one row as a JSON object$"),
        (b"", r"broken JSON \(.+\)"),
        (b'{"n": []}', r"not a valid row \(.+\)$"),
    ):
        with pytest.raises(InputError, match=f"^a file:4: {sentence}"):
            decoded(DECODER, data, "row", "a file", 4)


# ids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", ["d1", "São_Paulo/(x)", "a\u00a0b", "\ufeff", "0"])
def test_ids_that_a_run_file_can_hold(identifier: str) -> None:
    assert checked_id(identifier, "document", "a file", 1) is identifier


def test_ids_that_a_run_file_cannot_hold() -> None:
    for identifier in (" ", "a b", "a\tb", "a\n", "a\x00", "\x1fa", "a\x7f"):
        with pytest.raises(InputError) as caught:
            checked_id(identifier, "document", "a file", 3)
        assert str(caught.value) == (
            f"a file:3: document id {identifier!r} holds a blank or control character, which run "
            "files cannot hold; rename it"
        )
    with pytest.raises(InputError, match="query id '' is empty, which run files cannot hold"):
        checked_id("", "query", "a file", 3)


def test_a_column_has_a_bound() -> None:
    """A line of columns is refused before it becomes millions of them; an id has a bound too."""
    with pytest.raises(InputError, match=r"x:3: the line is longer than 1,048,576 bytes"):
        columns(b"a " * 600_000, "x", 3)
    assert checked_id("i" * 4096, "query", "x", 1)
    with pytest.raises(InputError, match=r"x:1: query id 'i{40}...' has 4,097 characters") as told:
        checked_id("i" * 4097, "query", "x", 1)
    assert len(str(told.value)) < 200
