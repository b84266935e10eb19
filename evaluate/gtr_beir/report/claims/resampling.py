"""Queries drawn again: what a claim's numbers would be had other queries been asked.

Scores are drawn as boards draw them (`significance.resampled_means`), so a number has the same
interval here and there. Lengths of documents are medians, which have to be worked out anew for each
draw; 1,000 draws do.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import RESAMPLES, resampled_means
from gtr_beir.records import Record
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.per_query import Values as QueryValues
from gtr_beir.report.texts.top_lengths import TopLengths

Values = npt.NDArray[np.float64]

MEASURES = ("ndcg@10", "recall@100", "recall_cap@100", "mrr@10", "recall@1000")
"""What claims are about: drawn together, since it is the drawing that takes time."""
DOCUMENT_SAMPLES = 1_000
"""Resamples of lengths of documents."""
_SEED = 20211215  # any fixed number: the same records print the same interval
_DRAWN_AT_ONCE = 1 << 20

_Key = tuple[str, str, str]


class Draws:
    """Means over queries that are drawn again, the same ones for every system on a copy of a
    dataset. records: all that there are. Methods raise InputError for a damaged per-query file."""

    def __init__(self, per_query: PerQuery, records: Iterable[Record]) -> None:
        self._per_query = per_query
        self._records = list(records)
        self._means: dict[_Key, Values | None] = {}

    def of_queries(self, record: Record, measure: str) -> QueryValues | None:
        """Values of single queries; None where they are not known."""
        return self._per_query.of(record, Measure.parse(measure))

    def means(self, record: Record, measure: str) -> Values | None:
        """float64[10000]; None where there are no values of single queries.

        They stand in an order that the dataset's name decides: draws of two datasets with as many
        queries would otherwise be the same.
        """
        key = (record.system, record.dataset, measure)
        if key not in self._means:
            self._draw(record, tuple(dict.fromkeys((measure, *MEASURES))))
        return self._means[key]

    def _draw(self, record: Record, measures: Sequence[str]) -> None:
        held: dict[tuple[int, ...], dict[_Key, Values]] = {}
        for one in (record, *self._beside(record)):
            for measure in measures:
                key = (one.system, one.dataset, measure)
                if key in self._means:
                    continue
                self._means[key] = None
                values = self.of_queries(one, measure)
                if values is not None:
                    held.setdefault(values.parts, {})[key] = values.values
        name = zlib.crc32(record.dataset.encode())
        order = np.random.default_rng([_SEED, name]).permutation(RESAMPLES)
        for parts, columns in held.items():
            drawn = resampled_means(np.column_stack(list(columns.values())), parts=parts)
            for at, key in enumerate(columns):
                self._means[key] = drawn[order, at]

    def _beside(self, record: Record) -> list[Record]:
        """Records that may be asked for next: of the same copy, of published models as they are."""
        copy = record.fingerprints["dataset"]
        return [
            one
            for one in self._records
            if one.dataset == record.dataset
            and one.fingerprints["dataset"] == copy
            and one.identity.model.family
            and not one.identity.options
        ]


def resampled_documents(
    top: TopLengths, dataset: str, act: Callable[[TopLengths], float]
) -> Values:
    """float64[1000]: `act` of the first documents of queries that are drawn again. The dataset's
    name decides which: systems are drawn alike."""
    n = len(top.words)
    generator = np.random.default_rng([_SEED, zlib.crc32(dataset.encode())])
    at_once = max(1, _DRAWN_AT_ONCE // n)
    found = []
    for start in range(0, DOCUMENT_SAMPLES, at_once):
        count = min(at_once, DOCUMENT_SAMPLES - start)
        drawn = generator.integers(0, n, size=(count, n))
        found += [act(TopLengths(top.words[row], top.text_words[row])) for row in drawn]
    return np.array(found)
