"""Markdown, CSV, HTML and LaTeX show the same report."""

from __future__ import annotations

import io
from csv import reader
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tests.report.results import record, write, write_queries

from gtr_beir.errors import UsageError
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.findings import QueryLine, Section
from gtr_beir.report.formats import render
from gtr_beir.report.formats.latex import latex
from gtr_beir.report.formats.markdown import WIDTH, markdown
from gtr_beir.report.formats.page import html
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.whole import Report

HOSTILE = "<script>alert(1)</script>"
NDCG = Measure("ndcg", 10)
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    write(
        tmp_path,
        record("a-system-with-a-long-name", "scifact", 0.123456789, family="gtr-base"),
        record("mine", "own-set", 0.25),
        record("hub", "webis-touche2020", 0.2, protocol="hub", family="gtr-base", version="v2"),
    )
    write_queries(tmp_path, "mine", "own-set", [0.1, 0.4] * 5)
    return leaderboard(tmp_path)


@pytest.mark.parametrize("name", render.FORMATS)
def test_every_format_shows_every_value_verdict_and_note(name: str, report: Report) -> None:
    text = render.FORMATS[name](report, False)
    for system in ("mine", "hub", "gtr-xxl", "colbertv2", "bm25s-mteb"):
        assert system in text
    assert "own-set" in text
    assert "0.25" in text
    assert "differs" in text
    assert "dataset v2 here, v1 there" in " ".join(text.split())
    if name != "html":  # which has the page's own
        assert "<script" not in text
    if name != "csv":
        assert "very likely Touch" in text


def test_markdown_is_narrow(report: Report) -> None:
    """GitHub shows it without scrolling."""
    lines = markdown(report).splitlines()
    assert max(map(len, lines)) <= WIDTH
    tables = [line for line in lines if line.startswith("|")]
    assert max(line.count("|") - 1 for line in tables) <= 9


def test_csv_is_unrounded_and_long(report: Report) -> None:
    frame = pd.read_csv(io.StringIO(render.csv(report)))
    values = frame[frame.kind == "value"]
    mine = values[(values.source == "own run") & (values.measure == "ndcg@10")]
    own = mine[mine.system == "a-system-with-a-long-name"]
    assert own[own.dataset == "SciFact"]["value"].tolist() == [0.123456789]
    assert own[own.dataset == "SciFact"]["n"].tolist() == [10]
    interval = mine[mine.system == "mine"][["low", "high"]].iloc[0]
    assert 0.1 < interval["low"] < 0.25 < interval["high"] < 0.4
    assert not values.duplicated(["measure", "dataset", "system", "source"]).any()
    said = frame[frame.kind == "verdict"]
    assert set(said.verdict) >= {"differs", "not compared"}


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t=", "\r=", "\n=", "=\r="])
def test_csv_has_no_formula(begin: str) -> None:
    """What a spreadsheet would run is a text there; numbers and their signs stay."""
    name = f'{begin}HYPERLINK("http://evil.example","x")'
    column = Column(name, OWN, "own run", letter=begin, about=name)
    line = Line(name, {column: Cell(0.5, low=-0.25, note=name, n=3)})
    query = QueryLine(name, name, {column: -0.5})
    section = Section("set", name, NDCG, (), {column: {}}, hardest=(query,))
    report = Report((Board("b", NDCG, (column,), (line,)),), sections=(section,))
    rows = list(reader(io.StringIO(render.csv(report), newline="")))
    cells = [cell for row in rows for cell in row]
    told = "'" + name.replace("\r", "\n")
    assert cells.count(told) == 4 + 4, "of the value, and of the query"
    assert len({len(row) for row in rows}) == 1
    numbers = {"-0.25", "-0.5"}
    assert {cell for cell in cells if cell.startswith(STARTS)} == numbers
    assert name in set(report.frame()["query"]), "who reads it from Python has it as it is"


def test_percent(report: Report) -> None:
    assert "12.35" in markdown(report, True)
    assert "0.1235" not in markdown(report, True)


def hostile() -> Report:
    column = Column(HOSTILE, OWN, "own run", about=f"{HOSTILE} & more")
    line = Line(f"{HOSTILE} | $x_1$ %", {column: Cell(0.5, note=f'{HOSTILE}"')})
    board = Board(f"{HOSTILE}", Measure("ndcg", 10), (column,), (line,))
    return Report((board,), notes={"†": HOSTILE})


def test_html_is_escaped() -> None:
    text = html(hostile())
    assert HOSTILE not in text
    assert "&lt;script&gt;alert" in text
    assert text.count("<script") == 2, "the page's data and its script"


def test_latex_is_escaped() -> None:
    text = latex(hostile())
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert any(r"\$x\_1\$ \%" in line for line in body)
    assert r"\toprule" in text
    assert r"\textbf" not in text, "one value is not the best of anything"


def test_a_bar_does_not_break_a_table() -> None:
    rows = [line for line in markdown(hostile()).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_best_is_bold_and_marks_follow() -> None:
    one, two = Column("one", OWN, "own run"), Column("two", OWN, "own run")
    line = Line("x", {one: Cell(0.5, marks=("†",)), two: Cell(0.4)})
    report = Report((Board("b", Measure("ndcg", 10), (one, two), (line,)),))
    assert "**0.5000** †" in markdown(report)
    assert r"\textbf{0.5000}$^\dagger$" in latex(report)
    assert "<b>0.5000</b> <i>†</i>" in html(report)
    tied = replace(line, cells={one: Cell(0.5), two: Cell(0.5)})
    both = replace(report, boards=(replace(report.boards[0], lines=(tied,)),))
    assert markdown(both).count("**0.5000**") == 2


def test_formats_have_the_names_that_people_give_them() -> None:
    given = ("tex", "markdown", "page", "svg", "PNG", ".html", "csv")
    formats = ["latex", "md", "html", "figures", "figures", "html", "csv"]
    assert [render.format_named(name) for name in given] == formats
    with pytest.raises(UsageError, match="there is no format 'pdf'; choose from md, csv, html"):
        render.format_named("pdf")
