"""A Report as GitHub's markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import OWN, Board, Column, Line, Report, Verdict
from gtr_beir.report.layout import (
    VERDICT_HEADERS,
    closing,
    number,
    pieces,
    reasons,
    short,
    shown_lines,
    verdict_rows,
)

WIDTH = 140
"""Characters of a line of markdown."""


def markdown(report: Report, percent: bool = False) -> str:
    """GitHub markdown: tables of at most nine columns and lines of at most 140 characters."""
    parts = ["# Leaderboard\n"]
    for board in report.boards:
        parts.append(f"## {_plain(board.title)}\n")
        parts += [f"{table}\n" for table in _markdown_tables(board, percent)]
        parts += [_wrapped(f"- {line}") for line in _legend(board)]
        parts.append("")
    if report.notes:
        parts += [_wrapped(f"- {mark} {_plain(note)}") for mark, note in report.notes.items()]
        parts.append("")
    if report.verdicts:
        parts.append("## Own against published\n")
        parts += [f"{table}\n" for table in _verdict_tables(report.verdicts, percent)]
        parts += [
            _wrapped(f"{place}. not compared: {reason}")
            for reason, place in reasons(report.verdicts).items()
        ]
        parts.append("")
    parts.append(_wrapped(_plain(" ".join(closing(report)))))
    return "\n".join(parts) + "\n"


def _markdown_tables(board: Board, percent: bool) -> Iterator[str]:
    for columns in pieces(board):
        rows = []
        for line in shown_lines(board, columns):
            best = line.best(board.columns)
            title = f"*{line.title}*" if line.average else line.title
            cells = [_markdown_cell(line, c, c in best, percent) for c in columns]
            rows.append([title, *cells])
        sources = ["", *(f"*{column.source}*" for column in columns)]
        headers = ["Dataset", *(short(column.name) for column in columns)]
        yield _github([headers, sources, *rows])


def _github(rows: Sequence[Sequence[str]]) -> str:
    """A table of GitHub's markdown, no wider than it must be; the first row is the header."""
    rows = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    ruler = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join([line(rows[0]), line(ruler), *map(line, rows[1:])])


def _plain(text: str) -> str:
    """What GitHub would take for markup or for the end of a cell."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _markdown_cell(line: Line, column: Column, best: bool, percent: bool) -> str:
    cell = line.cells.get(column)
    if cell is None:
        return ""
    value = number(cell, percent)
    return " ".join([f"**{value}**" if best else value, *cell.marks])


def _legend(board: Board) -> list[str]:
    """What own columns are of."""
    return [
        f"**{_plain(column.name)}**: {_plain(column.about or 'nothing is known of it')}"
        for column in board.columns
        if column.group == OWN
    ]


def _wrapped(text: str) -> str:
    return "\n".join(
        textwrap.wrap(
            text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    )


def _verdict_tables(verdicts: Sequence[Verdict], percent: bool) -> Iterator[str]:
    """For markdown, whose lines are short: a table a measure."""
    rows = verdict_rows(verdicts, percent)
    place = VERDICT_HEADERS.index("Measure")
    for measure in dict.fromkeys(v.measure for v in verdicts):
        these = [row for row, v in zip(rows, verdicts, strict=True) if v.measure == measure]
        kept = [[short(row[0]), *row[1:place], *row[place + 1 :]] for row in these]
        headers = [header for header in VERDICT_HEADERS if header != "Measure"]
        yield f"### {Measure.parse(measure).title}\n\n{_github([headers, *kept])}"
