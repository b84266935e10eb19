"""Datasets whose corpus, queries or judgements hold one mistake, for test_import_bad_input.py.

A case says what is done to the good folder, and the one sentence that import must print. In a
sentence, {source} stands for the path that was given to import and … for words that are a
library's.
"""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

from good_input import CORPUS, DOCUMENTS, HEADER, JUDGEMENTS, QRELS, QUERY_FILE, json_lines
from mistakes import Mistake, Trap, added, field, line, nothing, removed, whole

LAYOUT = "a BEIR dataset has corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"
A_DOCUMENT = 'a document has "_id", "title" and "text" as strings'
A_QUERY = 'a query has "_id" and "text" as strings'
DOCUMENT_LINE = "every line is one document as a JSON object"


@dataclass(frozen=True)
class BadDataset:
    """One mistake, and what import says about it: the sentence, the exit code."""

    id: str
    mistake: Mistake
    sentence: str
    code: int = 1
    name: str | None = "mine"
    options: tuple[str, ...] = ()


def many_splits(folder: Path) -> None:
    (folder / QRELS).rename(folder / "qrels" / "dev.tsv")
    shutil.copy(folder / "qrels" / "dev.tsv", folder / "qrels" / "train.tsv")


def pickled(folder: Path) -> None:
    (folder / CORPUS).write_bytes(pickle.dumps(Trap(folder / "executed")))


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
        "{source}/qrels/test.tsv:4: 2 fields instead of three: query id, document id and grade, "
        "separated by tabs",
    ),
    BadDataset(
        "judgement of four fields",
        line(QRELS, 2, "q1\t0\td1\t2"),
        "{source}/qrels/test.tsv:2: 4 fields instead of three: query id, document id and grade, "
        "separated by tabs",
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

FILES = (*PEERS, *CORPUS_CASES, *QUERY_CASES, *QRELS_CASES)
