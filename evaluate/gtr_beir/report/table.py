"""Tables: own records beside published numbers. Nothing is rounded here.

Averages stand only over named sets of datasets, and only in rows that have the whole set; an own
value is compared with every published value of the same system, dataset and measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gtr_beir.data.registry import DEMO, benchmark_names, registered, suite, zero_shot_names
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.records import Record, read_all

OWN = "own run"
DIFFERS = "†"
CAPPED = "c"
MEASURES = ("ndcg@10", "recall@100")
_TITLES = {"ndcg@10": "NDCG@10", "recall@100": "Recall@100"}
_SHORT = {
    "msmarco": "MARCO",
    "trec-covid": "COVID",
    "nfcorpus": "NFC",
    "hotpotqa": "Hotpot",
    "signal1m": "Signal",
    "trec-news": "News",
    "robust04": "Robust",
    "webis-touche2020": "Touché",
    "cqadupstack": "CQA",
    "dbpedia-entity": "DBPedia",
    "climate-fever": "C-FEVER",
}
_PROTOCOL_OF_SOURCE = {
    # A source whose numbers hold for one length protocol; others hold for any.
    "gtr-paper": "paper",
    "t5x_retrieval-readme": "paper",
    "mteb-results": "hub",
}
_ALIASES = {
    "sentence-transformers--gtr-t5-base": "gtr-base",
    "sentence-transformers--gtr-t5-large": "gtr-large",
    "sentence-transformers--gtr-t5-xl": "gtr-xl",
    "sentence-transformers--gtr-t5-xxl": "gtr-xxl",
    "sentence-transformers--all-MiniLM-L6-v2": "all-MiniLM-L6-v2",
    "gtr-t5-base": "gtr-base",
    "gtr-t5-large": "gtr-large",
    "gtr-t5-xl": "gtr-xl",
    "gtr-t5-xxl": "gtr-xxl",
}


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
    """An own value beside a published one; `agrees` at the precision that was published."""

    system: str
    dataset: str
    measure: str
    own: float
    published: float
    decimals: int
    source: str
    agrees: bool


def average_sets() -> dict[str, tuple[str, ...]]:
    """Average column -> the datasets that it is over."""
    return {"avg-zero-shot": zero_shot_names(), "avg-public": suite("public")}


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
    headers = {name: _SHORT.get(name, _title(name)) for name in columns}
    headers |= {
        "avg-zero-shot": f"Avg {len(sets['avg-zero-shot'])}",
        "avg-public": f"Avg {len(sets['avg-public'])}",
    }
    return Table(
        title=_TITLES[measure],
        measure=measure,
        columns=(*sets, *columns),
        headers=headers,
        rows=tuple(rows),
        notes={
            DIFFERS: "differs from a published value of the same system (see the comparison)",
            CAPPED: "recall_cap@100, which is what the papers report on TREC-COVID",
        },
    )


def _title(name: str) -> str:
    spec = registered(name)
    return "demo" if name == DEMO else spec.title if spec else name


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
            if record.depth < int(measure.rpartition("@")[2]):
                continue  # a ranking cut before the measure's own cut is another measure
            differs = any(
                not d.agrees for d in differences([record], published) if d.measure == measure
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
    """Own values beside every published value of the same system, protocol and dataset."""
    values = published_values() if published is None else published
    found = []
    for record in records:
        name = _published_name(record)
        for value in values:
            if value.system != name or value.dataset != record.dataset:
                continue
            wanted = _PROTOCOL_OF_SOURCE.get(value.source)
            if wanted is not None and record.settings.get("protocol", wanted) != wanted:
                continue
            if value.metric not in record.measures or not _comparable(record, value.metric):
                continue
            own = record.measures[value.metric]
            found.append(
                Difference(
                    system=record.system,
                    dataset=record.dataset,
                    measure=value.metric,
                    own=own,
                    published=value.value,
                    decimals=value.decimals,
                    source=value.source,
                    agrees=abs(own - value.value) <= 0.5 * 10**-value.decimals + 1e-9,
                )
            )
    return found


def _comparable(record: Record, metric: str) -> bool:
    """Whether a record's settings are those that published numbers were made with."""
    settings = record.settings
    return (
        record.depth >= int(metric.rpartition("@")[2])
        and record.self_matches["policy"] == "drop"
        and (settings.get("k1", 0.9), settings.get("b", 0.4)) == (0.9, 0.4)
        and set(settings.get("fields", {"": 1.0}).values()) == {1.0}
    )


def _published_name(record: Record) -> str:
    base = record.system.partition("@")[0]
    return _ALIASES.get(base, base)
