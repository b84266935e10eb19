"""Boards: own records beside published numbers, datasets down and systems across.

Everything that is rendered comes from a Report; nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.rounding import as_shown

LEVEL = 0.05
"""What counts as significant."""
OWN, BESIDE, BM25, COLBERT, GTR = "own", "beside", "BM25", "ColBERT", "GTR"
OTHERS = "others"
GROUPS = (OWN, BESIDE, BM25, COLBERT, GTR, OTHERS)
"""Groups of columns in the order of a board."""

BETTER, WORSE = "†", "‡"
RAISED = "a raised letter:"
DIFFERS, CAPPED, FIRST_VERSION = "≠", "c", "v1"


@dataclass(frozen=True)
class Cell:
    """One value. decimals: how it is shown; n: queries (own values) or datasets (averages) that it
    is a mean of, None where unknown; low, high: 95 % interval of an own mean, None elsewhere;
    marks: keys of the report's notes; beats: letters of the own columns that it is significantly
    better than; note: signature or provenance."""

    value: float
    decimals: int = 4
    n: int | None = None
    low: float | None = None
    high: float | None = None
    marks: tuple[str, ...] = ()
    beats: str = ""
    note: str = ""

    @property
    def apart(self) -> frozenset[str]:
        """Marks of a value that is of something else than its line says: it is shown, and never
        held against values without them."""
        return frozenset(self.marks) & {CAPPED, FIRST_VERSION}


@dataclass(frozen=True)
class Column:
    """One system from one source. name: as in folders or in the publication; group: of GROUPS;
    source: short, "own run" for own ones; about: lengths, precision and what else it is of; letter:
    what stands for it in other cells' `beats`, "" where it was not tested; parameters: how many
    weights, 0 where that is not known."""

    name: str
    group: str
    source: str
    about: str = ""
    letter: str = ""
    parameters: int = 0


@dataclass(frozen=True)
class Line:
    """One dataset, or one average; cells by column."""

    title: str
    cells: Mapping[Column, Cell]
    average: bool = False

    def best(self, columns: tuple[Column, ...]) -> set[Column]:
        """Of some columns those with the highest value as it is shown, among values of the same
        thing; none where one has one."""
        held = {column: self.cells[column] for column in columns if column in self.cells}
        if len({cell.apart for cell in held.values()}) > 1:
            held = {column: cell for column, cell in held.items() if not cell.apart}
        if len(held) < 2:
            return set()
        # Values of different precision are compared at the coarsest.
        decimals = min(cell.decimals for cell in held.values())
        seen = {column: as_shown(cell.value, decimals) for column, cell in held.items()}
        return {column for column, value in seen.items() if value == max(seen.values())}


@dataclass(frozen=True)
class Board:
    """One table: its columns in order, lines in order."""

    title: str
    measure: Measure
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
