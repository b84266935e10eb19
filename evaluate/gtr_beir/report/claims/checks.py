"""The check of each claim of the GTR paper: the quantities and statements it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gtr_beir.data.registry import registered
from gtr_beir.report.claims.claim import (
    PERCENT,
    Basis,
    Check,
    Quantity,
    Statement,
    Truths,
)
from gtr_beir.report.claims.claim import WORDS as IN_WORDS
from gtr_beir.report.claims.evidence import (
    MILLISECONDS,
    NO_TEXT,
    TEXT_WORDS,
    WORDS,
    System,
)
from gtr_beir.report.claims.parts import (
    ANSERINI,
    BASE,
    BM25,
    COLBERT,
    COVID,
    DOCT5QUERY,
    LARGE,
    RECALL,
    RERANKER,
    RETRIEVERS,
    SIZES,
    TASB,
    TOUCHE,
    XL,
    XXL,
    above,
    entries,
    lead,
    mean,
    never_falls,
    ratio,
    rises,
    titled,
    wins,
)
from gtr_beir.report.claims.resampling import Values

LONGER_ON = ("dbpedia-entity", "fever", "hotpotqa", "signal1m", "trec-news", TOUCHE)


def rise_with_size(basis: Basis) -> Check:
    """C1"""
    names = basis.datasets
    return Check((lead(XXL, BASE, names), *(mean(s, names) for s in SIZES)), (rises(names),))


def rise_on_most_sets(basis: Basis) -> Check:
    """C2"""
    names = basis.datasets
    never = never_falls(names)
    half = len(names) / 2
    most = Statement("no step falls on most sets", never.entries, lambda v: never.formula(v) > half)
    some = Statement(
        "a step falls on some set", never.entries, lambda v: never.formula(v) < len(names)
    )
    return Check((never,), (most, some))


def recall_rises(basis: Basis) -> Check:
    """C13"""
    names = basis.datasets
    quantities = (lead(XXL, BASE, names, RECALL), *(mean(s, names, RECALL) for s in SIZES))
    return Check(quantities, (rises(names, RECALL),))


def in_domain(_: Basis) -> Check:
    """C3"""
    return rise_with_size(Basis(datasets=("msmarco",)))


def over_bm25(basis: Basis) -> Check:
    """C4"""
    assert basis.bm25 is not None
    names, bm25 = basis.datasets, basis.bm25
    quantities = (lead(XXL, bm25, names), *(mean(s, names) for s in (*SIZES, bm25)))
    return Check(quantities, (above(bm25, BASE, names), *_each_above(bm25, names)))


def _each_above(under: System, names: Sequence[str]) -> tuple[Statement, ...]:
    return tuple(above(size, under, names) for size in (LARGE, XL, XXL))


def over_colbert(basis: Basis) -> Check:
    """C5"""
    names = basis.datasets
    quantities = (lead(XXL, COLBERT, names), *(mean(s, names) for s in SIZES))
    return Check(quantities, (above(COLBERT, BASE, names), *_each_above(COLBERT, names)))


def large_over_baselines(basis: Basis) -> Check:
    """C6"""
    names = basis.datasets
    quantities = (lead(LARGE, DOCT5QUERY, names), lead(LARGE, TASB, names), mean(LARGE, names))
    return Check(quantities, (above(LARGE, DOCT5QUERY, names), above(LARGE, TASB, names)))


def over_retrievers(basis: Basis) -> Check:
    """C7; the baselines' Recall@100 is published by Anserini only, and capped nowhere."""
    names = basis.datasets
    plain = [name for name in names if name not in (COVID, TOUCHE)]
    beaten = lead(XXL, ANSERINI, plain, RECALL)
    return Check(
        (
            lead(XXL, DOCT5QUERY, names),
            mean(XXL, names),
            titled(mean(XXL, names, RECALL), "XXL, Recall@100"),
            titled(beaten, f"R@100: {beaten.title}"),
        ),
        (
            *(above(XXL, baseline, names) for baseline in RETRIEVERS),
            above(XXL, ANSERINI, plain, RECALL, f" in Recall@100 of {len(plain)} sets"),
        ),
    )


def wins_grow(basis: Basis) -> Check:
    """C8"""
    assert basis.bm25 is not None
    names, bm25 = basis.datasets, basis.bm25
    over_bm25 = [wins(size, bm25, names) for size in reversed(SIZES)]
    over_colbert = [wins(size, COLBERT, names) for size in reversed(SIZES)]
    held = entries((*SIZES, bm25), names)

    def test(values: Values) -> Truths:
        *sizes, against = values.reshape(len(SIZES) + 1, -1, values.shape[-1])
        counts = [(size > against).sum(axis=0) for size in sizes]
        grow = (np.diff(counts, axis=0) >= 0).all(axis=0)
        return np.asarray(grow & (counts[-1] > counts[0]))

    grows = Statement("wins over BM25 never fall with size, and grow in all", held, test)
    return Check((*over_bm25, *over_colbert), (grows,))


def nfcorpus(_: Basis) -> Check:
    """C9"""
    where = ("nfcorpus",)
    quantities = (
        lead(XL, BM25, where, unit=PERCENT),
        *(mean(s, where) for s in (BASE, XL, BM25)),
    )
    return Check(quantities, (above(BM25, BASE, where), above(XL, BM25, where)))


def nq(_: Basis) -> Check:
    """C10"""
    where = ("nq",)
    quantities = (lead(XXL, BM25, where), *(mean(s, where) for s in (*SIZES, BM25)))
    return Check(quantities, (above(BASE, BM25, where), rises(where, what="the lead")))


def bioasq(_: Basis) -> Check:
    """C11; judged is what prose and table agree on."""
    where = ("bioasq",)
    quantities = (lead(XXL, BASE, where), *(mean(s, where) for s in SIZES))
    return Check(quantities, (above(XXL, BASE, where), above(LARGE, BASE, where)))


def ms_marco(_: Basis) -> Check:
    """C12"""
    where = ("msmarco",)
    mrr = titled(mean(XXL, where, "mrr@10"), "XXL, MRR@10")
    recall = mean(XXL, where, "recall@1000")
    deep = replace(recall, title="XXL, Recall@1000", judged=False)
    best = [
        above(XXL, size, where, measure, what)
        for measure, what in (("mrr@10", " in MRR@10"), ("recall@1000", " in Recall@1000"))
        for size in (BASE, LARGE, XL)
    ]
    return Check((mrr, titled(mean(XXL, where), "XXL, NDCG@10"), deep), tuple(best))


def _short(dataset: str) -> str:
    spec = registered(dataset)
    assert spec is not None
    return spec.short or spec.title


def _medians(dataset: str) -> tuple[Quantity, ...]:
    """Median words of the first ten documents of each size; the paper prints none."""
    return tuple(
        Quantity(
            f"{_short(dataset)}, {size.title}{about}",
            entries([size], [dataset], measure),
            lambda v: v[0],
            IN_WORDS,
            judged=False,
        )
        for measure, about in ((WORDS, ""), (TEXT_WORDS, ", no titles"))
        for size in SIZES
    )


def longer_documents(_: Basis) -> Check:
    """C14"""
    twice = ratio(XXL, BASE, TOUCHE, WORDS, "Touché words")
    headline = replace(twice, stated=2.0, tolerance=0.25, judged=True)
    quantities = [q for name in LONGER_ON for q in _medians(name)]
    statements = tuple(
        above(XXL, BASE, [name], WORDS, f" in median words on {_short(name)}") for name in LONGER_ON
    )
    return Check((headline, *quantities), statements)


def shorter_documents(_: Basis) -> Check:
    """C15"""
    where = (COVID,)
    empty = tuple(
        Quantity(
            f"no abstract, {size.title}",
            entries([size], where, NO_TEXT),
            lambda v: v[0],
            judged=False,
        )
        for size in SIZES
    )
    scores = [mean(size, where) for size in (BASE, XL, XXL)]
    lengths = ratio(XXL, BASE, COVID, WORDS, "words")
    return Check(
        (lead(XXL, XL, where), *scores, lengths, *_medians(COVID), *empty),
        (
            above(XL, XXL, where, where=" in NDCG@10"),
            above(BASE, XXL, where, WORDS, " in median words"),
        ),
    )


def latency(_: Basis) -> Check:
    """C16"""
    quantities = tuple(
        ratio(size, BASE, "", MILLISECONDS, "latency", tolerance=0.25) for size in (XXL, XL, LARGE)
    )
    return Check(quantities, (rises(("",), MILLISECONDS, "the latency"),))


def early_interaction(basis: Basis) -> Check:
    """C21"""
    names = basis.datasets
    return Check((lead(XXL, RERANKER, names), mean(XXL, names)), (above(XXL, RERANKER, names),))
