"""A Report as LaTeX: tables for \\usepackage{booktabs} that fit the width of an article's text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from gtr_beir.report.board import LEVEL, Board, Cell, Column
from gtr_beir.report.findings import Overall, Verdict
from gtr_beir.report.formats.layout import evenly, number, reasons, shown_lines
from gtr_beir.report.plain_text import clean, short
from gtr_beir.report.rounding import p_value, shown, signed
from gtr_beir.report.whole import Report

_COLUMNS = 5
"""Columns of values that fit beside the names of datasets, in small type."""
_WIDTH = 65
"""Characters of these columns together; a column is as wide as its head or its widest cell."""
_ROWS = 22
"""Rows of two lines that fit a page."""
_TITLE = 28
"""Characters of the name of a dataset."""
_LINE, _LINES = 12, 3
"""Characters of a line above a column, and lines."""


def latex(report: Report, percent: bool = False) -> str:
    """Tables with captions that say what the marks and letters in them mean."""
    parts = ["% Needs \\usepackage{booktabs}."]
    for board in report.boards:
        parts += [
            _board_table(board, columns, report, percent) for columns in _pieces(board, percent)
        ]
    for measure in dict.fromkeys(one.measure for one in report.overall):
        overall = [one for one in report.overall if one.measure == measure]
        parts += [_overall_table(some, percent) for some in evenly(overall, _ROWS)]
    for measure in dict.fromkeys(v.measure for v in report.verdicts):
        verdicts = [v for v in report.verdicts if v.measure == measure]
        parts += [_verdict_table(some, percent) for some in evenly(verdicts, _ROWS)]
    return "\n".join(parts) + "\n"


def _pieces(board: Board, percent: bool) -> list[tuple[Column, ...]]:
    """The columns of a board in as few tables as are narrow enough."""

    def width(column: Column) -> int:
        cells = [line.cells[column] for line in board.lines if column in line.cells]
        return max([_LINE, *(len(number(cell, percent) + cell.beats) for cell in cells)])

    ways = (list(evenly(board.columns, most)) for most in range(_COLUMNS, 0, -1))
    narrow = (way for way in ways if all(sum(map(width, some)) <= _WIDTH for some in way))
    return next(narrow)


def _table(columns: str, rows: Sequence[str], caption: str, size: str = "footnotesize") -> str:
    return "\n".join(
        [
            "",
            r"\begin{table}[ht]",
            rf"\centering\{size}\setlength{{\tabcolsep}}{{3pt}}",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _board_table(board: Board, columns: Sequence[Column], report: Report, percent: bool) -> str:
    heads = " & ".join(_head(column) for column in columns)
    sources = " & ".join(_text(column.source) for column in columns)
    rows = [rf"Dataset & {heads} \\", rf" & {sources} \\", r"\midrule"]
    averages = False
    for line in shown_lines(board, columns):
        if line.average and not averages and len(rows) > 3:
            rows.append(r"\midrule")
        averages = averages or line.average
        best = line.best(board.columns)
        cells = [_cell(line.cells.get(c), c in best, percent) for c in columns]
        rows.append(rf"{_text(short(clean(line.title), _TITLE))} & {' & '.join(cells)} \\")
    tests = len(report.pairs_by(board.measure))
    said = [f"{_text(board.title)}.", *_notes(board, columns, report, tests)]
    said += [
        f"{_text(column.name)}: {_text(column.about)}."
        for column in columns
        if column.letter and column.about
    ]
    return _table("l" + "r" * len(columns), rows, " ".join(said))


def _notes(board: Board, columns: Sequence[Column], report: Report, tests: int) -> Iterator[str]:
    """What the marks in these columns mean; a note stands where its mark does."""
    lines = shown_lines(board, columns)
    cells = [line.cells[column] for line in lines for column in columns if column in line.cells]
    used = {mark for cell in cells for mark in cell.marks}
    used |= {word for line in lines for word in line.title.split(" ")}
    if any(line.best(board.columns) & set(columns) for line in lines):
        yield "Best of a row in bold."
    for mark, note in report.notes.items():
        if mark in used:
            yield f"{_MARKS.get(mark, _text(mark))} {_text(note)}."
    if any(cell.beats for cell in cells):
        yield (
            "A letter: significantly better than the own system of that letter (paired "
            rf"randomisation test, $p < {LEVEL:g}$, Holm-corrected over {tests} tests)."
        )


def _overall_table(overall: Sequence[Overall], percent: bool) -> str:
    rows = [
        r"System & less & datasets & difference & $p$ by query & $p$ by dataset & w/t/l \\",
        r"\midrule",
    ]
    for one in overall:
        ends = [signed(end, percent=percent) for end in (one.low, one.high)]
        cells = [
            _stacked(one.b),
            _stacked(one.a),
            str(len(one.datasets)),
            rf"\shortstack{{{signed(one.difference, percent=percent)}\\{ends[0]} to {ends[1]}}}",
            _p(one.corrected),
            _p(one.corrected_datasets),
            f"{one.wins}/{one.ties}/{one.losses}",
        ]
        rows.append(rf"{' & '.join(cells)} \\[3pt]")
    title = overall[0].measure
    return _table(
        "llrrrrr",
        rows,
        rf"{_text(title)}: own systems over datasets, each of the same weight, with 95\,\% "
        "intervals; paired randomisation tests by query and by dataset, Holm-corrected.",
    )


def _verdict_table(verdicts: Sequence[Verdict], percent: bool) -> str:
    why = reasons(verdicts)
    rows = [r"Dataset & own & published & of & difference & verdict \\"]
    for system in dict.fromkeys(v.system for v in verdicts):
        rows += [
            r"\midrule",
            rf"\multicolumn{{6}}{{l}}{{\textit{{{_text(short(clean(system), 2 * _TITLE))}}}}} \\",
        ]
        for v in (one for one in verdicts if one.system == system):
            own = shown(v.own, v.decimals, percent=percent)
            if v.low is not None and v.high is not None:
                ends = [shown(end, v.decimals, percent=percent) for end in (v.low, v.high)]
                own = rf"\shortstack{{{own}\\{ends[0]} to {ends[1]}}}"
            place = f" ({why[v.why_not]})" if v.why_not else ""
            cells = [
                _text(short(clean(v.dataset), _TITLE)),
                own,
                shown(v.published, v.decimals, percent=percent),
                rf"\shortstack[l]{{{_text(short(clean(v.published_system)))}\\{_text(v.source)}}}",
                "" if v.why_not else signed(v.difference, v.decimals, percent=percent),
                v.word + place,
            ]
            rows.append(rf"{' & '.join(cells)} \\[3pt]")
    said = [f"({place}) {_text(reason)}." for reason, place in why.items()]
    return _table(
        "lrrlrl",
        rows,
        rf"{_text(verdicts[0].measure)}: own values, with 95\,\% intervals, beside published ones. "
        + " ".join(said),
        size="scriptsize",
    )


def _head(column: Column) -> str:
    return _stacked(column.name) + (f"$^{{{column.letter}}}$" if column.letter else "")


def _stacked(name: str) -> str:
    """A name over several lines, broken after what joins its parts."""
    name, lines = clean(name), [""]
    for part in re.findall(r"[^-@_/+ ]*[-@_/+ ]?", name):
        if lines[-1] and len(lines[-1] + part) > _LINE:
            lines.append("")
        lines[-1] += part
    if len(lines) == 1:
        return _text(name)
    if len(lines) > _LINES or max(map(len, lines)) > _LINE:
        return _text(short(name))
    broken = r"\\".join(map(_text, lines))
    return rf"\shortstack{{{broken}}}"


def _cell(cell: Cell | None, best: bool, percent: bool) -> str:
    if cell is None:
        return ""
    value = number(cell, percent)
    bold = rf"\textbf{{{value}}}" if best else value
    letters = f"$^{{{cell.beats}}}$" if cell.beats else ""
    return bold + letters + "".join(_MARKS.get(mark, _text(mark)) for mark in cell.marks)


def _p(value: float) -> str:
    return f"${p_value(value)}$"


_MARKS = {
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "≠": r"$^{\neq}$",
    "c": r"$^{\mathrm{cap}}$",
    "v1": r"$^{\mathrm{v1}}$",
}


def _text(text: str) -> str:
    """Plain text; a letter that LaTeX cannot set without further packages is one like it, or ?."""
    found = re.sub("-(?=-)", "-{}", "".join(map(_letter, clean(text))))
    # After the end of a line of a table both are orders.
    return f"{{}}{found}" if found[:1] in ("[", "*") else found


def _letter(letter: str) -> str:
    if letter in _SPECIAL or letter.isascii():
        return _SPECIAL.get(letter, letter)
    if letter in _SET or ("\u00a1" <= letter <= "\u017f" and letter not in _NOT_SET):
        return letter
    if unicodedata.combining(letter):
        return ""
    alike = (one for one in unicodedata.normalize("NFKD", letter) if one.isascii())
    return "".join(_SPECIAL.get(one, one) for one in alike) or "?"


_SET = "–—‘’“”•€™"
_NOT_SET = "«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ"
"""Beyond U+00A0 to U+017F, and of these, with pdflatex's own font encoding OT1."""
_SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "…": r"\ldots{}",
}
