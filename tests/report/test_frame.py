"""The Report as one table: every kind of line, unrounded, each value once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tests.report.boards import SYSTEMS, six_systems

from gtr_beir.ranking.measures import MEASURES
from gtr_beir.report.findings import LengthBin
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.whole import Report

KINDS = {
    *("value", "verdict", "pair", "overall", "hardest", "disagreement"),
    *("words of the first ten", "by query length", "by document length"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of six systems, with lengths that need no texts here."""
    folder = tmp_path_factory.mktemp("six")
    six_systems(folder)
    made = leaderboard(folder)
    columns = list(made.sections[0].cells)
    means = {column: 1 / (3 + at) for at, column in enumerate(columns)}
    bins = (
        LengthBin(1, 4, 21, means, {columns[0]: 1 / 7}),
        LengthBin(5, 9, 19, dict(reversed(means.items())), {}),
    )
    words = {column: 100 / (3 + at) for at, column in enumerate(columns)}
    first = replace(made.sections[0], by_query=bins, by_document=bins[:1], top_words=words)
    return replace(made, sections=(first, *made.sections[1:]))


@pytest.fixture(scope="module")
def frame(report: Report) -> pd.DataFrame:
    return report.frame()


def test_every_kind_stands_in_it(report: Report, frame: pd.DataFrame) -> None:
    assert set(frame.kind) == KINDS
    counts = Counter(frame.kind)
    systems = len(SYSTEMS)
    assert counts["verdict"] == len(report.verdicts)
    assert counts["pair"] == len(report.pairs) == 2 * 2 * systems * (systems - 1) // 2
    assert counts["overall"] == len(report.overall)
    assert counts["hardest"] == sum(len(s.hardest) for s in report.sections) * systems
    assert counts["by query length"] == 2 * systems
    assert counts["by document length"] == counts["words of the first ten"] == systems


def test_each_value_of_every_board_stands_once_and_unrounded(
    report: Report, frame: pd.DataFrame
) -> None:
    values = frame[frame.kind == "value"]
    keys = ["measure", "dataset", "system", "group", "source"]
    assert not values.duplicated(keys).any()
    held = values.set_index(keys)
    of_boards = set()
    for board in report.boards:
        for line in board.lines:
            for column, cell in line.cells.items():
                key = (str(board.measure), line.title, column.name, column.group, column.source)
                of_boards.add(key)
                row = held.loc[key]
                assert row.value == cell.value, "to the last bit"
                assert (row.low == cell.low) if cell.low is not None else pd.isna(row.low)
                assert (row.high == cell.high) if cell.high is not None else pd.isna(row.high)
                assert row.n == cell.n or (cell.n is None and pd.isna(row.n))
                assert row.marks == " ".join(cell.marks)
                assert (row.beats, row.note, row.average) == (cell.beats, cell.note, line.average)
                assert (row.about, row.letter) == (column.about, column.letter)
    rest = set(held.index) - of_boards
    assert {source for *_, source in rest} == {"own run"}, "own systems have every measure"
    own = values[(values.source == "own run") & (values.system == "dense-a")]
    assert set(own[own.dataset == "SciFact"].measure) == set(map(str, MEASURES))


def test_pairs_and_verdicts_unrounded(report: Report, frame: pd.DataFrame) -> None:
    pairs = frame[frame.kind == "pair"].set_index(["measure", "dataset", "system", "against"])
    for pair in report.pairs:
        row = pairs.loc[(pair.measure, pair.dataset, pair.b, pair.a)]
        assert (row.difference, row.low, row.high) == (pair.difference, pair.low, pair.high)
        assert (row.p, row.p_holm) == (pair.p, pair.corrected)
        assert (row.n, row.wins, row.ties, row.losses) == (
            *(pair.n, pair.wins, pair.ties, pair.losses),
        )
        assert row.wins + row.ties + row.losses == row.n
    over = frame[frame.kind == "overall"]
    assert over.difference.tolist() == [one.difference for one in report.overall]
    assert over.p_datasets.tolist() == [one.p_datasets for one in report.overall]
    said = frame[frame.kind == "verdict"]
    assert said.verdict.tolist() == [verdict.word for verdict in report.verdicts]
    assert said.published.tolist() == [verdict.published for verdict in report.verdicts]


def test_queries_and_lengths(report: Report, frame: pd.DataFrame) -> None:
    first = report.sections[0]
    for kind, lines in (("hardest", first.hardest), ("disagreement", first.disagreements)):
        of = frame[(frame.kind == kind) & (frame.dataset == first.title)]
        expected = [(q.query_id, c.name, v) for q in lines for c, v in q.values.items()]
        assert list(zip(of["query"], of.system, of.value, strict=True)) == expected
    for kind, bins in (("query", first.by_query), ("document", first.by_document)):
        of = frame[frame.kind == f"by {kind} length"]
        assert of.value.tolist() == [value for one in bins for value in one.values.values()]
        assert dict(zip(of.words, of.n, strict=True)) == {
            f"{one.low} to {one.high}": one.n for one in bins
        }
    assert frame.cut.dropna().tolist() == [1 / 7, 1 / 7], "of the one that cuts"
    words = frame[frame.kind == "words of the first ten"]
    assert dict(zip(words.system, words.value, strict=True)) == {
        column.name: value for column, value in first.top_words.items()
    }


def test_nothing_is_an_empty_table() -> None:
    assert Report(()).frame().empty


def test_published_alone(tmp_path: Path) -> None:
    frame = leaderboard(tmp_path).frame()
    assert set(frame.kind) == {"value"}
    assert "own run" not in set(frame.source)
