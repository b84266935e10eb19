"""Small BEIR folders with one mistake each, for test_bad_input.py.

A case says what is done to a good folder of four documents and two queries, and the one sentence
that import must print. In a sentence, {source} stands for the path that was given to import and …
for words that are a library's.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtr_beir.data.registry import registered

DOCUMENTS = (
    {"_id": "d1", "title": "Tea", "text": "Tea is made of leaves."},
    {"_id": "d2", "title": "Coffee", "text": "Coffee is made of beans."},
    {"_id": "d3", "title": "", "text": "Rain falls from clouds."},
    {"_id": "d4", "title": "Snow", "text": "Snow is frozen."},
)
QUERIES = (
    {"_id": "q1", "text": "what is tea made of"},
    {"_id": "q2", "text": "where does rain come from"},
)
HEADER = "query-id\tcorpus-id\tscore"
JUDGEMENTS = ("q1\td1\t2", "q1\td2\t0", "q2\td3\t1")

CORPUS = "corpus.jsonl"
QUERY_FILE = "queries.jsonl"
QRELS = "qrels/test.tsv"
LAYOUT = "a BEIR dataset has corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"
A_DOCUMENT = 'a document has "_id", "title" and "text" as strings'
A_QUERY = 'a query has "_id" and "text" as strings'
DOCUMENT_LINE = "every line is one document as a JSON object"
OTHER_NAME = "get the released files, or import it as a dataset of your own with another --name"
DAMAGED = "the archive is damaged (…); get it again"

Mistake = Callable[[Path], Path | None]
"""Spoils the good folder; returns the path to import where that is not the folder."""


@dataclass(frozen=True)
class BadDataset:
    """One mistake, and what import says about it: the sentence, the exit code."""

    id: str
    mistake: Mistake
    sentence: str
    code: int = 1
    name: str | None = "mine"
    options: tuple[str, ...] = ()


def json_lines(rows: tuple[dict[str, Any], ...]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_beir(folder: Path) -> Path:
    """The good folder: 4 documents, 2 queries, 3 judgements of the split test."""
    (folder / "qrels").mkdir(parents=True)
    (folder / CORPUS).write_text(json_lines(DOCUMENTS), encoding="utf-8")
    (folder / QUERY_FILE).write_text(json_lines(QUERIES), encoding="utf-8")
    (folder / QRELS).write_text("\n".join((HEADER, *JUDGEMENTS)) + "\n", encoding="utf-8")
    return folder


# mistakes -----------------------------------------------------------------------------------------


def line(file: str, number: int, content: str | bytes) -> Mistake:
    """Line `number` (from 1) becomes `content`."""

    def mistake(folder: Path) -> None:
        lines = (folder / file).read_bytes().splitlines(keepends=True)
        data = content.encode() if isinstance(content, str) else content
        lines[number - 1] = data + b"\n"
        (folder / file).write_bytes(b"".join(lines))

    return mistake


def field(file: str, number: int, **values: Any) -> Mistake:
    """Fields of the JSON object on a line get other values; `...` takes the field away."""

    def mistake(folder: Path) -> None:
        row = json.loads((folder / file).read_text(encoding="utf-8").splitlines()[number - 1])
        row = {key: value for key, value in {**row, **values}.items() if value is not ...}
        line(file, number, json.dumps(row))(folder)

    return mistake


def added(file: str, content: str) -> Mistake:
    """`content` follows as one more line."""

    def mistake(folder: Path) -> None:
        with (folder / file).open("a", encoding="utf-8") as handle:
            handle.write(content + "\n")

    return mistake


def whole(file: str, content: str | bytes) -> Mistake:
    """The file holds `content` and nothing else."""

    def mistake(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / file).write_bytes(data)

    return mistake


def removed(*files: str) -> Mistake:
    def mistake(folder: Path) -> None:
        for file in files:
            (folder / file).unlink()

    return mistake


def many_splits(folder: Path) -> None:
    (folder / QRELS).rename(folder / "qrels" / "dev.tsv")
    shutil.copy(folder / "qrels" / "dev.tsv", folder / "qrels" / "train.tsv")


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


class Trap:
    """Unpickling it makes a file: proof that something was executed."""

    def __init__(self, proof: Path):
        self._proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._proof,))


def pickled(folder: Path) -> None:
    (folder / CORPUS).write_bytes(pickle.dumps(Trap(folder / "executed")))


def other_place(place: str) -> Mistake:
    """Another path is given, relative to the folder's parent."""
    return lambda folder: folder.parent / place


def plain_file(folder: Path) -> Path:
    path = folder.parent / "notes.txt"
    path.write_text("not a dataset\n", encoding="utf-8")
    return path


def empty_folder(folder: Path) -> Path:
    path = folder.parent / "nothing"
    path.mkdir()
    return path


def nothing(_: Path) -> None:
    """The folder is good; the mistake is in how import is called."""


def renamed(name: str) -> Mistake:
    return lambda folder: folder.rename(folder.parent / name)


def scifact_but_for_the_corpus(folder: Path) -> None:
    """As many judged queries and judgements as SciFact has, and four documents."""
    spec = registered("scifact")
    assert spec is not None
    assert spec.queries is not None
    queries = [f"q{number}" for number in range(spec.queries)]
    spare = spec.judgements[0].lines - spec.queries
    judgements = [f"{query}\td1\t1" for query in queries]
    judgements += [f"{query}\td2\t1" for query in queries[:spare]]
    rows = tuple({"_id": query, "text": "what"} for query in queries)
    (folder / QUERY_FILE).write_text(json_lines(rows), encoding="utf-8")
    (folder / QRELS).write_text("\n".join((HEADER, *judgements)) + "\n", encoding="utf-8")


# cases --------------------------------------------------------------------------------------------

PEERS = (
    BadDataset(
        "duplicate document id",
        field(CORPUS, 3, _id="d1"),
        "{source}/corpus.jsonl:3: document id 'd1' is already on line 1; ids must be unique",
    ),
    BadDataset(
        "qrels without header",
        whole(QRELS, "\n".join(JUDGEMENTS) + "\n"),
        "{source}/qrels/test.tsv:1: the header is missing (this is a judgement already); put "
        "'query-id<TAB>corpus-id<TAB>score' first",
    ),
    BadDataset(
        "grade 1.5",
        line(QRELS, 3, "q1\td2\t1.5"),
        "{source}/qrels/test.tsv:3: grade '1.5' is not a whole number; grades are 0, 1, 2, ...",
    ),
    BadDataset(
        "broken JSON line",
        line(CORPUS, 3, '{"_id": "d3", "text": "Rain falls'),
        f"{{source}}/corpus.jsonl:3: broken JSON (…); {DOCUMENT_LINE}",
    ),
    BadDataset(
        "judged query absent from queries",
        added(QRELS, "q9\td1\t1"),
        "{source}/qrels/test.tsv:5: query 'q9' is judged but is not in {source}/queries.jsonl; "
        "add it there or remove its judgements",
    ),
    BadDataset(
        "pickle for a corpus",
        pickled,
        f"{{source}}/corpus.jsonl:1: broken JSON (…); {DOCUMENT_LINE}",
    ),
)
"""The rows of reference/users.md that are errors, but for the zip bomb, which has its own test."""

CORPUS_CASES = (
    BadDataset(
        "empty corpus", whole(CORPUS, ""), "{source}/corpus.jsonl: there is no document in it"
    ),
    BadDataset(
        "corpus missing",
        removed(CORPUS),
        f"{{source}}: there is no corpus.jsonl here; {LAYOUT}",
    ),
    BadDataset(
        "blank line in corpus",
        line(CORPUS, 2, ""),
        "{source}/corpus.jsonl:2: the line is blank; every line is one document",
    ),
    BadDataset(
        "document id with a space",
        field(CORPUS, 2, _id="d 2"),
        "{source}/corpus.jsonl:2: document id 'd 2' holds a blank or control character, which run "
        "files cannot hold; rename it",
    ),
    BadDataset(
        "document id with a line end",
        field(CORPUS, 2, _id="d2\n"),
        "{source}/corpus.jsonl:2: document id 'd2\\n' holds a blank or control character, which "
        "run files cannot hold; rename it",
    ),
    BadDataset(
        "document id empty",
        field(CORPUS, 2, _id=""),
        f"{{source}}/corpus.jsonl:2: not a document (… `$._id`); {A_DOCUMENT}",
    ),
    BadDataset(
        "document id a number",
        field(CORPUS, 4, _id=4),
        f"{{source}}/corpus.jsonl:4: not a document (… `$._id`); {A_DOCUMENT}",
    ),
    BadDataset(
        "document id missing",
        field(CORPUS, 4, _id=...),
        f"{{source}}/corpus.jsonl:4: not a document (…`_id`); {A_DOCUMENT}",
    ),
    BadDataset(
        "document text missing",
        field(CORPUS, 1, text=...),
        f"{{source}}/corpus.jsonl:1: not a document (…`text`); {A_DOCUMENT}",
    ),
    BadDataset(
        "document text a number",
        field(CORPUS, 1, text=7),
        f"{{source}}/corpus.jsonl:1: not a document (… `$.text`); {A_DOCUMENT}",
    ),
    BadDataset(
        "document title a list",
        field(CORPUS, 1, title=["Tea"]),
        f"{{source}}/corpus.jsonl:1: not a document (… `$.title`); {A_DOCUMENT}",
    ),
    BadDataset(
        "document line a list",
        line(CORPUS, 2, '["d2", "Coffee", "Coffee is made of beans."]'),
        f"{{source}}/corpus.jsonl:2: not a document (…); {A_DOCUMENT}",
    ),
    BadDataset(
        "two documents on a line",
        line(CORPUS, 2, json.dumps(DOCUMENTS[1]) * 2),
        f"{{source}}/corpus.jsonl:2: broken JSON (…); {DOCUMENT_LINE}",
    ),
    BadDataset(
        "one JSON array instead of lines",
        whole(CORPUS, json.dumps(DOCUMENTS)),
        f"{{source}}/corpus.jsonl:1: not a document (…); {A_DOCUMENT}",
    ),
    BadDataset(
        "corpus not UTF-8",
        line(CORPUS, 2, '{"_id": "d2", "title": "Café", "text": ""}'.encode("latin-1")),
        f"{{source}}/corpus.jsonl:2: broken JSON ('utf-8' codec …); {DOCUMENT_LINE}",
    ),
    BadDataset(
        "corpus in UTF-16",
        whole(CORPUS, json_lines(DOCUMENTS).encode("utf-16")),
        f"{{source}}/corpus.jsonl:1: broken JSON (…); {DOCUMENT_LINE}",
    ),
    BadDataset(
        "lone surrogate in a text",
        line(CORPUS, 4, '{"_id": "d4", "title": "Snow", "text": "\\ud800 is half a sign"}'),
        f"{{source}}/corpus.jsonl:4: broken JSON (…); {DOCUMENT_LINE}",
    ),
    BadDataset(
        "lone surrogate in an id",
        line(CORPUS, 4, '{"_id": "d\\udc00", "title": "Snow", "text": "Snow is frozen."}'),
        f"{{source}}/corpus.jsonl:4: broken JSON (…); {DOCUMENT_LINE}",
    ),
    BadDataset(
        "JSON nested 100,000 deep",
        line(CORPUS, 2, '{"_id": "d2", "text": "", "more": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        f"{{source}}/corpus.jsonl:2: broken JSON (…); {DOCUMENT_LINE}",
    ),
)

QUERY_CASES = (
    BadDataset(
        "empty queries", whole(QUERY_FILE, ""), "{source}/queries.jsonl: there is no query in it"
    ),
    BadDataset(
        "queries missing",
        removed(QUERY_FILE),
        f"{{source}}: queries.jsonl is missing; {LAYOUT}",
    ),
    BadDataset(
        "blank line in queries",
        line(QUERY_FILE, 1, "  "),
        "{source}/queries.jsonl:1: the line is blank; every line is one query",
    ),
    BadDataset(
        "judged query with blank text",
        field(QUERY_FILE, 2, text=" \t"),
        "{source}/queries.jsonl:2: query 'q2' is judged but its text is blank; give it a text",
    ),
    BadDataset(
        "query text null",
        field(QUERY_FILE, 1, text=None),
        f"{{source}}/queries.jsonl:1: not a query (… `$.text`); {A_QUERY}",
    ),
    BadDataset(
        "query id with a tab",
        field(QUERY_FILE, 1, _id="q\t1"),
        "{source}/queries.jsonl:1: query id 'q\\t1' holds a blank or control character, which run "
        "files cannot hold; rename it",
    ),
    BadDataset(
        "duplicate query id",
        field(QUERY_FILE, 2, _id="q1"),
        "{source}/queries.jsonl:2: query id 'q1' is already on line 1; ids must be unique",
    ),
    BadDataset(
        "queries not UTF-8",
        line(QUERY_FILE, 2, b'{"_id": "q2", "text": "caf\xe9"}'),
        "{source}/queries.jsonl:2: broken JSON ('utf-8' codec …); every line is one query as a "
        "JSON object",
    ),
)

QRELS_CASES = (
    BadDataset(
        "empty qrels", whole(QRELS, ""), "{source}/qrels/test.tsv: there is no judgement in it"
    ),
    BadDataset(
        "qrels with a header only",
        whole(QRELS, HEADER + "\n"),
        "{source}/qrels/test.tsv: there is no judgement in it",
    ),
    BadDataset(
        "qrels missing",
        removed(QRELS),
        f"{{source}}: qrels/test.tsv is missing; qrels here: none; {LAYOUT}",
    ),
    BadDataset(
        "blank line in qrels",
        line(QRELS, 3, ""),
        "{source}/qrels/test.tsv:3: the line is blank; remove it",
    ),
    BadDataset(
        "TREC qrels of four columns",
        whole(QRELS, "q1 0 d1 2\nq2 0 d3 1\n"),
        "{source}/qrels/test.tsv:1: these look like TREC qrels of four columns; BEIR's begin with "
        "'query-id<TAB>corpus-id<TAB>score'",
    ),
    BadDataset(
        "qrels header with blanks",
        line(QRELS, 1, "query-id corpus-id score"),
        "{source}/qrels/test.tsv:1: the header must be 'query-id<TAB>corpus-id<TAB>score', not "
        "'query-id corpus-id score'",
    ),
    BadDataset(
        "qrels header in another order",
        line(QRELS, 1, "corpus-id\tquery-id\tscore"),
        "{source}/qrels/test.tsv:1: the header must be 'query-id<TAB>corpus-id<TAB>score', not "
        "'corpus-id\\tquery-id\\tscore'",
    ),
    BadDataset(
        "duplicate judgement",
        added(QRELS, "q1\td1\t1"),
        "{source}/qrels/test.tsv:5: query 'q1' and document 'd1' are judged on line 2 already; "
        "keep one of the two",
    ),
    BadDataset(
        "judgement of two fields",
        line(QRELS, 4, "q2\td3"),
        "{source}/qrels/test.tsv:4: 2 fields where three are wanted: query id, document id and "
        "grade, separated by tabs",
    ),
    BadDataset(
        "judgement of four fields",
        line(QRELS, 2, "q1\t0\td1\t2"),
        "{source}/qrels/test.tsv:2: 4 fields where three are wanted: query id, document id and "
        "grade, separated by tabs",
    ),
    BadDataset(
        "grade a word",
        line(QRELS, 2, "q1\td1\trelevant"),
        "{source}/qrels/test.tsv:2: grade 'relevant' is not a whole number; grades are 0, 1, 2, "
        "...",
    ),
    BadDataset(
        "grade empty",
        line(QRELS, 2, "q1\td1\t"),
        "{source}/qrels/test.tsv:2: grade '' is not a whole number; grades are 0, 1, 2, ...",
    ),
    BadDataset(
        "judged document id empty",
        line(QRELS, 2, "q1\t\t1"),
        "{source}/qrels/test.tsv:2: an id is empty; give both ids",
    ),
    BadDataset(
        "qrels not UTF-8",
        line(QRELS, 2, b"q1\td\xe9\t1"),
        "{source}/qrels/test.tsv:2: not UTF-8; save it as UTF-8",
    ),
    BadDataset(
        "judgements of another corpus",
        whole(QRELS, f"{HEADER}\nq1\tm1\t1\nq2\tm2\t1\n"),
        "{source}/qrels/test.tsv: none of the judged documents is in {source}/corpus.jsonl; these "
        "judgements belong to another corpus",
    ),
    BadDataset(
        "unknown split",
        nothing,
        "{source}…validation…test…",
        options=("--split", "validation"),
        code=2,
    ),
    BadDataset(
        "several splits and no test",
        many_splits,
        "{source} has judgements for dev, train; choose one with --split",
        code=2,
    ),
)

NAME_CASES = (
    BadDataset(
        "registered name with other queries",
        nothing,
        f"{{source}}/qrels/test.tsv: 2 judged queries where scifact has 300; {OTHER_NAME}",
        name="scifact",
    ),
    BadDataset(
        "registered name with other documents",
        scifact_but_for_the_corpus,
        f"{{source}}/corpus.jsonl: 4 documents where scifact has 5,183; {OTHER_NAME}",
        name="scifact",
    ),
    BadDataset(
        "folder with a registered name",
        renamed("scifact"),
        f"{{source}}/qrels/test.tsv: 2 judged queries where scifact has 300; {OTHER_NAME}",
        name=None,
    ),
    BadDataset(
        "CQADupStack without its forums",
        nothing,
        "{source}: there is no folder android with a corpus.jsonl here",
        name="cqadupstack",
    ),
    *(
        BadDataset(
            f"name {name}",
            nothing,
            f"'{name}' cannot be a dataset's name; use letters, digits, '.', '_' and '-', and give "
            "it with --name",
            name=name,
            code=2,
        )
        for name in (
            "../mine",
            "mine/..",
            "mine/part",
            "a/b/c",
            "/mine",
            "my data",
            ".tmp-1-mine",
            "m" * 200,
        )
    ),
    BadDataset(
        "folder whose name is none",
        renamed("my data (new)"),
        "'my data (new)' cannot be a dataset's name; use letters, digits, '.', '_' and '-', and "
        "give it with --name",
        name=None,
        code=2,
    ),
)

PATH_CASES = (
    BadDataset(
        "path missing",
        other_place("beri"),
        "{source} does not exist; give a BEIR folder or zip",
        code=2,
    ),
    BadDataset(
        "path a plain file",
        plain_file,
        "{source} is neither a folder nor a zip; give a BEIR folder or zip",
        code=2,
    ),
    BadDataset(
        "folder empty",
        empty_folder,
        f"{{source}}: there is no corpus.jsonl here; {LAYOUT}",
    ),
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
        "{source}: member '../../climbed.txt' points outside of the archive; …",
    ),
    BadDataset(
        "zip with a member at the root",
        zipped(with_member("/climbed.txt")),
        "{source}: member '/climbed.txt' points outside of the archive; …",
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

DATASETS = (*PEERS, *CORPUS_CASES, *QUERY_CASES, *QRELS_CASES, *NAME_CASES, *PATH_CASES)
