"""Own values beside published ones: reproduced, different, or not compared and why."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.identity import related, why_not_compared
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import mean_interval
from gtr_beir.records import Record
from gtr_beir.report.board import Verdict
from gtr_beir.report.comparison import per_query_values

SOURCES = {
    "gtr-paper": "GTR paper",
    "t5x_retrieval-readme": "t5x README",
    "beir-paper": "BEIR paper",
    "anserini": "Anserini",
    "mteb-results": "MTEB",
    "colbertv2-paper": "ColBERTv2",
}
"""What a source is called above a column."""
_RESAMPLES = 4_000


def verdicts_on(
    records: Iterable[Record],
    published: Sequence[PublishedValue] | None = None,
    results: Path | None = None,
) -> list[Verdict]:
    """Own values beside every published value that a reader would hold against them: compared where
    their identities agree in all that moves a score, else with the reason why not. results: the
    folder with the per-query files, for intervals."""
    values = published_values() if published is None else published
    found = []
    for record in records:
        for name in dict.fromkeys(value.metric for value in values):
            if name not in record.measures:
                continue
            measure = Measure.parse(name)
            low = high = None
            held = [v for v in values if v.metric == name and _is_held(record, v)]
            if held and results is not None:
                by_query = per_query_values(results / record.system / record.dataset, measure)
                low, high = interval_of(by_query)
            found += held_against(record, held, measure, low, high)
    return found


def interval_of(
    values: npt.NDArray[np.float64] | None,
) -> tuple[float, float] | tuple[None, None]:
    """95 % interval of a mean over queries, worked out once for a board and its verdicts; None
    where there are no values."""
    return (None, None) if values is None else _interval(values.tobytes())


@functools.lru_cache(maxsize=1024)
def _interval(values: bytes) -> tuple[float, float]:
    return mean_interval(np.frombuffer(values, dtype=np.float64), samples=_RESAMPLES)


def _is_held(record: Record, value: PublishedValue) -> bool:
    return related(record.identity, record.system, value)


def held_against(
    record: Record,
    published: Iterable[PublishedValue],
    measure: Measure,
    low: float | None,
    high: float | None,
) -> list[Verdict]:
    found = []
    for value in published:
        if value.metric != str(measure) or not _is_held(record, value):
            continue
        own = record.measures[value.metric]
        why_not = why_not_compared(record.identity, value, measure.cut)
        found.append(
            Verdict(
                system=record.system,
                dataset=record.dataset,
                measure=value.metric,
                own=own,
                low=low,
                high=high,
                published=value.value,
                decimals=value.decimals,
                source=SOURCES[value.source],
                published_system=value.system,
                agrees=not why_not and value.agrees(own),
                why_not=why_not,
            )
        )
    return found
