"""Robust04: TREC disks 4 and 5 without the Congressional Record.

Original: SGML files, many documents a file, plain, gzipped or compressed, under folders FBIS, FR94,
FT and LATIMES; https://trec.nist.gov/data/cd45/index.html, with NIST's agreements. 2,295 files.

    <DOC>
    <DOCNO> FBIS3-1 </DOCNO>
    <HEADLINE> ... </HEADLINE>
    <TEXT> ... </TEXT>
    </DOC>

Rule (BEIR examples/dataset/README.md: "format it according to ir_datasets", key trec-robust04): the
text is what ir_datasets formats/trec.py, parser BS4, makes of the lines inside the content tags;
there is no title. The tags count at the start of a line only, and the count of open ones goes on
from document to document, as there: an unclosed tag is felt to the end of its file.

Since libxml2 2.14 (lxml 6) character references are read as in HTML 5: an SGML entity such as
`&blank;`, which used to stay as it was written, becomes another character. BEIR's text is older;
`settled` makes the text the same under every version.

Queries: the description of https://trec.nist.gov/data/robust/04.testset.gz, each newline a blank.
Judgements: https://trec.nist.gov/data/robust/qrels.robust2004.txt as it is; topic 672 has none.
"""

from __future__ import annotations

import codecs
import html.entities
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.converters import Tally
from gtr_beir.data.converters.reading import files_below, opened_original, optional, text_lines
from gtr_beir.data.converters.trec_forms import (
    is_topics_table,
    judged_only,
    read_qrels,
    read_topics,
)
from gtr_beir.data.lines import LONGEST_LINE, checked_id, too_long
from gtr_beir.errors import InputError, UsageError

EXPECTED: Mapping[str, int] = {"files": 2295}
"""ir_datasets refuses trec-robust04 with any other number of files."""

# ir_datasets' globs, no matter the case: a CD-ROM's names come out in either.
_PLACES = tuple(
    re.compile(rf"(?:.*/)?{place}", re.IGNORECASE)
    for place in (r"FBIS/FB[^/]*", r"FR94/[^/]{2}/FR[^/]*", r"FT/[^/]+/FT[^/]*", r"LATIMES/LA[^/]*")
)
_COMPRESSED = re.compile(r"\.gz$|\.z$|(?<=\.[012])z$", re.IGNORECASE)
_TAGS = "TEXT|HEADLINE|TITLE|HL|HEAD|TTL|DD|DATE|LP|LEADPARA"
_OPENING = re.compile(f"<(?:{_TAGS})>")
_CLOSING = re.compile(f"</(?:{_TAGS})>")
_DOCNO = re.compile(r"<DOCNO>\s*(\S+?)\s*</DOCNO>\s*")
_FIELDS = (
    ("number", re.compile(r"<num> *(?:Number:)?")),
    ("title", re.compile(r"<title> *(?:Topic:)?")),
    ("description", re.compile(r"<desc> *(?:Description:)?")),
    ("narrative", re.compile(r"<narr> *(?:Narrative:)?")),
)
_CHUNK = 1 << 20
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f]")
_REFERENCE = re.compile(
    r"&(?:#(?:[xX](?P<hex>[0-9a-fA-F]+)|(?P<decimal>[0-9]+)|[xX]?);?"
    r"|(?P<name>[A-Za-z_:][A-Za-z0-9._:-]*)(?P<end>;?))"
)
_NAMES = frozenset(html.entities.name2codepoint) | {"apos"}


def source_files(source: Path) -> list[Path]:
    """The collection's files below `source`, by folder and then by name.

    Raises UsageError where there is none, InputError where a file is there plain and compressed.
    """
    if not source.is_dir():
        raise UsageError(f"{source} is not a folder; give the folder with FBIS, FR94, FT, LATIMES")
    below = [(path.relative_to(source).as_posix(), path) for path in files_below(source)]
    # The root may itself be one of the four folders: its name counts as well.
    root = source.resolve().name
    files = [path for place in _PLACES for name, path in below if place.fullmatch(f"{root}/{name}")]
    if not files:
        raise UsageError(
            f"{source} holds no file of TREC disks 4 and 5; give the folder with FBIS, FR94, FT "
            "and LATIMES"
        )
    stems: dict[str, Path] = {}
    for path in files:
        stem = _COMPRESSED.sub("", str(path)).lower()
        if stem in stems:
            raise InputError(f"this is {stems[stem]} again; remove one of the two", path=path)
        stems[stem] = path
    return files


def documents(source: Path, *, tally: Tally | None = None) -> Iterator[Document]:
    """The documents of every file of `source_files`; counts "files" and "documents"."""
    counts = Tally() if tally is None else tally
    soup = optional("bs4", "converting robust04").BeautifulSoup
    optional("lxml", "converting robust04")
    for path in source_files(source):
        counts["files"] += 1
        with opened_original(path) as stream:
            for document in _file_documents(stream, path, soup):
                counts["documents"] += 1
                yield document


def _file_documents(stream: IO[bytes], path: Path, soup: Any) -> Iterator[Document]:
    document_id: str | None = None
    markup: list[str] = []
    open_tags = 0
    line_number = 1
    begun: int | None = None
    for line in _lines(stream, path):
        if line.startswith("<DOCNO>"):
            if document_id is not None:
                raise InputError(
                    f"a second <DOCNO> before the </DOC> of {document_id}; get the file again",
                    path=path,
                    line=line_number,
                )
            document_id = _document_id(line, path, line_number)
        elif line.startswith("</DOC>") and line.rstrip() == "</DOC>":
            if document_id is None:
                raise InputError(
                    "a </DOC> without a <DOCNO>; get the file again", path=path, line=line_number
                )
            content = settled("".join(markup))
            text = soup(f"<OUTER>\n{content}\n</OUTER>", "lxml").get_text()
            yield Document(id=document_id, text=text, title="")
            document_id, begun = None, None
            markup = []
        else:
            if line.startswith("<DOC>"):
                begun = line_number
            if open_tags:
                markup.append(line)
            if _CLOSING.match(line):
                open_tags -= 1
            elif _OPENING.match(line):
                open_tags += 1
                if open_tags == 1:
                    markup.append(line)
        line_number += line.endswith("\n")
    if document_id is not None or begun is not None:
        raise InputError(
            f"the file ends inside document {document_id or '(no <DOCNO>)'}; get it again",
            path=path,
            line=line_number,
        )


def settled(markup: str) -> str:
    """`markup`, so that libxml2 2.14 and later give the text that 2.10 to 2.13 give for it.

    Names beyond HTML 4's and names without a semicolon stay as they are written; numbers stand for
    Unicode's characters, 128 to 159 too; what XML forbids is dropped.
    """
    if "&" in markup:
        markup = _REFERENCE.sub(_settled_reference, markup)
    return _CONTROL.sub("", markup).replace("\0", " ")


def _settled_reference(match: re.Match[str]) -> str:
    if match["name"]:
        known = match["end"] and match["name"] in _NAMES
        return match[0] if known else f"&amp;{match[0][1:]}"
    # Python refuses to read decimals of thousands of digits; a hundred are beyond Unicode as well.
    code = int(match["hex"], 16) if match["hex"] else int((match["decimal"] or "0")[:100])
    if 0x80 <= code <= 0x9F:
        return chr(code)
    allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0x110000
    return match[0] if allowed and code not in (0xFFFE, 0xFFFF) else ""


def _document_id(line: str, path: Path, line_number: int) -> str:
    match = _DOCNO.fullmatch(line)
    if match is None:
        raise InputError(
            f"no document number in {line[:60].rstrip()!r}; it should be <DOCNO> ... </DOCNO>",
            path=path,
            line=line_number,
        )
    return checked_id(match[1], "document", path, line_number)


def _lines(stream: IO[bytes], path: Path) -> Iterator[str]:
    """Lines with their ends, cut where codecs.StreamReader cuts them: also at \\x0c or \\x85."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    while chunk := stream.read(_CHUNK):
        lines = (rest + decoder.decode(chunk)).splitlines(keepends=True)
        # What ends the chunk may go on in the next one, and so may "\r" with "\n".
        rest = lines.pop() if lines else ""
        if len(rest) >= LONGEST_LINE:
            raise too_long(path)
        yield from lines
    yield from (rest + decoder.decode(b"", final=True)).splitlines(keepends=True)


def queries(
    topics: Path,
    *,
    source: Path | None = None,  # noqa: ARG001 - the converters have one signature
    judged: Collection[str] | None = None,
) -> dict[str, str]:
    """The description of each topic, from NIST's topic file or from the two-column form."""
    if is_topics_table(topics):
        return read_topics(topics, judged)
    found: dict[str, str] = {}
    fields: dict[str, str] = {}
    reading: str | None = None
    number = 0
    for number, line in text_lines(topics):
        if line.startswith("</top>"):
            identifier, text = _topic(fields, topics, number)
            if identifier in found:
                raise InputError(
                    f"topic {identifier} appears twice; ids must be unique",
                    path=topics,
                    line=number,
                )
            found[identifier] = text
            fields, reading = {}, None
            continue
        for name, pattern in _FIELDS:
            if match := pattern.match(line):
                fields[name] = line[match.end() :] + "\n"
                reading = name
                break
        else:
            if reading is not None and not line.startswith("<"):
                fields[reading] += line + "\n"
    if fields:
        raise InputError("the file ends inside a topic; get it again", path=topics, line=number)
    if not found:
        raise InputError("there is no <top> in it; give NIST's 04.testset", path=topics)
    return judged_only(found, judged)


def _topic(fields: dict[str, str], path: Path, line: int) -> tuple[str, str]:
    identifier = fields.get("number", "").strip()
    # BEIR collapses nothing: "a \nb" becomes "a  b".
    text = fields.get("description", "").strip().replace("\n", " ")
    if not re.fullmatch(r"\S+", identifier) or not text:
        raise InputError(
            f"the topic that ends here has no {'<desc>' if identifier else '<num>'}; get the file "
            "again",
            path=path,
            line=line,
        )
    return identifier, text


def judgements(
    qrels: Path,
    *,
    tally: Tally | None = None,  # noqa: ARG001 - the converters have one signature
) -> list[Judgement]:
    """NIST's qrels, which BEIR uses as they are."""
    return read_qrels(qrels)
