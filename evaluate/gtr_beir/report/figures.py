"""Figures of a Report, drawn by matplotlib: readable in grey, with a title that says what is seen.

The same Report gives the same bytes: SVG ids are salted by a constant, and no date is written.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gtr_beir.report.board import BM25, COLBERT, GTR, OWN, Board, Column, Line, Report, Section
from gtr_beir.report.layout import short
from gtr_beir.report.rounding import shown, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#d9dde2",
    "grid.linewidth": 0.6,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "svg.hashsalt": "gtr-beir",
    "text.parse_math": False,  # a dollar in a name is no formula
}
_INK = ("#16202c", "#c9620c", "#0969da", "#7a8696", "#8250df", "#1a7f37")
_MARKERS = "osD^vPX*"
_GROUP_MARKERS = {OWN: "o", BM25: "s", COLBERT: "D", GTR: "^"}
_LOOKS = {OWN: _INK[1], BM25: _INK[3], COLBERT: _INK[4], GTR: _INK[2]}
_SHOWN_DATASETS = 20
_LONG = 24
"""Characters of a dataset's name beside an axis."""


@dataclass(frozen=True)
class Figure:
    """name: of its files; title: what is seen; caption: how to read it; svg, png: its bytes."""

    name: str
    title: str
    caption: str
    svg: bytes
    png: bytes


def figures_of(report: Report) -> list[Figure]:
    """What can be drawn of a report; a figure without data is left out."""
    if not report.boards:
        return []
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        found = [_sizes(report), _differences(report), _two_measures(report)]
        found += [_contrast(section) for section in report.sections]
        return [figure for figure in found if figure is not None]


# Score against parameters -----------------------------------------------------------------------


def _sizes(report: Report) -> Figure | None:
    """The first measure on what own runs have, or on all zero-shot datasets."""
    for board, line in _summaries(report):
        placed = [c for c in board.columns if c.parameters and c in line.cells]
        if len(placed) > 1:
            break
    else:
        return None
    canvas, axes = _canvas()
    gtr = sorted((c for c in placed if c.group == GTR), key=lambda column: column.parameters)
    sizes = [column.parameters for column in gtr]
    values = [line.cells[column].value for column in gtr]
    axes.plot(sizes, values, color=_INK[2], marker="^", label="GTR paper")
    for column in placed:
        if column.group == OWN:
            cell = line.cells[column]
            axes.errorbar(
                [column.parameters],
                [cell.value],
                yerr=_bars(cell.value, cell.low, cell.high),
                color=_LOOKS[OWN],
                marker="o",
                capsize=3,
            )
        _name(axes, column.name, (column.parameters, line.cells[column].value))
    for column, dashes in zip(_lexical(board, line), ("--", ":"), strict=False):
        value = line.cells[column].value
        label = f"{short(column.name)} ({column.source})"
        axes.axhline(value, color=_INK[3], linestyle=dashes, label=label)
    axes.set_xscale("log")
    axes.set_xlim(min(c.parameters for c in placed) / 1.6, max(c.parameters for c in placed) * 2.6)
    ticks = (1e7, 1e8, 1e9, 1e10)
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.xaxis.set_minor_formatter(lambda _, __: "")
    axes.xaxis.set_major_formatter(lambda value, _: f"{int(value) // 1_000_000:,} M")
    axes.set_xlabel("parameters of the encoder")
    axes.set_ylabel(board.measure.title)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    where = short(line.title, _LONG)
    rises = all(a <= b for a, b in itertools.pairwise(values))
    if len(values) > 1:
        how = "rises with every size" if rises else "does not rise with every size"
        title = f"{where}: published GTR {how}"
    else:
        title = f"{where}: {board.measure.title} against parameters"
    caption = f"{board.measure.title} on {where}. Own runs with 95 % intervals; lines are BM25."
    return _finished(canvas, "size", title, caption)


def _summaries(report: Report) -> Iterator[tuple[Board, Line]]:
    """The first measure's boards, each with the line that sums it up, own runs first."""
    for board in report.boards:
        if board.measure == report.boards[0].measure and board.lines:
            means = [line for line in board.lines if line.average]
            yield board, means[0] if means else board.lines[0]


def _lexical(board: Board, line: Line) -> list[Column]:
    """BM25 once: the own baseline, or what is published; over one field and over two."""
    named: dict[str, Column] = {}
    for column in board.columns:
        kind = "multifield" if "multifield" in column.name else "flat"
        if column in line.cells and (column.group == BM25 or column.name.startswith("bm25-")):
            named.setdefault(kind, column)
    return list(named.values())


# Difference to BM25 -----------------------------------------------------------------------------


def _differences(report: Report) -> Figure | None:
    measure = report.boards[0].measure
    boards = [board for board in report.boards if board.measure == measure]
    own = [c for c in boards[0].columns if c.group == OWN and c.name == report.baseline]
    chosen: list[tuple[Column, Column]] = []
    if own:
        others = [c for c in boards[0].columns if c.group == OWN and c != own[0]]
        # Encoders first: what is asked is whether they are above BM25.
        others.sort(key=lambda column: not column.parameters)
        chosen = [(column, own[0]) for column in others[:4]]
    columns = dict.fromkeys(column for board in boards for column in board.columns)
    lexical = [c for c in columns if c.group == BM25 and c.name == "bm25-multifield"]
    gtr = sorted((c for c in columns if c.group == GTR), key=lambda column: column.parameters)
    if lexical and gtr:
        chosen += [(column, lexical[0]) for column in dict.fromkeys((gtr[0], gtr[-1]))]
    lines: dict[str, Mapping[Column, float]] = {}
    for board in boards:
        for line in board.lines:
            if not line.average:
                here = {column: cell.value for column, cell in line.cells.items()}
                lines[line.title] = {**lines.get(line.title, {}), **here}
    titles = [
        title for title, here in lines.items() if any(a in here and b in here for a, b in chosen)
    ][:_SHOWN_DATASETS]
    if not chosen or not titles:
        return None
    canvas, axes = _canvas(height=1.6 + 0.24 * len(titles))
    axes.axvline(0, color=_INK[0], linewidth=1)
    for at, (column, base) in enumerate(chosen):
        pairs = [
            (lines[title][column] - lines[title][base], place)
            for place, title in enumerate(titles)
            if column in lines[title] and base in lines[title]
        ]
        axes.plot(
            [difference for difference, _ in pairs],
            [place + (at - len(chosen) / 2) * 0.09 for _, place in pairs],
            linestyle="none",
            marker=_MARKERS[at % len(_MARKERS)],
            markersize=6,
            color=_INK[at % len(_INK)],
            markerfacecolor=_INK[at % len(_INK)] if column.group == OWN else "white",
            label=f"{short(column.name)} ({column.source})",
        )
    axes.set_yticks(range(len(titles)), [short(title, _LONG) for title in titles])
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.set_xlabel(f"{measure.title} less BM25's")
    axes.legend(
        frameon=False,
        fontsize=8,
        loc="upper left",
        bbox_to_anchor=(0, -0.9 / canvas.get_figheight()),
        ncols=2,
    )
    told, base = chosen[0] if own else chosen[-1]
    known = [lines[t] for t in titles if told in lines[t] and base in lines[t]]
    above = sum(here[told] > here[base] for here in known)
    title = f"{short(told.name)} is above {short(base.name)} on {above} of {len(known)} datasets"
    caption = (
        "Filled: own runs against the own baseline. Hollow: published GTR against Anserini's "
        "multifield BM25. Right of the line is better than BM25."
    )
    return _finished(canvas, "bm25", title, caption)


# Two measures -----------------------------------------------------------------------------------


def _two_measures(report: Report) -> Figure | None:
    """Each system by the first two measures, on what own runs have or on all zero-shot datasets."""
    measures = list(dict.fromkeys(board.measure for board in report.boards))[:2]
    if len(measures) < 2:
        return None
    for _, line in _summaries(report):
        second = [
            (board, other)
            for board in report.boards
            for other in board.lines
            if board.measure == measures[1] and other.title == line.title
        ]
        points = _points(line, [other for _, other in second])
        if len(points) > 1:
            break
    else:
        return None
    canvas, axes = _canvas()
    named: set[tuple[str, str, str]] = set()
    for (name, group), (x, y) in points.items():
        colour = _LOOKS.get(group, _INK[3])
        axes.plot(
            [x],
            [y],
            linestyle="none",
            marker=_GROUP_MARKERS.get(group, "x"),
            markersize=7,
            color=colour,
            markerfacecolor=colour if group == OWN else "none",
        )
        if (name, shown(x, 2), shown(y, 2)) not in named:  # an own run of what was published
            _name(axes, name, (x, y))
        named.add((name, shown(x, 2), shown(y, 2)))
    axes.margins(x=0.18, y=0.1)
    axes.set_xlabel(measures[0].title)
    axes.set_ylabel(measures[1].title)
    best = [max((values[at], name) for (name, _), values in points.items())[1] for at in (0, 1)]
    names = [measure.title for measure in measures]
    where = short(line.title, _LONG)
    title = (
        f"{where}: {short(best[0])} leads by both measures"
        if best[0] == best[1]
        else f"{where}: {short(best[0])} leads by {names[0]}, {short(best[1])} by {names[1]}"
    )
    caption = f"{names[1]} against {names[0]} on {where}. Filled: own runs; hollow: published."
    return _finished(canvas, "recall", title, caption)


def _points(line: Line, others: Sequence[Line]) -> dict[tuple[str, str], tuple[float, float]]:
    """(name, group) -> both values; a system's two measures may come from two publications."""
    found = {}
    for column, cell in line.cells.items():
        for other in others:
            same = [c for c in other.cells if (c.name, c.group) == (column.name, column.group)]
            if same:
                found[column.name, column.group] = (cell.value, other.cells[same[0]].value)
    return found


# Two systems ------------------------------------------------------------------------------------


def _contrast(section: Section) -> Figure | None:
    contrast = section.contrast
    if contrast is None:
        return None
    differences = np.array(contrast.differences)
    canvas, axes = _canvas()
    place = np.arange(1, len(differences) + 1)
    axes.fill_between(place, differences, step="mid", color=_INK[3], alpha=0.45, linewidth=0)
    axes.step(place, differences, where="mid", color=_INK[0], linewidth=1)
    axes.axhspan(contrast.low, contrast.high, color=_INK[1], alpha=0.3, linewidth=0)
    mean = float(differences.mean())
    label = f"mean {signed(mean)}, 95 % interval {signed(contrast.low)} to {signed(contrast.high)}"
    axes.axhline(mean, color=_INK[1], linewidth=1.4, label=label)
    axes.axhline(0, color=_INK[0], linewidth=0.8)
    axes.set_xlabel("queries, from the greatest gain to the greatest loss")
    axes.set_ylabel(f"{section.measure.title}: {short(contrast.b)} less {short(contrast.a)}")
    axes.set_xlim(1, max(2, len(differences)))
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    title = (
        f"{short(section.title, _LONG)}: {short(contrast.b)} gains on {won:,}, loses on {lost:,} "
        f"of {len(differences):,} queries"
    )
    caption = f"{section.measure.title} of {short(contrast.b)} less {short(contrast.a)}'s, sorted."
    return _finished(canvas, f"queries-{section.dataset.replace('/', '-')}", title, caption)


# Drawing ----------------------------------------------------------------------------------------


def _canvas(height: float = 4.0) -> tuple[Canvas, Axes]:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.8, height), layout="constrained")
    return canvas, canvas.add_subplot()


def _name(axes: Axes, name: str, point: tuple[float, float]) -> None:
    axes.annotate(
        short(name),
        point,
        xytext=(7, 4),
        textcoords="offset points",
        fontsize=8,
        bbox={"boxstyle": "square,pad=0.1", "color": "white", "alpha": 0.7},
    )


def _bars(value: float, low: float | None, high: float | None) -> list[list[float]] | None:
    if low is None or high is None:
        return None
    return [[value - low], [high - value]]


def _finished(canvas: Canvas, name: str, title: str, caption: str) -> Figure:
    canvas.axes[0].set_title(title)
    svg, png = io.BytesIO(), io.BytesIO()
    canvas.savefig(svg, format="svg", metadata={"Date": None, "Title": title})
    canvas.savefig(png, format="png", dpi=160, metadata={"Title": title})
    return Figure(name, title, caption, svg.getvalue(), png.getvalue())
