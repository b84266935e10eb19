"""The one huge JSON object, however it is laid out and wherever the window ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtr_beir.data.converters import json_array
from gtr_beir.data.converters.json_array import objects_in
from gtr_beir.errors import InputError

HERE = Path("articles.json")


def read(data: bytes) -> list[tuple[int, Any]]:
    return [(line, json.loads(raw)) for line, raw in objects_in(io.BytesIO(data), "articles", HERE)]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b'{"articles":[\n{"a":1},\n{"a":2}]}', [(2, {"a": 1}), (3, {"a": 2})]),
        (b'\xef\xbb\xbf{"articles":[{"a":1},{"a":2}]}\n', [(1, {"a": 1}), (1, {"a": 2})]),
        (
            b'{\n "articles": [\n  {\n   "a": 1\n  }\n  ,\n  {"a":\n2}\n ]\n}\n',
            [(3, {"a": 1}), (7, {"a": 2})],
        ),
        (b'{"year": [2020, {}], "articles": [{"a": 1}], "n": 1}', [(1, {"a": 1})]),
        (b'{"articles": [] }', []),
        (b'{"articles": [1, "x]", null]}', [(1, 1), (1, "x]"), (1, None)]),
    ],
)
def test_layouts(data: bytes, wanted: list[tuple[int, Any]]) -> None:
    assert read(data) == wanted


def test_the_bytes_are_the_file_s_own() -> None:
    data = '{"articles": [{"t": "é"}]}'
    for encoding in ("utf-8", "latin-1"):
        found = list(objects_in(io.BytesIO(data.encode(encoding)), "articles", HERE))
        assert found == [(1, '{"t": "é"}'.encode(encoding))]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", 1, "the file is cut"),
        (b"[]", 1, "'{' should stand here, not '\\['"),
        (b'{"questions": []}', None, 'no "articles" in it'),
        (b'{"articles": {}}', 1, "'\\[' should stand here"),
        (b'{"articles": [\n{"a": 1},\n{"a": 2}', 3, "the file is cut"),
        (b'{"articles": [\n{"a": 1},\n{"a": 2', 3, "the file is cut"),
        (b'{"articles": [\n{"a": 1},\n{"a": "tw', 3, "the file is cut"),
        (b'{"articles": [\n{"a": 1},\n{"a" 2},\n{"a": 3}]}', 3, "broken JSON: Expecting ':'"),
        (b'{"articles": [\n{"a": 1}\n{"a": 2}]}', 3, "'\\]' should stand here, not '{'"),
        (b'{"articles": [\n{"a": "one\ntwo"}]}', 2, "broken JSON: Invalid control"),
        (b'{"articles": []}\n{}', 2, "something after the end"),
        (b'{"articles": [' + b"[" * 99_999 + b"]" * 99_999 + b"]}", 1, "nested too deep"),
    ],
)
def test_broken_objects(data: bytes, line: int | None, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read(data)
    assert (caught.value.path, caught.value.line) == (str(HERE), line)


def test_an_element_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "_CHUNK", 1000)
    monkeypatch.setattr(json_array, "_LONGEST", 10_000)
    stream = io.BytesIO(b'{"articles": ["' + b"x" * 1_000_000)
    with pytest.raises(InputError, match="Unterminated string"):
        list(objects_in(stream, "articles", HERE))
    assert stream.tell() < 20_000


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    articles=st.lists(_VALUES, max_size=6),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    chunk=st.integers(1, 40),
)
def test_any_window(articles: list[Any], indent: int | None, ascii_only: bool, chunk: int) -> None:
    whole = {"before": [1.5], "articles": articles, "after": "}"}
    data = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_CHUNK", chunk)
        found = read(data)
    assert [value for _, value in found] == json.loads(data)["articles"]
    if indent is None:
        assert all(line == 1 for line, _ in found)
