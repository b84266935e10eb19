"""What a reader wants to know of a dataset: counts, every measure, the queries that tell most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.registry import registered
from gtr_beir.data.store import Dataset, datasets_folder, is_here
from gtr_beir.errors import GtrBeirError
from gtr_beir.ranking.measures import MEASURES, Measure
from gtr_beir.records import Record
from gtr_beir.report.board import Cell, Column
from gtr_beir.report.findings import Contrast, Pair, QueryLine, Section
from gtr_beir.report.naming import Names
from gtr_beir.report.per_query import PerQuery, Values
from gtr_beir.report.texts.by_length import NO_LENGTHS, lengths_of
from gtr_beir.report.texts.token_counts import Opened

SHOWN = 10
"""Hardest queries of a dataset, and as many that systems disagree on most."""


def sections_of(
    names: Names,
    per_query: PerQuery,
    measure: Measure,
    pairs: Sequence[Pair] = (),
    baseline: str = "",
    datasets_dir: Path | str | None = None,
    *,
    lengths: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Section]:
    """A section for each dataset that the records are of.

    measure: that queries are looked at by; pairs: own systems beside each other; baseline: the own
    system that a reader compares with, "" for none; datasets_dir: where texts are read, if the very
    dataset is there; None: no texts are; lengths: whether texts are counted, which takes a while,
    after `say` was told; it is told of damage too.
    """
    opened: Opened = {}
    found = []
    for title in dict.fromkeys(names.titles.values()):
        here = [record for record in names.records if names.title(record) == title]
        held = {names.column(record): per_query.of(record, measure) for record in here}
        values = {column: of for column, of in held.items() if of is not None}
        dataset = None if datasets_dir is None else _dataset(here[0], datasets_dir, say)
        texts = dict(zip(dataset.query_ids, dataset.query_texts, strict=True)) if dataset else {}
        hardest, disagreements = _queries(values, texts)
        beside = [p for p in pairs if (p.measure, p.dataset) == (str(measure), title)]
        counted = NO_LENGTHS
        if dataset is not None and lengths:
            records_of = {names.column(record): record for record in here}
            counted = lengths_of(dataset, records_of, values, per_query.results, opened, say)
        found.append(
            Section(
                dataset=here[0].dataset,
                title=title,
                measure=measure,
                about=tuple(_about(here[0])),
                cells={names.column(record): _cells(record, per_query) for record in here},
                labels={names.column(record): record.system for record in here},
                hardest=hardest,
                disagreements=disagreements,
                warnings=tuple(line for record in here for line in _warnings(record)),
                contrast=_contrast(values, beside, baseline),
                top_words=counted.top_words,
                by_query=counted.by_query,
                by_document=counted.by_document,
            )
        )
    return found


def _about(record: Record) -> Iterator[tuple[str, str]]:
    yield "documents", f"{record.n_documents:,}"
    yield "judged queries", f"{record.n_queries:,}"
    yield "split", record.split
    if record.identity.version:
        yield "version", record.identity.version
    spec = registered(record.dataset)
    if spec is not None and spec.licence:
        yield "licence", spec.licence
    if spec is not None and spec.homepage:
        yield "from", spec.homepage
    yield "fingerprint", record.fingerprints["dataset"]


def _cells(record: Record, per_query: PerQuery) -> dict[Measure, Cell]:
    cells = {}
    for measure in MEASURES:
        if str(measure) in record.measures and measure.cut <= record.depth:
            low, high = per_query.interval(record, measure)
            cells[measure] = Cell(
                record.measures[str(measure)], n=record.n_queries, low=low, high=high
            )
    return cells


def _warnings(record: Record) -> Iterator[str]:
    if record.identity.lengths is not None:
        limits = record.identity.lengths.limits(record.dataset)
        for what, limit, total in (
            ("documents", limits["document"], record.n_documents),
            ("queries", limits["query"], record.n_queries),
        ):
            count = record.facts.get(f"{what}_truncated")
            if isinstance(count, int) and count:
                yield f"{record.system} read {count:,} of {total:,} {what} only to {limit} tokens"
    signs = record.facts.get("signs")
    for sign in signs if isinstance(signs, list) else ():
        yield f"{record.system}: {sign}"
    if record.self_matches["queries"] and record.self_matches["policy"] == "keep":
        yield f"{record.system} keeps documents with the query's own id"
    if record.lacks:
        yield f"{record.system}: the record is of an older version; the same run adds measures"


def _queries(
    values: Mapping[Column, Values], texts: Mapping[str, str]
) -> tuple[tuple[QueryLine, ...], tuple[QueryLine, ...]]:
    """The queries with the lowest mean over all systems, and those with the largest range."""
    if not values:
        return (), ()
    query_ids = next(iter(values.values())).query_ids
    values = {column: of for column, of in values.items() if of.query_ids == query_ids}
    table = np.array([of.unweighted for of in values.values()])

    def lines(order: np.typing.NDArray[np.intp]) -> tuple[QueryLine, ...]:
        return tuple(
            QueryLine(
                query_ids[at],
                texts.get(query_ids[at], ""),
                {column: float(table[row, at]) for row, column in enumerate(values)},
            )
            for at in order[:SHOWN].tolist()
        )

    spread = np.ptp(table, axis=0)
    # Ties in the order of query ids: the same page twice.
    hardest = np.lexsort((np.arange(len(query_ids)), -spread, table.mean(axis=0)))
    apart = np.lexsort((np.arange(len(query_ids)), -spread))
    return lines(hardest), lines(apart[spread[apart] > 0])


def _contrast(
    values: Mapping[Column, Values], pairs: Sequence[Pair], baseline: str
) -> Contrast | None:
    """pairs: of this dataset and measure; the two systems must be one of them."""
    ranked = sorted(values, key=lambda column: (-float(values[column].values.mean()), column.name))
    first = next((column for column in ranked if column.name == baseline), None)
    others = [column for column in ranked if column != first]
    if first is None and len(others) > 1:
        first = others.pop(1)
    if first is None or not others:
        return None
    ends = {first.name, others[0].name}
    pair = next((pair for pair in pairs if {pair.a, pair.b} == ends), None)
    if pair is None:
        return None
    plain = values[others[0]].unweighted - values[first].unweighted
    turned = pair.b != others[0].name
    return Contrast(
        first.name,
        others[0].name,
        tuple(np.sort(plain)[::-1].tolist()),
        -pair.difference if turned else pair.difference,
        -pair.high if turned else pair.low,
        -pair.low if turned else pair.high,
    )


def _dataset(
    record: Record, datasets_dir: Path | str, say: Callable[[str], None]
) -> Dataset | None:
    """The very dataset that was searched, if it is on this machine."""
    folder = datasets_folder(datasets_dir)
    if record.parts or not is_here(record.dataset, folder):
        return None
    try:
        dataset = load_dataset(record.dataset, datasets_dir=folder)
    except GtrBeirError as error:
        # A damaged dataset is no reason against a table of scores.
        say(f"without texts of queries: {error}")
        return None
    if not isinstance(dataset, Dataset) or dataset.fingerprint != record.fingerprints["dataset"]:
        return None
    return dataset
