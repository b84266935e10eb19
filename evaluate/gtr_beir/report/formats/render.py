"""The formats of a Report. Every format shows what the others show."""

from __future__ import annotations

from collections.abc import Callable

from gtr_beir.report.formats.latex import latex
from gtr_beir.report.formats.markdown import markdown
from gtr_beir.report.formats.page import html
from gtr_beir.report.whole import Report


def csv(report: Report, percent: bool = False) -> str:  # noqa: ARG001  (nothing is rounded here)
    """One line a value, unrounded, then one a verdict."""
    return str(report.frame().to_csv(index=False, lineterminator="\n"))


FORMATS: dict[str, Callable[[Report, bool], str]] = {
    "md": markdown,
    "csv": csv,
    "html": html,
    "latex": latex,
}
"""Format name -> renderer; the name is the file's suffix, but for latex (.tex)."""

WRITTEN = (*FORMATS, "figures")
"""What can be written of a report: the formats, and the figures as files of their own."""

SUFFIXES = {"md": "md", "csv": "csv", "html": "html", "latex": "tex"}
