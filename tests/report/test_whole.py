"""A Report as Python and a notebook show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.report.boards import QUERIES, SYSTEMS, six_systems
from tests.report.results import record, write
from tests.report.tags import Tags

from gtr_beir.ranking.measures import Measure
from gtr_beir.records import Record
from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.whole import MOST_COLUMNS, MOST_LINES, Report

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"
NDCG = Measure("ndcg", 10)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("six")
    six_systems(folder)
    return folder


def board(columns: int, lines: int) -> Report:
    """Values that fall by a hundredth from column to column, the same on every line."""
    systems = tuple(Column(f"system-{n}", OWN, "own run") for n in range(columns))
    cells = {column: Cell(0.9 - n / 100) for n, column in enumerate(systems)}
    rows = tuple(Line(f"set-{n}", cells) for n in range(lines))
    return Report((Board("NDCG@10: own runs", NDCG, systems, rows),))


def test_one_line_says_how_much_there_is(six: Path) -> None:
    assert repr(leaderboard(six, published=False)) == (
        "Report(own systems: 6, datasets: 2, published columns: 0, measures: NDCG@10, Recall@100)"
    )
    assert repr(Report(())).endswith("published columns: 0, measures: none)")


def test_a_notebook_shows_own_boards_as_markdown_does(six: Path) -> None:
    """Each value that the records hold, at four decimals, the best of a line in bold."""
    report = leaderboard(six, published=False)
    shown = Tags(report._repr_html_())
    heads, *lines = shown.rows[: len(shown.rows) // 2]
    assert heads[0] == "Dataset"
    assert {head.partition(" ")[0] for head in heads[1:]} == {*SYSTEMS}
    assert [line[0] for line in lines] == ["SciFact", "own-set", "Mean of these 2"]
    for line, dataset in zip(lines, QUERIES, strict=False):
        values = {}
        for head, cell in zip(heads[1:], line[1:], strict=True):
            (folder,) = six.glob(f"{head.partition(' ')[0]}/{dataset}")
            values[cell] = Record.read(folder).measures["ndcg@10"]
            assert cell.startswith(f"{values[cell]:.4f}")
        assert f"<b>{max(values.values()):.4f}</b>" in report._repr_html_()


def test_marks_that_are_shown_are_explained(six: Path) -> None:
    report = leaderboard(six, published=False)
    shown = Tags(report._repr_html_())
    assert "sup" in shown.tags
    for mark, note in report.notes.items():
        assert f"{mark} {note}" in shown.text
    assert "†" in report.notes


def test_notes_of_boards_that_are_not_shown_are_left_out(tmp_path: Path) -> None:
    """Touché-2020's first judgements stand in the table of all datasets, not beside SciFact."""
    report = leaderboard(write(tmp_path, record("mine", "scifact", 0.6)))
    text = Tags(report._repr_html_()).text
    assert "v1" in report.notes
    assert report.notes["v1"] not in text
    assert "own runs" in text
    assert "all datasets" not in text


def test_without_own_runs_the_published_board(tmp_path: Path) -> None:
    text = Tags(leaderboard(tmp_path)._repr_html_()).text
    assert "NDCG@10: all datasets" in text
    assert "very likely Touché-2020's first judgements" in text


def test_nothing_at_all_is_said(tmp_path: Path) -> None:
    shown = Tags(leaderboard(tmp_path, published=False)._repr_html_())
    assert shown.text == "Neither records nor published values are here."


def test_what_a_cell_has_no_room_for_is_counted() -> None:
    shown = Tags(board(MOST_COLUMNS + 3, MOST_LINES + 5)._repr_html_())
    assert len(shown.rows) == 1 + MOST_LINES
    assert {len(row) for row in shown.rows} == {1 + MOST_COLUMNS}
    assert "3 more systems and 5 more lines are in frame()" in shown.text
    assert "more" not in Tags(board(MOST_COLUMNS, MOST_LINES)._repr_html_()).text


def test_names_are_text() -> None:
    column = Column(HOSTILE, OWN, HOSTILE, letter=HOSTILE)
    other = Column("other", OWN, "own run")
    cell = Cell(0.5, marks=(HOSTILE,), beats=HOSTILE)
    line = Line(HOSTILE, {column: cell, other: Cell(0.4)})
    notes = {HOSTILE: HOSTILE}
    report = Report(
        (Board(HOSTILE, NDCG, (column, other), (line,)),), notes=notes, remarks=(HOSTILE,)
    )
    shown = Tags(report._repr_html_())
    assert shown.tags == {
        *("div", "p", "b", "small", "br", "sup", "table", "thead", "tbody", "tr", "th", "td")
    }
    assert "<script>alert(1)</script>" in shown.text
    assert not {"\x1b", "\u202e"} & set(report._repr_html_())


def test_a_dollar_begins_no_formula() -> None:
    assert ("class", "tex2jax_ignore mathjax_ignore") in Tags(board(1, 1)._repr_html_()).attributes
