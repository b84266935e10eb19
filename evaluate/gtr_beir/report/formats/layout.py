"""What every format of a Report needs: which columns stand together, what is said below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.findings import Overall, Verdict
from gtr_beir.report.plain_text import short
from gtr_beir.report.rounding import p_value, shown, signed
from gtr_beir.report.whole import Report

COLUMNS = 7
"""Columns of a table on GitHub and on paper, the first of which names the dataset."""
_Item = TypeVar("_Item")


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


def evenly(items: Sequence[_Item], most: int) -> Iterator[tuple[_Item, ...]]:
    """As few pieces of at most `most` as there can be, of about the same size."""
    count = -(-len(items) // most)
    size = -(-len(items) // count) if items else 1
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])


def shown_lines(board: Board, columns: Sequence[Column]) -> list[Line]:
    """The lines that have a value in these columns."""
    return [line for line in board.lines if any(column in line.cells for column in columns)]


def reasons(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Why values are not compared, numbered from 1."""
    said = dict.fromkeys(v.why_not for v in verdicts if v.why_not)
    return {reason: place for place, reason in enumerate(said, start=1)}


def verdict_rows(
    verdicts: Sequence[Verdict], percent: bool, *, whole: bool = False
) -> list[list[str]]:
    """What VERDICT_HEADERS say of each. whole: names as they are, however long."""
    cut = str if whole else short
    why = reasons(verdicts)
    rows = []
    for v in verdicts:
        interval = ""
        if v.low is not None and v.high is not None:
            ends = [shown(end, v.decimals, percent=percent) for end in (v.low, v.high)]
            interval = f"{ends[0]} to {ends[1]}"
        place = f" ({why[v.why_not]})" if v.why_not else ""
        rows.append(
            [
                v.system,
                v.dataset,
                v.measure,
                shown(v.own, v.decimals, percent=percent),
                interval,
                shown(v.published, v.decimals, percent=percent),
                f"{cut(v.published_system)}, {v.source}",
                "" if v.why_not else signed(v.difference, v.decimals, percent=percent),
                v.word + place,
            ]
        )
    return rows


VERDICT_HEADERS = (
    *("System", "Dataset", "Measure", "Own", "95 % interval"),
    *("Published", "Of", "Difference", "Verdict"),
)

OVERALL_HEADERS = (
    *("System", "less", "Datasets", "Difference", "95 % interval"),
    *("p by query", "p by dataset", "w/t/l"),
)


def overall_row(one: Overall, percent: bool, *, whole: bool = False) -> list[str]:
    """What OVERALL_HEADERS say. whole: names as they are, however long."""
    cut = str if whole else short
    ends = [signed(end, percent=percent) for end in (one.low, one.high)]
    return [
        cut(one.b),
        cut(one.a),
        str(len(one.datasets)),
        signed(one.difference, percent=percent),
        f"{ends[0]} to {ends[1]}",
        p_value(one.corrected),
        p_value(one.corrected_datasets),
        f"{one.wins}/{one.ties}/{one.losses}",
    ]
