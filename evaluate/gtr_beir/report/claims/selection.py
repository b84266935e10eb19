"""Which records a claim is judged by: those of one copy of each dataset.

Systems are paired query by query, so all that a claim uses of a dataset must be of the same corpus,
queries and judgements (one fingerprint). Taken is the copy that most of its systems have a record
of; where texts are counted, the copy that is on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gtr_beir.ranking.significance import intervals_of, weighted
from gtr_beir.records import Record
from gtr_beir.report.claims.evidence import (
    MILLISECONDS,
    OF_DOCUMENTS,
    Entry,
    Evidence,
)
from gtr_beir.report.claims.resampling import Values
from gtr_beir.report.per_query import Values as QueryValues


@dataclass(frozen=True)
class Lack:
    """What is missing for an entry. what: a run of a system on a dataset, the dataset itself where
    the run is there, or timings; system, dataset: "" where it is of none."""

    what: str
    system: str
    dataset: str


RUN_IT, FETCH_IT, TIME_IT = "run", "fetch", "time"


@dataclass(frozen=True)
class Apart:
    """A record that does not count because its dataset is another copy. copy: the fingerprint of
    its dataset; chosen: of the one that counts; here: whether that is the one on this machine,
    rather than the one of most records."""

    system: str
    dataset: str
    copy: str
    chosen: str
    here: bool


class Selection:
    """The records that count for some entries.

    any_version: also those on the registered version of a dataset where the publication has another
    (Touché-2020). Methods raise what reading raises: StoreError, InputError.
    """

    def __init__(
        self, evidence: Evidence, entries: Sequence[Entry], *, any_version: bool = False
    ) -> None:
        self.evidence = evidence
        self._records: dict[Entry, Record] = {}
        apart = []
        by_dataset: dict[str, dict[Entry, Sequence[Record]]] = {}
        for entry in entries:
            found = evidence.candidates(entry, any_version=any_version)
            if found:
                by_dataset.setdefault(entry.dataset, {})[entry] = found
        for dataset, candidates in by_dataset.items():
            texts = any(entry.measure in OF_DOCUMENTS for entry in candidates)
            here = evidence.copy_here(dataset) if texts else ""
            chosen = here or _of_most(candidates)
            for entry, found in candidates.items():
                counts = next((one for one in found if _copy(one) == chosen), None)
                if counts is not None:
                    self._records[entry] = counts
                else:
                    left = found[0]
                    apart.append(Apart(left.system, dataset, _copy(left), chosen, bool(here)))
        self.apart = tuple(dict.fromkeys(apart))

    def own(self, entry: Entry) -> float | None:
        """The own value; the published one of a system that only the publication has; None where it
        is missing."""
        if not entry.system.command:
            published = self.evidence.published(entry)
            return None if published is None else published[0]
        if entry.measure == MILLISECONDS:
            return self.evidence.latency.get(entry.system.name)
        record = self._records.get(entry)
        if record is None:
            return None
        if entry.measure in OF_DOCUMENTS:
            top = self.evidence.top(record)
            return None if top is None else OF_DOCUMENTS[entry.measure](top)
        return record.measures[entry.measure]

    def lack(self, entry: Entry) -> Lack | None:
        """What is missing for an entry, None where nothing is."""
        if self.own(entry) is not None:
            return None
        if entry.measure == MILLISECONDS:
            return Lack(TIME_IT, "", "")
        record = self._records.get(entry)
        if record is not None and self.evidence.run(record).is_file():
            return Lack(FETCH_IT, "", entry.dataset)
        return Lack(RUN_IT, entry.system.command, entry.dataset)

    # Queries drawn again ------------------------------------------------------------------------

    def samples(self, entries: Sequence[Entry]) -> Values | None:
        """float64[entries, n]: own values over queries that are drawn again, the same ones for
        every system on a dataset; None where those of one are not known, or are not the same."""
        asked: dict[str, tuple[str, ...]] = {}
        drawn = []
        for entry in entries:
            values = self._drawn(entry)
            if values is None:
                return None
            of_queries = self._of_queries(entry)
            if of_queries is not None:
                ids = asked.setdefault(entry.dataset, of_queries.query_ids)
                if ids != of_queries.query_ids:
                    return None
            drawn.append(values)
        return np.stack(np.broadcast_arrays(*drawn))

    def interval(
        self, entries: Sequence[Entry], formula: Callable[[Values], Values], *, linear: bool
    ) -> tuple[float, float] | None:
        """95 % interval of a formula of entries, None where there is none.

        linear: whether it is a mean over datasets, or a difference of such. These have the
        bias-corrected and accelerated interval that boards have; counts, ratios and medians, for
        which it takes more than the values of single queries, have the 2.5th and 97.5th percentile.
        """
        samples = self.samples(entries)
        if samples is None:
            return None
        found = formula(samples)
        if linear and not any(entry.measure in OF_DOCUMENTS for entry in entries):
            values, parts = self._by_query(entries, formula)
            (low,), (high,) = intervals_of(found[:, None], values[:, None], parts)
        else:
            low, high = np.quantile(found, [0.025, 0.975])
        return float(low), float(high)

    def _by_query(
        self, entries: Sequence[Entry], formula: Callable[[Values], Values]
    ) -> tuple[Values, list[int]]:
        """What each query adds to a linear formula, float64[queries], weighted so that their mean
        is its value; and how many queries each dataset, or part of one, has."""
        added: dict[str, Values] = {}
        parts: dict[str, tuple[int, ...]] = {}
        # A linear formula of the unit vectors is its coefficients.
        for entry, times in zip(entries, formula(np.eye(len(entries))).tolist(), strict=True):
            values = self._of_queries(entry)
            if values is None:
                value = times * (self.own(entry) or 0.0)
                added[entry.dataset] = added.get(entry.dataset, np.zeros(1)) + value
            else:
                added[entry.dataset] = added.get(entry.dataset, np.zeros(1)) + times * values.values
                parts[entry.dataset] = values.parts
        # Where every system is published, there is one value and no query.
        sizes = [size for name in added for size in parts.get(name, (1,))]
        return weighted([len(added) * values for values in added.values()]), sizes

    def _drawn(self, entry: Entry) -> Values | None:
        """float64[n], float64[1] of a published value."""
        if not entry.system.command:
            value = self.own(entry)
            return None if value is None else np.array([value])
        record = self._records.get(entry)
        if record is None:
            return None
        if entry.measure not in OF_DOCUMENTS:
            return self.evidence.draws.means(record, entry.measure)
        return self.evidence.document_samples(record, entry.measure)

    def _of_queries(self, entry: Entry) -> QueryValues | None:
        record = self._records.get(entry)
        if record is None or entry.measure in OF_DOCUMENTS:
            return None
        return self.evidence.draws.of_queries(record, entry.measure)


def _copy(record: Record) -> str:
    return record.fingerprints["dataset"]


def _of_most(candidates: dict[Entry, Sequence[Record]]) -> str:
    """The copy that most systems have a record of; of equals the first by its fingerprint, so that
    the answer is the same every time."""
    held = {(entry.system, _copy(one)) for entry, found in candidates.items() for one in found}
    copies = [copy for _, copy in held]
    return min(copies, key=lambda copy: (-copies.count(copy), copy))
