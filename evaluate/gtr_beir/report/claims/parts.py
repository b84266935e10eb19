"""What claims of the GTR paper are made of: systems, sets, quantities and statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gtr_beir.data.registry import suite
from gtr_beir.report.claims.claim import (
    COUNT,
    LEAD,
    PERCENT,
    RATIO,
    SCORE,
    Basis,
    Quantity,
    Statement,
    Truths,
)
from gtr_beir.report.claims.evidence import MILLISECONDS, Entry, System
from gtr_beir.report.claims.resampling import Values

NDCG, RECALL, CAPPED_RECALL = "ndcg@10", "recall@100", "recall_cap@100"
TOUCHE, COVID = "webis-touche2020", "trec-covid"

SIZES = tuple(
    System(title, name, ("gtr-paper", "t5x_retrieval-readme"), name)
    for title, name in (
        ("Base", "gtr-base"),
        ("Large", "gtr-large"),
        ("XL", "gtr-xl"),
        ("XXL", "gtr-xxl"),
    )
)
BASE, LARGE, XL, XXL = SIZES
BM25 = System("BM25", "bm25", ("beir-paper",), "bm25-multifield")
BM25_DROPPED = System(
    "BM25",
    "bm25",
    ("beir-paper",),
    "bm25-multifield",
    # The same BM25 without documents of the query's own id.
    (("arguana", "anserini", "bm25-multifield"),),
)
_BEIR = ("beir-paper",)
COLBERT = System("ColBERT", "colbert", _BEIR)
RETRIEVERS = (
    System("BM25", "bm25", _BEIR),
    System("docT5query", "doct5query", _BEIR),
    System("TAS-B", "tas-b", _BEIR),
    System("ANCE", "ance", _BEIR),
    System("GenQ", "genq", _BEIR),
    COLBERT,
)
DOCT5QUERY, TASB = RETRIEVERS[1:3]
RERANKER = System("BM25+CE", "bm25+ce", _BEIR)
ANSERINI = System("BM25", "bm25-multifield", ("anserini",))

STATED = {
    # Section 8, in milliseconds.
    ("gtr-base", "", MILLISECONDS): (17, 0),
    ("gtr-large", "", MILLISECONDS): (34, 0),
    ("gtr-xl", "", MILLISECONDS): (96, 0),
    ("gtr-xxl", "", MILLISECONDS): (349, 0),
    # Table 7, by a secondary source.
    ("gtr-xxl", "msmarco", "mrr@10"): (0.388, 3),
}
"""(system, dataset, measure) -> value and decimals of what is not in `published.csv`."""

_ALL = suite("zero-shot")
_COMPARED = tuple(name for name in _ALL if name != TOUCHE)
_SETS = "{} sets".format
_KEPT, _DROPPED = "BM25 keeping own ids", "BM25 dropping own ids"
_TOUCHE_WHY = "Touché-2020 is very likely v1 in the paper, and v2 here"
_WHOLE = _SETS(len(_ALL))
_WITHOUT = f"{_SETS(len(_COMPARED))} without Touché-2020"
OVER_ALL = (Basis(_WHOLE, _ALL), Basis(_WITHOUT, _COMPARED, why=_TOUCHE_WHY))
OVER_ALL_BM25 = tuple(
    Basis(f"{words}, {policy}", names, bm25, why)
    for words, names, why in ((_WHOLE, _ALL, ""), (_WITHOUT, _COMPARED, _TOUCHE_WHY))
    for policy, bm25 in ((_KEPT, BM25), (_DROPPED, BM25_DROPPED))
)

# Quantities -------------------------------------------------------------------------------------


def entries(
    systems: Sequence[System], datasets: Sequence[str], measure: str = NDCG
) -> tuple[Entry, ...]:
    """System by system, dataset by dataset. Recall@100 is the capped one on TREC-COVID, as GTR's
    README has it."""
    capped = {COVID: CAPPED_RECALL} if measure == RECALL else {}
    return tuple(Entry(s, d, capped.get(d, measure)) for s in systems for d in datasets)


def mean(system: System, datasets: Sequence[str], measure: str = NDCG) -> Quantity:
    """The unweighted mean of a system over datasets."""
    return Quantity(system.title, entries([system], datasets, measure), _mean, SCORE)


def _mean(values: Values) -> Values:
    return np.asarray(values.mean(axis=0))


def lead(
    over: System, under: System, datasets: Sequence[str], measure: str = NDCG, unit: str = LEAD
) -> Quantity:
    """By how much one mean is above another; in PERCENT of the other."""

    def act(values: Values) -> Values:
        a, b = means(values, 2)
        return np.asarray(100 * (a / b - 1) if unit == PERCENT else a - b)

    title = f"{over.title} over {under.title}"
    return Quantity(title, entries([over, under], datasets, measure), act, unit)


def means(values: Values, systems: int) -> Values:
    """float64[systems * datasets, n] -> float64[systems, n], means over datasets."""
    parts: Values = values.reshape(systems, -1, values.shape[-1]).mean(axis=1)
    return parts


def wins(over: System, under: System, datasets: Sequence[str]) -> Quantity:
    """Datasets on which one system is above another."""

    def act(values: Values) -> Values:
        a, b = values.reshape(2, -1, values.shape[-1])
        return np.asarray((a > b).sum(axis=0), dtype=np.float64)

    title = f"sets, {over.title} above {under.title}"
    return Quantity(title, entries([over, under], datasets), act, COUNT)


def never_falls(datasets: Sequence[str]) -> Quantity:
    """Datasets on which no size is below a smaller one."""

    def act(values: Values) -> Values:
        steps = np.diff(values.reshape(len(SIZES), -1, values.shape[-1]), axis=0)
        return np.asarray((steps >= 0).all(axis=0).sum(axis=0), dtype=np.float64)

    return Quantity("sets where no step falls", entries(SIZES, datasets), act, COUNT)


def ratio(
    over: System, under: System, dataset: str, measure: str, about: str, tolerance: float = 0.0
) -> Quantity:
    """One value over another, judged where there is a tolerance (`Quantity.tolerance`)."""
    held = entries([over, under], [dataset], measure)
    title = f"{about}, {over.title} over {under.title}"
    judged = tolerance > 0
    return Quantity(title, held, lambda v: v[0] / v[1], RATIO, tolerance=tolerance, judged=judged)


def titled(quantity: Quantity, title: str) -> Quantity:
    """A quantity under another title."""
    return replace(quantity, title=title)


# Statements -------------------------------------------------------------------------------------


def rises(datasets: Sequence[str], measure: str = NDCG, what: str = "the mean") -> Statement:
    def test(values: Values) -> Truths:
        return np.asarray((np.diff(means(values, len(SIZES)), axis=0) > 0).all(axis=0))

    sentence = f"{what} rises at each of the three steps"
    return Statement(sentence, entries(SIZES, datasets, measure), test)


def above(
    over: System, under: System, datasets: Sequence[str], measure: str = NDCG, where: str = ""
) -> Statement:
    def test(values: Values) -> Truths:
        a, b = means(values, 2)
        return np.asarray(a > b)

    sentence = f"{over.title} is above {under.title}{where}"
    return Statement(sentence, entries([over, under], datasets, measure), test)
