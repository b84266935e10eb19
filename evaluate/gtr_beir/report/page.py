"""A Report as one page of HTML."""

from __future__ import annotations

import html as escaping

from gtr_beir.report.board import OWN, Board, Cell, Report
from gtr_beir.report.layout import closing, number, reasons, verdict_table
from gtr_beir.report.rounding import shown


def html(report: Report, percent: bool = False) -> str:
    """One page without scripts or anything fetched; everything is escaped."""
    body = "\n".join(_html_board(board, percent) for board in report.boards)
    notes = "".join(f"<li>{_text(mark)} {_text(note)}</li>" for mark, note in report.notes.items())
    body += f"\n<ul>{notes}</ul>" if notes else ""
    if report.verdicts:
        body += "\n<h2>Own against published</h2>\n"
        body += f"<section>{verdict_table(report.verdicts, 'html', percent)}</section>"
        said = "".join(f"<li>not compared: {_text(r)}</li>" for r in reasons(report.verdicts))
        body += f"\n<ol>{said}</ol>" if said else ""
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
