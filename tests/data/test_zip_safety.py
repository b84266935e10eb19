"""Zips that no honest server sends are refused by the member's name; nothing is written out."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gtr_beir.data.importing import import_beir
from gtr_beir.errors import InputError, UsageError

Write = Callable[[zipfile.ZipFile], None]


def honest(zipped: zipfile.ZipFile) -> None:
    zipped.writestr("set/corpus.jsonl", '{"_id": "d1", "title": "", "text": "x"}\n')
    zipped.writestr("set/queries.jsonl", '{"_id": "q1", "text": "x"}\n')
    zipped.writestr("set/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n")


def member(name: str, data: str = "x") -> Write:
    return lambda zipped: zipped.writestr(name, data)


def link(zipped: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("set/link")
    info.external_attr = 0o120777 << 16
    zipped.writestr(info, "/etc/passwd")


def twice(zipped: zipfile.ZipFile) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zipped.writestr("set/queries.jsonl", '{"_id": "q1", "text": "other"}\n')


def bomb(zipped: zipfile.ZipFile) -> None:
    zipped.writestr("set/extra.jsonl", b"0" * (64 << 20))


def nested_bomb(zipped: zipfile.ZipFile) -> None:
    """A zip in the zip is a file like any other: it is never looked into."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as deeper:
        deeper.writestr("zeros", b"0" * (32 << 20))
    zipped.writestr("set/inner.zip", inner.getvalue())


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (member("../evil"), "member '../evil' points outside"),
        (member("set/../../evil"), "points outside"),
        (member("/etc/cron.d/evil"), "member '/etc/cron.d/evil' points outside"),
        (member("C:/evil"), "points outside"),
        (link, "member 'set/link' is a symbolic link"),
        (twice, "member 'set/queries.jsonl' is in the archive twice"),
        (bomb, "member 'set/extra.jsonl' would grow"),
        (member("other/corpus.jsonl"), r"more than one corpus.jsonl \(in other, set\)"),
    ],
    ids=["parent", "inside parent", "absolute", "drive", "link", "twice", "bomb", "two corpora"],
)
def test_refused_by_name(write: Write, sentence: str, tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        honest(zipped)
        write(zipped)
    with pytest.raises(InputError, match=sentence):
        import_beir(archive, datasets_dir=tmp_path / "store")
    assert not (tmp_path / "store" / "set").exists()
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("write", [lambda _: None, nested_bomb, member("README.md")])
def test_accepted(write: Write, tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        honest(zipped)
        write(zipped)
    assert import_beir(archive, datasets_dir=tmp_path / "store").n_documents == 1


def test_cqadupstack_is_imported_forum_by_forum(tmp_path: Path) -> None:
    """From one zip; with other counts than the registry's, each forum is refused by name."""
    archive = tmp_path / "cqadupstack.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for forum in ("android", "english"):
            zipped.writestr(f"cqadupstack/{forum}/corpus.jsonl", '{"_id": "d", "text": "x"}\n')
            zipped.writestr(f"cqadupstack/{forum}/queries.jsonl", '{"_id": "q", "text": "x"}\n')
            zipped.writestr(
                f"cqadupstack/{forum}/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td\t1\n"
            )
    with pytest.raises(InputError, match="1 judged queries where cqadupstack/android has 699"):
        import_beir(archive, datasets_dir=tmp_path / "store")


def good_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        honest(zipped)
    return path


def test_a_newer_version_of_the_format(tmp_path: Path) -> None:
    """Every entry of the directory asks for version 9.9."""
    archive = good_zip(tmp_path / "set.zip")
    data = bytearray(archive.read_bytes())
    for start in (b"PK\x01\x02", b"PK\x03\x04"):
        at, offset = data.find(start), 6 if start.endswith(b"\x02") else 4
        while at >= 0:
            data[at + offset] = 99
            at = data.find(start, at + 1)
    archive.write_bytes(data)
    with pytest.raises(InputError, match=r"set.zip: .*version.*; unpack it by hand"):
        import_beir(archive, datasets_dir=tmp_path / "store")


@pytest.mark.parametrize("name", ["pipe.zip", "pipe"])
def test_a_pipe_instead_of_a_zip(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match="is neither a folder nor a file"):
        import_beir(tmp_path / name, datasets_dir=tmp_path / "store")


def test_links_that_go_round(tmp_path: Path) -> None:
    (tmp_path / "round.zip").symlink_to(tmp_path / "round.zip")
    with pytest.raises(UsageError, match="does not exist"):
        import_beir(tmp_path / "round.zip", datasets_dir=tmp_path / "store")
    folder = tmp_path / "set"
    with zipfile.ZipFile(good_zip(tmp_path / "set.zip")) as zipped:
        zipped.extractall(tmp_path)
    (folder / "a.jsonl").symlink_to(folder / "b.jsonl")
    (folder / "b.jsonl").symlink_to(folder / "a.jsonl")
    (folder / "above").symlink_to(folder)
    os.mkfifo(folder / "c.jsonl")
    assert import_beir(folder, datasets_dir=tmp_path / "store").n_documents == 1


@pytest.mark.parametrize(
    "name", ["", "demo", "Demo", "CON", "nul", "com1.set", "x" * 255, "set.zip", "set.tar.gz", "x."]
)
def test_names_that_cannot_be_opened_again(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be a dataset's name.*--name"):
        import_beir(good_zip(tmp_path / "set.zip"), name=name, datasets_dir=tmp_path / "store")
