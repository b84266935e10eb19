"""Figures: the same bytes, hostile names, well-formed files, and titles that hold."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.report.boards import six_systems

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import BESIDE, BM25, FIRST_VERSION, GTR, OWN, Board, Cell, Column, Line
from gtr_beir.report.figures import collection, drawing, queries, scores
from gtr_beir.report.figures.collection import figures_of
from gtr_beir.report.figures.drawing import STYLE, Figure
from gtr_beir.report.findings import Contrast, LengthBin, Section
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.whole import Report

NDCG, RECALL = Measure("ndcg", 10), Measure("recall", 100)
SIZES = {"gtr-base": 110_000_000, "gtr-large": 335_000_000, "gtr-xl": 1_240_000_000}
PUBLISHED = {n: Column(n, GTR, "GTR paper", parameters=size) for n, size in SIZES.items()}
LEXICAL = Column("bm25-multifield", BM25, "Anserini")
PLAIN = Column("plain", OWN, "own run")
ENCODER = Column("encoder", OWN, "own run", parameters=20_000_000)
HOSTILE = (
    "$x_1$",
    "_hidden",
    "<script>alert(1)</script>",
    "two\nlines\x00\x1b[2J",
    "😀 囲碁 \U0010fffd",
    "a-very-long-name-of-a-system-" * 20,
    "-->]]>&amp;",
    "‮right to left",
)


def board(measure: Measure, lines: Mapping[str, Mapping[Column, float | Cell]]) -> Board:
    made = tuple(
        Line(
            title,
            {c: v if isinstance(v, Cell) else Cell(v) for c, v in values.items()},
            average=title.startswith("Avg"),
        )
        for title, values in lines.items()
    )
    columns = tuple(dict.fromkeys(column for line in made for column in line.cells))
    return Board(measure.title, measure, columns, made)


def section(**found: Any) -> Section:
    cells = {column: {NDCG: Cell(value)} for column, value in ((PLAIN, 0.4), (ENCODER, 0.5))}
    return Section("own-set", "own-set", NDCG, (), cells, **found)


def bins(
    *means: Mapping[Column, float], cut: Mapping[Column, float] | None = None
) -> tuple[Any, ...]:
    return tuple(
        LengthBin(10 * at, 10 * at + 9, 5, values, cut or {}) for at, values in enumerate(means)
    )


def everything() -> Report:
    """A report of which every figure can be drawn."""
    both = {
        "One": {**dict(zip(PUBLISHED.values(), (0.3, 0.4, 0.5), strict=True)), LEXICAL: 0.35},
        "Two": {**dict(zip(PUBLISHED.values(), (0.2, 0.5, 0.6), strict=True)), LEXICAL: 0.35},
    }
    both["One"] |= {PLAIN: 0.3, ENCODER: Cell(0.4, low=0.3, high=0.6)}
    both["Two"] |= {PLAIN: 0.3, ENCODER: 0.2}
    one = section(
        contrast=Contrast("plain", "encoder", (0.5, 0.25, 0.0, -0.5), 0.0625, -0.2, 0.3),
        top_words={PLAIN: 120.0, ENCODER: 80.0},
        by_query=bins({PLAIN: 0.5, ENCODER: 0.6}, {PLAIN: 0.3, ENCODER: 0.2}),
        by_document=bins(
            {PLAIN: 0.5, ENCODER: 0.7}, {PLAIN: 0.3, ENCODER: 0.1}, cut={ENCODER: 0.5}
        ),
    )
    return Report((board(NDCG, both), board(RECALL, both)), sections=(one,), baseline="plain")


def drawn(report: Report) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures_of(report)}


@pytest.fixture
def canvases(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What matplotlib was told to draw, by a figure's name."""
    kept: dict[str, Any] = {}

    def finished(canvas: Any, name: str, title: str, caption: str) -> Figure:
        kept[name] = canvas
        return drawing.finished(canvas, name, title, caption)

    for module in (queries, scores):
        monkeypatch.setattr(module, "finished", finished)
    return kept


def lines_of(canvas: Any) -> list[Any]:
    return [line for axes in canvas.axes for line in axes.get_lines()]


# Files --------------------------------------------------------------------------------------------


def test_every_figure_is_the_same_bytes_again(tmp_path: Path) -> None:
    six_systems(tmp_path)
    for report in (everything(), leaderboard(tmp_path)):
        once, again = figures_of(report), figures_of(report)
        assert once == again
        assert len(once) >= 5
        assert len({figure.svg for figure in once}) == len({f.png for f in once}) == len(once)
    assert set(drawn(everything())) == {
        *("size", "bm25", "recall", "top-words", "queries-own-set", "lengths-own-set")
    }


def test_nothing_is_drawn_of_nothing() -> None:
    assert figures_of(Report(())) == []
    assert figures_of(Report((Board("empty", NDCG, (), ()),), sections=(section(),))) == []
    (only,) = figures_of(replace(everything(), boards=(board(NDCG, {"x": {PLAIN: 0.5}}),)))[:1]
    assert only.name == "top-words", "one value is no figure"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_drawn_without_a_warning(name: str, canvases: dict[str, Any]) -> None:
    """The program's own warnings would be errors; those of fonts are asked for by name."""

    def as_hostile(column: Column) -> Column:
        return replace(column, name=name, source=name) if column == ENCODER else column

    report = everything()
    boards = tuple(
        board(
            one.measure,
            {
                f"{name} {line.title}": {as_hostile(c): cell for c, cell in line.cells.items()}
                for line in one.lines
            },
        )
        for one in report.boards
    )
    (one,) = report.sections
    hostile = Section(
        "own-set",
        name,
        NDCG,
        (),
        {as_hostile(c): cells for c, cells in one.cells.items()},
        contrast=replace(one.contrast, b=name) if one.contrast else None,
        top_words={as_hostile(c): words for c, words in one.top_words.items()},
        by_query=bins(*({as_hostile(c): v for c, v in b.values.items()} for b in one.by_query)),
        by_document=bins(
            *({as_hostile(c): v for c, v in b.values.items()} for b in one.by_document)
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = figures_of(replace(report, boards=boards, sections=(hostile,)))
    assert len(figures) == 6
    for figure in figures:
        root = ElementTree.fromstring(figure.svg)
        assert not [node for node in root.iter() if str(node.tag).endswith("script")]
        assert b"<script" not in figure.svg
        assert figure.png.startswith(b"\x89PNG")
        assert len(figure.title) < 110
        assert not {letter for letter in figure.title if ord(letter) < 32}
    for found in ("top-words", "lengths-own-set"):
        legend = next(a.get_legend() for a in canvases[found].axes if a.get_legend())
        assert len(legend.get_texts()) == 2, "no system is missing from the legend"


def test_a_long_title_stays_on_the_figure(canvases: dict[str, Any]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    long = "a-name-that-is-long-" * 4
    report = everything()
    one = replace(
        report.sections[0], title=long, contrast=Contrast(long, long, (0.1,) * 9_000, 0.1, 0, 1)
    )
    figures_of(replace(report, sections=(one,)))
    for name, canvas in canvases.items():
        title = canvas._suptitle.get_window_extent(FigureCanvasAgg(canvas).get_renderer())
        assert title.x1 <= canvas.bbox.x1, name


def test_datasets_of_one_name_have_files_of_their_own() -> None:
    one = everything().sections[0]
    two = replace(one, title="own-set [22222222]")
    names = [figure.name for figure in figures_of(replace(everything(), sections=(one, two)))]
    assert len(set(names)) == len(names) == 8
    assert {"queries-own-set", "queries-own-set-2"} <= set(names)


# In grey ------------------------------------------------------------------------------------------


def test_systems_differ_by_marker_and_not_by_colour_alone(canvases: dict[str, Any]) -> None:
    report = everything()
    more = {Column(f"s{n}", OWN, "own run"): 0.3 + n / 100 for n in range(6)}
    both = {line.title: {**line.cells, **more} for line in report.boards[0].lines}
    one = replace(
        report.sections[0],
        cells={**report.sections[0].cells, **{c: {NDCG: Cell(v)} for c, v in more.items()}},
        top_words={c: 10.0 + v for c, v in more.items()},
        by_query=bins(more, more),
        by_document=bins(more, more),
    )
    figures_of(replace(report, boards=(board(NDCG, both), board(RECALL, both)), sections=(one,)))
    for name, many in (("bm25", 6), ("top-words", 6), ("lengths-own-set", 5)):
        first = canvases[name].axes[0]
        looks = [
            str(line.get_marker()) for line in first.get_lines() if line.get_marker() != "None"
        ]
        assert len(looks) == len(set(looks)) == many, name
    assert len(set(drawing.MARKERS)) == len(drawing.MARKERS)
    groups = {drawing.GROUP_MARKERS.get(group, "x") for group in (OWN, BM25, GTR, BESIDE)}
    assert len(groups) == 4
    sized = [line for line in lines_of(canvases["size"]) if line.get_marker() in ("o", "^")]
    assert {str(line.get_marker()) for line in sized} == {"o", "^"}, "own and published"


# What titles say ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.3, 0.4, 0.5), "rises with every size"),
        ((0.3, 0.5, 0.4), "does not rise with every size"),
        ((0.3, 0.4, 0.4), "does not rise with every size"),
    ],
)
def test_whether_published_gtr_rises(values: Sequence[float], said: str) -> None:
    lines = {"Fever": dict(zip(PUBLISHED.values(), values, strict=True))}
    (figure,) = figures_of(Report((board(NDCG, lines),)))
    assert figure.title == f"Fever: published GTR {said}"


def test_size_without_published_values(canvases: dict[str, Any]) -> None:
    big = Column("big", OWN, "own run", parameters=300_000_000)
    lines = {"x": {ENCODER: 0.4, big: 0.5}}
    figure = drawn(Report((board(NDCG, lines),)))["size"]
    assert figure.title == "x: NDCG@10 against parameters"
    assert canvases["size"].axes[0].get_legend() is None, "GTR is not there"
    held = [line for line in lines_of(canvases["size"]) if len(line.get_xdata())]
    assert {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in held} >= {
        *((2e7, 0.4), (3e8, 0.5))
    }


def test_what_has_a_name_has_a_point(canvases: dict[str, Any]) -> None:
    """A result of MTEB's own files, which has GTR's size."""
    theirs = Column("theirs", BESIDE, "a folder", parameters=110_000_000)
    figures_of(Report((board(NDCG, {"x": {ENCODER: 0.4, theirs: 0.5}}),)))
    axes = canvases["size"].axes[0]
    points = {(float(x), float(y)) for line in axes.get_lines() for x, y in line.get_xydata()}
    assert {text.get_text() for text in axes.texts} == {"encoder", "theirs"}
    assert {(2e7, 0.4), (1.1e8, 0.5)} <= points


def test_bm25_is_counted_by_dataset() -> None:
    assert drawn(everything())["bm25"].title == "encoder is above plain on 1 of 2 datasets"
    published = replace(everything(), baseline="")
    figure = drawn(published)["bm25"]
    assert figure.title == "gtr-xl is above bm25-multifield on 2 of 2 datasets"
    assert "own" not in figure.caption


def test_a_system_without_the_baselines_datasets_is_not_counted() -> None:
    lines = {
        "One": {PLAIN: 0.3},
        "Two": {ENCODER: 0.4, LEXICAL: 0.2, PUBLISHED["gtr-xl"]: 0.3},
    }
    figure = drawn(Report((board(NDCG, lines),), baseline="plain"))["bm25"]
    assert figure.title == "gtr-xl is above bm25-multifield on 1 of 1 datasets"


def test_a_baseline_need_not_be_bm25(canvases: dict[str, Any]) -> None:
    report = replace(everything(), baseline="encoder")
    figure = drawn(report)["bm25"]
    assert figure.title == "plain is above encoder on 1 of 2 datasets"
    assert "own runs against encoder" in figure.caption
    assert "BM25" not in canvases["bm25"].axes[0].get_xlabel()


def differences(canvas: Any) -> Iterator[float]:
    for line in canvas.axes[0].get_lines():
        if line.get_marker() != "None":
            yield from np.asarray(line.get_xdata(), dtype=float).tolist()


def test_touche_of_the_first_version_is_held_against_nothing(canvases: dict[str, Any]) -> None:
    first = Cell(0.9, marks=(FIRST_VERSION,))
    gtr = PUBLISHED["gtr-xl"]
    lines = {
        "Touché-2020": {gtr: first, LEXICAL: 0.3, ENCODER: 0.35, PLAIN: 0.3},
        "Other": {gtr: 0.5, LEXICAL: 0.25, ENCODER: 0.5, PLAIN: 0.625},
    }
    both = (board(NDCG, lines), board(RECALL, lines))
    figures = drawn(Report(both, baseline="plain"))
    assert sorted(differences(canvases["bm25"])) == pytest.approx([-0.125, 0.05, 0.25])
    assert figures["recall"].title == "Touché-2020: Recall@100 against NDCG@10"
    assert "very likely the first version" in figures["recall"].caption


def test_who_leads_by_two_measures() -> None:
    one = {PLAIN: 0.5, ENCODER: 0.4}
    for second, said in (
        ({PLAIN: 0.6, ENCODER: 0.5}, "x: plain leads by both measures"),
        ({PLAIN: 0.6, ENCODER: 0.7}, "x: plain leads by NDCG@10, encoder by Recall@100"),
    ):
        report = Report((board(NDCG, {"x": one}), board(RECALL, {"x": second})))
        assert drawn(report)["recall"].title == said


def test_queries_won_and_lost(canvases: dict[str, Any]) -> None:
    figure = drawn(everything())["queries-own-set"]
    assert figure.title == "own-set: encoder gains on 2, loses on 1 of 4 queries"
    (text,) = canvases["queries-own-set"].axes[0].get_legend().get_texts()
    assert text.get_text() == "mean +0.0625, 95 % interval -0.2000 to +0.3000"


def test_lengths_are_told_of_the_best_system() -> None:
    figure = drawn(everything())["lengths-own-set"]
    assert figure.title == (
        "own-set: encoder from 0.70 on the shortest documents to 0.10 on the longest"
    )


def test_lengths_of_systems_whose_queries_are_not_known() -> None:
    """Bins hold only those that have per-query values; a ranking cut early has no cell."""
    both = bins({PLAIN: 0.5}, {PLAIN: 0.3})
    only = section(by_document=both)
    figure = drawn(replace(everything(), sections=(only,)))["lengths-own-set"]
    assert "plain from 0.50 on the shortest documents to 0.30" in figure.title
    none = replace(only, cells={})
    assert "lengths-own-set" not in drawn(replace(everything(), sections=(none,)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((120.0, 80.0), "own-set: plain ranks the longest documents first"),
        ((80.0, 80.0), "How long the documents are that are ranked first"),
        ((0.0, 3.0), "own-set: encoder ranks the longest documents first"),
        ((0.0, 0.0), "How long the documents are that are ranked first"),
    ],
)
def test_who_ranks_the_longest_documents_first(words: Sequence[float], said: str) -> None:
    one = section(top_words=dict(zip((PLAIN, ENCODER), words, strict=True)))
    assert drawn(replace(everything(), sections=(one,)))["top-words"].title == said


def test_a_title_names_only_systems_that_are_drawn(canvases: dict[str, Any]) -> None:
    many = {Column(f"s{n:02}", OWN, "own run"): 10.0 + n for n in range(12)}
    figure = drawn(replace(everything(), sections=(section(top_words=many),)))["top-words"]
    legend = canvases["top-words"].axes[0].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert figure.title.split(" ")[1] in names


def test_the_style_is_given_back() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures_of(everything())
    assert dict(matplotlib.rcParams) == before
    assert collection.STYLE is STYLE
