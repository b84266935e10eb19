"""Own values beside published ones: reproduced, different, or not compared and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gtr_beir.identity import related, why_not_compared
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import Record
from gtr_beir.report.findings import Verdict
from gtr_beir.report.per_query import Interval, PerQuery

SOURCES = {
    "gtr-paper": "GTR paper",
    "t5x_retrieval-readme": "t5x README",
    "beir-paper": "BEIR paper",
    "anserini": "Anserini",
    "mteb-results": "MTEB",
    "colbertv2-paper": "ColBERTv2",
}
"""What a source is called above a column; a folder that was given is called by its own name."""


def verdicts_on(
    records: Sequence[Record],
    published: Sequence[PublishedValue] | None = None,
    per_query: PerQuery | None = None,
) -> list[Verdict]:
    """Own values beside every published value that a reader would hold against them: compared where
    their identities agree in all that moves a score, else with the reason why not. per_query: the
    records' values, for intervals."""
    values = published_values() if published is None else published
    known = PerQuery(None, records) if per_query is None else per_query
    found = []
    for record in records:
        for name in dict.fromkeys(value.metric for value in values):
            if name not in record.measures:
                continue
            measure = Measure.parse(name)
            held = [v for v in values if v.metric == name and _is_held(record, v)]
            interval = known.interval(record, measure) if held else (None, None)
            found += held_against(record, held, measure, interval)
    return found


def _is_held(record: Record, value: PublishedValue) -> bool:
    return related(record.identity, record.system, value)


def held_against(
    record: Record,
    published: Iterable[PublishedValue],
    measure: Measure,
    interval: Interval,
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
                low=interval[0],
                high=interval[1],
                published=value.value,
                decimals=value.decimals,
                source=SOURCES.get(value.source, value.source),
                published_system=value.system,
                agrees=not why_not and value.agrees(own),
                why_not=why_not,
            )
        )
    return found
