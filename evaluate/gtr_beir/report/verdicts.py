"""Own values beside published ones: reproduced, different, or not compared and why."""

from __future__ import annotations

from collections.abc import Sequence

from gtr_beir.identity import related, why_not_compared
from gtr_beir.published import PublishedValue
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import Record
from gtr_beir.report.findings import Verdict
from gtr_beir.report.naming import Names
from gtr_beir.report.per_query import PerQuery

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
    names: Names, published: Sequence[PublishedValue], per_query: PerQuery
) -> list[Verdict]:
    """Own values beside every published value that a reader would hold against them: compared where
    their identities agree in all that moves a score, else with the reason why not. per_query: the
    records' values, for intervals."""
    # Measures in the order in which they are published.
    order = {name: at for at, name in enumerate(dict.fromkeys(v.metric for v in published))}
    of_dataset: dict[str, list[PublishedValue]] = {}
    for value in sorted(published, key=lambda value: order[value.metric]):
        of_dataset.setdefault(value.dataset, []).append(value)
    return [
        _verdict(names, record, value, per_query)
        for record in names.records
        for value in of_dataset.get(record.dataset, ())
        if value.metric in record.measures and related(record.identity, record.system, value)
    ]


def _verdict(names: Names, record: Record, value: PublishedValue, per_query: PerQuery) -> Verdict:
    own, measure = record.measures[value.metric], Measure.parse(value.metric)
    low, high = per_query.interval(record, measure)
    why_not = why_not_compared(record.identity, value, measure.cut)
    plainly = value.agrees(own)
    in_some_order = plainly or value.agrees(_nearest(record, value))
    return Verdict(
        system=names.column(record).name,
        dataset=names.title(record),
        measure=value.metric,
        own=own,
        low=low,
        high=high,
        published=value.value,
        decimals=value.decimals,
        source=SOURCES.get(value.source, value.source),
        published_system=value.system,
        agrees=not why_not and in_some_order,
        why_not=why_not,
        by_ties=not why_not and in_some_order and not plainly,
    )


def _nearest(record: Record, value: PublishedValue) -> float:
    """Of all that an order of the run's equal scores gives, what is nearest to a published value;
    the own one where that is not known."""
    ties = record.facts.get("ties")
    known = ties.get(value.metric) if isinstance(ties, dict) else None
    if not isinstance(known, list | tuple) or len(known) != 2:
        return record.measures[value.metric]
    low, high = map(float, known)
    return min(max(value.value, low), high)
