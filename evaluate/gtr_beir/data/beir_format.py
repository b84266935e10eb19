"""Reading BEIR's own layout strictly: a folder or zip with corpus, queries and qrels.

    corpus.jsonl      {"_id": "...", "title": "...", "text": "..."}   a document a line
    queries.jsonl     {"_id": "...", "text": "..."}                    a query a line
    qrels/SPLIT.tsv   query-id <TAB> corpus-id <TAB> score, with this header

Whatever is wrong is an InputError with file and line; nothing is skipped without being counted.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Annotated

import msgspec

from gtr_beir.data.lines import BAD_ID, LONGEST_ID, checked_id, json_lines, text_lines
from gtr_beir.data.opening import Gzip, PlainFile, Source, ZipMember, open_zip, opened
from gtr_beir.errors import InputError, UsageError

QRELS_HEADER = ("query-id", "corpus-id", "score")
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_DAMAGED = "the archive is damaged ({}); get it again"


class Document(msgspec.Struct, frozen=True):
    """One line of corpus.jsonl; a null or missing title is a blank one."""

    id: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="_id")
    text: str | None
    title: str | None = ""


class Query(msgspec.Struct, frozen=True):
    """One line of queries.jsonl."""

    id: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="_id")
    text: str


@dataclass(frozen=True)
class Judgement:
    """One line of a qrels file; `line` counts from 1."""

    query_id: str
    document_id: str
    grade: int
    line: int


class BeirSource:
    """A folder or a zip in BEIR's layout; the zip is read as a stream and never written out."""

    def __init__(self, path: Path, part: str | None = None):
        """`part`: the name of the one folder inside to read (a forum of CQADupStack)."""
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._root = PurePosixPath()
        if not path.exists():
            raise UsageError(f"{path} does not exist; give a BEIR folder or zip")
        if path.is_dir():
            self._members = {
                str(PurePosixPath(found.relative_to(path)))
                for found in path.rglob("*")
                if found.is_file()
            }
        elif not path.is_file():
            raise UsageError(f"{path} is neither a folder nor a file; give a BEIR folder or zip")
        elif path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
            self._zip, names = open_zip(path, damaged=_DAMAGED)
            self._members = set(names)
        else:
            raise UsageError(f"{path} is neither a folder nor a zip; give a BEIR folder or zip")
        self._find_root(part)

    @classmethod
    def of_file(cls, file: Path) -> BeirSource:
        """The folder of one JSON-lines file, whatever else is in it."""
        source = cls.__new__(cls)
        source.path, source._zip, source._root = file.parent, None, PurePosixPath()
        source._members = {file.name}
        return source

    def _find_root(self, part: str | None) -> None:
        """The folder that holds corpus.jsonl: the top, or the one folder below it (as in zips)."""
        folders = {
            PurePosixPath(member).parent
            for member in self._members
            if PurePosixPath(member).name.removesuffix(".gz") == "corpus.jsonl"
        }
        if part is None:
            roots = sorted(str(folder) for folder in folders if len(folder.parts) <= 2)
        else:
            roots = sorted(str(folder) for folder in folders if folder.name == part)
        if len(roots) > 1:
            raise InputError(
                f"there is more than one corpus.jsonl (in {', '.join(roots)}); give the folder of "
                "one dataset",
                path=self.path,
            )
        if not roots and part is not None:
            raise InputError(f"there is no folder {part} with a corpus.jsonl here", path=self.path)
        if not roots:
            raise InputError(
                "there is no corpus.jsonl here; a BEIR dataset has corpus.jsonl, queries.jsonl and "
                "qrels/SPLIT.tsv",
                path=self.path,
            )
        self._root = PurePosixPath(roots[0])

    def splits(self) -> list[str]:
        """Names of the splits that have judgements."""
        folder = str(self._root / "qrels")
        return sorted(
            PurePosixPath(member).name.removesuffix(".gz").removesuffix(".tsv")
            for member in self._members
            if str(PurePosixPath(member).parent) == folder
            and member.removesuffix(".gz").endswith(".tsv")
        )

    def stamps(self) -> tuple[str, ...]:
        """What the zip, or each file of the dataset, looks like from outside: name, size, time."""
        paths = [self.path]
        if self._zip is None:
            folder = self.path / self._root
            kinds = (".jsonl", ".tsv", ".gz")
            paths = [p for p in sorted(folder.rglob("*")) if p.suffix in kinds and p.is_file()]
        stats = [(str(path.resolve()), path.stat()) for path in paths]
        return tuple(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)

    def display(self, name: str) -> str:
        """The path to print for a member."""
        return str(self.path / self._member(name))

    def _member(self, name: str) -> str:
        for candidate in (str(self._root / name), str(self._root / f"{name}.gz")):
            if candidate in self._members:
                return candidate
        found = f"; qrels here: {', '.join(self.splits()) or 'none'}" if "qrels" in name else ""
        raise InputError(
            f"{name} is missing{found}; a BEIR dataset has corpus.jsonl, queries.jsonl and "
            "qrels/SPLIT.tsv",
            path=self.path,
        )

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """The member as a binary stream, decompressed on the way if its name ends in .gz."""
        member = self._member(name)
        source: Source = PlainFile(self.path / member)
        if self._zip is not None:
            source = ZipMember(self._zip, member, self.display(name))
        if member.endswith(".gz"):
            source = Gzip(source)
        return opened(source, damaged=_DAMAGED)


def read_documents(source: BeirSource, name: str = "corpus.jsonl") -> Iterator[Document]:
    """The documents of corpus.jsonl in file order; document i stands on line i + 1."""
    where = source.display(name)
    bad = BAD_ID.search
    decoder = msgspec.json.Decoder(Document)
    fields = '"_id", "title" and "text" as strings'
    with source.open(name) as stream:
        for number, document in json_lines(stream, where, decoder, "document", fields=fields):
            if len(document.id) > LONGEST_ID or bad(document.id):
                checked_id(document.id, "document", where, number)
            yield document


def read_queries(source: BeirSource, name: str = "queries.jsonl") -> dict[str, str]:
    """Query id -> text, in file order."""
    where = source.display(name)
    queries: dict[str, str] = {}
    lines: dict[str, int] = {}
    decoder = msgspec.json.Decoder(Query)
    fields = '"_id" and "text" as strings'
    with source.open(name) as stream:
        for number, query in json_lines(stream, where, decoder, "query", fields=fields):
            checked_id(query.id, "query", where, number)
            if query.id in queries:
                raise InputError(
                    f"query id '{query.id}' is already on line {lines[query.id]}; ids must be "
                    "unique",
                    path=where,
                    line=number,
                )
            queries[query.id] = query.text
            lines[query.id] = number
    if not queries:
        raise InputError("there is no query in it", path=where)
    return queries


def read_qrels(source: BeirSource, split: str) -> list[Judgement]:
    """The judgements of one split, in file order."""
    name = f"qrels/{split}.tsv"
    where = source.display(name)
    judgements: list[Judgement] = []
    seen: dict[tuple[str, str], int] = {}
    with source.open(name) as stream:
        for number, line in text_lines(stream, where):
            if number == 1:
                _check_header(line, where)
                continue
            if not line:
                raise InputError("the line is blank; remove it", path=where, line=number)
            judgement = _parse_judgement(line, where, number)
            pair = (judgement.query_id, judgement.document_id)
            if pair in seen:
                raise InputError(
                    f"query '{pair[0]}' and document '{pair[1]}' are judged on line {seen[pair]} "
                    "already; keep one of the two",
                    path=where,
                    line=number,
                )
            seen[pair] = number
            judgements.append(judgement)
    if not judgements:
        raise InputError("there is no judgement in it", path=where)
    return judgements


def _check_header(line: str, where: str) -> None:
    fields = line.split("\t")
    if tuple(fields) == QRELS_HEADER:
        return
    header = "<TAB>".join(QRELS_HEADER)
    if len(fields) == 3 and _INTEGER.fullmatch(fields[2].strip()):
        raise InputError(
            f"the header is missing (this is a judgement already); put '{header}' first",
            path=where,
            line=1,
        )
    if len(line.split()) == 4:
        raise InputError(
            f"these look like TREC qrels of four columns; BEIR's begin with '{header}'",
            path=where,
            line=1,
        )
    raise InputError(f"the header must be '{header}', not {line[:60]!r}", path=where, line=1)


def _parse_judgement(line: str, where: str, number: int) -> Judgement:
    fields = line.split("\t")
    if len(fields) != 3:
        raise InputError(
            f"{len(fields)} fields instead of three: query id, document id and grade, separated "
            "by tabs",
            path=where,
            line=number,
        )
    query_id, document_id, grade = fields
    if not _INTEGER.fullmatch(grade.strip()):
        raise InputError(
            f"grade {grade!r} is not a whole number; grades are 0, 1, 2, ...",
            path=where,
            line=number,
        )
    if not query_id or not document_id:
        raise InputError("an id is empty; give both ids", path=where, line=number)
    return Judgement(query_id, document_id, int(grade), number)
