"""The formats of a Report. Every format shows what the others show."""

from __future__ import annotations

from collections.abc import Callable

from gtr_beir.errors import UsageError
from gtr_beir.report.formats.latex import latex
from gtr_beir.report.formats.markdown import markdown
from gtr_beir.report.formats.page import html
from gtr_beir.report.rounding import ends
from gtr_beir.report.whole import Report

_FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""What a formula begins with, and what spreadsheets drop before one."""


def csv(report: Report, percent: bool = False) -> str:  # noqa: ARG001  (no score is rounded here)
    """One line a value, unrounded but for ends of intervals, then one a verdict. A text that a
    spreadsheet would take for a formula has an apostrophe before it."""
    frame = report.frame()
    for name in ("low", "high"):
        frame[name] = ends(frame[name])
    texts = frame.select_dtypes(exclude="number").map(_no_formula)
    return str(frame.assign(**texts).to_csv(index=False, lineterminator="\n"))


def _no_formula(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # pandas quotes no carriage return, so one would begin a line, and a cell.
    plain = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{plain}" if plain.startswith(_FORMULA) else plain


FORMATS: dict[str, Callable[[Report, bool], str]] = {
    "md": markdown,
    "csv": csv,
    "html": html,
    "latex": latex,
}
"""Format name -> renderer; the name is the file's suffix, but for latex (.tex)."""

WRITTEN = (*FORMATS, "figures")
"""What can be written of a report: the formats, and the figures as files of their own."""

_ALSO = {"tex": "latex", "markdown": "md", "page": "html", "svg": "figures", "png": "figures"}


def format_named(name: str) -> str:
    """The format that a name stands for, in any case; UsageError if there is none."""
    known = name.lower().removeprefix(".")
    known = _ALSO.get(known, known)
    if known not in WRITTEN:
        raise UsageError(f"there is no format '{name}'; choose from {', '.join(WRITTEN)}")
    return known


SUFFIXES = {"md": "md", "csv": "csv", "html": "html", "latex": "tex"}
