"""Small tables for a notebook's cell: plain HTML that takes its looks from the notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gtr_beir.report.plain_text import html_text

LEFT = ' style="text-align:left"'
"""Notebooks put every cell of a table at the right, which is for numbers."""


def output(*parts: str) -> str:
    """HTML as one output. A dollar in a name or a text begins no formula in it."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


def paragraph(text: str) -> str:
    """Plain text, escaped."""
    return f"<p>{html_text(text)}</p>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is words and whose others are numbers; cells are HTML."""
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{_cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def _cells(tag: str, row: Sequence[str]) -> str:
    first, *others = row
    return f"<{tag}{LEFT}>{first}</{tag}>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in others)
