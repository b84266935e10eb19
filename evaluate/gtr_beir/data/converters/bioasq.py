"""BioASQ: the articles of task a, "Training v.2020", with the test questions of task 8B.

Original: http://participants-area.bioasq.org after registration; `allMeSH_2020.json` (or its zip):

    {"articles": [
    {"abstractText": "..", "journal": "..", "meshMajor": [..], "pmid": "..", "title": "..", ..},
    ...]}

and BEIR's sheet of "manual" documents, judged but not among the articles, saved from the address in
BEIR's README as .csv or .tsv with "manual" in its name, beside the articles: pmid, title, abstract.

Rule (BEIR examples/dataset/README.md): title and abstractText of every article, then the manual
documents. An article whose bytes are not UTF-8 is read as Windows-1252: public code opens this file
as latin-1 or as Windows-1252, which agree but for the bytes 80 to 9F.

Queries and judgements: `8B1_golden.json` to `8B5_golden.json` of task 8B,

    {"questions": [{"id": "..", "body": "..", "documents": ["http://.../pubmed/123", ..], ..}, ..]}

every document of a question with grade 1.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.converters import Tally
from gtr_beir.data.converters.json_array import objects_in
from gtr_beir.data.converters.reading import files_below, find_one, opened_original, text_lines
from gtr_beir.data.converters.trec_forms import (
    is_topics_table,
    judged_only,
    read_qrels,
    read_topics,
)
from gtr_beir.data.lines import checked_id, decoded
from gtr_beir.errors import InputError, UsageError

EXPECTED: Mapping[str, int] = {"articles": 14_913_939, "manual documents": 664}
"""BEIR's README says about 14,913,939 articles; the rest of its 14,914,603 documents is manual."""

_FILE = r"allMeSH.*\.(json|zip)(\.gz)?"
_MEMBER = r"\.json$"
_MANUAL = re.compile(r".*manual.*\.(csv|tsv)", re.IGNORECASE)
_GOLDEN = re.compile(r"8B\d+_golden\.json(\.gz)?", re.IGNORECASE)
_PMID = re.compile(r"[0-9]{1,9}", re.ASCII)
_ADDRESS = re.compile(r"(?:.*/)?([0-9]{1,9})/?", re.ASCII)
_UNDEFINED = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_WINDOWS = {
    byte: bytes([byte]).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in _UNDEFINED
}


class _Article(msgspec.Struct):
    pmid: str | int
    title: str | None
    text: str | None = msgspec.field(name="abstractText")


class _Question(msgspec.Struct):
    id: str
    body: str
    documents: list[str]


class _Seen:
    """Which numbers were met before: a bit each, so that 15 million take 4 MB and not a set."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> bool:
        """Whether `number` is new."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        new = not self._bits[place] & bit
        self._bits[place] |= bit
        return new


def source_file(source: Path) -> Path:
    """The articles: `source` itself, or the one allMeSH*.json, .json.gz or .zip below it."""
    return find_one(source, _FILE, "BioASQ's allMeSH articles")


def manual_file(source: Path) -> Path | None:
    """BEIR's sheet below `source`, None where there is none; UsageError for more than one."""
    if not source.is_dir():
        return None
    found = [path for path in files_below(source) if _MANUAL.fullmatch(path.name)]
    if len(found) > 1:
        raise UsageError(f"{source} holds {found[0]} and {found[1]}; keep one of the two")
    return found[0] if found else None


def documents(source: Path, *, tally: Tally | None = None) -> Iterator[Document]:
    """The articles in file order, then the manual documents.

    Counts "articles", "manual documents", "documents", "articles not in UTF-8", and what is left
    out: "repeated pmids", of which the first is kept.
    """
    counts = Tally() if tally is None else tally
    path, manual = source_file(source), manual_file(source)
    seen = _Seen()
    for what, rows in (
        ("articles", _articles(path, counts)),
        ("manual documents", _manual(manual) if manual else iter(())),
    ):
        for document in rows:
            counts[what] += 1
            if not seen.add(int(document.id)):
                counts["repeated pmids"] += 1
                continue
            counts["documents"] += 1
            yield document


def _articles(path: Path, counts: Tally) -> Iterator[Document]:
    decoder = msgspec.json.Decoder(_Article)
    with opened_original(path, _MEMBER) as stream:
        for line, raw in objects_in(stream, "articles", path):
            data = raw if raw.isascii() else _utf8(raw, counts)
            article = decoded(decoder, data, "article", path, line)
            yield Document(
                id=_pmid(str(article.pmid), path, line),
                title=article.title or "",
                text=article.text or "",
            )


def _utf8(raw: bytes, counts: Tally) -> bytes:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        counts["articles not in UTF-8"] += 1
        return raw.decode("latin-1").translate(_WINDOWS).encode("utf-8")
    return raw


def _pmid(pmid: str, path: Path, line: int) -> str:
    # A number written in two ways would be two documents.
    if not _PMID.fullmatch(pmid) or (pmid.startswith("0") and pmid != "0"):
        raise InputError(f"pmid {pmid!r} is not a PubMed number", path=path, line=line)
    return pmid


def _manual(path: Path) -> Iterator[Document]:
    """Three columns without a header: pmid, title, abstract."""
    lines = (line + "\n" for _, line in text_lines(path))
    if path.suffix.lower() == ".csv":
        reader = csv.reader(lines, strict=True)
    else:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        for row in reader:
            if not any(row):
                continue
            if len(row) != 3:
                raise InputError(
                    f"{len(row)} columns instead of three: pmid, title and abstract",
                    path=path,
                    line=reader.line_num,
                )
            pmid = _pmid(row[0].strip(), path, reader.line_num)
            yield Document(id=pmid, title=row[1], text=row[2])
    except csv.Error as error:
        raise InputError(
            f"broken CSV ({error}); save the sheet again", path=path, line=reader.line_num
        ) from error


def queries(
    topics: Path,
    *,
    source: Path | None = None,  # noqa: ARG001 - the converters have one signature
    judged: Collection[str] | None = None,
) -> dict[str, str]:
    """The questions of the golden files (a file, or a folder of them), or the two-column form."""
    if is_topics_table(topics):
        return read_topics(topics, judged)
    found = {question.id: question.body for _, _, question in _questions(topics)}
    return judged_only(found, judged)


def judgements(qrels: Path, *, tally: Tally | None = None) -> list[Judgement]:
    """Every document of every question with grade 1, or a TREC qrels file.

    From golden files, `line` is that of the question. Counts "documents named twice" in a question.
    """
    if not qrels.is_dir() and not re.search(r"\.(json|zip)(\.gz)?$", qrels.name, re.IGNORECASE):
        return read_qrels(qrels)
    counts = Tally() if tally is None else tally
    found: list[Judgement] = []
    for path, line, question in _questions(qrels):
        named: set[str] = set()
        for address in question.documents:
            match = _ADDRESS.fullmatch(address.strip())
            if match is None:
                raise InputError(
                    f"{address!r} does not end in a PubMed number", path=path, line=line
                )
            if match[1] in named:
                counts["documents named twice"] += 1
                continue
            named.add(match[1])
            found.append(Judgement(question.id, match[1], 1, line))
    return found


def _questions(given: Path) -> Iterator[tuple[Path, int, _Question]]:
    """File, line and question, through the golden files in name order."""
    paths = [given]
    if given.is_dir():
        paths = [path for path in files_below(given) if _GOLDEN.fullmatch(path.name)]
        if not paths:
            raise UsageError(
                f"{given} does not hold 8B1_golden.json to 8B5_golden.json; give the "
                "folder that does"
            )
    decoder = msgspec.json.Decoder(_Question)
    seen: dict[str, Path] = {}
    for path in paths:
        with opened_original(path, _MEMBER) as stream:
            for line, raw in objects_in(stream, "questions", path):
                question = decoded(decoder, raw, "question", path, line)
                checked_id(question.id, "question", path, line)
                if question.id in seen:
                    raise InputError(
                        f"question {question.id} is already in {seen[question.id]}; ids must be "
                        "unique",
                        path=path,
                        line=line,
                    )
                if not question.body.strip():
                    raise InputError(f"question {question.id} has no text", path=path, line=line)
                seen[question.id] = path
                yield path, line, question
