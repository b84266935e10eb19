"""A good BEIR folder and a good run file, which bad input is made of by one mistake each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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

GOOD_RUN = b"q1 Q0 d1 1 3.0 me\nq1 Q0 d2 2 2.0 me\nq2 Q0 d3 1 1.0 me\n"
"""A run over the good dataset."""


def json_lines(rows: tuple[dict[str, Any], ...]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_good_beir(folder: Path) -> Path:
    """The good folder: 4 documents, 2 queries, 3 judgements of the split test."""
    (folder / "qrels").mkdir(parents=True)
    (folder / CORPUS).write_text(json_lines(DOCUMENTS), encoding="utf-8")
    (folder / QUERY_FILE).write_text(json_lines(QUERIES), encoding="utf-8")
    (folder / QRELS).write_text("\n".join((HEADER, *JUDGEMENTS)) + "\n", encoding="utf-8")
    return folder
