"""Measures of a run, through pytrec_eval (trec_eval's own code).

A measure is a name and, mostly, a cut: `ndcg@10`, `recall@100`. Means run over every query that
has judgements; a query that the run lacks scores 0, as with `trec_eval -c`. Grades go to
trec_eval as they are: NDCG's gain is the grade, and every grade above 0 is relevant to the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytrec_eval

from gtr_beir.data.store import Dataset
from gtr_beir.errors import NumericalError
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT

CUTS = (1, 3, 5, 10, 100, 1000)
_TREC_NAMES = {"ndcg": "ndcg_cut", "recall": "recall", "map": "map_cut", "p": "P"}
MEASURES = (*(f"{name}@{cut}" for name in _TREC_NAMES for cut in CUTS), "mrr@10", "recall_cap@100")
"""Every measure that a record holds, in the order of the per-query file."""

_QUERIES_AT_ONCE = 512


def per_query(run: Run, dataset: Dataset) -> pd.DataFrame:
    """float64 values of MEASURES (columns) for every judged query (index: query id).

    Raises NumericalError if a value lies outside [0, 1].
    """
    rows_of_run = {identifier: row for row, identifier in enumerate(run.query_ids)}
    judged = _judged_rows(dataset)
    pieces = [
        _evaluate(run, rows_of_run, dict(chunk))
        for chunk in _chunks(list(zip(dataset.query_ids, judged, strict=True)))
    ]
    table = np.concatenate(pieces)
    if not bool(((table >= 0) & (table <= 1 + 1e-9)).all()):
        row, column = np.argwhere(~((table >= 0) & (table <= 1 + 1e-9)))[0]
        raise NumericalError(
            f"{MEASURES[column]} of query '{dataset.query_ids[row]}' is {table[row, column]}, "
            "which is not between 0 and 1; this is a defect, please report it with the run file"
        )
    return pd.DataFrame(
        table, index=pd.Index(dataset.query_ids, name="query_id"), columns=list(MEASURES)
    )


def mean(values: pd.DataFrame) -> dict[str, float]:
    """Measure -> mean over all judged queries."""
    return {name: float(values[name].mean()) for name in values.columns}


def _judged_rows(dataset: Dataset) -> list[dict[str, int]]:
    """For each query: document -> grade. Documents are named by row; those that the corpus does
    not hold keep their id behind a mark, so that they count as judged and are never found."""
    qrels = dataset.qrels
    judged: list[dict[str, int]] = [{} for _ in dataset.query_ids]
    columns = (qrels.query_rows, qrels.document_rows, qrels.grades)
    for position, (query, document, grade) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        name = f"r{document}" if document >= 0 else f"?{qrels.document_ids[position]}"
        judged[query][name] = grade
    return judged


def _chunks(
    pairs: Sequence[tuple[str, dict[str, int]]],
) -> Iterator[Sequence[tuple[str, dict[str, int]]]]:
    for start in range(0, len(pairs), _QUERIES_AT_ONCE):
        yield pairs[start : start + _QUERIES_AT_ONCE]


def _evaluate(
    run: Run, rows_of_run: dict[str, int], judged: dict[str, dict[str, int]]
) -> npt.NDArray[np.float64]:
    rankings = {
        identifier: _ranking(run, rows_of_run.get(identifier), grades)
        for identifier, grades in judged.items()
    }
    names = {f"{trec}.{','.join(map(str, CUTS))}" for trec in _TREC_NAMES.values()}
    results = pytrec_eval.RelevanceEvaluator(judged, names).evaluate(rankings)
    first_ten = {q: dict(list(ranking.items())[:10]) for q, ranking in rankings.items()}
    reciprocal = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(first_ten)
    columns = [f"{_TREC_NAMES[n]}_{cut}" for n in _TREC_NAMES for cut in CUTS]
    table = np.zeros((len(judged), len(MEASURES)))
    for row, (identifier, grades) in enumerate(judged.items()):
        values = results.get(identifier)
        if values is None:
            continue
        table[row, :-2] = [values[column] for column in columns]
        table[row, -2] = reciprocal[identifier]["recip_rank"]
        relevant = sum(grade > 0 for grade in grades.values())
        if relevant:
            # BEIR's capped recall: found in the first 100 over min(100, relevant).
            table[row, -1] = values["P_100"] * 100 / min(100, relevant)
    return table


_PLACES = [f"p{place}" for place in range(1000)]
_SCORES = [float(-place) for place in range(1000)]


def _ranking(run: Run, row: int | None, grades: dict[str, int]) -> dict[str, float]:
    """One query's ranking for trec_eval, which would sort it again by (score, id).

    The order is settled already, so a place in the ranking stands for the score, and documents
    that are not relevant, whose names cannot matter, are named by their place: no id is looked up.
    """
    if row is None:
        return {}
    held = run.doc_rows[row]
    depth = min(int((held != NO_DOCUMENT).sum()), len(_PLACES))
    relevant = [int(name[1:]) for name, grade in grades.items() if grade > 0 and name[0] == "r"]
    places = np.flatnonzero(np.isin(held[:depth], relevant)).tolist()
    # No measure here looks beyond the last relevant document; trec_eval wants one at least.
    names = _PLACES[: places[-1] + 1 if places else min(depth, 1)]
    for place in places:
        names[place] = f"r{held[place]}"
    return dict(zip(names, _SCORES, strict=False))
