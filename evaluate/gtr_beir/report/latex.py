"""A Report as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from gtr_beir.report.board import Board, Cell, Column, Report
from gtr_beir.report.layout import number, pieces, reasons, short, shown_lines, verdict_table


def latex(report: Report, percent: bool = False) -> str:
    """Tabulars of at most nine columns, for \\usepackage{booktabs}."""
    parts = []
    for board in report.boards:
        parts += [_tabular(board, columns, percent) for columns in pieces(board)]
    parts += [f"% {_LATEX_MARKS.get(mark, mark)} {note}" for mark, note in report.notes.items()]
    if report.verdicts:
        parts.append("% own against published")
        parts.append(verdict_table(report.verdicts, "latex_booktabs", percent))
        parts += [
            f"% ({place}) not compared: {reason}"
            for reason, place in reasons(report.verdicts).items()
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
    heads = " & ".join(_latex_text(short(column.name)) for column in columns)
    sources = " & ".join(_latex_text(column.source) for column in columns)
    lines = [f"% {board.title}", rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\toprule"]
    lines += [rf"Dataset & {heads} \\", rf" & {sources} \\", r"\midrule"]
    averages = False
    for line in shown_lines(board, columns):
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
