"""What there is to judge a claim by: published numbers, and the own records that count.

A claim is about the released checkpoints, so an own record counts only where its identity agrees
with the published row's in everything that moves a score.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.registry import registered
from gtr_beir.data.store import Dataset, datasets_folder, is_here
from gtr_beir.identity import related, why_not_compared
from gtr_beir.kept import finish_all
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import RUN, Record, read_all
from gtr_beir.report.claims.latency import LATENCY, read_latency
from gtr_beir.report.claims.resampling import Draws, Values, resampled_documents
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.texts.top_lengths import (
    TOP,
    TopLengths,
    kept_top_lengths,
    median_words,
    share_without_words,
)

WORDS, TEXT_WORDS, NO_TEXT = "words@10", "text words@10", "no text@10"
"""Of the first ten documents: median words with the title and without, share without a text."""
MILLISECONDS = "ms"
"""Of one text of 128 tokens."""

OF_DOCUMENTS: Mapping[str, Callable[[TopLengths], float]] = {
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
    _found: dict[tuple[Entry, bool], Sequence[Record]] = field(default_factory=dict, init=False)
    _samples: dict[tuple[str, str, str], Values | None] = field(default_factory=dict, init=False)
    _opened: dict[str, Dataset | None] = field(default_factory=dict, init=False)
    _tops: dict[Path, TopLengths | None] = field(default_factory=dict, init=False)

    @functools.cached_property
    def _published(self) -> dict[tuple[str, str, str, str], PublishedValue]:
        return {(v.source, v.system, v.dataset, v.metric): v for v in published_values()}

    @functools.cached_property
    def records(self) -> dict[str, list[Record]]:
        """Dataset -> its records; damaged ones raise StoreError."""
        found: dict[str, list[Record]] = {}
        finish_all(self.results)
        for record in read_all(self.results):
            found.setdefault(record.dataset, []).append(record)
        return found

    @functools.cached_property
    def draws(self) -> Draws:
        records = [one for held in self.records.values() for one in held]
        return Draws(PerQuery(self.results, records), records)

    @functools.cached_property
    def latency(self) -> Mapping[str, float]:
        """Published model -> milliseconds."""
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

    def candidates(self, entry: Entry, *, any_version: bool = False) -> Sequence[Record]:
        """The own records that agree with the published row of an entry in everything but the copy
        of the dataset, best first. any_version: also those on the registered version of the dataset
        where the publication has another (Touché-2020)."""
        if (entry, any_version) not in self._found:
            self._found[entry, any_version] = tuple(self._find(entry, any_version))
        return self._found[entry, any_version]

    def _find(self, entry: Entry, any_version: bool) -> Iterator[Record]:
        row = self.row(entry.system, entry.dataset, "ndcg@10")
        if row is None or not entry.system.command:
            return
        of_documents = entry.measure in OF_DOCUMENTS
        cut = TOP if of_documents else Measure.parse(entry.measure).cut
        there = self.records.get(entry.dataset, ())
        for record in sorted(there, key=lambda r: (r.system != entry.system.command, r.system)):
            if not of_documents and entry.measure not in record.measures:
                continue
            # Judgements have versions, corpora have not: what is ranked first is the same.
            row_here = _of_version(row, record) if any_version or of_documents else row
            if not why_not_compared(record.identity, row_here, cut):
                yield record

    def run(self, record: Record) -> Path:
        """Where a record's run file is, if it was kept."""
        return self.results / record.system / record.dataset / RUN

    def _dataset(self, name: str) -> Dataset | None:
        """A dataset that is on this machine."""
        if name not in self._opened:
            here = is_here(name, datasets_folder(self.datasets))
            dataset = load_dataset(name, datasets_dir=self.datasets) if here else None
            assert dataset is None or isinstance(dataset, Dataset)
            self._opened[name] = dataset
        return self._opened[name]

    def copy_here(self, name: str) -> str:
        """The fingerprint of a dataset on this machine, "" where it is not there."""
        dataset = self._dataset(name)
        return "" if dataset is None else dataset.fingerprint

    def top(self, record: Record) -> TopLengths | None:
        """Words of the documents that a record's run has first; None without the run, or without
        the very dataset that was searched."""
        path = self.run(record)
        if path not in self._tops:
            dataset = self._dataset(record.dataset)
            here = dataset is not None and dataset.fingerprint == record.fingerprints["dataset"]
            self._tops[path] = (
                kept_top_lengths(path.parent, record, dataset, self.say)
                if dataset is not None and here and path.is_file()
                else None
            )
        return self._tops[path]

    def document_samples(self, record: Record, measure: str) -> Values | None:
        """float64[1000]: a number of OF_DOCUMENTS over queries that are drawn again."""
        place = (record.system, record.dataset, measure)
        if place not in self._samples:
            top = self.top(record)
            self._samples[place] = (
                None
                if top is None
                else resampled_documents(top, record.dataset, OF_DOCUMENTS[measure])
            )
        return self._samples[place]

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
