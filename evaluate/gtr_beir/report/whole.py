"""The Report: all that is rendered, in every format, and the same as one table of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import OWN, RAISED, Board, Cell, Column, Line
from gtr_beir.report.findings import Overall, Pair, Section, Verdict
from gtr_beir.report.notebook import output, paragraph, table
from gtr_beir.report.plain_text import html_text, short
from gtr_beir.report.rounding import shown

MOST_COLUMNS, MOST_LINES = 12, 30
"""Columns and lines of a board that a notebook's cell has room for."""


@dataclass(frozen=True)
class Report:
    """All that a leaderboard says. pairs, overall: own systems beside each other; sections: of each
    dataset; notes: mark -> what it means, of the marks that are used; baseline: the own system that
    own ones are tested against, "" for none; remarks: on records that are not as
    they should be."""

    boards: tuple[Board, ...]
    verdicts: tuple[Verdict, ...] = ()
    pairs: tuple[Pair, ...] = ()
    overall: tuple[Overall, ...] = ()
    sections: tuple[Section, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    baseline: str = ""
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        columns = {column for board in self.boards for column in board.columns}
        own = sum(column.group == OWN for column in columns)
        by = ", ".join(board.measure.title for board in self._first_boards())
        return (
            f"Report(own systems: {own}, datasets: {len(self.sections)}, published columns: "
            f"{len(columns) - own}, measures: {by or 'none'})"
        )

    def _repr_html_(self) -> str:
        """For a notebook: the first board of each measure, and what its marks mean."""
        boards = self._first_boards()
        if not boards:
            return output(paragraph("Neither records nor published values are here."))
        used = {
            mark
            for board in boards
            for line in board.lines[:MOST_LINES]
            for cell in _cells(line, board)
            for mark in (*cell.marks, *line.title.split(" "), *([RAISED] if cell.beats else []))
        }
        notes = [f"{mark} {note}" for mark, note in self.notes.items() if mark in used]
        said = [*notes, *(f"{remark}." for remark in self.remarks)]
        return output(*map(_board_html, boards), *map(paragraph, said))

    def _first_boards(self) -> list[Board]:
        """Of each measure: that of own runs, or, without any, that of all datasets."""
        found: dict[Measure, Board] = {}
        for board in self.boards:
            found.setdefault(board.measure, board)
        return list(found.values())

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


def _cells(line: Line, board: Board) -> Iterator[Cell]:
    """Of the columns that a notebook's cell has room for."""
    yield from (line.cells[c] for c in board.columns[:MOST_COLUMNS] if c in line.cells)


def _board_html(board: Board) -> str:
    columns = board.columns[:MOST_COLUMNS]
    rows = []
    for line in board.lines[:MOST_LINES]:
        best = line.best(board.columns)
        title = html_text(line.title)
        cells = [_cell_html(line.cells.get(column), column in best) for column in columns]
        rows.append([f"<em>{title}</em>" if line.average else title, *cells])
    over = (
        (len(board.columns) - len(columns), "systems"),
        (len(board.lines) - len(rows), "lines"),
    )
    left_out = " and ".join(f"{many} more {what}" for many, what in over if many)
    told = f"{left_out} are in frame() and in the leaderboard's files." if left_out else ""
    return (
        f"<p><b>{html_text(board.title)}</b></p>"
        + table(["Dataset", *map(_head_html, columns)], rows)
        + (paragraph(told) if told else "")
    )


def _head_html(column: Column) -> str:
    letter = f" ({html_text(column.letter)})" if column.letter else ""
    return f"{html_text(short(column.name))}{letter}<br><small>{html_text(column.source)}</small>"


def _cell_html(cell: Cell | None, best: bool) -> str:
    if cell is None:
        return ""
    value = shown(cell.value, cell.decimals)
    letters = f"<sup>{html_text(cell.beats)}</sup>" if cell.beats else ""
    return " ".join([(f"<b>{value}</b>" if best else value) + letters, *map(html_text, cell.marks)])


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
