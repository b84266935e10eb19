"""Measures of a run, through pytrec_eval (trec_eval's own code).

A measure is a value: `NDCG@10` is a name and a cut, and it parses, prints and hashes as itself.
Means run over every query that has judgements; a query that the run lacks scores 0, as with
`trec_eval -c`. NDCG's gain is the grade; to the others every grade from `rel` on is relevant.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytrec_eval

from gtr_beir.data.store import Dataset
from gtr_beir.errors import NumericalError, UsageError
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def _as_given(values: Values, cut: int, relevant: Counts) -> Values:  # noqa: ARG001
    return values


def _within_cut(reciprocal: Values, cut: int, relevant: Counts) -> Values:  # noqa: ARG001
    """The reciprocal rank of the first relevant document, if that stands within the cut."""
    return np.where(reciprocal >= 1 / cut, reciprocal, 0.0)


def _capped_recall(precision: Values, cut: int, relevant: Counts) -> Values:
    """BEIR's capped recall: relevant documents found by the cut over min(cut, relevant)."""
    return precision * cut / np.minimum(cut, np.maximum(relevant, 1))


@dataclass(frozen=True)
class _Kind:
    """What a name of a measure stands for.

    title: for people; trec: the measure of trec_eval that it is made of; others: names that it has
    in trec_eval, beir, mteb and ir_measures; has_rel: whether grades are relevant or not, rather
    than gains; formula: from trec_eval's values, float64[queries], the cut and the number of
    relevant documents, int64[queries].
    """

    title: str
    trec: str
    others: tuple[str, ...] = ()
    has_rel: bool = True
    formula: Callable[[Values, int, Counts], Values] = _as_given


_KINDS: Mapping[str, _Kind] = {
    "ndcg": _Kind("NDCG", "ndcg_cut", ("ndcg_cut",), has_rel=False),
    "recall": _Kind("Recall", "recall", ("r",)),
    "map": _Kind("MAP", "map_cut", ("map_cut", "ap")),
    "p": _Kind("P", "P", ("precision",)),
    "mrr": _Kind("MRR", "recip_rank", ("recip_rank", "rr"), formula=_within_cut),
    "success": _Kind("Success", "success", ("hit_rate", "accuracy")),
    "recall_cap": _Kind("capped Recall", "P", ("capped recall", "r_cap"), formula=_capped_recall),
}
_UNDERSTOOD = {said: name for name, kind in _KINDS.items() for said in (name, *kind.others)}
_ORDER = {name: place for place, name in enumerate(_KINDS)}
_WITHOUT_CUT = "recip_rank"
"""trec_eval has no cut for it: it goes to the end of the ranking."""

_FORM = re.compile(
    r"(?P<name>[a-z][a-z_ ]*?)(\(rel=(?P<rel>[1-9][0-9]{0,8})\))?"
    r"(@|_at_|[_.])(?P<cut>[1-9][0-9]{0,8})"
)


@functools.total_ordering
@dataclass(frozen=True)
class Measure:
    """A measure at a cut: `str` is its key in records and per-query files, `title` is for people.

    name: one of ndcg, recall, map, p, mrr, success, recall_cap; cut: documents of the ranking that
    it looks at; rel: the least grade that counts as relevant (NDCG has none, its gain is the
    grade). Measures are ordered as the table lists their names, then by rel and cut. Raises
    UsageError for a measure that there is not.
    """

    name: str
    cut: int
    rel: int = 1

    def __post_init__(self) -> None:
        if self.name not in _KINDS or self.cut < 1 or self.rel < 1:
            raise _no_measure(str(self))
        if self.rel != 1 and not self._kind.has_rel:
            raise UsageError(
                f"{self._kind.title} has no least relevant grade, since its gain is the grade; "
                f"ask for {self.name}@{self.cut}"
            )

    @staticmethod
    def parse(text: str) -> Measure:
        """The measure that `text` names in any case: as it prints, as its title, or as trec_eval,
        beir, mteb and ir_measures write it (`ndcg_cut_10`, `hit_rate@5`, `P(rel=2)@5`).

        Raises UsageError if there is none of that name.
        """
        form = _FORM.fullmatch(text.strip().lower())
        name = _UNDERSTOOD.get(form["name"]) if form else None
        if form is None or name is None:
            raise _no_measure(text)
        return Measure(name, int(form["cut"]), int(form["rel"] or 1))

    @property
    def title(self) -> str:
        return self._with_cut(self._kind.title)

    def __str__(self) -> str:
        return self._with_cut(self.name)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Measure):
            return NotImplemented
        return self._place < other._place

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.name]

    @property
    def _place(self) -> tuple[int, int, int]:
        return _ORDER[self.name], self.rel, self.cut

    @property
    def _trec_key(self) -> str:
        """The value's name in pytrec_eval's results."""
        trec = self._kind.trec
        return trec if trec == _WITHOUT_CUT else f"{trec}_{self.cut}"

    def _with_cut(self, name: str) -> str:
        return f"{name}@{self.cut}" if self.rel == 1 else f"{name}(rel={self.rel})@{self.cut}"


def _no_measure(asked: str) -> UsageError:
    *names, last = _KINDS
    return UsageError(
        f"there is no measure '{asked}'; the measures are {', '.join(names)} and {last}, each at "
        "a cut, such as ndcg@10, or p(rel=2)@5 if only grades from 2 on are relevant"
    )


CUTS = (1, 3, 5, 10, 20, 100, 1000)
MEASURES = (
    *(Measure(name, cut) for name in _KINDS if name != "recall_cap" for cut in CUTS),
    Measure("recall_cap", 100),
)
"""Every measure that a record holds, in the order of the per-query file."""

_QUERIES_AT_ONCE = 512


def per_query(run: Run, dataset: Dataset, measures: Sequence[Measure] = MEASURES) -> pd.DataFrame:
    """float64 values of `measures` (columns: their str) for every judged query (index: query id).

    Raises NumericalError if a value lies outside [0, 1].
    """
    rows_of_run = {identifier: row for row, identifier in enumerate(run.query_ids)}
    rows = [rows_of_run.get(identifier) for identifier in dataset.query_ids]
    judged = _judged_rows(dataset)
    depth = min(max((measure.cut for measure in measures), default=0), run.doc_rows.shape[1])
    places = [(f"p{place}", float(-place)) for place in range(depth)]
    pieces = []
    for start in range(0, len(judged), _QUERIES_AT_ONCE):
        some = slice(start, start + _QUERIES_AT_ONCE)
        rankings = [
            {} if row is None else _ranking(run.doc_rows[row], grades, places)
            for row, grades in zip(rows[some], judged[some], strict=True)
        ]
        pieces.append(_evaluate(rankings, judged[some], measures))
    table = np.concatenate(pieces)
    outside = ~((table >= 0) & (table <= 1 + 1e-9))
    if bool(outside.any()):
        row, column = np.argwhere(outside)[0]
        raise NumericalError(
            f"{measures[column]} of query '{dataset.query_ids[row]}' is {table[row, column]}, "
            "which is not between 0 and 1; this is a bug; please report it with the run file"
        )
    return pd.DataFrame(
        table,
        index=pd.Index(dataset.query_ids, name="query_id"),
        columns=[str(measure) for measure in measures],
    )


def mean(values: pd.DataFrame) -> dict[str, float]:
    """Measure -> mean over all judged queries."""
    return {name: float(values[name].mean()) for name in values.columns}


def _judged_rows(dataset: Dataset) -> list[dict[str, int]]:
    """For each query: document -> grade. Documents are named by row; those that the corpus does
    not hold keep their id behind a mark, so that they count as judged and are never found.

    A grade below 0, which TREC uses too, becomes 0. trec_eval (form_res_rels.c) counts grades in a
    table from 0 to the query's greatest; if that is below 0 it reads before the table, and below -1
    clears a negative length, which ends the process. No value changes: every measure asks whether
    a grade is at least `rel`, which is above 0, or adds up gains above 0.
    """
    qrels = dataset.qrels
    judged: list[dict[str, int]] = [{} for _ in dataset.query_ids]
    columns = (qrels.query_rows, qrels.document_rows, np.maximum(qrels.grades, 0))
    for position, (query, document, grade) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        name = f"r{document}" if document >= 0 else f"?{qrels.document_ids[position]}"
        judged[query][name] = grade
    return judged


def _ranking(
    documents: npt.NDArray[np.int32], grades: Mapping[str, int], places: Sequence[tuple[str, float]]
) -> dict[str, float]:
    """One query's ranking for trec_eval, which would sort it again by (score, id).

    The order is settled already, so a place in the ranking stands for the score, and documents
    that are not relevant, whose names cannot matter, are named by their place: no id is looked up.
    `places` are those names and scores, down to the lowest cut.
    """
    depth = min(int((documents != NO_DOCUMENT).sum()), len(places))
    relevant = [int(name[1:]) for name, grade in grades.items() if grade > 0 and name[0] == "r"]
    found = np.flatnonzero(np.isin(documents[:depth], relevant)).tolist()
    # No measure here looks beyond the last relevant document; trec_eval wants one at least.
    ranking = list(places[: found[-1] + 1 if found else min(depth, 1)])
    for place in found:
        ranking[place] = (f"r{documents[place]}", places[place][1])
    return dict(ranking)


def _evaluate(
    rankings: Sequence[dict[str, float]],
    judged: Sequence[dict[str, int]],
    measures: Sequence[Measure],
) -> Values:
    """float64[queries, measures]: trec_eval's values, once for each least relevant grade.

    Queries are named by number: trec_eval takes one that is called "no_query" for the query that
    it has just done, and gives it values of memory that is no longer its own.
    """
    run = {str(number): ranking for number, ranking in enumerate(rankings)}
    qrels = {str(number): grades for number, grades in enumerate(judged)}
    table = np.zeros((len(run), len(measures)))
    for rel in {measure.rel for measure in measures}:
        columns = [column for column, measure in enumerate(measures) if measure.rel == rel]
        asked = [measures[column] for column in columns]
        results = pytrec_eval.RelevanceEvaluator(qrels, _asked_of_trec(asked), rel).evaluate(run)
        keys = [measure._trec_key for measure in asked]
        values = np.array([[results[number][key] for key in keys] for number in run])
        relevant = np.array([sum(g >= rel for g in grades.values()) for grades in judged])
        for column, measure, given in zip(columns, asked, values.T, strict=True):
            table[:, column] = measure._kind.formula(given, measure.cut, relevant)
    return table


def _asked_of_trec(measures: Iterable[Measure]) -> set[str]:
    """As trec_eval's option -m has it: a name with all its cuts."""
    cuts: dict[str, set[int]] = {}
    for measure in measures:
        cuts.setdefault(measure._kind.trec, set()).add(measure.cut)
    return {
        trec if trec == _WITHOUT_CUT else f"{trec}.{','.join(map(str, sorted(of)))}"
        for trec, of in cuts.items()
    }
