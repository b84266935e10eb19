"""The Report: all that is rendered, in every format, and the same as one table of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.findings import Overall, Pair, Section, Verdict


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
