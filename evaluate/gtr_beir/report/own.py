"""Own values for a board: intervals, marks of significance beside a baseline, and letters of the
own systems that each is better than."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import holm
from gtr_beir.report.board import BETTER, DIFFERS, LEVEL, WORSE, Cell, Column
from gtr_beir.report.findings import Overall, Pair, Verdict
from gtr_beir.report.naming import MOST, Names
from gtr_beir.report.pairs import beaten, overall_of, pairs_beside, pairs_of
from gtr_beir.report.per_query import PerQuery, Values

OwnCells = dict[Column, dict[str, Cell]]
"""Column -> title of a line -> cell."""


@dataclass(frozen=True)
class Own:
    """Own cells by each measure. pairs, overall: own systems beside each other."""

    cells: Mapping[Measure, OwnCells]
    pairs: tuple[Pair, ...]
    overall: tuple[Overall, ...]


def own_results(
    names: Names,
    per_query: PerQuery,
    verdicts: Iterable[Verdict],
    measures: Sequence[Measure],
    baseline: str,
) -> Own:
    """Own values by some measures, with their intervals, marks and letters. verdicts: on these
    records; baseline: the name of a column, "" for none."""
    systems = names.systems
    many = len(systems) > MOST
    differing = {(v.measure, v.system, v.dataset) for v in verdicts if v.word == "differs"}
    cells = {measure: _cells(names, per_query, differing, measure) for measure in measures}
    held: dict[Measure, dict[str, dict[str, Values]]] = {measure: {} for measure in measures}
    for record in names.records:
        title, column = names.title(record), names.column(record)
        for measure in measures:
            of = per_query.of if many else per_query.drawn
            values = of(record, measure)
            if values is not None and title in cells[measure].get(column, ()):
                held[measure].setdefault(title, {})[column.name] = values
    pairs: list[Pair] = []
    overall: list[Overall] = []
    for measure in measures:
        if many:
            these = pairs_beside(measure, held[measure], baseline)
        else:
            these = pairs_of(measure, held[measure])
            overall += overall_of(measure, held[measure])
        pairs += these
        for (title, system), mark in _marks(these, baseline).items():
            if mark:
                _put(cells[measure][systems[system]], title, mark=mark)
        for (title, system), worse in beaten(these).items():
            beats = "".join(sorted(systems[name].letter for name in worse))
            _put(cells[measure][systems[system]], title, beats=beats)
    return Own(cells, tuple(pairs), tuple(overall))


def _cells(
    names: Names, per_query: PerQuery, differing: Set[tuple[str, str, str]], measure: Measure
) -> OwnCells:
    """Own values by one measure, with intervals. differing: (measure, system, dataset) of values
    that differ from a published one."""
    cells: OwnCells = {}
    for record in names.records:
        if record.depth < measure.cut or str(measure) not in record.measures:
            continue  # a ranking cut before the measure's own cut is another measure
        title, column = names.title(record), names.column(record)
        low, high = per_query.interval(record, measure)
        differs = (str(measure), column.name, title) in differing
        cells.setdefault(column, {})[title] = Cell(
            record.measures[str(measure)],
            n=record.n_queries,
            low=low,
            high=high,
            marks=(DIFFERS,) if differs else (),
            note=record.signature,
        )
    return cells


def _put(cells: dict[str, Cell], title: str, *, mark: str = "", beats: str = "") -> None:
    cell = cells[title]
    marks = (*cell.marks, mark) if mark else cell.marks
    cells[title] = replace(cell, marks=marks, beats=beats or cell.beats)


def _marks(pairs: Sequence[Pair], baseline: str) -> dict[tuple[str, str], str]:
    """(line, system) -> its mark beside the baseline, "" where nothing is significant; corrected
    by Holm over all of them. pairs: of one measure."""
    beside = [pair for pair in pairs if baseline in (pair.a, pair.b)]
    corrected = holm([pair.p for pair in beside])
    marks = {}
    for pair, p in zip(beside, corrected, strict=True):
        system, sign = (pair.b, 1) if pair.a == baseline else (pair.a, -1)
        better = BETTER if sign * pair.difference > 0 else WORSE
        marks[pair.dataset, system] = better if p < LEVEL else ""
    return marks
