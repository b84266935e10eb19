"""Gzip files and zips that import refuses, for test_import_bad_input.py."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.data.bad_files import LAYOUT, BadDataset

from good_input import CORPUS, QRELS, QUERY_FILE
from mistakes import Mistake

DAMAGED = "the archive is damaged (…); get it again"


def gzipped(file: str, damage: Callable[[bytes], bytes]) -> Mistake:
    """The file is packed, and what is packed is damaged."""

    def mistake(folder: Path) -> None:
        data = gzip.compress((folder / file).read_bytes(), mtime=0)
        (folder / f"{file}.gz").write_bytes(damage(data))
        (folder / file).unlink()

    return mistake


def cut(data: bytes) -> bytes:
    """The end is missing, as after a broken download."""
    return data[: len(data) * 2 // 3]


def wrong_block_type(data: bytes) -> bytes:
    """The packed bytes, which follow ten of a header, begin as no deflate block begins."""
    return data[:10] + b"\xff" * 16 + data[26:]


def wrong_checksum(data: bytes) -> bytes:
    return data[:-8] + bytes(byte ^ 0xFF for byte in data[-8:-4]) + data[-4:]


def not_gzip(_: bytes) -> bytes:
    return b"this was never gzip\n"


def zipped(
    damage: Callable[[bytes], bytes] = bytes,
    *,
    folders: tuple[str, ...] = ("beir",),
    without: str = "",
    method: int = zipfile.ZIP_DEFLATED,
) -> Mistake:
    """The folder as a zip beside it, once under each name of `folders`, and damaged."""

    def mistake(folder: Path) -> Path:
        path = folder.parent / "beir.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for top in folders:
                for file in (CORPUS, QUERY_FILE, QRELS):
                    if file != without:
                        archive.write(folder / file, f"{top}/{file}")
        path.write_bytes(damage(path.read_bytes()))
        return path

    return mistake


def wrong_stored_byte(data: bytes) -> bytes:
    """A letter of the corpus is another one, so that the zip's checksum does not agree."""
    return data.replace(b"Tea is made", b"Tea is mode", 1)


def wrong_packed_data(data: bytes) -> bytes:
    """The first member's packed bytes begin with a block type that deflate does not have."""
    name_length, extra_length = struct.unpack("<HH", data[26:30])
    start = 30 + name_length + extra_length
    return data[:start] + b"\xff" * 16 + data[start + 16 :]


def wrong_directory(data: bytes) -> bytes:
    """The zip's table of contents is overwritten; its last record still stands."""
    return data.replace(b"PK\x01\x02", b"XX\x01\x02")


def wrong_member_header(data: bytes) -> bytes:
    return data.replace(b"PK\x03\x04", b"XX\x03\x04")


def encrypted(data: bytes) -> bytes:
    """Every member says that it needs a password."""
    return _patch_members(data, local_at=6, central_at=8, value=1)


def unknown_method(data: bytes) -> bytes:
    """Every member says that it is packed by a method that Python does not know (IBM TERSE)."""
    return _patch_members(data, local_at=8, central_at=10, value=18)


def with_member(name: str, mode: int = 0o100644) -> Callable[[bytes], bytes]:
    """One more member; the mode 0o120777 makes it a symbolic link to its content."""

    def damage(data: bytes) -> bytes:
        buffer = io.BytesIO(data)
        with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name that is there twice
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "/etc/hostname")
        return buffer.getvalue()

    return damage


def _patch_members(data: bytes, *, local_at: int, central_at: int, value: int) -> bytes:
    patched = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", local_at), (b"PK\x01\x02", central_at)):
        start = patched.find(signature)
        while start >= 0:
            patched[start + offset : start + offset + 2] = struct.pack("<H", value)
            start = patched.find(signature, start + 4)
    return bytes(patched)


ARCHIVES = (
    BadDataset(
        "gzip cut off",
        gzipped(CORPUS, cut),
        f"{{source}}/corpus.jsonl.gz: {DAMAGED}",
    ),
    BadDataset(
        "gzip damaged",
        gzipped(CORPUS, wrong_block_type),
        f"{{source}}/corpus.jsonl.gz: {DAMAGED}",
    ),
    BadDataset(
        "gzip with a wrong checksum",
        gzipped(QUERY_FILE, wrong_checksum),
        f"{{source}}/queries.jsonl.gz: {DAMAGED}",
    ),
    BadDataset(
        "qrels gzip cut off",
        gzipped(QRELS, cut),
        f"{{source}}/qrels/test.tsv.gz: {DAMAGED}",
    ),
    BadDataset(
        "named .gz and no gzip",
        gzipped(CORPUS, not_gzip),
        f"{{source}}/corpus.jsonl.gz: {DAMAGED}",
    ),
    BadDataset(
        "zip cut off",
        zipped(cut),
        "{source}…damaged…; get it again",
    ),
    BadDataset(
        "zip with a wrong byte",
        zipped(wrong_stored_byte, method=zipfile.ZIP_STORED),
        f"{{source}}/beir/corpus.jsonl: {DAMAGED}",
    ),
    BadDataset(
        "zip with damaged packed data",
        zipped(wrong_packed_data),
        f"{{source}}/beir/corpus.jsonl: {DAMAGED}",
    ),
    BadDataset(
        "zip with a damaged directory",
        zipped(wrong_directory),
        "{source}…damaged…; get it again",
    ),
    BadDataset(
        "zip with damaged member headers",
        zipped(wrong_member_header),
        f"{{source}}/beir/qrels/test.tsv: {DAMAGED}",
    ),
    BadDataset(
        "zip with a password",
        zipped(encrypted),
        "{source}…beir/…encrypted…",
    ),
    BadDataset(
        "zip packed by an unknown method",
        zipped(unknown_method),
        "{source}…beir/…method…",
    ),
    BadDataset(
        "zip with a member outside of it",
        zipped(with_member("../../climbed.txt")),
        "{source}: member '../../climbed.txt' points outside the archive; …",
    ),
    BadDataset(
        "zip with a member at the root",
        zipped(with_member("/climbed.txt")),
        "{source}: member '/climbed.txt' points outside the archive; …",
    ),
    BadDataset(
        "zip with a symbolic link",
        zipped(with_member("beir/notes.txt", 0o120777)),
        "{source}: member 'beir/notes.txt' is a symbolic link; …",
    ),
    BadDataset(
        "zip with two members of one name",
        zipped(with_member("beir/corpus.jsonl")),
        "{source}: member 'beir/corpus.jsonl' is in the archive twice; …",
    ),
    BadDataset(
        "zip without a corpus",
        zipped(without=CORPUS),
        f"{{source}}: there is no corpus.jsonl here; {LAYOUT}",
    ),
    BadDataset(
        "zip without queries",
        zipped(without=QUERY_FILE),
        f"{{source}}: queries.jsonl is missing; {LAYOUT}",
    ),
    BadDataset(
        "two corpora in one zip",
        zipped(folders=("one", "two")),
        "{source}: there is more than one corpus.jsonl (in one, two); give the folder of one "
        "dataset",
    ),
)
