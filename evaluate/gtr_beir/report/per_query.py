"""Per-query values of own results: each file is read once, and intervals are worked out together.

A dataset that is a mean of others (CQADupStack) has the files of its parts; its values are weighted
so that their mean is the mean of the parts' means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from gtr_beir.query_values import values_of
from gtr_beir.ranking.measures import MEASURES, Measure
from gtr_beir.ranking.significance import (
    flipped_means,
    intervals_of,
    resampled_means,
    weighted,
)
from gtr_beir.records import PER_QUERY, Record

_AT_ONCE = 512
"""Columns that are drawn for at once: 40 MB of resampled means."""

Interval = tuple[float, float] | tuple[None, None]


@dataclass(frozen=True)
class Values:
    """Values of one measure of one result.

    query_ids: sorted; values: float64[n] in their order, weighted where there are parts; parts: how
    many queries each part has; resampled, flipped: means over the draws that all results of a
    dataset share, as `significance` gives them, None where no test is made.
    """

    query_ids: tuple[str, ...]
    values: npt.NDArray[np.float64]
    parts: tuple[int, ...]
    resampled: npt.NDArray[np.float64] | None = None
    flipped: npt.NDArray[np.float64] | None = None

    @property
    def unweighted(self) -> npt.NDArray[np.float64]:
        """float64[n]: what each query has by itself."""
        return self.values / weighted([np.ones(size) for size in self.parts])


class PerQuery:
    """The per-query files of some records.

    results: the results folder, None where there is none (then nothing is known of any query);
    measures: those that systems are tested by. Every method raises InputError for a file that is
    none.
    """

    def __init__(
        self, results: Path | None, records: Iterable[Record], measures: Sequence[Measure] = ()
    ) -> None:
        self._measures = tuple(measures)
        self.results = results
        self._records = list(records)
        self._tables: dict[tuple[str, str], list[pd.DataFrame]] = {}
        self._ids: dict[tuple[str, str], tuple[str, ...]] = {}
        self._drawn: dict[tuple[str, str], _Drawn] = {}

    def tables(self, record: Record) -> Sequence[pd.DataFrame]:
        """A table of measures for each part, in the order of query ids; empty where a file is not
        there."""
        key = (record.system, record.dataset)
        if key not in self._tables:
            self._tables[key] = self._read(record)
        return self._tables[key]

    def of(self, record: Record, measure: Measure) -> Values | None:
        """A measure's values; None where there are none: an older version's file, or a ranking that
        ends before the measure does, which is another measure."""
        tables = self.tables(record)
        if (
            record.depth < measure.cut
            or not tables
            or any(str(measure) not in table.columns for table in tables)
        ):
            return None
        columns = [np.asarray(table[str(measure)], dtype=np.float64) for table in tables]
        return Values(
            self._query_ids(record),
            weighted(columns) if len(columns) > 1 else columns[0],
            tuple(len(column) for column in columns),
        )

    def interval(self, record: Record, measure: Measure) -> Interval:
        """95 % interval of a record's mean, (None, None) where its queries are not known."""
        known = self._of_dataset(record).intervals
        return known.get((record.system, str(measure)), (None, None))

    def drawn(self, record: Record, measure: Measure) -> Values | None:
        """As `of`, with the means over draws that tests need; measure: of those given."""
        values = self.of(record, measure)
        if values is None:
            return None
        means = self._of_dataset(record)
        key = (record.system, str(measure))
        return replace(values, resampled=means.resampled[key], flipped=means.flipped[key])

    def _of_dataset(self, record: Record) -> _Drawn:
        group = (record.dataset, record.fingerprints["dataset"])
        if group not in self._drawn:
            self._drawn[group] = self._draw(*group)
        return self._drawn[group]

    def _query_ids(self, record: Record) -> tuple[str, ...]:
        key = (record.system, record.dataset)
        if key not in self._ids:
            self._ids[key] = tuple(id_ for table in self.tables(record) for id_ in table.index)
        return self._ids[key]

    def _read(self, record: Record) -> list[pd.DataFrame]:
        if self.results is None:
            return []
        names = record.parts or (record.dataset,)
        paths = [self.results / record.system / name / PER_QUERY for name in names]
        if not all(path.is_file() for path in paths):
            return []
        return [table.sort_index() for table in values_of(record, paths)]

    def _draw(self, name: str, fingerprint: str) -> _Drawn:
        """For every system and measure of a dataset, over the same draws of queries."""
        held: dict[tuple[int, ...], dict[tuple[str, str], npt.NDArray[np.float64]]] = {}
        for record in self._records:
            if (record.dataset, record.fingerprints["dataset"]) != (name, fingerprint):
                continue
            tables = self.tables(record)
            for measure in MEASURES if tables else ():
                values = self.of(record, measure)
                if values is not None:
                    held.setdefault(values.parts, {})[record.system, str(measure)] = values.values
        found = _Drawn({}, {}, {})
        tested = {str(measure) for measure in self._measures}
        for parts, columns in held.items():
            matrix = np.column_stack(list(columns.values()))
            keys = list(columns)
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                here = matrix[:, start : start + _AT_ONCE]
                resampled = resampled_means(here, parts=parts)
                low, high = intervals_of(resampled, here, parts)
                # 1 + 1e-16 is what summing a column of ones may give.
                ends = zip(np.clip(low, 0, 1).tolist(), np.clip(high, 0, 1).tolist(), strict=True)
                found.intervals.update(zip(some, ends, strict=True))
                needed = [at for at, (_, measure) in enumerate(some) if measure in tested]
                flipped = flipped_means(here[:, needed])
                for at, place in enumerate(needed):
                    found.resampled[some[place]] = resampled[:, place].copy()
                    found.flipped[some[place]] = flipped[:, at].copy()
        return found


@dataclass(frozen=True)
class _Drawn:
    """Of one dataset, by system and measure."""

    intervals: dict[tuple[str, str], Interval]
    resampled: dict[tuple[str, str], npt.NDArray[np.float64]]
    flipped: dict[tuple[str, str], npt.NDArray[np.float64]]
