"""SciFact as Anserini indexes and ranks it: term totals and measures to four decimals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gtr_beir.systems.lucene.analysis import TermTable
from gtr_beir.systems.lucene.loops import Loops, compiled
from gtr_beir.systems.lucene.scoring import field_statistics, term_statistics
from gtr_beir.systems.lucene.search import BestDocuments, FieldScoring, Queries, score_segment
from gtr_beir.systems.lucene.segment import Segment, build_segment

SCIFACT = Path(__file__).parents[3].parent / "shared" / "data" / "beir" / "scifact"

pytestmark = pytest.mark.skipif(
    not (SCIFACT / "corpus.jsonl").is_file(), reason=f"SciFact is not at {SCIFACT}"
)

# Anserini's own numbers: total terms of the contents field; nDCG@10, R@100, R@1000.
ANSERINI = {
    "flat": (838_128, [0.6789, 0.9253, 0.9767]),
    "multifield": (784_591, [0.6647, 0.9076, 0.9800]),
}
MEASURES = ["ndcg_cut_10", "recall_100", "recall_1000"]


def read(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SCIFACT / name).read_text("utf-8").splitlines()]


def read_qrels() -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for line in (SCIFACT / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]:
        query_id, document_id, grade = line.split("\t")
        qrels.setdefault(query_id, {})[document_id] = int(grade)
    return qrels


def rank(
    fields: Sequence[Sequence[str]],
    document_ids: list[str],
    query_ids: list[str],
    query_texts: list[str],
    size: int,
    loops: Loops | None,
) -> tuple[int, dict[str, dict[str, float]]]:
    """Total terms of the first field, and the top 1000 without hits of the query's own id."""
    id_rank = np.argsort(np.argsort([identifier.encode() for identifier in document_ids]))
    id_rank = id_rank.astype(np.int32)
    rows_by_id = {identifier: row for row, identifier in enumerate(document_ids)}
    own = np.array([rows_by_id.get(identifier, -1) for identifier in query_ids])
    table = TermTable()
    starts = range(0, len(document_ids), size)
    segments = []
    for start in starts:
        contents = build_segment(fields[0][start : start + size], table=table)
        others = [
            build_segment(field[start : start + size], left_out=contents["blank"], table=table)
            for field in fields[1:]
        ]
        segments.append([Segment.of(arrays) for arrays in (contents, *others)])
    by_field = list(zip(*segments, strict=True))
    queries = Queries.of(query_texts)
    scorings = [
        FieldScoring.of(queries, field_statistics(field), term_statistics(field, queries.hashes))
        for field in by_field
    ]
    best = BestDocuments(len(queries), 1000)
    for start, of_fields in zip(starts, segments, strict=True):
        inside = (own >= start) & (own < start + len(of_fields[0]))
        excluded = np.where(inside, own - start, -1).astype(np.int32)
        ranks = id_rank[start : start + size]
        score_segment(best, queries, of_fields, scorings, ranks, excluded=excluded, loops=loops)
    found = best.found()
    run = {
        query_id: {
            document_ids[row]: score for row, score in zip(rows, scores, strict=True) if row >= 0
        }
        for query_id, rows, scores in zip(
            query_ids, found.rows(id_rank).tolist(), found.scores.tolist(), strict=True
        )
    }
    return field_statistics(by_field[0]).terms, run


@pytest.mark.parametrize("size", [65_536, 1024, 700])
@pytest.mark.parametrize("name", ["flat", "multifield"])
@pytest.mark.parametrize("loops", [None, compiled()], ids=["numpy", "numba"])
def test_scifact_equals_anserini(name: str, size: int, loops: Loops | None) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    documents = read("corpus.jsonl")
    qrels = read_qrels()
    queries = [query for query in read("queries.jsonl") if query["_id"] in qrels]
    texts = [document["text"] for document in documents]
    titles = [document["title"] for document in documents]
    flat = [f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)]
    terms, run = rank(
        [flat] if name == "flat" else [texts, titles],
        [document["_id"] for document in documents],
        [query["_id"] for query in queries],
        [query["text"] for query in queries],
        size,
        loops,
    )
    expected_terms, expected = ANSERINI[name]
    assert terms == expected_terms
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100,1000"})
    scores = evaluator.evaluate(run)
    assert len(scores) == len(queries) == 300
    means = [float(np.mean([score[measure] for score in scores.values()])) for measure in MEASURES]
    assert [round(mean, 4) for mean in means] == expected
