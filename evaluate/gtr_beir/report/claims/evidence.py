"""What there is to judge a claim by: published numbers, and the own records that count.

A claim is about the released checkpoints, so an own record counts only where its identity agrees
with the published row's in everything that moves a score.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.registry import registered
from gtr_beir.data.store import Dataset, datasets_folder, is_here
from gtr_beir.identity import related, why_not_compared
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import RUN, Record, read_all
from gtr_beir.report.claims.latency import LATENCY, read_latency
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.texts.top_lengths import (
    TOP,
    TopLengths,
    kept_top_lengths,
    median_words,
    share_without_words,
)

Values = npt.NDArray[np.float64]

WORDS, TEXT_WORDS, NO_TEXT = "words@10", "text words@10", "no text@10"
"""Of the first ten documents: median words with the title and without, share without a text."""
MILLISECONDS = "ms"
"""Of one text of 128 tokens."""
SAMPLES = 1_000
"""Resamples for an interval."""
_SEED = 20211215  # any fixed number: the same records print the same interval
_DRAWN_AT_ONCE = 1 << 20

_OF_DOCUMENTS: Mapping[str, Callable[[TopLengths], float]] = {
    WORDS: lambda top: median_words(top.words),
    TEXT_WORDS: lambda top: median_words(top.text_words),
    NO_TEXT: lambda top: share_without_words(top.text_words),
}


@dataclass(frozen=True)
class System:
    """A column of the published tables.

    title: in a sentence; name: in `published.csv`; sources: where its values are published;
    command: what `gtr-beir run` calls it, "" where only the publication has it; instead: dataset ->
    source and name of another published row that stands for it there.
    """

    title: str
    name: str
    sources: tuple[str, ...]
    command: str = ""
    instead: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Entry:
    """One value that a claim rests on: a measure of a system on a dataset."""

    system: System
    dataset: str
    measure: str


@dataclass(frozen=True)
class Lack:
    """What is missing for an entry. what: a run of a system on a dataset, the dataset itself where
    the run is there, or timings; system, dataset: "" where it is of none."""

    what: str
    system: str
    dataset: str


RUN_IT, FETCH_IT, TIME_IT = "run", "fetch", "time"


def _nothing(_: str) -> None: ...


@dataclass(eq=False)
class Evidence:
    """Published values and own ones.

    results, datasets: the folders; stated: (system, dataset, measure) -> value and decimals of
    numbers that a paper prints in its text only; say: told before what takes long.
    """

    results: Path
    datasets: Path | None = None
    stated: Mapping[tuple[str, str, str], tuple[float, int]] = field(default_factory=dict)
    say: Callable[[str], None] = _nothing
    _found: dict[tuple[Entry, bool], Record | None] = field(default_factory=dict, init=False)
    _samples: dict[tuple[str, str, str], Values | None] = field(default_factory=dict, init=False)
    _tops: dict[Path, TopLengths | None] = field(default_factory=dict, init=False)

    @functools.cached_property
    def _published(self) -> dict[tuple[str, str, str, str], PublishedValue]:
        return {(v.source, v.system, v.dataset, v.metric): v for v in published_values()}

    @functools.cached_property
    def records(self) -> dict[str, list[Record]]:
        """Dataset -> its records; damaged ones raise StoreError."""
        found: dict[str, list[Record]] = {}
        for record in read_all(self.results):
            found.setdefault(record.dataset, []).append(record)
        return found

    @functools.cached_property
    def _per_query(self) -> PerQuery:
        return PerQuery(self.results, [one for held in self.records.values() for one in held])

    @functools.cached_property
    def _latency(self) -> Mapping[str, float]:
        return read_latency(self.results / LATENCY).medians

    def row(self, system: System, dataset: str, measure: str) -> PublishedValue | None:
        """The published row of a system, None if it has none."""
        columns = [(source, system.name) for source in system.sources]
        columns = [(s, n) for d, s, n in system.instead if d == dataset] or columns
        rows = (self._published.get((*column, dataset, measure)) for column in columns)
        return next((row for row in rows if row is not None), None)

    def published(self, entry: Entry) -> tuple[float, float] | None:
        """The published value and how far the unrounded one may lie from it, None if there is
        none."""
        row = self.row(entry.system, entry.dataset, entry.measure)
        value = (row.value, row.decimals) if row is not None else None
        value = self.stated.get((entry.system.name, entry.dataset, entry.measure), value)
        return None if value is None else (value[0], 0.5 * 10.0 ** -value[1])

    def record(self, entry: Entry, *, any_version: bool = False) -> Record | None:
        """The own record that counts for an entry. any_version: also one on the registered version
        of the dataset where the publication has another (Touché-2020)."""
        if (entry, any_version) not in self._found:
            self._found[entry, any_version] = self._find(entry, any_version)
        return self._found[entry, any_version]

    def _find(self, entry: Entry, any_version: bool) -> Record | None:
        row = self.row(entry.system, entry.dataset, "ndcg@10")
        if row is None or not entry.system.command:
            return None
        of_documents = entry.measure in _OF_DOCUMENTS
        cut = TOP if of_documents else Measure.parse(entry.measure).cut
        there = self.records.get(entry.dataset, ())
        for record in sorted(there, key=lambda r: (r.system != entry.system.command, r.system)):
            if not of_documents and entry.measure not in record.measures:
                continue
            # Judgements have versions, corpora have not: what is ranked first is the same.
            row_here = _of_version(row, record) if any_version or of_documents else row
            if not why_not_compared(record.identity, row_here, cut):
                return record
        return None

    def own(self, entry: Entry, *, any_version: bool = False) -> float | None:
        """The own value; the published one of a system that only the publication has; None where it
        is missing."""
        if not entry.system.command:
            published = self.published(entry)
            return None if published is None else published[0]
        if entry.measure == MILLISECONDS:
            return self._latency.get(entry.system.name)
        record = self.record(entry, any_version=any_version)
        if record is None:
            return None
        if entry.measure in _OF_DOCUMENTS:
            top = self._top(record)
            return None if top is None else _OF_DOCUMENTS[entry.measure](top)
        return record.measures[entry.measure]

    def lack(self, entry: Entry) -> Lack | None:
        """What is missing for an entry, None where nothing is."""
        if self.own(entry, any_version=True) is not None:
            return None
        system = entry.system
        if entry.measure == MILLISECONDS:
            return Lack(TIME_IT, "", "")
        record = self.record(entry, any_version=True)
        if record is not None and self._run(record).is_file():
            return Lack(FETCH_IT, "", entry.dataset)
        return Lack(RUN_IT, system.command, entry.dataset)

    def samples(self, entry: Entry, *, any_version: bool = False) -> Values | None:
        """float64[1000]: the own value over queries that are drawn again, the same ones for every
        system on a dataset; None where there are no values of single queries."""
        if not entry.system.command:
            value = self.own(entry)
            return None if value is None else np.full(SAMPLES, value)
        if entry.measure == MILLISECONDS:
            return None
        record = self.record(entry, any_version=any_version)
        if record is None:
            return None
        place = (record.system, entry.dataset, entry.measure)
        if place not in self._samples:
            self._samples[place] = self._drawn(record, entry.dataset, entry.measure)
        return self._samples[place]

    def _drawn(self, record: Record, dataset: str, measure: str) -> Values | None:
        if measure in _OF_DOCUMENTS:
            top = self._top(record)
            return None if top is None else _resampled_documents(top, dataset, measure)
        tables = self._per_query.tables(record)
        if not tables or any(measure not in table.columns for table in tables):
            return None
        means = [
            # In the order of their ids: systems are drawn alike.
            resampled_means(np.asarray(table[measure].sort_index(), dtype=np.float64), part)
            for part, table in zip(record.parts or (dataset,), tables, strict=True)
        ]
        return np.asarray(np.mean(means, axis=0))

    def _run(self, record: Record) -> Path:
        return self.results / record.system / record.dataset / RUN

    def _top(self, record: Record) -> TopLengths | None:
        path = self._run(record)
        if path not in self._tops:
            here = is_here(record.dataset, datasets_folder(self.datasets))
            self._tops[path] = self._read_top(path, record) if here and path.is_file() else None
        return self._tops[path]

    def _read_top(self, path: Path, record: Record) -> TopLengths:
        dataset = load_dataset(record.dataset, datasets_dir=self.datasets)
        assert isinstance(dataset, Dataset)
        return kept_top_lengths(path.parent, record, dataset, self.say)

    def remarks(self, systems: Iterable[System]) -> Iterator[str]:
        """Records that do not count for any of the systems that they could be taken for, and why,
        one line for each system and reason."""
        said: dict[tuple[str, str], list[str]] = {}
        systems = tuple(systems)
        for dataset, records in self.records.items():
            rows = [row for s in systems if (row := self.row(s, dataset, "ndcg@10")) is not None]
            for record in records:
                reasons = [
                    why_not_compared(record.identity, _of_version(row, record), 0)
                    for row in rows
                    if related(record.identity, record.system, row)
                ]
                if reasons and all(reasons):
                    said.setdefault((record.system, reasons[0]), []).append(dataset)
        for (system, reason), names in said.items():
            where = names[0] if len(names) == 1 else f"{len(names)} datasets"
            yield f"{system} on {where} does not count: {reason}"
        yield from read_latency(self.results / LATENCY).remarks


def _of_version(row: PublishedValue, record: Record) -> PublishedValue:
    """The row as if it were of the record's version, where that is the registered one."""
    spec = registered(record.dataset)
    usual = spec is not None and record.identity.version == spec.version
    return replace(row, version=record.identity.version) if usual else row


def resampled_means(values: Values, stratum: str) -> Values:
    """float64[1000]: means over queries drawn with replacement from one dataset (`stratum`), whose
    name decides which: systems are drawn alike, so differences of their means are paired."""
    n = len(values)
    means = [values[drawn].mean(axis=1) for drawn in _drawn(n, stratum)]
    return np.concatenate(means)


def _drawn(n: int, stratum: str) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of n drawn queries, SAMPLES in all, some at a time."""
    generator = np.random.default_rng([_SEED, zlib.crc32(stratum.encode())])
    at_once = max(1, _DRAWN_AT_ONCE // n)
    for start in range(0, SAMPLES, at_once):
        yield generator.integers(0, n, size=(min(at_once, SAMPLES - start), n))


def _resampled_documents(top: TopLengths, stratum: str, measure: str) -> Values:
    act = _OF_DOCUMENTS[measure]
    drawn = (row for rows in _drawn(len(top.words), stratum) for row in rows)
    return np.array([act(TopLengths(top.words[row], top.text_words[row])) for row in drawn])
