"""Figures of queries and texts: differences query by query, and what lengths do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gtr_beir.report.board import Column
from gtr_beir.report.figures.drawing import (
    INK,
    LONG,
    MARKERS,
    Figure,
    add_legend,
    drawn,
    finished,
    new_canvas,
)
from gtr_beir.report.findings import LengthBin, Section
from gtr_beir.report.rounding import shown, signed
from gtr_beir.report.whole import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SYSTEMS = 5
"""Lines of one figure."""


def query_by_query(section: Section) -> Figure | None:
    contrast = section.contrast
    if contrast is None:
        return None
    differences = np.array(contrast.differences)
    canvas, axes = new_canvas()
    place = np.arange(1, len(differences) + 1)
    axes.fill_between(place, differences, step="mid", color=INK[3], alpha=0.45, linewidth=0)
    axes.step(place, differences, where="mid", color=INK[0], linewidth=1)
    axes.axhspan(contrast.low, contrast.high, color=INK[1], alpha=0.3, linewidth=0)
    ends = f"{signed(contrast.low)} to {signed(contrast.high)}"
    label = f"mean {signed(contrast.mean)}, 95 % interval {ends}"
    axes.axhline(contrast.mean, color=INK[1], linewidth=1.4, label=label)
    axes.axhline(0, color=INK[0], linewidth=0.8)
    axes.set_xlabel("queries, from the greatest gain to the greatest loss")
    axes.set_ylabel(f"{section.measure.title}: {drawn(contrast.b)} less {drawn(contrast.a)}")
    axes.set_xlim(1, max(2, len(differences)))
    add_legend(axes, loc="upper right")
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    title = (
        f"{drawn(section.title, LONG)}: {drawn(contrast.b)} gains on {won:,}, loses on {lost:,} "
        f"of {len(differences):,} queries"
    )
    caption = f"{section.measure.title} of {drawn(contrast.b)} less {drawn(contrast.a)}'s, sorted."
    return finished(canvas, f"queries-{section.dataset.replace('/', '-')}", title, caption)


def by_length(section: Section) -> Figure | None:
    """The section's measure by words of the query and of its longest relevant document."""
    columns = _told(section)
    if not columns or (len(section.by_query) < 2 and len(section.by_document) < 2):
        return None
    canvas, left = new_canvas(columns=2)
    right = canvas.axes[1]
    _length_panel(left, section.by_query, columns, "words of the query")
    _length_panel(right, section.by_document, columns, "words of its longest relevant document")
    left.set_ylabel(section.measure.title)
    add_legend(left, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
    bins = section.by_document if len(section.by_document) > 1 else section.by_query
    what = "documents" if bins is section.by_document else "queries"
    first, last = bins[0].values[columns[0]], bins[-1].values[columns[0]]
    title = (
        f"{drawn(section.title, LONG)}: {drawn(columns[0].name)} from {shown(first, 2)} on the "
        f"shortest {what} to {shown(last, 2)} on the longest"
    )
    caption = (
        f"{section.measure.title} in parts of about the same number of queries. Bars: the share of "
        "queries, or of their relevant documents, that was cut, by the system of the same colour; "
        "none where nothing was, or where its tokens cannot be counted here."
    )
    return finished(canvas, f"lengths-{section.dataset.replace('/', '-')}", title, caption)


def _told(section: Section) -> list[Column]:
    """The best systems by the whole mean."""
    bins = (*section.by_query, *section.by_document)
    means = {
        column: cells[section.measure].value
        for column, cells in section.cells.items()
        if section.measure in cells and all(column in one.values for one in bins)
    }
    return sorted(means, key=lambda column: (-means[column], column.name))[:_SYSTEMS]


def _length_panel(
    axes: Axes, bins: Sequence[LengthBin], columns: Sequence[Column], what: str
) -> None:
    places = np.arange(len(bins))
    cutting = [column for column in columns if any(one.cut.get(column) for one in bins)]
    for at, column in enumerate(columns):
        colour = INK[at % len(INK)]
        values = [one.values[column] for one in bins]
        marker = MARKERS[at % len(MARKERS)]
        axes.plot(places, values, marker=marker, color=colour, label=drawn(column.name))
        if column in cutting:
            width = 0.6 / len(cutting)
            shift = (cutting.index(column) - (len(cutting) - 1) / 2) * width
            shares = [one.cut.get(column, 0.0) for one in bins]
            axes.bar(places + shift, shares, width, color=colour, alpha=0.25)
    axes.set_xticks(places, [f"{one.low}–{one.high}\nn {one.n:,}" for one in bins])
    axes.set_ylim(0, 1)
    axes.set_xlabel(f"{what}; bars: share cut" if cutting else what)


def top_words(report: Report) -> Figure | None:
    """Median words of the first ten documents of each system, dataset by dataset."""
    sections = [section for section in report.sections if section.top_words]
    if not sections:
        return None
    columns = sorted({column for section in sections for column in section.top_words}, key=_by_name)
    canvas, axes = new_canvas(height=1.7 + 0.3 * len(sections))
    columns = columns[: len(MARKERS)]
    for at, column in enumerate(columns):
        held = [(s.top_words[column], y) for y, s in enumerate(sections) if column in s.top_words]
        axes.plot(
            [words for words, _ in held],
            [y for _, y in held],
            linestyle="none",
            marker=MARKERS[at],
            markersize=7,
            color=INK[at % len(INK)],
            markerfacecolor="none",
            label=drawn(column.name),
        )
    axes.set_yticks(range(len(sections)), [drawn(section.title, LONG) for section in sections])
    axes.set_ylim(len(sections) - 0.5, -0.5)
    axes.set_xlim(0, 1.08 * max(1.0, *(w for s in sections for w in s.top_words.values())))
    axes.set_xlabel("median words of the first ten documents")
    add_legend(axes, loc="center left", bbox_to_anchor=(1, 0.5))
    title = _longest(sections, columns) or "How long the documents are that are ranked first"
    caption = "Median words, title included, of the first ten documents of all queries."
    return finished(canvas, "top-words", title, caption)


def _longest(sections: Sequence[Section], columns: Sequence[Column]) -> str:
    """Who ranks the longest documents first, where systems lie farthest apart; "" if nobody does
    alone."""
    ranges = []
    for section in sections:
        held = sorted((section.top_words[c], c.name) for c in columns if c in section.top_words)
        if len(held) > 1 and held[-1][0] > held[-2][0]:
            ranges.append((held[-1][0] / max(held[0][0], 1.0), section.title, held[-1][1]))
    if not ranges:
        return ""
    _, title, name = max(ranges, key=lambda one: one[0])
    return f"{drawn(title, LONG)}: {drawn(name)} ranks the longest documents first"


def _by_name(column: Column) -> str:
    return column.name
