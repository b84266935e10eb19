"""A Report as markdown, CSV, HTML and LaTeX. Every format shows what the others show."""

from __future__ import annotations

import html as escaping
import textwrap
from collections.abc import Callable, Iterator, Sequence

import tabulate

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import OWN, Board, Cell, Column, Line, Report, Verdict
from gtr_beir.report.rounding import shown, signed

COLUMNS = 7
"""Columns of a table on GitHub and on paper, the first of which names the dataset."""
WIDTH = 140
"""Characters of a line of markdown."""
_NAME = 15


def show(cell: Cell, percent: bool = False) -> str:
    """The value at its own precision, with its marks."""
    return " ".join([number(cell, percent), *cell.marks])


def number(cell: Cell, percent: bool = False) -> str:
    """The value at its own precision."""
    return shown(cell.value, cell.decimals, percent=percent)


def closing(report: Report) -> list[str]:
    """Sentences below the boards, of what they hold."""
    said = [
        "An average is shown only where a column has every dataset of the set.",
        "CQADupStack is the mean of its 12 forums, MS MARCO is dev, Touché-2020 is v2 unless it is "
        "marked.",
    ]
    if any(column.group == OWN for board in report.boards for column in board.columns):
        said.append("Own columns come from the records in this folder.")
    if any(column.group != OWN for board in report.boards for column in board.columns):
        said.append("Where each published value comes from is in the CSV file.")
    return [*said, *(f"{remark}." for remark in report.remarks)]


# Markdown ---------------------------------------------------------------------------------------


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
            for reason, place in _reasons(report.verdicts).items()
        ]
        parts.append("")
    parts.append(_wrapped(" ".join(closing(report))))
    return "\n".join(parts) + "\n"


def _markdown_tables(board: Board, percent: bool) -> Iterator[str]:
    for columns in pieces(board):
        rows = []
        for line in _lines(board, columns):
            best = line.best(board.columns)
            title = f"*{line.title}*" if line.average else line.title
            cells = [_markdown_cell(line, c, c in best, percent) for c in columns]
            rows.append([title, *cells])
        sources = ["", *(f"*{column.source}*" for column in columns)]
        headers = ["Dataset", *(_short(column.name) for column in columns)]
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


def pieces(board: Board) -> Iterator[tuple[Column, ...]]:
    """The columns of a board, as many at a time as a narrow page holds."""
    most = COLUMNS - 1
    count = -(-len(board.columns) // most)
    size = -(-len(board.columns) // count)
    for start in range(0, len(board.columns), size):
        yield board.columns[start : start + size]


def _lines(board: Board, columns: Sequence[Column]) -> list[Line]:
    """The lines that have a value in these columns."""
    return [line for line in board.lines if any(column in line.cells for column in columns)]


def _short(name: str) -> str:
    """A name that fits above a column; its middle is left out if it is long."""
    if len(name) <= _NAME:
        return name
    half = (_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


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


def _reasons(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Why values are not compared, numbered from 1."""
    said = dict.fromkeys(v.why_not for v in verdicts if v.why_not)
    return {reason: place for place, reason in enumerate(said, start=1)}


def _verdict_rows(verdicts: Sequence[Verdict], percent: bool) -> list[list[str]]:
    reasons = _reasons(verdicts)
    rows = []
    for v in verdicts:
        interval = ""
        if v.low is not None and v.high is not None:
            ends = [shown(end, v.decimals, percent=percent) for end in (v.low, v.high)]
            interval = f"{ends[0]} to {ends[1]}"
        place = f" ({reasons[v.why_not]})" if v.why_not else ""
        rows.append(
            [
                v.system,
                v.dataset,
                v.measure,
                shown(v.own, v.decimals, percent=percent),
                interval,
                shown(v.published, v.decimals, percent=percent),
                f"{_short(v.published_system)}, {v.source}",
                "" if v.why_not else signed(v.difference, v.decimals, percent=percent),
                v.word + place,
            ]
        )
    return rows


_VERDICT_HEADERS = (
    *("System", "Dataset", "Measure", "Own", "95 % interval"),
    *("Published", "Of", "Difference", "Verdict"),
)


def _verdict_tables(verdicts: Sequence[Verdict], percent: bool) -> Iterator[str]:
    """For markdown, whose lines are short: a table a measure."""
    rows = _verdict_rows(verdicts, percent)
    place = _VERDICT_HEADERS.index("Measure")
    for measure in dict.fromkeys(v.measure for v in verdicts):
        these = [row for row, v in zip(rows, verdicts, strict=True) if v.measure == measure]
        kept = [[_short(row[0]), *row[1:place], *row[place + 1 :]] for row in these]
        headers = [header for header in _VERDICT_HEADERS if header != "Measure"]
        yield f"### {Measure.parse(measure).title}\n\n{_github([headers, *kept])}"


def _verdict_table(verdicts: Sequence[Verdict], style: str, percent: bool) -> str:
    rows = _verdict_rows(verdicts, percent)
    return tabulate.tabulate(rows, _VERDICT_HEADERS, style, disable_numparse=True)


# CSV --------------------------------------------------------------------------------------------


def csv(report: Report, percent: bool = False) -> str:  # noqa: ARG001  (nothing is rounded here)
    """One line a value, unrounded, then one a verdict."""
    return str(report.frame().to_csv(index=False, lineterminator="\n"))


# HTML -------------------------------------------------------------------------------------------


def html(report: Report, percent: bool = False) -> str:
    """One page without scripts or anything fetched; everything is escaped."""
    body = "\n".join(_html_board(board, percent) for board in report.boards)
    notes = "".join(f"<li>{_text(mark)} {_text(note)}</li>" for mark, note in report.notes.items())
    body += f"\n<ul>{notes}</ul>" if notes else ""
    if report.verdicts:
        body += "\n<h2>Own against published</h2>\n"
        body += f"<section>{_verdict_table(report.verdicts, 'html', percent)}</section>"
        reasons = "".join(f"<li>not compared: {_text(r)}</li>" for r in _reasons(report.verdicts))
        body += f"\n<ol>{reasons}</ol>" if reasons else ""
    body += f"\n<p>{_text(' '.join(closing(report)))}</p>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Leaderboard</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>Leaderboard</h1>\n{body}\n</body></html>\n"
    )


_STYLE = (
    "body{font-family:sans-serif;margin:2em}section{overflow-x:auto}table{border-collapse:collapse}"
    "td,th{padding:3px 9px;text-align:right;border-bottom:1px solid #8884}"
    "td:first-child,th:first-child{text-align:left}small{font-weight:normal}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}"
)


def _html_board(board: Board, percent: bool) -> str:
    heads = "".join(
        f'<th title="{_text(c.about)}">{_text(c.name)}<br><small>{_text(c.source)}</small></th>'
        for c in board.columns
    )
    rows = []
    for line in board.lines:
        best = line.best(board.columns)
        cells = "".join(_html_cell(line.cells.get(c), c in best, percent) for c in board.columns)
        title = f"<i>{_text(line.title)}</i>" if line.average else _text(line.title)
        rows.append(f"<tr><td>{title}</td>{cells}</tr>")
    legend = "".join(
        f"<li>{_text(column.name)}: {_text(column.about)}</li>"
        for column in board.columns
        if column.group == OWN
    )
    return (
        f"<h2>{_text(board.title)}</h2>\n<section><table><thead><tr><th>Dataset</th>{heads}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></section>\n<ul>{legend}</ul>"
    )


def _html_cell(cell: Cell | None, best: bool, percent: bool) -> str:
    if cell is None:
        return "<td></td>"
    said = [f"n {cell.n:,}"] if cell.n is not None else []
    if cell.low is not None and cell.high is not None:
        ends = [shown(end, cell.decimals, percent=percent) for end in (cell.low, cell.high)]
        said.append(f"95 % interval {ends[0]} to {ends[1]}")
    said += [cell.note] if cell.note else []
    value = f"<b>{number(cell, percent)}</b>" if best else number(cell, percent)
    marks = "".join(f" {_text(mark)}" for mark in cell.marks)
    return f'<td title="{_text("; ".join(said))}">{value}{marks}</td>'


def _text(value: str) -> str:
    return escaping.escape(value, quote=True)


# LaTeX ------------------------------------------------------------------------------------------


def latex(report: Report, percent: bool = False) -> str:
    """Tabulars of at most nine columns, for \\usepackage{booktabs}."""
    parts = []
    for board in report.boards:
        parts += [_tabular(board, columns, percent) for columns in pieces(board)]
    parts += [f"% {_LATEX_MARKS.get(mark, mark)} {note}" for mark, note in report.notes.items()]
    if report.verdicts:
        parts.append("% own against published")
        parts.append(_verdict_table(report.verdicts, "latex_booktabs", percent))
        parts += [
            f"% ({place}) not compared: {reason}"
            for reason, place in _reasons(report.verdicts).items()
        ]
    return "\n".join(parts) + "\n"


_LATEX_MARKS = {
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "≠": r"$^{\neq}$",
    "c": r"$^c$",
    "v1": r"$^1$",
}


def _tabular(board: Board, columns: Sequence[Column], percent: bool) -> str:
    heads = " & ".join(_latex_text(_short(column.name)) for column in columns)
    sources = " & ".join(_latex_text(column.source) for column in columns)
    lines = [f"% {board.title}", rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\toprule"]
    lines += [rf"Dataset & {heads} \\", rf" & {sources} \\", r"\midrule"]
    averages = False
    for line in _lines(board, columns):
        if line.average and not averages:
            lines.append(r"\midrule")
            averages = True
        best = line.best(board.columns)
        cells = [_latex_cell(line.cells.get(c), c in best, percent) for c in columns]
        lines.append(rf"{_latex_text(line.title)} & {' & '.join(cells)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_cell(cell: Cell | None, best: bool, percent: bool) -> str:
    if cell is None:
        return ""
    value = number(cell, percent)
    bold = rf"\textbf{{{value}}}" if best else value
    return bold + "".join(_LATEX_MARKS.get(mark, _latex_text(mark)) for mark in cell.marks)


def _latex_text(text: str) -> str:
    found = "".join(_LATEX_SPECIAL.get(letter, letter) for letter in text)
    return found.replace("…", r"\ldots{}")


_LATEX_SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}

FORMATS: dict[str, Callable[[Report, bool], str]] = {
    "md": markdown,
    "csv": csv,
    "html": html,
    "latex": latex,
}
"""Format name -> renderer; the name is the file's suffix, but for latex (.tex)."""

SUFFIXES = {"md": "md", "csv": "csv", "html": "html", "latex": "tex"}
