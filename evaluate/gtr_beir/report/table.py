"""Tables: own records beside published numbers. Nothing is rounded here.

Averages stand only over named sets of datasets, and only in rows that have the whole set; an own
value is compared with every published value of the same system, dataset and measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gtr_beir.data.registry import benchmark_names, registered, suite
from gtr_beir.identity import related, why_not_compared
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import Record, read_all

OWN = "own run"
DIFFERS = "†"
CAPPED = "c"
MEASURES = ("ndcg@10", "recall@100")
_TITLES = {"ndcg@10": "NDCG@10", "recall@100": "Recall@100"}
_SEEN = {"yes": "*", "perhaps": "(*)"}
"""Marks of datasets that GTR was trained on."""
_SEEN_NOTES = {
    "*": "GTR was fine-tuned on it (GTR paper, section 4.2)",
    "(*)": "GTR's pre-training data, question-answer pairs of communities, may hold it",
}
_OTHER_VERSION = "v1"
_AVERAGES = {"avg-zero-shot": "zero-shot", "avg-unseen": "unseen", "avg-public": "public"}
"""Average column -> the suite that it is over."""


@dataclass(frozen=True)
class Cell:
    """One value: n is the number of queries (own values) or of datasets (averages), None where
    unknown; decimals is how it is shown; marks are keys of the table's notes."""

    value: float
    decimals: int = 4
    n: int | None = None
    marks: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One system from one source; cells by column name."""

    system: str
    source: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Table:
    """Everything that is rendered comes from this."""

    title: str
    measure: str
    columns: tuple[str, ...]
    headers: dict[str, str]
    rows: tuple[Row, ...]
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """An own value beside a published one. why_not: in words, why they are not compared, "" where
    they are; agrees: within the precision that was published and the source's tolerance."""

    system: str
    dataset: str
    measure: str
    own: float
    published: float
    decimals: int
    source: str
    published_system: str
    agrees: bool
    why_not: str = ""


def average_sets() -> dict[str, tuple[str, ...]]:
    """Average column -> the datasets that it is over."""
    return {column: suite(name) for column, name in _AVERAGES.items()}


def leaderboard(results_dir: Path | str = "results", *, published: bool = True) -> list[Table]:
    """NDCG@10 and Recall@100 over all datasets: own records first, then the published rows."""
    records = list(read_all(Path(results_dir)))
    values = published_values() if published else ()
    return [_table(measure, records, values) for measure in MEASURES]


def _table(measure: str, records: Sequence[Record], values: Sequence[PublishedValue]) -> Table:
    published = [value for value in values if _shown_metric(value) == measure]
    own_names = {record.dataset for record in records}
    columns = list(benchmark_names())
    columns += sorted(name for name in own_names if registered(name) is None)
    sets = average_sets()
    rows = [*_own_rows(measure, records, published), *_published_rows(published)]
    rows = [_with_averages(row, sets) for row in rows]
    headers = {name: _header(name) for name in columns}
    headers |= {column: f"Avg {len(names)}" for column, names in sets.items()}
    return Table(
        title=_TITLES[measure],
        measure=measure,
        columns=(*sets, *columns),
        headers=headers,
        rows=tuple(rows),
        notes={
            DIFFERS: "differs from a published value of the same system (see the comparison)",
            CAPPED: "recall_cap@100, which is what the papers report on TREC-COVID",
            _OTHER_VERSION: "very likely Touché-2020's first judgements: shown, never compared "
            "with the second",
            **_SEEN_NOTES,
        },
    )


def _header(name: str) -> str:
    spec = registered(name)
    if spec is None:
        return name
    seen = _SEEN.get(spec.trained_on)
    return (spec.short or spec.title) + (f" {seen}" if seen else "")


def _shown_metric(value: PublishedValue) -> str | None:
    """Capped recall is shown in the recall table, marked; forums are not shown."""
    if "/" in value.dataset:
        return None
    return "recall@100" if value.metric == "recall_cap@100" else value.metric


def _own_rows(
    measure: str, records: Sequence[Record], published: Sequence[PublishedValue]
) -> Iterable[Row]:
    systems: dict[str, list[Record]] = {}
    for record in records:
        systems.setdefault(record.system, []).append(record)
    for system, done in systems.items():
        cells = {}
        for record in done:
            if record.depth < Measure.parse(measure).cut:
                continue  # a ranking cut before the measure's own cut is another measure
            differs = any(
                not d.agrees and not d.why_not
                for d in differences([record], published)
                if d.measure == measure
            )
            cells[record.dataset] = Cell(
                record.measures[measure],
                n=record.n_queries,
                marks=(DIFFERS,) if differs else (),
                note=record.signature,
            )
        yield Row(system, OWN, cells)


def _published_rows(published: Sequence[PublishedValue]) -> Iterable[Row]:
    groups: dict[tuple[str, str], dict[str, Cell]] = {}
    for value in published:
        marks = (CAPPED,) if value.metric == "recall_cap@100" else ()
        if value.version == _OTHER_VERSION:
            marks = (*marks, _OTHER_VERSION)
        groups.setdefault((value.system, value.source), {})[value.dataset] = Cell(
            value.value, decimals=value.decimals, marks=marks, note=value.provenance
        )
    for (system, source), cells in groups.items():
        yield Row(system, source, cells)


def _with_averages(row: Row, sets: dict[str, tuple[str, ...]]) -> Row:
    averages = {}
    for name, datasets in sets.items():
        held = [row.cells[dataset] for dataset in datasets if dataset in row.cells]
        if len(held) == len(datasets):
            marks = tuple(dict.fromkeys(mark for cell in held for mark in cell.marks))
            averages[name] = Cell(
                sum(cell.value for cell in held) / len(held),
                decimals=min(cell.decimals for cell in held),
                n=len(held),
                marks=marks,
            )
    return Row(row.system, row.source, {**averages, **row.cells})


def differences(
    records: Iterable[Record], published: Sequence[PublishedValue] | None = None
) -> list[Difference]:
    """Own values beside every published value that a reader would hold against them: compared where
    their identities agree in all that moves a score, else with the reason why not."""
    values = published_values() if published is None else published
    found = []
    for record in records:
        for value in values:
            if value.metric not in record.measures:
                continue
            if not related(record.identity, record.system, value):
                continue
            cut = Measure.parse(value.metric).cut
            own = record.measures[value.metric]
            why_not = why_not_compared(record.identity, value, cut)
            found.append(
                Difference(
                    system=record.system,
                    dataset=record.dataset,
                    measure=value.metric,
                    own=own,
                    published=value.value,
                    decimals=value.decimals,
                    source=value.source,
                    published_system=value.system,
                    agrees=not why_not and value.agrees(own),
                    why_not=why_not,
                )
            )
    return found
