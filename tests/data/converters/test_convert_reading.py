"""Originals in every form, whole and damaged."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gtr_beir.data.converters.reading import (
    files_below,
    find_one,
    json_lines,
    opened_original,
    optional,
)
from gtr_beir.errors import InputError, UsageError

LINES = b"".join(b'{"n": %d}\n' % n for n in range(3000))


class Row(msgspec.Struct):
    n: int


def zipped(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(member, LINES)
    return buffer.getvalue()


def tarred(*members: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            info = tarfile.TarInfo(member)
            info.size = len(LINES)
            archive.addfile(info, io.BytesIO(LINES))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("plain", lambda _: LINES),
        ("a.gz", lambda _: gzip.compress(LINES)),
        ("two members.gz", lambda _: gzip.compress(LINES[:999]) + gzip.compress(LINES[999:])),
        ("a.0z", lambda compress: compress(LINES)),
        ("A.Z", lambda compress: compress(LINES)),
        ("no suffix", lambda compress: compress(LINES)),
        ("a.zip", lambda _: zipped("folder/", "a.json", "__MACOSX/._a.json", "readme.txt")),
        ("a.tar.gz", lambda _: tarred("folder/readme.txt", "folder/a.JSON", "folder/b.json")),
        ("a.tgz", lambda _: tarred("a.json")),
    ],
)
def test_every_form(
    tmp_path: Path,
    compressed: Callable[..., bytes],
    name: str,
    form: Callable[[Callable[..., bytes]], bytes],
) -> None:
    path = tmp_path / name
    path.write_bytes(form(compressed))
    with opened_original(path, r"\.json$") as stream:
        assert stream.read() == LINES
    with opened_original(path, r"\.json$") as stream:
        assert list(stream) == LINES.splitlines(keepends=True)


def test_damaged_archives(tmp_path: Path, compressed: Callable[..., bytes]) -> None:
    whole = gzip.compress(LINES)
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 4
    archive = zipped("a.json")
    broken = bytearray(archive)
    broken[60] ^= 255
    wrong_code = compressed(b"ab") + b"\xff" * 30
    for name, data in {
        "cut.gz": whole[:-9],
        "flipped.gz": bytes(flipped),
        "cut.zip": archive[:-40],
        "broken.zip": bytes(broken),
        "wrong.z": wrong_code,
        "cut.tar.gz": tarred("a.json")[:200],
        "not a tar.tar": LINES,
    }.items():
        (tmp_path / name).write_bytes(data)
        with (
            pytest.raises(InputError, match="the file is damaged or cut") as caught,
            opened_original(tmp_path / name, "json") as stream,
        ):
            stream.read()
        assert caught.value.path == str(tmp_path / name)


def test_archives_without_the_one_file(tmp_path: Path) -> None:
    for name, data, reason in (
        ("none.zip", zipped("a.txt"), r"holds 0 \(none\)"),
        ("two.zip", zipped("a.json", "b.json"), r"holds 2 \(a.json, b.json\)"),
        ("none.tar.gz", tarred("a.txt"), "holds no file to read"),
    ):
        (tmp_path / name).write_bytes(data)
        with (
            pytest.raises(InputError, match=reason),
            opened_original(tmp_path / name, r"\.json$"),
        ):
            pass


def test_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zipped("a.json"))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(data))
    with (
        pytest.raises(InputError, match="the zip is encrypted"),
        opened_original(tmp_path / "a.zip"),
    ):
        pass


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("none", "none does not exist; give the path of the original"),
        ("", "is a folder; give the file itself"),
        ("pipe", "pipe is not an ordinary file; save it as one first"),
    ):
        with pytest.raises(UsageError, match=reason), opened_original(tmp_path / name):
            pass


def test_files_below_follows_links_once(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "other").touch()
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "b" / "link").symlink_to(tmp_path / "elsewhere")
    names = [path.name for path in files_below(tmp_path / "b")]
    assert sorted(set(names)) == ["file", "other"]
    assert names.count("file") == 1


def test_find_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        find_one(tmp_path / "none", "x", "the corpus")
    with pytest.raises(UsageError, match="does not hold the corpus"):
        find_one(tmp_path, r"a\.json", "the corpus")
    file = tmp_path / "deep" / "A.json"
    file.parent.mkdir()
    file.touch()
    assert find_one(tmp_path, r"a\.json", "the corpus") == file
    assert find_one(file, "anything", "the corpus") == file
    (tmp_path / "a.json").touch()
    with pytest.raises(UsageError, match="holds the corpus 2 times"):
        find_one(tmp_path, r"a\.json", "the corpus")


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b'\xef\xbb\xbf{"n": 1, "more": [null]}\r\n{"n": 2}\n\n')
    assert list(json_lines(path, Row, "row")) == [(1, Row(1)), (2, Row(2))]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b'{"n": 1}\n\n{"n": 2}\n', 2, "the line is blank"),
        (b'{"n": 1}\n{"n": 2\n', 2, "broken JSON"),
        (b'{"n": "1"}\n', 1, "not a valid row .Expected `int`"),
        (b"{}\n", 1, "missing required field `n`"),
        (b"[1]\n", 1, "not a valid row"),
        (b'{"n": 1} {"n": 2}\n', 1, "broken JSON"),
        (b'{"n": 1, "x": ' + b"[" * 9000 + b"]" * 9000 + b"}\n", 1, "broken JSON"),
    ],
)
def test_wrong_json_lines(tmp_path: Path, data: bytes, line: int, reason: str) -> None:
    path = tmp_path / "rows"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as caught:
        list(json_lines(path, Row, "row"))
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "html2text", None)
    with pytest.raises(UsageError, match=r"pip install 'gtr-beir\[gated\]'"):
        optional("html2text", "converting trec-news")
