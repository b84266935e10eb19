"""Scores by how long the texts are, and how much of them was cut.

Length is counted in words, which are what stands between white space: it is the same for every
system. What was cut is counted in tokens, by the tokenizer of each checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.data.store import Dataset, join_title_and_text
from gtr_beir.errors import GtrBeirError
from gtr_beir.records import RUN, Record
from gtr_beir.report.board import Column
from gtr_beir.report.findings import LengthBin
from gtr_beir.report.per_query import Values
from gtr_beir.report.texts.token_counts import Opened, counter_of
from gtr_beir.report.texts.top_lengths import kept_top_lengths, median_words

BINS = 5
"""Parts of about the same number of queries."""
_FEWEST = 5
"""Queries of a bin: the mean of fewer says nothing."""

_Shares = Mapping[Column, npt.NDArray[np.float64]]
"""Column -> float64[queries]: share of each query's texts that was cut."""


@dataclass(frozen=True)
class Lengths:
    """As in a Section."""

    top_words: Mapping[Column, float] = field(default_factory=dict)
    by_query: tuple[LengthBin, ...] = ()
    by_document: tuple[LengthBin, ...] = ()


NO_LENGTHS = Lengths()


def lengths_of(
    dataset: Dataset,
    records: Mapping[Column, Record],
    values: Mapping[Column, Values],
    results: Path | None,
    opened: Opened,
    say: Callable[[str], None],
) -> Lengths:
    """Of the records of one dataset. values: per-query values of a measure; results: the folder
    with the runs; opened: tokenizers that other datasets have needed; say: told before work that
    takes its time."""
    known = {
        column: np.array([held[query_id] for query_id in dataset.query_ids])
        for column, of in values.items()
        if set(held := dict(zip(of.query_ids, of.values.tolist(), strict=True)))
        == set(dataset.query_ids)
    }
    if not known:
        return NO_LENGTHS
    query_words = np.array([len(text.split()) for text in dataset.query_texts])
    rows, of_query, texts = _relevant(dataset)
    words = np.array([len(text.split()) for text in texts], dtype=np.int64)
    longest = np.zeros(len(query_words), dtype=np.int64)
    np.maximum.at(longest, of_query, words[rows])
    judged = np.bincount(of_query, minlength=len(query_words))
    cut_queries: dict[Column, npt.NDArray[np.float64]] = {}
    cut_documents: dict[Column, npt.NDArray[np.float64]] = {}
    for column in known:
        counter, _ = counter_of(records[column], opened)
        if counter is None:
            continue
        say(f"counting tokens of {column.name} on {dataset.name}")
        counts = counter.count(dataset.query_texts, "query")
        cut_queries[column] = np.array([count.cut > 0 for count in counts], dtype=np.float64)
        cut = np.array([count.cut > 0 for count in counter.count(texts, "document")])
        lost = np.bincount(of_query, weights=cut[rows], minlength=len(query_words))
        cut_documents[column] = lost / np.maximum(judged, 1)
    return Lengths(
        _top_words(dataset, records, results, say),
        _bins(query_words, known, cut_queries),
        # A query without a relevant document here has no longest one.
        _bins(longest, known, cut_documents, judged > 0),
    )


def _relevant(
    dataset: Dataset,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32], list[str]]:
    """Of each relevant judgement: where its text stands among the texts, and its query's row; and
    the texts, each document once."""
    qrels = dataset.qrels
    held = (qrels.grades > 0) & (qrels.document_rows >= 0)
    documents, places = np.unique(qrels.document_rows[held], return_inverse=True)
    pairs = zip(*dataset.titles_and_texts_of(documents), strict=True)
    return places, qrels.query_rows[held], [join_title_and_text(*pair) for pair in pairs]


def _bins(
    words: npt.NDArray[np.int64],
    values: Mapping[Column, npt.NDArray[np.float64]],
    cut: _Shares,
    counted: npt.NDArray[np.bool_] | None = None,
) -> tuple[LengthBin, ...]:
    """Queries in bins of about the same size by their words; a length is in one bin only, and every
    query is in one. counted: bool[queries], of those that are; None: all."""
    counted = np.ones(len(words), dtype=np.bool_) if counted is None else counted
    found = []
    for low, high in _ranges(words[counted]):
        here = counted & (low <= words) & (words <= high)
        found.append(
            LengthBin(
                low,
                high,
                int(here.sum()),
                {column: float(of[here].mean()) for column, of in values.items()},
                {column: float(of[here].mean()) for column, of in cut.items()},
            )
        )
    return tuple(found)


def _ranges(words: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """The shortest and the longest of each bin: lengths are added until a bin has its share. What
    is left in the end and too little for a bin belongs to the last; none where all are too few."""
    if len(words) < _FEWEST:
        return []
    least = max(_FEWEST, len(words) / BINS)
    found: list[tuple[int, int]] = []
    low, held = -1, 0
    lengths, counts = np.unique(words, return_counts=True)
    for length, count in zip(lengths.tolist(), counts.tolist(), strict=True):
        low = length if held == 0 else low
        held += count
        if held >= least:
            found.append((low, length))
            held = 0
    if held >= _FEWEST:
        found.append((low, int(lengths[-1])))
    elif held:
        found[-1] = (found[-1][0], int(lengths[-1]))
    return found


def _top_words(
    dataset: Dataset,
    records: Mapping[Column, Record],
    results: Path | None,
    say: Callable[[str], None],
) -> dict[Column, float]:
    found = {}
    for column, record in records.items():
        folder = None if results is None else results / record.system / record.dataset
        if folder is None or not (folder / RUN).is_file():
            continue
        try:
            words = median_words(kept_top_lengths(folder, record, dataset, say).words)
        except GtrBeirError:
            continue  # a run of other documents; `inspect` and `score` say what is wrong with it
        if not np.isnan(words):  # nothing was ranked
            found[column] = words
    return found
