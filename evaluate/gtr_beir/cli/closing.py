"""The table at the end of a run of several: what was done, what failed, what is left."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gtr_beir.report.plain_text import printable
from gtr_beir.report.rounding import shown

if TYPE_CHECKING:
    from gtr_beir.experiment.running import Outcome, Work

WIDTH = 80
_LONGEST = 18
"""Characters of a system's or a dataset's name in the table."""
_GAP = 2
_CUT = 10
"""Of NDCG, which the table shows."""


def closing_table(work: Work, outcomes: Sequence[Outcome]) -> str:
    """Datasets down, in the order of the work, systems across, in as many tables as 80 columns
    need; then why what failed did, and the counts."""
    found = {(outcome.place, outcome.dataset): outcome for outcome in outcomes}
    names = [choice.label or choice.name for choice in work.experiment.systems]
    for outcome in outcomes:
        names[outcome.place] = outcome.system
    reasons = list(dict.fromkeys(o.why for o in outcomes if o.record is None))
    columns = [
        [_cell(found.get((place, dataset)), reasons) for dataset in work.datasets]
        for place in range(len(names))
    ]
    left = work.pairs - len(outcomes)
    failed = sum(outcome.record is None for outcome in outcomes)
    there = sum(outcome.found for outcome in outcomes)
    notes = [f"[{number}] {why}" for number, why in enumerate(reasons, start=1)]
    counts = {
        "done": len(outcomes) - failed - there,
        "there already (*)": there,
        "failed": failed,
        "left": left,
    }
    told = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    tables = _tables([fitted(name) for name in work.datasets], [fitted(n) for n in names], columns)
    lines = [line for note in notes for line in _wrapped(note)]
    return "\n".join(["\n\n".join(tables), *([""] if lines else []), *lines, "", told])


def _cell(outcome: Outcome | None, reasons: Sequence[str]) -> str:
    if outcome is None:
        return "left  "
    if outcome.record is None:
        return f"failed [{reasons.index(outcome.why) + 1}]  "
    known = outcome.record.depth >= _CUT  # else the ranking ends before the measure does
    value = shown(outcome.record.measures[f"ndcg@{_CUT}"]) if known else "done"
    return value + (" *" if outcome.found else "  ")


def _tables(
    rows: Sequence[str], names: Sequence[str], columns: Sequence[Sequence[str]]
) -> list[str]:
    """Tables of at most 80 columns, each with the datasets at the left."""
    title = f"NDCG@{_CUT}"
    first = max(len(text) for text in (title, *rows))
    tables: list[list[int]] = [[]]
    widths = [max(map(len, (name, *cells))) for name, cells in zip(names, columns, strict=True)]
    used = first
    for place, width in enumerate(widths):
        if tables[-1] and used + _GAP + width > WIDTH:
            tables.append([])
            used = first
        tables[-1].append(place)
        used += _GAP + width
    made = []
    for places in tables:
        each = [widths[place] for place in places]
        lines = [[title, *(names[place] for place in places)]]
        lines += [["-" * width for width in (first, *each)]]
        lines += [[name, *(columns[p][row] for p in places)] for row, name in enumerate(rows)]
        made.append("\n".join(_line(line, first, each) for line in lines))
    return made


def _line(cells: Sequence[str], first: int, widths: Sequence[int]) -> str:
    others = (cell.rjust(width) for cell, width in zip(cells[1:], widths, strict=True))
    return (" " * _GAP).join([cells[0].ljust(first), *others]).rstrip()


def fitted(name: str) -> str:
    """A name in a table: its end, which tells paths apart, if it is long."""
    plain = printable(name)
    return plain if len(plain) <= _LONGEST else f"…{plain[1 - _LONGEST :]}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, subsequent_indent="    ", break_on_hyphens=False)
