"""A Report as GitHub's markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
    reasons,
    shown_lines,
    verdict_rows,
)
from gtr_beir.report.plain_text import clean, markdown_text, no_block, short, summary_text
from gtr_beir.report.rounding import shown, signed
from gtr_beir.report.whole import Report

WIDTH = 140
"""Characters of a line of markdown."""
_TITLE, _TEXT = 60, 60
"""Characters of a dataset's name and of a query's text, with what escapes markup in them."""
_QUERY_COLUMNS = 6


def markdown(report: Report, percent: bool = False) -> str:
    """GitHub markdown: tables of at most nine columns and lines of at most 140 characters."""
    parts = ["# Leaderboard\n"]
    for board in report.boards:
        parts.append(f"## {_cut(board.title, 2 * _TITLE)}\n")
        parts += [f"{table}\n" for table in _board_tables(board, percent)]
        parts += [_wrapped(f"- {line}") for line in _legend(board)]
        parts.append("")
    if report.notes:
        parts += [
            _wrapped(f"- {no_block(markdown_text(mark))} {markdown_text(note)}")
            for mark, note in report.notes.items()
        ]
        parts.append("")
    parts += _beside_each_other(report, percent)
    if report.verdicts:
        parts.append("## Own against published\n")
        parts += [f"{table}\n" for table in _verdict_tables(report.verdicts, percent)]
        parts += [
            _wrapped(f"{place}. not compared: {markdown_text(reason)}")
            for reason, place in reasons(report.verdicts).items()
        ]
        parts.append("")
    parts.append(_wrapped(markdown_text(" ".join(closing(report)))))
    return "\n".join(parts) + "\n"


def _board_tables(board: Board, percent: bool) -> list[str]:
    def rows(columns: Sequence[Column]) -> Iterator[list[str]]:
        yield ["Dataset", *map(_head, columns)]
        yield ["", *(f"*{_cut(column.source, _TITLE)}*" for column in columns)]
        for line in shown_lines(board, columns):
            best = line.best(board.columns)
            title = _cut(line.title, _TITLE)
            cells = [_markdown_cell(line, c, c in best, percent) for c in columns]
            yield [f"*{title}*" if line.average else title, *cells]

    return _narrow(
        [_github(list(rows(columns))) for columns in evenly(board.columns, most)]
        for most in range(COLUMNS - 1, 0, -1)
    )


def _narrow(ways: Iterable[list[str]]) -> list[str]:
    """The first way to write tables in which no line is too long; the last where there is none."""
    found: list[str] = []
    for found in ways:
        if all(len(line) <= WIDTH for table in found for line in table.splitlines()):
            break
    return found


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


def _cut(
    text: str,
    most: int,
    cut: Callable[[str, int], str] = short,
    escaped: Callable[[str], str] = markdown_text,
) -> str:
    """Escaped text of at most `most` characters, those that escape others included."""
    text = clean(text)
    # Three characters are what `short` leaves at least, and six what the longest escape takes.
    ways = (escaped(cut(text, length)) for length in range(most, 2, -1))
    return next(found for found in ways if len(found) <= most)


def _beginning(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _markdown_cell(line: Line, column: Column, best: bool, percent: bool) -> str:
    cell = line.cells.get(column)
    if cell is None:
        return ""
    value = number(cell, percent)
    letters = f"<sup>{cell.beats}</sup>" if cell.beats else ""
    return " ".join([(f"**{value}**" if best else value) + letters, *cell.marks])


def _head(column: Column) -> str:
    return _name(column.name) + (f" ({column.letter})" if column.letter else "")


def _name(name: str) -> str:
    return markdown_text(short(clean(name)))


def _beside_each_other(report: Report, percent: bool) -> Iterator[str]:
    """Own systems over datasets; and folded, for each dataset, every pair and the queries that
    tell most."""
    if not report.pairs and not any(section.hardest for section in report.sections):
        return
    yield "## Own systems beside each other\n"
    for measure in dict.fromkeys(one.measure for one in report.overall):
        these = [one for one in report.overall if one.measure == measure]
        rows = [overall_row(one, percent) for one in these]
        (table,) = _narrow(
            [_github([OVERALL_HEADERS, *([_cut(b, m), _cut(a, m), *rest] for b, a, *rest in rows)])]
            for m in range(30, 8, -1)
        )
        yield f"### {Measure.parse(measure).title} over datasets\n"
        yield f"{table}\n"
    if report.overall:
        yield _wrapped(
            "Differences are of the left system less the other; every dataset has the same weight. "
            "p: paired randomisation tests, by query (do they differ on these datasets?) and by "
            "dataset (would they on further ones?), Holm-corrected; won/tied/lost datasets."
        )
        yield ""
    for section in report.sections:
        title = _cut(section.title, 2 * _TITLE - 20, escaped=summary_text)
        yield f"<details><summary>{title}</summary>\n"
        yield from _pairs_on(section, report, percent)
        yield from _query_table("Hardest queries", section.hardest, section.measure, percent)
        title = "Queries that systems disagree on most"
        yield from _query_table(title, section.disagreements, section.measure, percent)
        yield from (
            _wrapped(f"- {no_block(markdown_text(warning))}") for warning in section.warnings
        )
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
                rows.append([f"{one.letter} {_name(one.name)}", *cells])
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

    def rows(some: Sequence[Column]) -> Iterator[list[str]]:
        heads = [column.letter or _name(column.name) for column in some]
        yield ["Query", *(["Text"] if with_text else []), *heads]
        for line in lines:
            values = [shown(line.values[column], percent=percent) for column in some]
            text = [_cut(line.text, _TEXT, _beginning)] if with_text else []
            yield [_name(line.query_id), *text, *values]

    for table in _narrow(
        [_github(list(rows(some))) for some in evenly(columns, most)]
        for most in range(_QUERY_COLUMNS, 0, -1)
    ):
        yield f"{title}, by {measure.title}\n\n{table}\n"


def _legend(board: Board) -> list[str]:
    """What own columns are of."""
    return [
        f"**{_cut(column.name, 2 * _TITLE)}**: "
        + markdown_text(column.about or "nothing is known of it")
        for column in board.columns
        if column.group == OWN
    ]


def _wrapped(text: str) -> str:
    parts = " ".join(part for word in text.split(" ") for part in _parts(word))
    first, *rest = textwrap.wrap(
        parts, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join([first, *map(no_block, rest)])


def _parts(word: str) -> list[str]:
    """A word of markdown in parts that fit a line; what is escaped stays with its backslash."""
    parts = [""]
    for piece in re.findall(r"\*\*|\\.|.", word):
        if len(parts[-1] + piece) > WIDTH - 3:
            parts.append("")
        parts[-1] += piece
    return parts


def _verdict_tables(verdicts: Sequence[Verdict], percent: bool) -> Iterator[str]:
    """For markdown, whose lines are short: a table a measure."""
    rows = verdict_rows(verdicts, percent)
    headers = [header for header in VERDICT_HEADERS if header != "Measure"]
    of = VERDICT_HEADERS.index("Of")

    def cells(row: Sequence[str], most: int) -> list[str]:
        system, dataset, _, *values = row
        values = [
            _cut(value, 2 * most) if place == of else value
            for place, value in enumerate(values, start=3)
        ]
        return [_cut(short(system), most), _cut(dataset, most + 10), *values]

    for measure in dict.fromkeys(v.measure for v in verdicts):
        these = [row for row, v in zip(rows, verdicts, strict=True) if v.measure == measure]
        (table,) = _narrow(
            [_github([headers, *(cells(row, most) for row in these)])] for most in range(30, 8, -1)
        )
        yield f"### {Measure.parse(measure).title}\n\n{table}"
