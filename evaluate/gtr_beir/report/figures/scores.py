"""Figures of scores: by size, beside BM25, and by two measures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gtr_beir.report.board import BM25, CAPPED, FIRST_VERSION, GTR, OWN, Board, Cell, Column, Line
from gtr_beir.report.figures.drawing import (
    GROUP_MARKERS,
    INK,
    LONG,
    LOOKS,
    MARKERS,
    Figure,
    add_legend,
    bars,
    drawn,
    finished,
    name_point,
    new_canvas,
)
from gtr_beir.report.rounding import shown
from gtr_beir.report.whole import Report

_SHOWN_DATASETS = 20


# Score against parameters -----------------------------------------------------------------------


def by_size(report: Report) -> Figure | None:
    """The first measure on what own runs have, or on all zero-shot datasets."""
    for board, line in _summaries(report):
        placed = [c for c in board.columns if c.parameters and c in line.cells]
        if len(placed) > 1:
            break
    else:
        return None
    canvas, axes = new_canvas()
    gtr = sorted((c for c in placed if c.group == GTR), key=lambda column: column.parameters)
    sizes = [column.parameters for column in gtr]
    values = [line.cells[column].value for column in gtr]
    if gtr:
        axes.plot(sizes, values, color=INK[2], marker="^", label="GTR paper")
    for column in placed:
        if column.group != GTR:
            own, cell = column.group == OWN, line.cells[column]
            axes.errorbar(
                [column.parameters],
                [cell.value],
                yerr=bars(cell.value, cell.low, cell.high),
                color=LOOKS[OWN] if own else INK[3],
                marker="o" if own else "x",
                capsize=3,
            )
        name_point(axes, column.name, (column.parameters, line.cells[column].value))
    for column, dashes in zip(_lexical(board, line), ("--", ":"), strict=False):
        value = line.cells[column].value
        label = f"{drawn(column.name)} ({drawn(column.source, LONG)})"
        axes.axhline(value, color=INK[3], linestyle=dashes, label=label)
    axes.set_xscale("log")
    axes.set_xlim(min(c.parameters for c in placed) / 1.6, max(c.parameters for c in placed) * 2.6)
    ticks = (1e7, 1e8, 1e9, 1e10)
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.xaxis.set_minor_formatter(lambda _, __: "")
    axes.xaxis.set_major_formatter(lambda value, _: f"{int(value) // 1_000_000:,} M")
    axes.set_xlabel("parameters of the encoder")
    axes.set_ylabel(board.measure.title)
    add_legend(axes, loc="lower right")
    where = drawn(line.title, LONG)
    rises = all(a < b for a, b in itertools.pairwise(values))
    if len(values) > 1:
        how = "rises with every size" if rises else "does not rise with every size"
        title = f"{where}: published GTR {how}"
    else:
        title = f"{where}: {board.measure.title} against parameters"
    caption = f"{board.measure.title} on {where}. Own runs with 95 % intervals; lines are BM25."
    caption += _marked(line.cells[column] for column in placed)
    return finished(canvas, "size", title, caption)


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


def beside_bm25(report: Report) -> Figure | None:
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
                # Touché-2020's first version is never held against the second.
                here = {c: v.value for c, v in line.cells.items() if FIRST_VERSION not in v.marks}
                lines[line.title] = {**lines.get(line.title, {}), **here}
    chosen = [(a, b) for a, b in chosen if any(a in here and b in here for here in lines.values())]
    titles = [
        title for title, here in lines.items() if any(a in here and b in here for a, b in chosen)
    ][:_SHOWN_DATASETS]
    if not titles:
        return None
    canvas, axes = new_canvas(height=1.6 + 0.24 * len(titles))
    axes.axvline(0, color=INK[0], linewidth=1)
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
            marker=MARKERS[at % len(MARKERS)],
            markersize=6,
            color=INK[at % len(INK)],
            markerfacecolor=INK[at % len(INK)] if column.group == OWN else "white",
            label=f"{drawn(column.name)} ({drawn(column.source, LONG)})",
        )
    axes.set_yticks(range(len(titles)), [drawn(title, LONG) for title in titles])
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.set_xlabel(f"{measure.title} less the baseline's")
    canvas.legend(frameon=False, fontsize=8, loc="outside lower left", ncols=3)
    told, base = chosen[0] if chosen[0][1] in own else chosen[-1]
    known = [lines[t] for t in titles if told in lines[t] and base in lines[t]]
    above = sum(here[told] > here[base] for here in known)
    title = f"{drawn(told.name)} is above {drawn(base.name)} on {above} of {len(known)} datasets"
    # The own baseline need not be BM25.
    against = {OWN: f"own runs against {drawn(report.baseline, LONG)}"}
    against[GTR] = "published GTR against Anserini's multifield BM25"
    groups = dict.fromkeys(column.group for column, _ in chosen)
    looks = {OWN: "Filled", GTR: "Hollow"}
    caption = " ".join(f"{looks[group]}: {against[group]}." for group in groups)
    caption += " Right of the line is better than that."
    return finished(canvas, "bm25", title, caption)


# Two measures -----------------------------------------------------------------------------------


def by_two_measures(report: Report) -> Figure | None:
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
    canvas, axes = new_canvas()
    named: set[tuple[str, str, str]] = set()
    for (name, group), (x, y) in points.items():
        colour = LOOKS.get(group, INK[3])
        axes.plot(
            [x],
            [y],
            linestyle="none",
            marker=GROUP_MARKERS.get(group, "x"),
            markersize=7,
            color=colour,
            markerfacecolor=colour if group == OWN else "none",
        )
        if (name, shown(x, 2), shown(y, 2)) not in named:  # an own run of what was published
            name_point(axes, name, (x, y))
        named.add((name, shown(x, 2), shown(y, 2)))
    axes.margins(x=0.18, y=0.1)
    axes.set_xlabel(measures[0].title)
    axes.set_ylabel(measures[1].title)
    names = [measure.title for measure in measures]
    where = drawn(line.title, LONG)
    title = f"{where}: {_leading(line, points, names)}"
    caption = f"{names[1]} against {names[0]} on {where}. Filled: own runs; hollow: published."
    both = [line, *(other for _, other in second)]
    caption += _marked(cell for each in both for cell in each.cells.values())
    return finished(canvas, "recall", title, caption)


def _leading(
    line: Line, points: Mapping[tuple[str, str], tuple[float, float]], names: Sequence[str]
) -> str:
    """Who leads by which measure; nobody is said to where the first version of a dataset stands
    beside the second."""
    versions = {FIRST_VERSION in cell.marks for cell in line.cells.values()}
    if len(versions) > 1 and not line.average:
        return f"{names[1]} against {names[0]}"
    best = [drawn(max((v[at], name) for (name, _), v in points.items())[1]) for at in (0, 1)]
    if best[0] == best[1]:
        return f"{best[0]} leads by both measures"
    return f"{best[0]} leads by {names[0]}, {best[1]} by {names[1]}"


def _marked(cells: Iterable[Cell]) -> str:
    """What a reader should know of values that are of something else than they seem."""
    marks = {mark for cell in cells for mark in cell.marks}
    said = ""
    if FIRST_VERSION in marks:
        said += " GTR's own Touché-2020 is very likely the first version."
    if CAPPED in marks:
        said += " GTR's own recall on TREC-COVID is capped."
    return said


def _points(line: Line, others: Sequence[Line]) -> dict[tuple[str, str], tuple[float, float]]:
    """(name, group) -> both values; a system's two measures may come from two publications."""
    found = {}
    for column, cell in line.cells.items():
        for other in others:
            same = [c for c in other.cells if (c.name, c.group) == (column.name, column.group)]
            if same:
                found[column.name, column.group] = (cell.value, other.cells[same[0]].value)
    return found
