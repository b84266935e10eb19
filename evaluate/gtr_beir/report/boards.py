"""Boards: own cells and published ones, datasets down and systems across.

Averages stand only over named sets of datasets, and only in columns that have the whole set.
Datasets of one name and different fingerprints are different lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gtr_beir.checkpoints.layout import RELEASED
from gtr_beir.data.registry import benchmark_names, suite
from gtr_beir.published import PublishedValue
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import (
    BESIDE,
    BM25,
    CAPPED,
    COLBERT,
    FIRST_VERSION,
    GROUPS,
    GTR,
    OTHERS,
    Board,
    Cell,
    Column,
    Line,
)
from gtr_beir.report.naming import Names, by_size, title_of
from gtr_beir.report.own import OwnCells
from gtr_beir.report.verdicts import SOURCES

_AVERAGES = {
    "zero-shot": "Avg zero-shot",
    "unseen": "Avg unseen",
    "public": "Avg public",
}
_BASELINES = (
    ("anserini", "bm25-flat"),
    ("anserini", "bm25-multifield"),
    ("beir-paper", "bm25"),
    ("beir-paper", "colbert"),
    ("colbertv2-paper", "colbertv2"),
)
"""Published columns that stand beside own ones, with GTR's own."""
_GTRSOURCES = ("gtr-paper", "t5x_retrieval-readme")


def published_cells(
    values: Sequence[PublishedValue], measure: Measure
) -> dict[Column, dict[str, Cell]]:
    """Capped recall stands in the recall table, marked; forums do not stand alone."""
    cells: dict[Column, dict[str, Cell]] = {}
    for value in values:
        capped = value.metric == f"recall_cap@{measure.cut}" and measure.name == "recall"
        if "/" in value.dataset or (value.metric != str(measure) and not capped):
            continue
        marks = (CAPPED,) if capped else ()
        if value.version == FIRST_VERSION:
            marks = (*marks, FIRST_VERSION)
        column = Column(
            value.system,
            _group(value),
            SOURCES.get(value.source, value.source),
            _said(value),
            parameters=RELEASED[value.family].parameters if value.family in RELEASED else 0,
        )
        cells.setdefault(column, {})[title_of(value.dataset)] = Cell(
            value.value, decimals=value.decimals, marks=marks, note=value.provenance
        )
    return cells


def _group(value: PublishedValue) -> str:
    if value.source not in SOURCES:
        return BESIDE
    pair = (value.source, value.system)
    if value.source in _GTRSOURCES:
        return GTR
    if pair in _BASELINES:
        return COLBERT if "colbert" in value.system else BM25
    return OTHERS


def _said(value: PublishedValue) -> str:
    parts = [f"{value.lengths} lengths"] if value.lengths else []
    parts += [value.precision] if value.precision else []
    return ", ".join([*parts, *(["reranked"] if value.scoring == "reranked" else [])])


def boards_of(
    measure: Measure,
    names: Names,
    own: OwnCells,
    published: Mapping[Column, Mapping[str, Cell]],
    datasets: Sequence[str],
    sort: str,
) -> list[Board]:
    """Own datasets first, beside the baselines; then all 19; then the other published systems."""
    mine = sorted(dict.fromkeys(names.titles.values()), key=lambda title: place(title, datasets))
    whole = [title_of(name) for name in (datasets or benchmark_names())]
    beside = [c for c in published if c.group in (BESIDE, BM25, COLBERT, GTR)]
    rest = [c for c in published if c.group == OTHERS]
    boards = []
    if own:
        columns = [*_ranked(own, mine, sort), *_ordered(beside, published, mine)]
        boards.append(_board(f"{measure.title}: own runs", measure, columns, mine, own, published))
    if published and not datasets:
        # Own columns with a few datasets stand above already; here they would be all but empty.
        benchmark = [c for c in _ranked(own, whole, sort) if _has_a_set(own[c])]
        columns = [*benchmark, *_ordered(beside, published, whole)]
        title = f"{measure.title}: all datasets"
        boards.append(_board(title, measure, columns, whole, own, published))
    if rest and (not datasets or not own):
        title = f"{measure.title}: other published systems"
        boards.append(
            _board(title, measure, _ordered(rest, published, whole), whole, own, published)
        )
    return [board for board in boards if board.columns and board.lines]


def place(title: str, datasets: Sequence[str]) -> int:
    """Where a dataset's line stands: as they were named, else as the benchmark lists them; a user's
    own last."""
    order = [title_of(name) for name in (datasets or benchmark_names())]
    return order.index(title) if title in order else len(order)


def _has_a_set(cells: Mapping[str, Cell]) -> bool:
    """Whether a column has every dataset of any named set."""
    return any(all(title_of(d) in cells for d in suite(name)) for name in _AVERAGES)


def _ranked(own: OwnCells, titles: Sequence[str], sort: str) -> list[Column]:
    """Own columns by their mean over the shown datasets where all have it, else by name."""
    columns = sorted(own, key=lambda column: column.name)
    if sort == "name":
        return columns
    everywhere = [t for t in titles if all(t in own[column] for column in columns)]
    shared = next(iter(by_size(everywhere).values()), [])

    def mean(column: Column) -> float:
        return float(np.mean([own[column][title].value for title in shared])) if shared else 0.0

    return sorted(columns, key=lambda column: -mean(column))


def _ordered(
    columns: Iterable[Column], cells: Mapping[Column, Mapping[str, Cell]], titles: Sequence[str]
) -> list[Column]:
    """Columns that have a value of these lines, by group."""
    held = [column for column in columns if set(cells[column]) & set(titles)]
    return sorted(held, key=lambda column: GROUPS.index(column.group))


def _board(
    title: str,
    measure: Measure,
    columns: Sequence[Column],
    titles: Sequence[str],
    own: OwnCells,
    published: Mapping[Column, Mapping[str, Cell]],
) -> Board:
    def cells_of(column: Column) -> Mapping[str, Cell]:
        return own[column] if column in own else published[column]

    lines = [
        Line(name, {c: cells_of(c)[name] for c in columns if name in cells_of(c)})
        for name in titles
    ]
    lines = [line for line in lines if line.cells]
    if len(lines) > 1:
        averages = _averages(columns, {column: cells_of(column) for column in columns}, titles)
        mine = set(columns) & set(own)
        lines += [line for line in averages if not mine or mine & set(line.cells)]
    return Board(title, measure, tuple(columns), tuple(lines))


def _averages(
    columns: Sequence[Column], cells: Mapping[Column, Mapping[str, Cell]], shown: Sequence[str]
) -> list[Line]:
    """A line for each named set of which a column has every dataset."""
    sets = {
        f"{words} ({len(suite(name))})": [title_of(dataset) for dataset in suite(name)]
        for name, words in _AVERAGES.items()
    }
    known = {title for titles in sets.values() for title in titles}
    if set(shown) - known or not set(shown) >= set(sets[next(reversed(sets))]):
        kinds = by_size(shown)
        means = {
            f"Mean of these {len(titles)}{f' {kind}' if kind and len(kinds) > 1 else ''}": titles
            for kind, titles in kinds.items()
            if len(titles) > 1
        }
        sets = {**means, **sets}
    lines = []
    for title, members in sets.items():
        found = {}
        for column in columns:
            held = [cells[column][name] for name in members if name in cells[column]]
            if len(held) == len(members):
                marks = dict.fromkeys(m for c in held for m in c.marks if m in _AVERAGED)
                found[column] = Cell(
                    sum(cell.value for cell in held) / len(held),
                    decimals=min(cell.decimals for cell in held),
                    n=len(held),
                    marks=tuple(marks),
                )
        if found:
            lines.append(Line(title, found, average=True))
    return lines


_AVERAGED = (CAPPED, FIRST_VERSION)
"""Marks of a value that its average has too."""
