"""TREC's two plain forms, in which Anserini publishes BEIR's queries and judgements.

    topics   id <TAB> text                       a query a line; a TAB in the text belongs to it
    qrels    query <SP> 0 <SP> document <SP> grade    four columns between blanks or tabs

Both may be gzipped. Source: castorini/anserini-tools, topics-and-qrels/ (`topics.beir-v1.0.0-*.tsv`
and `qrels.beir-v1.0.0-*.txt`); qrels are what trec_eval reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from gtr_beir.data.beir_format import Judgement
from gtr_beir.data.converters.reading import opened_original, text_lines
from gtr_beir.data.lines import checked_id, columns, numbered_lines
from gtr_beir.errors import InputError

_GRADE = re.compile(r"[+-]?[0-9]{1,9}")


def is_topics_table(path: Path) -> bool:
    """Whether the name says that the file has the two-column form."""
    return path.name.lower().removesuffix(".gz").endswith(".tsv")


def read_topics(path: Path, judged: Collection[str] | None = None) -> dict[str, str]:
    """Query id -> text, in file order; only the ids in `judged`, where that is given.

    Raises InputError with the line for a missing TAB, a blank line or text and an id given twice.
    """
    topics: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in text_lines(path):
        identifier, tab, text = line.partition("\t")
        if not tab:
            raise InputError(
                f"there is no TAB in {line[:60]!r}; a line is a query id, a TAB and the text",
                path=path,
                line=number,
            )
        checked_id(identifier, "query", path, number)
        if identifier in lines:
            raise InputError(
                f"query id '{identifier}' is already on line {lines[identifier]}; ids must be "
                "unique",
                path=path,
                line=number,
            )
        if not text.strip():
            raise InputError(
                f"query '{identifier}' has no text; give it one", path=path, line=number
            )
        lines[identifier] = number
        topics[identifier] = text
    if not topics:
        raise InputError("there is no query in it", path=path)
    return judged_only(topics, judged)


def judged_only(queries: dict[str, str], judged: Collection[str] | None) -> dict[str, str]:
    """The queries whose id is in `judged`; all of them if that is None."""
    if judged is None:
        return queries
    return {identifier: text for identifier, text in queries.items() if identifier in judged}


def read_qrels(path: Path) -> list[Judgement]:
    """The judgements of a TREC qrels file, in file order.

    Only ASCII blanks separate columns: an id may hold any other character. Raises InputError with
    the line for another number of columns, a grade that is no whole number, and a pair judged
    twice.
    """
    judgements: list[Judgement] = []
    seen: dict[tuple[str, str], int] = {}
    with opened_original(path) as stream:
        for number, line in numbered_lines(stream, path):
            judgement = _judgement(line, path, number)
            pair = (judgement.query_id, judgement.document_id)
            if pair in seen:
                raise InputError(
                    f"query '{pair[0]}' and document '{pair[1]}' are judged on line {seen[pair]} "
                    "already; keep one of the two",
                    path=path,
                    line=number,
                )
            seen[pair] = number
            judgements.append(judgement)
    if not judgements:
        raise InputError("there is no judgement in it", path=path)
    return judgements


def _judgement(data: bytes, path: Path, number: int) -> Judgement:
    found = columns(data, path, number)
    if len(found) != 4:
        raise InputError(
            f"{len(found)} columns instead of four: query id, 0, document id and grade",
            path=path,
            line=number,
        )
    query_id, _, document_id, grade = found
    if not _GRADE.fullmatch(grade):
        raise InputError(
            f"grade {grade!r} is not a whole number; grades are 0, 1, 2, ...",
            path=path,
            line=number,
        )
    return Judgement(query_id, document_id, int(grade), number)


def recoded(judgements: Iterable[Judgement], grades: dict[int, int], path: Path) -> list[Judgement]:
    """The judgements with each grade replaced by `grades[grade]`; InputError for any other."""
    result: list[Judgement] = []
    for judgement in judgements:
        if judgement.grade not in grades:
            known = ", ".join(str(grade) for grade in grades)
            raise InputError(
                f"grade {judgement.grade} where the original has {known}; give the released file",
                path=path,
                line=judgement.line,
            )
        result.append(
            Judgement(
                judgement.query_id,
                judgement.document_id,
                grades[judgement.grade],
                judgement.line,
            )
        )
    return result
