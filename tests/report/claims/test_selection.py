"""Records of one copy of a dataset, and intervals of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.intervals import mean_interval
from tests.report.results import record, write, write_queries

from gtr_beir.published import published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import compare
from gtr_beir.records import Record
from gtr_beir.report.claims.claim import NOT_RUN, REPRODUCED, Answer
from gtr_beir.report.claims.commands import commands
from gtr_beir.report.claims.evidence import Evidence
from gtr_beir.report.claims.parts import BASE, BM25, COLBERT, STATED, XXL, lead, mean, titled, wins
from gtr_beir.report.claims.rows import claim_answers
from gtr_beir.report.claims.selection import Selection
from gtr_beir.report.claims.text import copies
from gtr_beir.report.pairs import overall_of
from gtr_beir.report.per_query import PerQuery, Values


def of_paper(system: str, dataset: str, copy: str) -> Record:
    """What a run would leave that measured the published NDCG@10."""
    name = {"bm25-multifield": "bm25"}.get(system, system)
    (value,) = (
        v
        for v in published_values()
        if (v.system, v.dataset, v.metric) == (name, dataset, "ndcg@10")
        and v.source in ("gtr-paper", "beir-paper")
    )
    one = record(system, dataset, value.value, family=value.family, fingerprint=copy)
    if system == "bm25-multifield":
        one = replace(one, identity=replace(one.identity, lengths=None, precision=""))
    return one


def nfcorpus(results: Path, **of: str) -> Answer:
    """C9, where each system has searched a copy of NFCorpus."""
    names = {"base": "gtr-base", "xl": "gtr-xl", "bm25": "bm25-multifield"}
    write(results, *(of_paper(names[key], "nfcorpus", copy) for key, copy in of.items()))
    (found,) = claim_answers(Evidence(results, results / "none", STATED), ["C9"])
    return found


def test_systems_on_one_copy_are_judged(tmp_path: Path) -> None:
    one = nfcorpus(tmp_path, base="a" * 64, xl="a" * 64, bm25="a" * 64)
    assert (one.verdict, one.apart) == (REPRODUCED, ())


def test_a_record_of_another_copy_does_not_count(tmp_path: Path) -> None:
    """The copy that most have decides, whichever is first by name."""
    one = nfcorpus(tmp_path, base="a" * 64, xl="b" * 64, bm25="b" * 64)
    assert (one.verdict, one.present, one.needed) == (NOT_RUN, 2, 3)
    assert commands(one.lacks, "r") == ["gtr-beir run gtr-base -d nfcorpus"]
    assert copies([one]) == [
        "gtr-base on nfcorpus does not count for C9: other records are of another copy of the data "
        "(bbbbbbbb, not aaaaaaaa); have one copy in the datasets folder and run all on it"
    ]
    head = one.headline
    assert head is not None
    assert head.own is not None, "XL and BM25 are of one copy"


def test_three_copies_prove_nothing(tmp_path: Path) -> None:
    one = nfcorpus(tmp_path, base="c", xl="a", bm25="b")
    assert (one.verdict, one.present) == (NOT_RUN, 1)
    assert one.headline is not None
    assert (one.headline.own, one.headline.low) == (None, None)
    assert [(apart.system, apart.chosen) for apart in one.apart] == [
        ("bm25-multifield", "a"),
        ("gtr-base", "a"),
    ]


def test_a_claim_of_one_system_needs_no_other_copy(tmp_path: Path) -> None:
    """Another system's copy is nothing to a claim that does not use it."""
    write(tmp_path, *(of_paper(s, "nq", c) for s, c in (("gtr-base", "a"), ("gtr-xxl", "b"))))
    evidence = Evidence(tmp_path, None, STATED)
    for system in (BASE, XXL):
        entries = mean(system, ["nq"]).entries
        assert Selection(evidence, entries).own(entries[0]) is not None
    both = Selection(evidence, lead(XXL, BASE, ["nq"]).entries)
    assert len(both.apart) == 1


def test_another_record_of_the_same_model_may_be_of_the_right_copy(tmp_path: Path) -> None:
    mine = replace(of_paper("gtr-base", "nfcorpus", "b"), system="mine")
    write(tmp_path, mine)
    one = nfcorpus(tmp_path, base="a", xl="b", bm25="b")
    assert (one.verdict, one.apart) == (REPRODUCED, ())


def test_systems_left_aside_are_named_once_with_all_claims(tmp_path: Path) -> None:
    for name in ("nfcorpus", "nq", "msmarco"):
        for system in ("gtr-large", "gtr-xl", "gtr-xxl", "bm25-multifield"):
            write(tmp_path, of_paper(system, name, "b"))
        write(tmp_path, of_paper("gtr-base", name, "a"))
    found = claim_answers(Evidence(tmp_path, None, STATED), ["C3", "C9", "C10"])
    assert {one.verdict for one in found} == {NOT_RUN}
    (text,) = copies(found)
    assert text.startswith("gtr-base on 3 datasets does not count for C3, C9, C10: other records")


# Intervals ----------------------------------------------------------------------------------------


def with_values(
    results: Path, values: Sequence[tuple[str, str, np.ndarray]], copy: str = "a"
) -> Evidence:
    for system, name, of in values:
        one = of_paper(system, name, copy)
        write(results, replace(one, measures={**one.measures, "ndcg@10": float(of.mean())}))
        write_queries(results, system, name, of.tolist())
    return Evidence(results, None, STATED)


def by_id(values: np.ndarray) -> np.ndarray:
    """In the order of their queries' ids, in which they are drawn."""
    return values[sorted(range(len(values)), key=lambda place: f"q{place}")]


def skewed(n: int, seed: int) -> np.ndarray:
    """Most queries score 1 and few 0, where a percentile interval lies too low."""
    values: np.ndarray = (np.random.default_rng(seed).random(n) < 0.93).astype(np.float64)
    return values


def test_a_mean_has_the_interval_that_boards_show(tmp_path: Path) -> None:
    values = skewed(60, 1)
    evidence = with_values(tmp_path, [("gtr-base", "nq", values)])
    one = mean(BASE, ["nq"])
    found = Selection(evidence, one.entries).interval(one.entries, one.formula, linear=True)
    assert found == pytest.approx(mean_interval(by_id(values)))
    percentiles = Selection(evidence, one.entries).interval(one.entries, one.formula, linear=False)
    assert percentiles != pytest.approx(found)


def test_a_difference_has_the_interval_that_compare_prints(tmp_path: Path) -> None:
    base, best = skewed(60, 2), skewed(60, 3)
    evidence = with_values(tmp_path, [("gtr-base", "nq", base), ("gtr-xxl", "nq", best)])
    one = lead(XXL, BASE, ["nq"])
    found = Selection(evidence, one.entries).interval(one.entries, one.formula, linear=True)
    told = compare(by_id(base), by_id(best), samples=10)
    assert found == pytest.approx((told.low, told.high))


def test_datasets_of_a_mean_weigh_the_same(tmp_path: Path) -> None:
    """As boards' systems over datasets, but for the order of the draws."""
    held = {
        (system, name): skewed(n, seed)
        for seed, (system, name, n) in enumerate(
            (system, name, n)
            for system in ("gtr-base", "gtr-xxl")
            for name, n in (("nq", 400), ("fiqa", 50), ("scifact", 50))
        )
    }
    evidence = with_values(tmp_path, [(*place, of) for place, of in held.items()])
    names = ("nq", "fiqa", "scifact")
    one = lead(XXL, BASE, names)
    found = Selection(evidence, one.entries).interval(one.entries, one.formula, linear=True)
    records = [r for of in evidence.records.values() for r in of]
    ndcg = Measure.parse("ndcg@10")
    per_query = PerQuery(tmp_path, records, [ndcg])
    drawn: dict[str, dict[str, Values]] = {}
    for r in records:
        values = per_query.drawn(r, ndcg)
        assert values is not None
        drawn.setdefault(r.dataset, {})[r.system] = values
    (told,) = overall_of(ndcg, drawn)
    assert found is not None
    width = told.high - told.low
    assert found == pytest.approx((told.low, told.high), abs=0.04 * width)
    each = [held["gtr-xxl", name] - held["gtr-base", name] for name in names]
    error = np.sqrt(sum(of.var() / len(of) for of in each)) / len(names)
    assert found[1] - found[0] == pytest.approx(2 * stats.norm.ppf(0.975) * error, rel=0.1)


def test_a_published_value_moves_an_interval_and_does_not_widen_it(tmp_path: Path) -> None:
    values = skewed(60, 4)
    evidence = with_values(tmp_path, [("gtr-xxl", "nq", values)])
    one = lead(XXL, COLBERT, ["nq"])
    selection = Selection(evidence, one.entries)
    theirs = selection.own(one.entries[1])
    assert theirs is not None
    low, high = mean_interval(by_id(values))
    found = selection.interval(one.entries, one.formula, linear=True)
    assert found == pytest.approx((low - theirs, high - theirs))


def test_counts_have_percentiles(tmp_path: Path) -> None:
    base, best = skewed(60, 5), skewed(60, 6)
    evidence = with_values(tmp_path, [("bm25-multifield", "nq", base), ("gtr-xxl", "nq", best)])
    one = wins(XXL, BM25, ["nq"])
    selection = Selection(evidence, one.entries)
    samples = selection.samples(one.entries)
    assert samples is not None
    assert samples.shape == (2, 10_000)
    share = (samples[0] > samples[1]).mean()
    assert 0.025 < share < 0.975, "else the test shows nothing"
    assert selection.interval(one.entries, one.formula, linear=False) == (0, 1)


def test_other_queries_are_not_paired(tmp_path: Path) -> None:
    """A per-query file that lacks some of its queries has no place in a paired interval."""
    values = skewed(60, 7)
    evidence = with_values(tmp_path, [("gtr-base", "nq", values), ("gtr-xxl", "nq", values[:-1])])
    one = lead(XXL, BASE, ["nq"])
    assert Selection(evidence, one.entries).samples(one.entries) is None


def test_a_title_changes_nothing_else() -> None:
    one = replace(mean(BASE, ["nq"]), stated=0.5, tolerance=0.25, judged=False)
    assert titled(one, "other") == replace(one, title="other")
    assert titled(one, "other").judged is False
