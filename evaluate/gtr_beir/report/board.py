"""Boards: own records beside published numbers, datasets down and systems across.

Everything that is rendered comes from a Report; nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

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
class Pair:
    """Two own systems by one measure on one dataset, paired by query.

    a, b: names of columns; difference: b - a, with its 95 % interval; p: two-sided, of the paired
    randomisation test; corrected: by Holm's method over all pairs and datasets of the measure;
    wins, ties, losses: queries where b is above, equal to, below a; spread: how many queries lie in
    each of EDGES' bins of b - a.
    """

    measure: str
    dataset: str
    a: str
    b: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    corrected: float
    wins: int
    ties: int
    losses: int
    spread: tuple[int, ...] = ()


@dataclass(frozen=True)
class Overall:
    """Two own systems by one measure over several datasets, each of the same weight.

    datasets: titles of their lines; difference: of the two means, b - a, with its interval over
    queries; p, corrected: of the randomisation test by query, which speaks of these datasets;
    p_datasets, corrected_datasets: of the one by dataset, which speaks of further datasets like
    these; wins, ties, losses: datasets. Corrected by Holm's method over all pairs of the measure.
    """

    measure: str
    datasets: tuple[str, ...]
    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    corrected: float
    p_datasets: float
    corrected_datasets: float
    wins: int
    ties: int
    losses: int


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
class QueryLine:
    """One query: its text, "" where it is not on this machine, and each own column's value."""

    query_id: str
    text: str
    values: Mapping[Column, float]


@dataclass(frozen=True)
class Contrast:
    """The two own systems of a dataset that a reader asks about first. a, b: their names;
    differences: of each query, b - a, in descending order; low, high: 95 % interval of the mean."""

    a: str
    b: str
    differences: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True)
class LengthBin:
    """Queries whose own words, or those of their longest relevant document, are `low` to `high`.

    n: how many; values: mean of the section's measure by own column; cut: share of those texts that
    was cut, of the columns that cut texts and whose tokens can be counted here.
    """

    low: int
    high: int
    n: int
    values: Mapping[Column, float]
    cut: Mapping[Column, float]


@dataclass(frozen=True)
class Section:
    """One dataset that own systems were run on.

    dataset: its name, title: of its line; measure: that queries are looked at by; about: name and
    value of what is known of it; cells: every measure of every own column; hardest: the queries
    with the lowest mean over all systems; disagreements: those whose values lie farthest apart;
    contrast: the baseline and the best of the others, or the two best, None where there are no two;
    top_words: median words of the first ten documents; by_query, by_document: values by the length
    of the query and of its longest relevant document. These three are empty without the texts.
    """

    dataset: str
    title: str
    measure: Measure
    about: tuple[tuple[str, str], ...]
    cells: Mapping[Column, Mapping[Measure, Cell]]
    hardest: tuple[QueryLine, ...] = ()
    disagreements: tuple[QueryLine, ...] = ()
    warnings: tuple[str, ...] = ()
    contrast: Contrast | None = None
    top_words: Mapping[Column, float] = field(default_factory=dict)
    by_query: tuple[LengthBin, ...] = ()
    by_document: tuple[LengthBin, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that a leaderboard says. pairs, overall: own systems beside each other; sections: of each
    dataset; notes: mark -> what it means, of the marks that are used; baseline: the own system that
    own ones are tested against, "" for none; tests: how many; remarks: on records that are not as
    they should be."""

    boards: tuple[Board, ...]
    verdicts: tuple[Verdict, ...] = ()
    pairs: tuple[Pair, ...] = ()
    overall: tuple[Overall, ...] = ()
    sections: tuple[Section, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    baseline: str = ""
    tests: int = 0
    remarks: tuple[str, ...] = ()

    def pairs_by(self, measure: Measure) -> tuple[Pair, ...]:
        """Own systems beside each other by one measure: what is corrected together."""
        return tuple(pair for pair in self.pairs if pair.measure == str(measure))

    def frame(self) -> pd.DataFrame:
        """A line a value, unrounded (kind "value"): measure, dataset, system, group, source, value,
        low, high, n, marks, beats, about, note; a value that several boards show stands once, and
        own systems have all their measures. Then a line a verdict (kind "verdict"): an own value
        with the published one, the difference, the verdict and, if there is no comparison, why.
        Then a line for two own systems on a dataset ("pair") and over datasets ("overall"): the
        difference of `system` less `against`, its interval, p as it is and corrected (p_holm; over
        datasets also p_datasets, where datasets are what is drawn), queries or datasets won. Then
        the queries that tell most ("hardest", "disagreement") and, if texts were counted, values by
        length: `words`, and the share of those texts that was `cut`."""
        lines = {
            (board.measure, line.title, column): _value_line(board.measure, line, column, cell)
            for board in self.boards
            for line in board.lines
            for column, cell in line.cells.items()
        }
        for section in self.sections:
            for column, cells in section.cells.items():
                for measure, cell in cells.items():
                    one = Line(section.title, cells={})
                    key = (measure, section.title, column)
                    lines.setdefault(key, _value_line(measure, one, column, cell))
        said = [*map(_verdict_line, self.verdicts), *map(_pair_line, self.pairs)]
        said += map(_overall_line, self.overall)
        said += [line for section in self.sections for line in _section_lines(section)]
        frame = pd.DataFrame([*lines.values(), *said])
        for counts in ("n", "wins", "ties", "losses"):
            if counts in frame:
                frame[counts] = frame[counts].astype("Int64")
        return frame


def _value_line(measure: Measure, line: Line, column: Column, cell: Cell) -> dict[str, object]:
    return {
        "kind": "value",
        "measure": str(measure),
        "dataset": line.title,
        "average": line.average,
        "system": column.name,
        "letter": column.letter,
        "group": column.group,
        "source": column.source,
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "n": cell.n,
        "marks": " ".join(cell.marks),
        "beats": cell.beats,
        "about": column.about,
        "note": cell.note,
    }


def _verdict_line(verdict: Verdict) -> dict[str, object]:
    return {
        "kind": "verdict",
        "measure": verdict.measure,
        "dataset": verdict.dataset,
        "system": verdict.system,
        "group": OWN,
        "source": f"{verdict.published_system}, {verdict.source}",
        "value": verdict.own,
        "low": verdict.low,
        "high": verdict.high,
        "published": verdict.published,
        "difference": None if verdict.why_not else verdict.difference,
        "verdict": verdict.word,
        "note": verdict.why_not,
    }


def _pair_line(pair: Pair) -> dict[str, object]:
    return {
        "kind": "pair",
        "measure": pair.measure,
        "dataset": pair.dataset,
        "system": pair.b,
        "against": pair.a,
        "n": pair.n,
        "difference": pair.difference,
        "low": pair.low,
        "high": pair.high,
        "p": pair.p,
        "p_holm": pair.corrected,
        "wins": pair.wins,
        "ties": pair.ties,
        "losses": pair.losses,
    }


def _section_lines(section: Section) -> Iterator[dict[str, object]]:
    """Queries that tell most, and what lengths do."""
    known = {"measure": str(section.measure), "dataset": section.title}
    for kind, queries in (("hardest", section.hardest), ("disagreement", section.disagreements)):
        for query in queries:
            for column, value in query.values.items():
                yield {
                    "kind": kind,
                    **known,
                    "system": column.name,
                    "query": query.query_id,
                    "value": value,
                    "note": query.text,
                }
    for column, words in section.top_words.items():
        yield {
            "kind": "words of the first ten",
            "dataset": section.title,
            "system": column.name,
            "value": words,
        }
    for kind, bins in (("by query", section.by_query), ("by document", section.by_document)):
        for one in bins:
            for column, value in one.values.items():
                yield {
                    "kind": f"{kind} length",
                    **known,
                    "system": column.name,
                    "value": value,
                    "n": one.n,
                    "words": f"{one.low} to {one.high}",
                    "cut": one.cut.get(column),
                }


def _overall_line(overall: Overall) -> dict[str, object]:
    return {
        "kind": "overall",
        "measure": overall.measure,
        "dataset": f"mean of {len(overall.datasets)}",
        "system": overall.b,
        "against": overall.a,
        "n": len(overall.datasets),
        "difference": overall.difference,
        "low": overall.low,
        "high": overall.high,
        "p": overall.p,
        "p_holm": overall.corrected,
        "p_datasets": overall.p_datasets,
        "p_datasets_holm": overall.corrected_datasets,
        "wins": overall.wins,
        "ties": overall.ties,
        "losses": overall.losses,
        "note": ", ".join(overall.datasets),
    }
