"""Table -> markdown, HTML, CSV, LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import tabulate

from gtr_beir.report.rounding import shown, signed
from gtr_beir.report.table import Cell, Difference, Row, Table

_NO_VALUE = ""


def show(cell: Cell) -> str:
    """The value at its own precision, with its marks."""
    return shown(cell.value, cell.decimals) + "".join(f" {mark}" for mark in cell.marks)


def _grid(table: Table, columns: Sequence[str]) -> list[list[str]]:
    def value(row: Row, column: str) -> str:
        cell = row.cells.get(column)
        return _NO_VALUE if cell is None else show(cell)

    return [
        [row.system, row.source, *(value(row, column) for column in columns)] for row in table.rows
    ]


def _used_columns(table: Table) -> list[str]:
    """Columns that at least one row has a value in."""
    return [c for c in table.columns if any(c in row.cells for row in table.rows)]


def _tabulated(table: Table, style: str) -> str:
    columns = _used_columns(table)
    headers = ["System", "Source", *(table.headers.get(c, c) for c in columns)]
    align = ("left", "left", *("right" for _ in columns))
    return tabulate.tabulate(
        _grid(table, columns),
        headers=headers,
        tablefmt=style,
        disable_numparse=True,
        colalign=align,
    )


def _used_notes(table: Table) -> dict[str, str]:
    marks = {mark for row in table.rows for cell in row.cells.values() for mark in cell.marks}
    marks |= {word for column in _used_columns(table) for word in _header_marks(table, column)}
    return {mark: note for mark, note in table.notes.items() if mark in marks}


def _header_marks(table: Table, column: str) -> list[str]:
    return [mark for mark in table.notes if table.headers.get(column, "").endswith(f" {mark}")]


def markdown(tables: Sequence[Table], differences: Sequence[Difference] = ()) -> str:
    """GitHub markdown: a section a table, then own against published values."""
    parts = ["# Leaderboard\n"]
    for table in tables:
        parts.append(f"## {table.title}\n\n{_tabulated(table, 'github')}\n")
        parts.extend(f"{mark} {note}.  \n" for mark, note in _used_notes(table).items())
    if differences:
        parts.append(f"## Own against published\n\n{_comparison(differences, 'github')}\n")
    parts.append(
        "Averages stand only where a row has every dataset of the set: Avg 18 are the zero-shot "
        "datasets, Avg 16 those without NQ and CQADupStack, which GTR was or may have been trained "
        "on, Avg 14 those that can be downloaded. Own rows come from the records in this "
        "folder; the sources of the others are named in `published.csv`. CQADupStack is the "
        "mean of 12 forums, MS MARCO is `dev`, Touché-2020 is v2.\n"
    )
    return "\n".join(parts)


def _comparison(differences: Sequence[Difference], style: str) -> str:
    rows = [
        [
            d.system,
            d.dataset,
            d.measure,
            shown(d.own, d.decimals),
            shown(d.published, d.decimals),
            f"{d.published_system}, {d.source}",
            _verdict(d),
        ]
        for d in differences
    ]
    headers = ["System", "Dataset", "Measure", "Own", "Published", "Of", "Verdict"]
    return tabulate.tabulate(rows, headers=headers, tablefmt=style, disable_numparse=True)


def _verdict(difference: Difference) -> str:
    if difference.why_not:
        return f"not compared: {difference.why_not}"
    if difference.agrees:
        return "agrees"
    return signed(difference.own - difference.published, difference.decimals)


def csv(tables: Sequence[Table], differences: Sequence[Difference] = ()) -> str:  # noqa: ARG001
    """One line a value, unrounded: measure, system, source, column, value, n, marks, note."""
    lines = [
        {
            "measure": table.measure,
            "system": row.system,
            "source": row.source,
            "dataset": column,
            "value": row.cells[column].value,
            "n": row.cells[column].n,
            "marks": " ".join(row.cells[column].marks),
            "note": row.cells[column].note,
        }
        for table in tables
        for row in table.rows
        for column in table.columns
        if column in row.cells
    ]
    frame = pd.DataFrame(lines)
    frame["n"] = frame["n"].astype("Int64")
    return str(frame.to_csv(index=False, lineterminator="\n"))


def html(tables: Sequence[Table], differences: Sequence[Difference] = ()) -> str:
    """One page without scripts or anything fetched."""
    body = "\n".join(f"<h2>{table.title}</h2>\n{_tabulated(table, 'html')}" for table in tables)
    if differences:
        body += f"\n<h2>Own against published</h2>\n{_comparison(differences, 'html')}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Leaderboard</title>\n'
        "<style>body{font-family:sans-serif}td,th{padding:2px 8px}"
        "tr:nth-child(even){background:#eee}</style></head>\n"
        f"<body>\n<h1>Leaderboard</h1>\n{body}\n</body></html>\n"
    )


def latex(tables: Sequence[Table], differences: Sequence[Difference] = ()) -> str:  # noqa: ARG001
    """One booktabs tabular a table, for \\usepackage{booktabs}."""
    return "\n".join(
        f"% {table.title}\n{_tabulated(table, 'latex_booktabs')}\n" for table in tables
    )


FORMATS: dict[str, Callable[[Sequence[Table], Sequence[Difference]], str]] = {
    "md": markdown,
    "csv": csv,
    "html": html,
    "latex": latex,
}
"""Format name -> renderer; the name is the file's suffix, but for latex (.tex)."""

SUFFIXES = {"md": "md", "csv": "csv", "html": "html", "latex": "tex"}
