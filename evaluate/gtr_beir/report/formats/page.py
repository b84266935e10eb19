"""A Report as one page that needs nothing else: no network, no other file, scripts only for ease.

The template escapes everything; the page's own policy forbids any other script and any request.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from gtr_beir.data.registry import registered
from gtr_beir.ranking.measures import MEASURES, Measure
from gtr_beir.report.board import GROUPS, LEVEL, OWN, Cell, Column, Line
from gtr_beir.report.figures.collection import figures_of
from gtr_beir.report.findings import Pair, QueryLine, Section
from gtr_beir.report.formats.layout import (
    OVERALL_HEADERS,
    VERDICT_HEADERS,
    closing,
    number,
    overall_row,
    reasons,
    verdict_rows,
)
from gtr_beir.report.inspect_command import inspect_command
from gtr_beir.report.rounding import p_value, shown, signed
from gtr_beir.report.whole import Report


def html(report: Report, percent: bool = False) -> str:
    """The page, complete."""
    script = _part("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    grids = [grid for grid in _grids(report, percent) if grid["rows"]]
    pairs: dict[str, list[Mapping[str, Any]]] = {}
    sections = [
        _section(section, place, report, percent, pairs)
        for place, section in enumerate(report.sections)
    ]
    verdicts = verdict_rows(report.verdicts, percent, whole=True)
    there = {column.group for board in report.boards for column in board.columns}
    return _template().render(
        style=Markup(_part("page.css")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        summary=_summary(report),
        grids=grids,
        groups=[group for group in GROUPS if group in there],
        notes=list(report.notes.items()),
        closing=" ".join(closing(report)),
        verdict_heads=VERDICT_HEADERS,
        verdicts=[
            {"cells": row[:-1], "word": row[-1], "kind": verdict.word.split(" ")[0]}
            for row, verdict in zip(verdicts, report.verdicts, strict=True)
        ],
        reasons=list(reasons(report.verdicts)),
        overall_heads=("Measure", *OVERALL_HEADERS),
        overall=[
            [Measure.parse(one.measure).title, *overall_row(one, percent, whole=True)]
            for one in report.overall
        ],
        figures=[
            {
                "title": figure.title,
                "caption": figure.caption,
                "data": base64.b64encode(figure.svg).decode(),
            }
            for figure in figures_of(report)
        ],
        sections=sections,
        pairs=pairs,
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_part("page.html"))


def _part(name: str) -> str:
    folder = importlib.resources.files("gtr_beir.report.formats").joinpath("template")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _summary(report: Report) -> str:
    first = [board for board in report.boards if board.measure == report.boards[0].measure]
    columns = {column for board in first for column in board.columns}
    own = {column for column in columns if column.group == OWN}
    titles = [section.title for section in report.sections]
    published = f"{len(columns) - len(own)} published ones"
    if not own:
        return f"{published.capitalize()}; no run of your own is here yet."
    on = f"{len(titles)} datasets" if len(titles) > 1 else titles[0] if titles else "no dataset"
    systems = "1 own system" if len(own) == 1 else f"{len(own)} own systems"
    against = f" Baseline: {report.baseline}." if report.baseline else ""
    return f"{systems} on {on}, beside {published}.{against}"


# Scores: systems down, datasets across ----------------------------------------------------------


def _grids(report: Report, percent: bool) -> Iterator[dict[str, Any]]:
    """For each measure what all its boards hold, in their order."""
    for measure in dict.fromkeys(board.measure for board in report.boards):
        boards = [board for board in report.boards if board.measure == measure]
        columns = dict.fromkeys(column for board in boards for column in board.columns)
        lines: dict[str, Line] = {}
        for board in boards:
            for line in board.lines:
                known = lines.get(line.title)
                cells = {**(known.cells if known else {}), **line.cells}
                lines[line.title] = Line(line.title, cells, line.average)
        ordered = sorted(lines.values(), key=lambda line: line.average)
        best = {line.title: line.best(tuple(columns)) for line in ordered}
        own = {s.title for s in report.sections}
        yield {
            "title": measure.title,
            "heads": [
                {"title": line.title, "average": line.average, "own": line.title in own}
                for line in ordered
            ],
            "rows": [
                {
                    "name": column.name,
                    "letter": column.letter,
                    "group": column.group,
                    "source": column.source,
                    "about": column.about,
                    "cells": [
                        _cell(column, line, column in best[line.title], percent)
                        if column in line.cells
                        else None
                        for line in ordered
                    ],
                }
                for column in columns
            ],
        }


def _cell(column: Column, line: Line, best: bool, percent: bool) -> dict[str, Any]:
    cell = line.cells[column]
    return {
        "exact": repr(cell.value),
        "shown": number(cell, percent),
        "best": best,
        "beats": cell.beats,
        "marks": " ".join(cell.marks),
        "apart": " ".join(sorted(cell.apart)),
        "average": line.average,
        "tip": "\n".join(_tip(column, line, cell, percent)),
    }


def _tip(column: Column, line: Line, cell: Cell, percent: bool) -> Iterator[str]:
    """What a value is of."""
    yield f"{column.name} on {line.title}: {number(cell, percent)}"
    if cell.n is not None:
        yield f"mean of {cell.n:,} {'datasets' if line.average else 'queries'}"
    if interval := _interval(cell, percent):
        yield f"95 % interval {interval}"
    yield f"{column.source}{', ' if column.about else ''}{column.about}"
    if cell.note:
        yield cell.note


def _interval(cell: Cell, percent: bool) -> str:
    if cell.low is None or cell.high is None:
        return ""
    ends = [shown(end, cell.decimals, percent=percent) for end in (cell.low, cell.high)]
    return f"{ends[0]} to {ends[1]}"


# A dataset --------------------------------------------------------------------------------------


def _section(
    section: Section,
    place: int,
    report: Report,
    percent: bool,
    pairs: dict[str, list[Mapping[str, Any]]],
) -> dict[str, Any]:
    """Fills `pairs` with what the page draws of every two systems, by the matrix they stand in."""
    columns = sorted(section.cells, key=lambda column: column.name)
    matrices = []
    for measure in dict.fromkeys(pair.measure for pair in report.pairs):
        these = [p for p in report.pairs if (p.measure, p.dataset) == (measure, section.title)]
        if these:
            key = f"{place}-{measure}"
            pairs[key] = [_pair(pair, percent) for pair in these]
            matrices.append(_matrix(key, measure, these, columns, percent))
    return {
        "id": f"dataset-{place}",
        "title": section.title,
        "about": section.about,
        "warnings": section.warnings,
        "matrices": matrices,
        "queries": [
            _queries(title, lines, columns, section, percent)
            for title, lines in (
                ("Hardest queries for all systems", section.hardest),
                ("Queries that systems disagree on most", section.disagreements),
            )
            if lines
        ],
        "heads": [column.name for column in columns],
        "measures": [
            {
                "title": measure.title,
                "cells": [
                    {"shown": number(cell, percent), "interval": _interval(cell, percent)}
                    if (cell := section.cells[column].get(measure))
                    else None
                    for column in columns
                ],
            }
            for measure in MEASURES
        ],
    }


def _pair(pair: Pair, percent: bool) -> dict[str, Any]:
    def said(sign: int) -> str:
        low, high = (pair.low, pair.high) if sign > 0 else (-pair.high, -pair.low)
        ends = [signed(low, percent=percent), signed(high, percent=percent)]
        won, lost = (pair.wins, pair.losses) if sign > 0 else (pair.losses, pair.wins)
        return (
            f"{signed(sign * pair.difference, percent=percent)} (95 % interval {ends[0]} to "
            f"{ends[1]}), p {p_value(pair.p)}, corrected {p_value(pair.corrected)}; better on "
            f"{won:,}, equal on {pair.ties:,}, worse on {lost:,} of {pair.n:,} queries"
        )

    return {
        "a": pair.a,
        "b": pair.b,
        "spread": pair.spread,
        "said": said(1),
        "said_turned": said(-1),
    }


def _matrix(
    key: str, measure: str, pairs: Sequence[Pair], columns: Sequence[Column], percent: bool
) -> dict[str, Any]:
    at = {(pair.a, pair.b): place for place, pair in enumerate(pairs)}
    named = {name for ends in at for name in ends}
    shown_columns = [column for column in columns if column.name in named]

    def cell(row: Column, column: Column) -> dict[str, Any] | None:
        for ends, sign in (((column.name, row.name), 1), ((row.name, column.name), -1)):
            if ends in at:
                pair = pairs[at[ends]]
                return {
                    "at": at[ends],
                    "sign": sign,
                    "shown": signed(sign * pair.difference, percent=percent),
                    "p": p_value(pair.corrected),
                    "significant": pair.corrected < LEVEL,
                }
        return None

    heads = [{"letter": column.letter, "name": column.name} for column in shown_columns]
    return {
        "id": key,
        "title": Measure.parse(measure).title,
        "heads": heads,
        "rows": [
            {**head, "cells": [cell(row, column) for column in shown_columns]}
            for head, row in zip(heads, shown_columns, strict=True)
        ],
    }


def _queries(
    title: str,
    lines: Sequence[QueryLine],
    columns: Sequence[Column],
    section: Section,
    percent: bool,
) -> dict[str, Any]:
    held = [column for column in columns if column in lines[0].values]
    systems = [section.labels[column] for column in held[:2] if column in section.labels]
    spec = registered(section.dataset)
    command = ""
    if not (spec and spec.parts):  # `inspect` looks at one forum at a time
        queries = [lines[0].query_id]
        command = inspect_command(systems, section.dataset, queries, section.measure)
    return {
        "title": f"{title}, by {section.measure.title}",
        "heads": [column.name for column in held],
        "lines": [
            {
                "id": line.query_id,
                "text": line.text,
                "cells": [shown(line.values[column], percent=percent) for column in held],
            }
            for line in lines
        ],
        "command": command,
    }
