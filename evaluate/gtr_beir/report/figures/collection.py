"""The figures of a Report; one without data is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gtr_beir.report.figures.drawing import STYLE, Figure
from gtr_beir.report.figures.queries import by_length, query_by_query, top_words
from gtr_beir.report.figures.scores import beside_bm25, by_size, by_two_measures
from gtr_beir.report.whole import Report


def figures_of(report: Report) -> list[Figure]:
    """What can be drawn: of the boards, then of each dataset."""
    if not report.boards:
        return []
    import matplotlib

    with matplotlib.rc_context(STYLE):
        found = [by_size(report), beside_bm25(report), by_two_measures(report), top_words(report)]
        for section in report.sections:
            found += [query_by_query(section), by_length(section)]
        return list(_named_apart(figure for figure in found if figure is not None))


def _named_apart(figures: Iterable[Figure]) -> Iterator[Figure]:
    """Datasets of one name and different fingerprints have files of their own."""
    seen: dict[str, int] = {}
    for figure in figures:
        seen[figure.name] = seen.get(figure.name, 0) + 1
        count = seen[figure.name]
        yield figure if count == 1 else replace(figure, name=f"{figure.name}-{count}")
