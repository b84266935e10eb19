"""What is found out about own results: tests of pairs, verdicts, and what a dataset's queries tell.

Values only; nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import Cell, Column


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
    and the source's tolerance; by_ties: only in another order of equal scores."""

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
    by_ties: bool = False

    @property
    def difference(self) -> float:
        return self.own - self.published

    @property
    def word(self) -> str:
        """reproduced, reproduced (ties), differs, or not compared."""
        if self.why_not:
            return "not compared"
        if self.by_ties:
            return "reproduced (ties)"
        return "reproduced" if self.agrees else "differs"


@dataclass(frozen=True)
class QueryLine:
    """One query: its text, "" where it is not on this machine, and each own column's value."""

    query_id: str
    text: str
    values: Mapping[Column, float]


@dataclass(frozen=True)
class Contrast:
    """The two own systems of a dataset that a reader asks about first. a, b: their names;
    differences: of each query, b - a, in descending order; mean: of b less that of a, which is the
    differences' own unless the dataset is a mean of parts; low, high: its 95 % interval."""

    a: str
    b: str
    differences: tuple[float, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class LengthBin:
    """Queries whose own words, or those of their longest relevant document, are `low` to `high`.

    n: how many; values: mean of the section's measure by own column; cut: share of the queries, or
    mean over them of the share of their relevant documents, that was cut, of the columns that cut
    texts and whose tokens can be counted here.
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
    value of what is known of it; cells: every measure of every own column; labels: each
    column's name in the results folder; hardest: the queries
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
    labels: Mapping[Column, str] = field(default_factory=dict)
    hardest: tuple[QueryLine, ...] = ()
    disagreements: tuple[QueryLine, ...] = ()
    warnings: tuple[str, ...] = ()
    contrast: Contrast | None = None
    top_words: Mapping[Column, float] = field(default_factory=dict)
    by_query: tuple[LengthBin, ...] = ()
    by_document: tuple[LengthBin, ...] = ()
