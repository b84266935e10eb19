"""The report of a results folder: who stands beside whom, averages, significance, verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.report.results import record, write, write_queries

from gtr_beir.data.registry import suite
from gtr_beir.errors import UsageError
from gtr_beir.published import published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import BETTER, DIFFERS, GTR, OWN, WORSE, Board, Cell, Column, Line
from gtr_beir.report.formats.layout import show
from gtr_beir.report.formats.markdown import markdown
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.naming import names_of
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.verdicts import verdicts_on
from gtr_beir.report.whole import Report


def board(report: Report, title: str) -> Board:
    (found,) = (b for b in report.boards if b.title == title)
    return found


def cell(board: Board, system: str, title: str, source: str = "") -> Cell:
    (line,) = (line for line in board.lines if line.title == title)
    (column,) = (c for c in line.cells if c.name == system and (not source or c.source == source))
    return line.cells[column]


def test_without_records_the_published_boards(tmp_path: Path) -> None:
    report = leaderboard(tmp_path)
    assert all(c.group != OWN for b in report.boards for c in b.columns)
    ndcg = board(report, "NDCG@10: all datasets")
    whole = cell(ndcg, "gtr-xxl", "Avg zero-shot (18)")
    assert show(whole) == "0.458 v1", "as the paper prints"
    assert show(cell(ndcg, "gtr-xl", "Avg zero-shot (18)")) == "0.453 v1"
    assert show(cell(ndcg, "bm25-flat", "CQADupStack (*)")) == "0.3021"
    recall = board(report, "Recall@100: all datasets")
    assert show(cell(recall, "gtr-base", "TREC-COVID")).endswith(" c")
    assert "v1" in report.notes
    assert BETTER not in report.notes


def test_the_average_without_what_gtr_was_trained_on(tmp_path: Path) -> None:
    """.414 to .455, worked out elsewhere from the published values."""
    ndcg = board(leaderboard(tmp_path), "NDCG@10: all datasets")
    for size, mean in (("base", ".414"), ("large", ".443"), ("xl", ".450"), ("xxl", ".455")):
        found = cell(ndcg, f"gtr-{size}", "Avg unseen (16)")
        assert show(found) == f"0{mean} v1"
    assert {line.title for line in ndcg.lines} >= {"NQ *", "CQADupStack (*)", "Quora (*)"}


def test_averages_need_the_whole_set(tmp_path: Path) -> None:
    names = suite("zero-shot")
    whole = [record("mine", name, 0.1 + 0.01 * place) for place, name in enumerate(names)]
    write(tmp_path, *whole, *(replace(one, system="partial") for one in whole[:-1]))
    ndcg = board(leaderboard(tmp_path), "NDCG@10: own runs")
    mine = cell(ndcg, "mine", "Avg zero-shot (18)")
    assert mine.n == 18
    assert mine.value == pytest.approx(0.1 + 0.01 * 17 / 2)
    (line,) = (line for line in ndcg.lines if line.title == "Avg zero-shot (18)")
    assert "partial" not in {column.name for column in line.cells}


def test_own_datasets_stand_first_and_whatever_they_are(tmp_path: Path) -> None:
    write(tmp_path, record("mine", "scifact", 0.5), record("mine", "own-set", 0.25))
    first = leaderboard(tmp_path).boards[0]
    assert first.title == "NDCG@10: own runs"
    assert [line.title for line in first.lines] == ["SciFact", "own-set", "Mean of these 2"]
    assert first.columns[0].name == "mine"
    assert {c.name for c in first.columns} >= {"bm25-flat", "colbert", "colbertv2", "gtr-xxl"}
    assert cell(first, "mine", "Mean of these 2").value == 0.375


def test_datasets_of_one_name_are_not_one_line(tmp_path: Path) -> None:
    one = record("one", "own-set", 0.5, fingerprint="1" * 64)
    two = record("two", "own-set", 0.6, fingerprint="2" * 64)
    first = leaderboard(write(tmp_path, one, two)).boards[0]
    titles = [line.title for line in first.lines if not line.average]
    assert titles == ["own-set [11111111]", "own-set [22222222]"]
    assert all(len(line.cells) == 1 for line in first.lines if not line.average)
    said = leaderboard(tmp_path).remarks[0]
    assert said.startswith("own-set stands for 2 datasets, or copies of one, that are not the same")
    assert "[11111111], [22222222]" in said


def test_nano_sets_are_never_averaged_with_full_ones(tmp_path: Path) -> None:
    values = {"scifact": 0.9, "nfcorpus": 0.7, "nano-scifact": 0.2, "nano-nfcorpus": 0.4}
    made = [record("one", name, value) for name, value in values.items()]
    lines = {line.title: line for line in leaderboard(write(tmp_path, *made)).boards[0].lines}
    means = {
        title: next(cell.value for column, cell in line.cells.items() if column.group == OWN)
        for title, line in lines.items()
        if line.average
    }
    assert means == pytest.approx({"Mean of these 2": 0.8, "Mean of these 2 Nano": 0.3})


def test_pairs_over_datasets_are_over_full_or_nano_sets(tmp_path: Path) -> None:
    for name in ("scifact", "nfcorpus", "nano-scifact", "nano-nfcorpus"):
        for system, value in (("one", 0.5), ("two", 0.25)):
            values = [value, value / 2, 0.0]
            write(tmp_path, record(system, name, 0.5))
            write_queries(tmp_path, system, name, values)
    over = [one.datasets for one in leaderboard(tmp_path).overall if one.measure == "ndcg@10"]
    assert over == [("NFCorpus", "SciFact"), ("Nano NFCorpus", "Nano SciFact")]


def test_one_label_for_two_systems_is_two_columns(tmp_path: Path) -> None:
    one = record("mix", "scifact", 0.5, weights="x")
    two = record("mix", "own-set", 0.6, weights="y")
    first = leaderboard(write(tmp_path, one, two)).boards[0]
    own = [column.name for column in first.columns if column.group == OWN]
    assert len(own) == 2
    assert all(name.startswith("mix [") for name in own)
    assert not [line for line in first.lines if line.average]


def test_own_columns_are_ranked_by_the_mean_where_all_have_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        record("a-low", "scifact", 0.4),
        record("b-high", "scifact", 0.6),
        record("b-high", "own-set", 0.1),
    )

    def own(**choices: str) -> list[str]:
        report = leaderboard(tmp_path, **choices)
        return [c.name for c in report.boards[0].columns if c.group == OWN]

    assert own() == ["b-high", "a-low"]
    assert own(sort="name") == ["a-low", "b-high"]
    with pytest.raises(UsageError, match="there is no order 'size'"):
        own(sort="size")


def test_what_is_shown_can_be_chosen(tmp_path: Path) -> None:
    write(
        tmp_path,
        record("one", "scifact", 0.4),
        record("two", "scifact", 0.6),
        record("one", "own-set", 0.1),
    )
    report = leaderboard(
        tmp_path, systems=["one"], datasets=["scifact"], measures=["MAP@10"], published=False
    )
    (only,) = report.boards
    assert only.measure == Measure("map", 10)
    assert [column.name for column in only.columns] == ["one"]
    assert [line.title for line in only.lines] == ["SciFact"]
    with pytest.raises(UsageError, match="there is no own system 'three' here"):
        leaderboard(tmp_path, systems=["three"])
    with pytest.raises(UsageError, match="there is no dataset 'scifakt' here"):
        leaderboard(tmp_path, datasets=["scifakt"])


def test_significance_beside_a_baseline_is_scipys_with_holm_by_hand(tmp_path: Path) -> None:
    """Paired randomisation tests of three systems on two datasets against the baseline."""
    draw = np.random.default_rng(3)
    shifts = {"base": 0.0, "same": 0.0, "up": 0.06, "down": -0.1}
    values = {}
    for dataset in ("one", "two"):
        common = draw.uniform(0.2, 0.8, 60)
        for system, shift in shifts.items():
            noise = draw.normal(0, 0.1, 60)
            values[system, dataset] = np.clip(common + shift + noise, 0, 1)
            write(tmp_path, record(system, dataset, float(values[system, dataset].mean())))
            write_queries(tmp_path, system, dataset, values[system, dataset])
    report = leaderboard(tmp_path, baseline="base", published=False, measures=["ndcg@10"])
    p_values = {
        (system, dataset): stats.permutation_test(
            (values[system, dataset], values["base", dataset]),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            n_resamples=20_000,
            rng=np.random.default_rng(1),
        ).pvalue
        for system, dataset in values
        if system != "base"
    }
    ordered = sorted(p_values, key=lambda pair: p_values[pair])
    corrected, highest = {}, 0.0
    for place, pair in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - place) * p_values[pair]))
        corrected[pair] = highest
    (only,) = report.boards
    for (system, dataset), p in corrected.items():
        marks = cell(only, system, dataset).marks
        sign = BETTER if shifts[system] > 0 else WORSE
        assert marks == ((sign,) if p < 0.05 else ()), (system, dataset, p)
    assert cell(only, "up", "one").marks == (BETTER,)
    assert cell(only, "down", "two").marks == (WORSE,)
    assert cell(only, "base", "one").marks == ()
    assert (
        "than base (paired randomisation test, p < 0.05, Holm-corrected over all systems"
        in (report.notes[BETTER])
    )
    shown = cell(only, "up", "one")
    assert shown.low is not None
    assert shown.high is not None
    assert shown.low < shown.value < shown.high


def test_the_baseline_is_an_own_bm25_if_there_is_one(tmp_path: Path) -> None:
    write(tmp_path, record("mine", "scifact", 0.5))
    assert leaderboard(tmp_path).baseline == ""
    write(tmp_path, record("plain", "scifact", 0.5, family="bm25-lucene-flat"))
    assert leaderboard(tmp_path).baseline == "plain"
    assert leaderboard(tmp_path, baseline="").baseline == ""
    with pytest.raises(UsageError, match="there is no own system 'x' to compare with"):
        leaderboard(tmp_path, baseline="x")


def test_verdicts_are_at_the_published_precision(tmp_path: Path) -> None:
    value = next(
        v
        for v in published_values()
        if (v.source, v.system) == ("gtr-paper", "gtr-base") and v.dataset == "scifact"
    )
    close = record("close", "scifact", value.value + 0.0004, family="gtr-base")
    far = record("far", "scifact", value.value + 0.0006, family="gtr-base")
    hub = record("hub", "scifact", value.value, protocol="hub", family="gtr-base")
    records = [close, far, hub]
    verdicts = verdicts_on(names_of(records), published_values(), PerQuery(None, records))
    found = {(v.system, v.source): v for v in verdicts if v.measure == "ndcg@10"}
    assert found["close", "GTR paper"].word == "reproduced"
    assert found["far", "GTR paper"].word == "differs"
    assert found["hub", "GTR paper"].word == "not compared"
    assert "hub lengths (512 and 512 tokens) here" in found["hub", "GTR paper"].why_not
    assert found["hub", "MTEB"].why_not == ""
    first = leaderboard(write(tmp_path, close, far)).boards[0]
    assert cell(first, "far", "SciFact").marks == (DIFFERS,)
    assert cell(first, "close", "SciFact").marks == ()


def test_what_another_order_of_ties_gives_is_reproduced(tmp_path: Path) -> None:
    """Anserini breaks ties the other way: its value is the ranking's if some order gives it."""
    value = next(
        v
        for v in published_values()
        if (v.source, v.dataset, v.metric) == ("anserini", "scifact", "ndcg@10")
        and v.family == "bm25-lucene-flat"
    )
    own = value.value - 0.0007
    one = record("one", "scifact", own, family="bm25-lucene-flat")
    words = {}
    for name, high in (("enough", value.value - 0.00004), ("too few", own + 0.0002)):
        tied = replace(one, facts={**one.facts, "ties": {"ndcg@10": [own - 0.0001, high]}})
        for known, facts in ((name, tied), ("unknown", one)):
            found = verdicts_on(names_of([facts]), [value], PerQuery(None, [facts]))
            words[known] = [verdict.word for verdict in found]
    assert words == {
        "enough": ["reproduced (ties)"],
        "too few": ["differs"],
        "unknown": ["differs"],
    }


def test_an_older_record_is_told(tmp_path: Path) -> None:
    old = record("old", "scifact", 0.5)
    short = replace(old, measures={"ndcg@10": 0.5, "recall@100": 0.5})
    report = leaderboard(write(tmp_path, short))
    alone, older = report.remarks
    assert alone.startswith("1 of 1 records have no per-query file beside them (of old")
    assert "old on scifact: the record is of an older version and lacks 41 measures" in older
    assert older in markdown(report).replace("\n  ", " ").replace("\\`", "`")


def test_best_is_what_is_read() -> None:
    a, b, c = (Column(name, OWN, "own run") for name in "abc")
    line = Line("x", {a: Cell(0.41234), b: Cell(0.4119, decimals=3), c: Cell(0.3)})
    assert line.best((a, b, c)) == {a, b}, "0.412 and 0.412"
    assert line.best((a, c)) == {a}
    assert line.best((a,)) == set(), "one value is not the best of anything"


def test_values_of_another_thing_are_never_the_best_beside_others(tmp_path: Path) -> None:
    """Capped recall beside Recall@100, and Touché-2020's first judgements beside the second."""
    ndcg, recall = (
        next(b for b in leaderboard(tmp_path).boards if b.title == f"{title}: all datasets")
        for title in ("NDCG@10", "Recall@100")
    )
    for board, title in (
        (ndcg, "Touche-2020"),
        (recall, "TREC-COVID"),
        (ndcg, "Avg zero-shot (18)"),
    ):
        line = next(line for line in board.lines if line.title == title)
        apart = {column for column, cell in line.cells.items() if cell.apart}
        best = line.best(board.columns)
        assert {column.group for column in apart} == {GTR}
        assert best
        assert not best & apart
        assert line.best(tuple(c for c in board.columns if c in apart)) <= apart, "among themselves"
