"""A Report as GitHub's markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import LEVEL, OWN, Board, Column, Line
from gtr_beir.report.findings import Pair, QueryLine, Section, Verdict
from gtr_beir.report.formats.layout import (
    COLUMNS,
    OVERALL_HEADERS,
    VERDICT_HEADERS,
    closing,
    evenly,
    number,
    overall_row,
    pieces,
    reasons,
    shown_lines,
    verdict_rows,
)
from gtr_beir.report.plain_text import short
from gtr_beir.report.rounding import shown, signed
from gtr_beir.report.whole import Report

WIDTH = 140
"""Characters of a line of markdown."""


def markdown(report: Report, percent: bool = False) -> str:
    """GitHub markdown: tables of at most nine columns and lines of at most 140 characters."""
    parts = ["# Leaderboard\n"]
    for board in report.boards:
        parts.append(f"## {plain(board.title)}\n")
        parts += [f"{table}\n" for table in _markdown_tables(board, percent)]
        parts += [_wrapped(f"- {line}") for line in _legend(board)]
        parts.append("")
    if report.notes:
        parts += [_wrapped(f"- {mark} {plain(note)}") for mark, note in report.notes.items()]
        parts.append("")
    parts += _beside_each_other(report, percent)
    if report.verdicts:
        parts.append("## Own against published\n")
        parts += [f"{table}\n" for table in _verdict_tables(report.verdicts, percent)]
        parts += [
            _wrapped(f"{place}. not compared: {reason}")
            for reason, place in reasons(report.verdicts).items()
        ]
        parts.append("")
    parts.append(_wrapped(plain(" ".join(closing(report)))))
    return "\n".join(parts) + "\n"


def _markdown_tables(board: Board, percent: bool) -> Iterator[str]:
    for columns in pieces(board):
        rows = []
        for line in shown_lines(board, columns):
            best = line.best(board.columns)
            title = f"*{plain(line.title)}*" if line.average else plain(line.title)
            cells = [_markdown_cell(line, c, c in best, percent) for c in columns]
            rows.append([title, *cells])
        sources = ["", *(f"*{plain(column.source)}*" for column in columns)]
        headers = ["Dataset", *map(_head, columns)]
        yield _github([headers, sources, *rows])


def _github(rows: Sequence[Sequence[str]]) -> str:
    """A table of GitHub's markdown, no wider than it must be. Cells are markdown; the first row is
    the header."""
    # GitHub takes no ruler of less than two signs.
    widths = [max(2, *map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    ruler = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join([line(rows[0]), line(ruler), *map(line, rows[1:])])


def plain(text: str) -> str:
    """Text in which GitHub finds no markup, no link and no end of a cell."""
    seen = "".join(letter if letter.isprintable() else " " for letter in text)
    return re.sub(r"[\\|\[\]`]", r"\\\g<0>", seen.replace("&", "&amp;").replace("<", "&lt;"))


def _markdown_cell(line: Line, column: Column, best: bool, percent: bool) -> str:
    cell = line.cells.get(column)
    if cell is None:
        return ""
    value = number(cell, percent)
    letters = f"<sup>{cell.beats}</sup>" if cell.beats else ""
    return " ".join([(f"**{value}**" if best else value) + letters, *cell.marks])


def _head(column: Column) -> str:
    return plain(short(column.name)) + (f" ({column.letter})" if column.letter else "")


def _beside_each_other(report: Report, percent: bool) -> Iterator[str]:
    """Own systems over datasets; and folded, for each dataset, every pair and the queries that
    tell most."""
    if not report.pairs and not any(section.hardest for section in report.sections):
        return
    yield "## Own systems beside each other\n"
    for measure in dict.fromkeys(one.measure for one in report.overall):
        these = [one for one in report.overall if one.measure == measure]
        rows = [[plain(cell) for cell in overall_row(one, percent)] for one in these]
        yield f"### {Measure.parse(measure).title} over datasets\n"
        yield f"{_github([OVERALL_HEADERS, *rows])}\n"
    if report.overall:
        yield _wrapped(
            "Differences are of the left system less the other; every dataset has the same weight. "
            "p: paired randomisation tests, by query (do they differ on these datasets?) and by "
            "dataset (would they on further ones?), Holm-corrected; won/tied/lost datasets."
        )
        yield ""
    for section in report.sections:
        yield f"<details><summary>{plain(section.title)}</summary>\n"
        yield from _pairs_on(section, report, percent)
        yield from _query_table("Hardest queries", section.hardest, section.measure, percent)
        title = "Queries that systems disagree on most"
        yield from _query_table(title, section.disagreements, section.measure, percent)
        yield from (_wrapped(f"- {plain(warning)}") for warning in section.warnings)
        yield "\n</details>\n"


def _pairs_on(section: Section, report: Report, percent: bool) -> Iterator[str]:
    """The difference of each row's system less each column's; bold where it is significant."""
    for measure in dict.fromkeys(pair.measure for pair in report.pairs):
        pairs = {
            (pair.a, pair.b): pair
            for pair in report.pairs
            if (pair.measure, pair.dataset) == (measure, section.title)
        }
        columns = [c for c in section.cells if any(c.name in ends for ends in pairs)]
        columns.sort(key=lambda column: column.letter)
        for some in evenly(columns, COLUMNS - 1):
            rows = [["", *(column.letter for column in some)]]
            for one in columns:
                cells = [_difference(pairs, one, other, percent) for other in some]
                rows.append([f"{one.letter} {plain(short(one.name))}", *cells])
            title = Measure.parse(measure).title
            yield (
                f"{title}: the row's system less the column's; bold: significant\n\n"
                f"{_github(rows)}\n"
            )


def _difference(
    pairs: Mapping[tuple[str, str], Pair], row: Column, column: Column, percent: bool
) -> str:
    pair = pairs.get((column.name, row.name)) or pairs.get((row.name, column.name))
    if pair is None:
        return ""
    difference = pair.difference if pair.b == row.name else -pair.difference
    text = signed(difference, percent=percent)
    return f"**{text}**" if pair.corrected < LEVEL else text


def _query_table(
    title: str, lines: Sequence[QueryLine], measure: Measure, percent: bool
) -> Iterator[str]:
    columns = sorted({column for line in lines for column in line.values}, key=lambda c: c.letter)
    with_text = any(line.text for line in lines)
    for some in evenly(columns, _QUERY_COLUMNS):
        heads = [column.letter or plain(short(column.name)) for column in some]
        rows = [["Query", *(["Text"] if with_text else []), *heads]]
        for line in lines:
            values = [shown(line.values[column], percent=percent) for column in some]
            text = plain(textwrap.shorten(line.text, _TEXT, placeholder=" …"))
            rows.append([plain(short(line.query_id)), *([text] if with_text else []), *values])
        yield f"{title}, by {measure.title}\n\n{_github(rows)}\n"


_TEXT, _QUERY_COLUMNS = 60, 6


def _legend(board: Board) -> list[str]:
    """What own columns are of."""
    return [
        f"**{plain(column.name)}**: {plain(column.about or 'nothing is known of it')}"
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
        kept = [
            [plain(cell) for cell in (short(row[0]), *row[1:place], *row[place + 1 :])]
            for row in these
        ]
        headers = [header for header in VERDICT_HEADERS if header != "Measure"]
        yield f"### {Measure.parse(measure).title}\n\n{_github([headers, *kept])}"
