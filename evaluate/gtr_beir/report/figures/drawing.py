"""How figures are drawn by matplotlib: readable in grey, the same bytes each time.

SVG ids are salted by a constant, and no date is written.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gtr_beir.report.board import BM25, COLBERT, GTR, OWN
from gtr_beir.report.plain_text import clean, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_FONT = "DejaVu Sans"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "font.family": _FONT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#d9dde2",
    "grid.linewidth": 0.6,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "svg.hashsalt": "gtr-beir",
    "text.parse_math": False,  # a dollar in a name is no formula
}
INK = ("#16202c", "#c9620c", "#0969da", "#7a8696", "#8250df", "#1a7f37")
MARKERS = "osD^vPX*"
GROUP_MARKERS = {OWN: "o", BM25: "s", COLBERT: "D", GTR: "^"}
LOOKS = {OWN: INK[1], BM25: INK[3], COLBERT: INK[4], GTR: INK[2]}
LONG = 24
"""Characters of a dataset's name beside an axis."""
_LACKING = "□"
"""Stands for a letter that the font does not have."""


@dataclass(frozen=True)
class Figure:
    """name: of its files; title: what is seen; caption: how to read it; svg, png: its bytes."""

    name: str
    title: str
    caption: str
    svg: bytes
    png: bytes


def drawn(name: str, most: int = 15) -> str:
    """A name from data, clean and of at most so many characters, as the font can draw it."""
    known = _glyphs()
    seen = "".join(n if ord(n) in known else _LACKING for n in short(clean(name), most))
    # Matplotlib leaves what begins with an underscore out of a legend.
    return f" {seen}" if seen.startswith("_") else seen


@functools.cache
def _glyphs() -> frozenset[int]:
    """The code points that the font has."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(_FONT)).get_charmap())


def new_canvas(height: float = 4.0, columns: int = 1) -> tuple[Canvas, Axes]:
    """A figure and the first of its panels, which stand side by side."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6.8 if columns == 1 else 9.6, height), layout="constrained")
    panels = canvas.subplots(1, columns, squeeze=False)
    return canvas, panels[0, 0]


def name_point(axes: Axes, name: str, point: tuple[float, float]) -> None:
    axes.annotate(
        drawn(name),
        point,
        xytext=(7, 4),
        textcoords="offset points",
        fontsize=8,
        bbox={"boxstyle": "square,pad=0.1", "color": "white", "alpha": 0.7},
    )


def bars(value: float, low: float | None, high: float | None) -> list[list[float]] | None:
    if low is None or high is None:
        return None
    return [[value - low], [high - value]]


def add_legend(axes: Axes, **where: Any) -> None:
    """Of what has a label, if anything has."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, **where)


def finished(canvas: Canvas, name: str, title: str, caption: str) -> Figure:
    # Over all panels, at their left.
    canvas.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold", wrap=True)
    svg, png = io.BytesIO(), io.BytesIO()
    canvas.savefig(svg, format="svg", metadata={"Date": None, "Title": title})
    canvas.savefig(png, format="png", dpi=160, metadata={"Title": title})
    return Figure(name, title, caption, svg.getvalue(), png.getvalue())
