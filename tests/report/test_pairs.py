"""Own systems beside each other: scipy's permutation test on the per-query files, Holm by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.report.boards import QUERIES, SYSTEMS, six_systems
from tests.report.results import record, write, write_queries

from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import SAMPLES
from gtr_beir.report.board import OWN
from gtr_beir.report.comparison.paired import compare_pairs, paired_results
from gtr_beir.report.formats.markdown import markdown
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.pairs import EDGES
from gtr_beir.report.whole import Report

NDCG = Measure("ndcg", 10)
TITLES = {"SciFact": "scifact", "own-set": "own-set"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("six")
    six_systems(path)
    return path


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return leaderboard(folder, measures=["ndcg@10"])


def per_query(folder: Path, system: str, dataset: str) -> np.typing.NDArray[np.float64]:
    table = pd.read_csv(folder / system / dataset / "queries.csv", index_col="query_id")
    return table["ndcg@10"].to_numpy()


def mean(values: np.typing.NDArray[np.float64], axis: int = -1) -> np.typing.NDArray[np.float64]:
    return np.asarray(values.mean(axis=axis))


def scipys(differences: np.typing.NDArray[np.float64]) -> float:
    found = stats.permutation_test(
        (differences,),
        mean,
        permutation_type="samples",
        n_resamples=SAMPLES,
        vectorized=True,
        rng=np.random.default_rng(3),
    )
    return float(found.pvalue)


def test_every_pair_is_scipys_with_holm_by_hand(folder: Path, report: Report) -> None:
    assert len(report.pairs) == 2 * 15
    theirs = []
    for pair in report.pairs:
        dataset = TITLES[pair.dataset]
        differences = per_query(folder, pair.b, dataset) - per_query(folder, pair.a, dataset)
        assert pair.difference == pytest.approx(differences.mean(), abs=1e-12)
        assert (pair.wins, pair.losses) == ((differences > 0).sum(), (differences < 0).sum())
        assert pair.wins + pair.ties + pair.losses == pair.n == QUERIES[dataset]
        assert sum(pair.spread) == pair.n
        p = scipys(differences)
        assert pair.p == pytest.approx(p, abs=6 * (p * (1 - p) / SAMPLES) ** 0.5 + 2e-4)
        theirs.append(pair.p)
    # Holm: the i-th smallest of m is multiplied by m - i + 1, and never falls below one before it.
    highest = 0.0
    ranked = sorted(range(len(theirs)), key=lambda at: theirs[at])
    for place, at in enumerate(ranked):
        highest = max(highest, min(1.0, theirs[at] * (len(theirs) - place)))
        assert report.pairs[at].corrected == pytest.approx(highest, abs=1e-12)
    assert {pair.corrected < 0.05 for pair in report.pairs} == {True, False}


def test_the_same_system_twice_never_differs(report: Report) -> None:
    for pair in report.pairs:
        if {pair.a, pair.b} == {"dense-c", "dense-c-again"}:
            assert (pair.difference, pair.low, pair.high, pair.p) == (0, 0, 0, 1)
            assert pair.ties == pair.n == pair.spread[len(EDGES) // 2 - 1]
    (same,) = (o for o in report.overall if {o.a, o.b} == {"dense-c", "dense-c-again"})
    assert (same.difference, same.p, same.p_datasets, same.ties) == (0, 1, 1, 2)


def test_letters_are_the_pairs(report: Report) -> None:
    board = report.boards[0]
    own = {column.name: column for column in board.columns if column.group == OWN}
    assert [own[name].letter for name in sorted(SYSTEMS)] == list("abcdef")
    for line in board.lines:
        for name, column in own.items():
            beaten = {
                pair.a if pair.b == name else pair.b
                for pair in report.pairs
                if pair.dataset == line.title
                and pair.corrected < 0.05
                and name == (pair.b if pair.difference > 0 else pair.a)
            }
            letters = "".join(sorted(own[other].letter for other in beaten))
            assert line.cells[column].beats == letters
            if letters:
                assert f"<sup>{letters}</sup>" in markdown(report)


def test_over_datasets_each_has_the_same_weight(folder: Path, report: Report) -> None:
    (one,) = (o for o in report.overall if (o.a, o.b) == ("bm25-flat", "rerank"))
    each = [
        per_query(folder, "rerank", d) - per_query(folder, "bm25-flat", d) for d in TITLES.values()
    ]
    means = [float(differences.mean()) for differences in each]
    assert one.difference == pytest.approx(np.mean(means))
    assert one.wins == sum(mean > 0 for mean in means)
    # By query: flip the sign of each query of its own dataset; the statistic is the mean of means.
    draw = np.random.default_rng(8)
    flipped = np.mean(
        [
            (draw.choice([-1, 1], (SAMPLES, len(differences))) * differences).mean(axis=1)
            for differences in each
        ],
        axis=0,
    )
    p = float((np.abs(flipped) >= abs(np.mean(means)) - 1e-12).mean())
    assert one.p == pytest.approx(p, abs=6 * (p * (1 - p) / SAMPLES) ** 0.5 + 2e-4)
    # By dataset: of the four assignments of signs two are as far from 0 or farther, or all four.
    assert one.p_datasets in (0.5, 1.0)


def test_a_dataset_of_parts_is_tested_by_its_parts(tmp_path: Path) -> None:
    """CQADupStack: the mean of its forums' means, whatever number of queries each has."""
    draw = np.random.default_rng(2)
    parts = {"cqadupstack/android": 30, "cqadupstack/english": 90}
    values = {}
    for system in ("a", "b"):
        means = {}
        for part, queries in parts.items():
            own = draw.beta(2, 2, queries)
            values[system, part] = own
            means[part] = {"ndcg@10": float(own.mean())}
            (tmp_path / system / part).mkdir(parents=True)
            write_queries(tmp_path, system, part, own.tolist())
        whole = float(np.mean([m["ndcg@10"] for m in means.values()]))
        one = record(system, "cqadupstack", whole, weights=system)
        measures = {**one.measures, "recall@100": whole}
        queries = sum(parts.values())
        write(tmp_path, replace(one, parts=means, n_queries=queries, measures=measures))
    report = leaderboard(tmp_path, measures=["ndcg@10"], published=False)
    (pair,) = report.pairs
    means = [float((values["b", part] - values["a", part]).mean()) for part in parts]
    assert pair.difference == pytest.approx(np.mean(means))
    assert pair.n == 120
    (line,) = report.boards[0].lines
    for cell in line.cells.values():
        assert cell.low is not None
        assert cell.high is not None
        assert cell.low < cell.value < cell.high


def test_more_systems_than_letters_are_not_paired(tmp_path: Path) -> None:
    for place in range(27):
        write(tmp_path, record(f"s{place:02}", "scifact", 0.5, weights=str(place)))
        write_queries(tmp_path, f"s{place:02}", "scifact", [0.4, 0.6] * 5)
    report = leaderboard(tmp_path, measures=["ndcg@10"])
    assert not report.pairs
    assert any("26" in remark for remark in report.remarks)
    assert leaderboard(tmp_path, measures=["ndcg@10"], systems=["s01", "s02"]).pairs


def test_a_pair_is_what_compare_prints(folder: Path, report: Report) -> None:
    """The same draws in the same order of queries: one difference has one interval and one p."""
    pair = next(p for p in report.pairs if (p.dataset, p.a, p.b) == ("own-set", *SYSTEMS[:2]))
    (found,) = [
        one
        for one in compare_pairs(paired_results(folder / pair.a, folder / pair.b, NDCG).pairs)
        if one.dataset == "own-set"
    ]
    comparison = found.comparison
    assert pair.difference == pytest.approx(comparison.difference, abs=1e-15)
    assert (pair.low, pair.high) == pytest.approx((comparison.low, comparison.high), abs=1e-12)
    assert pair.p == comparison.p_randomisation


def test_each_measure_is_corrected_on_its_own(folder: Path, report: Report) -> None:
    both = leaderboard(folder, measures=["ndcg@10", "recall@100"])
    assert [p for p in both.pairs if p.measure == "ndcg@10"] == list(report.pairs)
    assert len(both.pairs) == 2 * len(report.pairs)
    assert [o for o in both.overall if o.measure == "ndcg@10"] == list(report.overall)
