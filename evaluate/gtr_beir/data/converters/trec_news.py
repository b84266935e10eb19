"""TREC-NEWS: the Washington Post collection, version 2, with TREC 2019's background linking.

Original: https://trec.nist.gov/data/wapost/, with NIST's agreements; WashingtonPost.v2.tar.gz and
inside it WashingtonPost.v2/data/TREC_Washington_Post_collection.v2.jl, an article a line:

    {"id": "...", "title": "..." or null, "contents": [null, {"subtype": "paragraph",
     "mime": "text/html", "content": "..."}, {"type": "image", ...}, ...], ...}

Rule (BEIR examples/dataset/README.md): the text is every entry of `contents` whose subtype is
paragraph, text/html through the package html2text, text/plain as it is.

BEIR does not say how html2text was set up nor how paragraphs were joined. Here links give their
words and not their addresses, all else is html2text's default, and paragraphs stand on lines of
their own. BEIR's corpus has 60 articles fewer than this original (594,977 of 595,037); no source
says which.

Queries: https://trec.nist.gov/data/news/2019/newsir19-background-linking-topics.xml names an
article for each topic, and its title is the query. Judgements:
https://trec.nist.gov/data/news/2019/newsir19-qrels-background.txt, 0, 2, 4, 8, 16 recoded as
0, 1, 2, 3, 4. Topics 868, 877 and 881 have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.converters import Tally
from gtr_beir.data.converters.reading import find_one, json_lines, optional, text_lines
from gtr_beir.data.converters.trec_forms import (
    is_topics_table,
    judged_only,
    read_qrels,
    read_topics,
    recoded,
)
from gtr_beir.data.lines import checked_id
from gtr_beir.errors import InputError, UsageError

EXPECTED: Mapping[str, int] = {}
ORIGINAL_DOCUMENTS = 595_037
"""Lines of the original (ir_datasets docs/wapo.yaml), 60 more than BEIR kept."""

GRADES = {0: 0, 2: 1, 4: 2, 8: 3, 16: 4}
"""NIST's grade -> BEIR's; computed over all 15,655 lines of Anserini's two files."""

_FILE = r"TREC_Washington_Post_collection\.v\d\.jl(\.gz)?|WashingtonPost\.v\d\.tar\.gz"
_MEMBER = r"\.jl$"
_NUMBER = re.compile(r"\s*<num>\s*(?:Number:)?\s*(\S+?)\s*(?:</num>.*)?")
_ARTICLE = re.compile(r"\s*<docid>\s*(\S+?)\s*(?:</docid>.*)?")


class _Entry(msgspec.Struct):
    """One entry of `contents`; only a paragraph's content is a text for sure."""

    subtype: Any = None
    mime: Any = None
    content: Any = None


class _Article(msgspec.Struct):
    id: str
    title: str | None
    contents: list[_Entry | None] | None


class _Heading(msgspec.Struct):
    id: str
    title: str | None


def source_file(source: Path) -> Path:
    """The collection: `source` itself, or the one .jl, .jl.gz or .tar.gz below it."""
    return find_one(source, _FILE, "the Washington Post collection")


def documents(source: Path, *, tally: Tally | None = None) -> Iterator[Document]:
    """The articles in file order.

    Counts "documents", and what the rule leaves out: "paragraphs without text" (null or no string),
    "paragraphs of another kind" (neither text/html nor text/plain).
    """
    counts = Tally() if tally is None else tally
    plain = _html_reader()
    path = source_file(source)
    for number, article in json_lines(path, _Article, "article", _MEMBER):
        checked_id(article.id, "article", path, number)
        paragraphs = [
            _paragraph(entry, plain, counts)
            for entry in article.contents or ()
            if entry is not None and entry.subtype == "paragraph"
        ]
        counts["documents"] += 1
        yield Document(
            id=article.id,
            title=article.title or "",
            text="\n".join(paragraph for paragraph in paragraphs if paragraph),
        )


def _paragraph(entry: _Entry, plain: Callable[[str], str], counts: Tally) -> str:
    if not isinstance(entry.content, str):
        counts["paragraphs without text"] += 1
        return ""
    if entry.mime == "text/html":
        return plain(entry.content).strip()
    if entry.mime == "text/plain":
        return entry.content.strip()
    counts["paragraphs of another kind"] += 1
    return ""


def _html_reader() -> Callable[[str], str]:
    package = optional("html2text", "converting trec-news")

    def plain(html: str) -> str:
        # A reader of its own for each paragraph: an unclosed tag must not reach the next one.
        reader = package.HTML2Text()
        reader.ignore_links = True
        return str(reader.handle(html))

    return plain


def queries(
    topics: Path, *, source: Path | None = None, judged: Collection[str] | None = None
) -> dict[str, str]:
    """The title of each topic's article, or the two-column form of the same.

    The titles lie in the collection, so NIST's topic file needs `source`; raises InputError for a
    topic whose article is not there or has no title.
    """
    if is_topics_table(topics):
        return read_topics(topics, judged)
    articles = judged_only(_topic_articles(topics), judged)
    if source is None:
        raise UsageError(
            f"{topics} names articles, whose titles are in the collection; give the collection, or "
            "topics as a .tsv of id and text"
        )
    titles = _titles(source_file(source), set(articles.values()))
    for identifier, article in articles.items():
        if not titles.get(article, "").strip():
            raise InputError(
                f"topic {identifier} is article {article}, which is not in {source} or has no "
                "title; give the collection of version 2",
                path=topics,
            )
    return {identifier: titles[article] for identifier, article in articles.items()}


def _topic_articles(topics: Path) -> dict[str, str]:
    """Topic number -> article id. The file is not XML: its addresses hold bare ampersands."""
    found: dict[str, str] = {}
    number: str | None = None
    line_number = 0
    for line_number, line in text_lines(topics):
        if match := _NUMBER.fullmatch(line):
            if number is not None:
                raise InputError(f"topic {number} has no <docid>", path=topics, line=line_number)
            number = match[1]
            if number in found:
                raise InputError(
                    f"topic {number} appears twice; ids must be unique",
                    path=topics,
                    line=line_number,
                )
        elif match := _ARTICLE.fullmatch(line):
            if number is None:
                raise InputError("a <docid> before its <num>", path=topics, line=line_number)
            found[number] = match[1]
            number = None
    if number is not None:
        raise InputError(f"topic {number} has no <docid>", path=topics, line=line_number)
    if not found:
        raise InputError(
            "there is no topic in it; give NIST's newsir19-background-linking-topics.xml",
            path=topics,
        )
    return found


def _titles(path: Path, articles: Collection[str]) -> dict[str, str]:
    titles: dict[str, str] = {}
    for _, heading in json_lines(path, _Heading, "article", _MEMBER):
        if heading.id in articles:
            titles[heading.id] = heading.title or ""
            if len(titles) == len(articles):
                break
    return titles


def judgements(
    qrels: Path,
    *,
    tally: Tally | None = None,  # noqa: ARG001 - the converters have one signature
) -> list[Judgement]:
    """NIST's qrels with BEIR's grades; a file that has BEIR's grades already stays as it is.

    1 and 3 are BEIR's alone, 8 and 16 NIST's; InputError where both or none of them occur.
    """
    found = read_qrels(qrels)
    grades = {judgement.grade for judgement in found}
    if grades <= {0, 2, 4}:
        raise InputError(
            "it has only the grades 0, 2 and 4, which can be NIST's or BEIR's; give the whole file",
            path=qrels,
        )
    if grades <= set(GRADES.values()):
        return found
    return recoded(found, GRADES, qrels)
