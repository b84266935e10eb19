"""Boards: own records beside published numbers, datasets down and systems across.

Everything that is rendered comes from a Report; nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.rounding import as_shown

OWN, BM25, COLBERT, GTR, OTHERS = "own", "BM25", "ColBERT", "GTR", "others"
GROUPS = (OWN, BM25, COLBERT, GTR, OTHERS)
"""Groups of columns in the order of a board."""

BETTER, WORSE = "†", "‡"
DIFFERS, CAPPED, FIRST_VERSION = "≠", "c", "v1"


@dataclass(frozen=True)
class Cell:
    """One value. decimals: how it is shown; n: queries (own values) or datasets (averages) that it
    is a mean of, None where unknown; low, high: 95 % interval of an own mean, None elsewhere;
    marks: keys of the report's notes; note: signature or provenance."""

    value: float
    decimals: int = 4
    n: int | None = None
    low: float | None = None
    high: float | None = None
    marks: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Column:
    """One system from one source. name: as in folders or in the publication; group: of GROUPS;
    source: short, "own run" for own ones; about: lengths, precision and what else it is of."""

    name: str
    group: str
    source: str
    about: str = ""


@dataclass(frozen=True)
class Line:
    """One dataset, or one average; cells by column."""

    title: str
    cells: Mapping[Column, Cell]
    average: bool = False

    def best(self, columns: tuple[Column, ...]) -> set[Column]:
        """Of some columns those with the highest value as it is shown; none where one has one."""
        held = {column: self.cells[column] for column in columns if column in self.cells}
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


@dataclass(frozen=True)
class Verdict:
    """An own value beside a published one. low, high: interval of the own mean; why_not: in words,
    why they are not compared, "" where they are; agrees: within the precision that was published
    and the source's tolerance."""

    system: str
    dataset: str
    measure: str
    own: float
    low: float | None
    high: float | None
    published: float
    decimals: int
    source: str
    published_system: str
    agrees: bool
    why_not: str = ""

    @property
    def difference(self) -> float:
        return self.own - self.published

    @property
    def word(self) -> str:
        """reproduced, differs, or not compared."""
        return "not compared" if self.why_not else "reproduced" if self.agrees else "differs"


@dataclass(frozen=True)
class Report:
    """All that a leaderboard says. notes: mark -> what it means, of the marks that are used;
    baseline: the own system that own ones are tested against, "" for none; tests: how many;
    remarks: on records that are not as they should be."""

    boards: tuple[Board, ...]
    verdicts: tuple[Verdict, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    baseline: str = ""
    tests: int = 0
    remarks: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """A line a value, unrounded (kind "value"): measure, dataset, system, group, source, value,
        low, high, n, marks, about, note; a value that several boards show stands once. Then a line
        a verdict (kind "verdict"): an own value with the published one, the difference, the verdict
        and, if there is no comparison, why."""
        lines = {
            (board.measure, line.title, column): {
                "kind": "value",
                "measure": str(board.measure),
                "dataset": line.title,
                "average": line.average,
                "system": column.name,
                "group": column.group,
                "source": column.source,
                "value": cell.value,
                "low": cell.low,
                "high": cell.high,
                "n": cell.n,
                "marks": " ".join(cell.marks),
                "about": column.about,
                "note": cell.note,
            }
            for board in self.boards
            for line in board.lines
            for column, cell in line.cells.items()
        }
        said = [
            {
                "kind": "verdict",
                "measure": v.measure,
                "dataset": v.dataset,
                "system": v.system,
                "group": OWN,
                "source": f"{v.published_system}, {v.source}",
                "value": v.own,
                "low": v.low,
                "high": v.high,
                "published": v.published,
                "difference": None if v.why_not else v.difference,
                "verdict": v.word,
                "note": v.why_not,
            }
            for v in self.verdicts
        ]
        frame = pd.DataFrame([*lines.values(), *said])
        if "n" in frame:
            frame["n"] = frame["n"].astype("Int64")
        return frame
