"""Many queries against the segments of an index: exact top k.

Every posting of every query term is scored; nothing is skipped that could change a result. What a
term gives to each document is computed once for all queries that have it; a query then adds up its
terms' arrays in float64 and keeps the best.

    queries = Queries.of(texts)
    for each field: df = term_statistics(segments, queries.hashes)
                    scoring = FieldScoring.of(queries, field_statistics(segments), df)
    best = BestDocuments(len(queries), k)
    for each segment: score_segment(best, queries, fields' segments, scorings, id_ranks)
    best.found()
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from gtr_beir.systems.lucene.analysis import TermTable
from gtr_beir.systems.lucene.loops import Loops
from gtr_beir.systems.lucene.scoring import (
    FieldStatistics,
    Parameters,
    clause_weights,
    inverse_document_frequency,
    norm_inverses,
    term_scores,
)
from gtr_beir.systems.lucene.segment import Segment

NO_DOCUMENT: Final = -1
MAXIMUM_WEIGHT: Final = 1e30
"""Of a field: no score leaves single precision, whose greatest number is 3.4e38."""

_NO_FLOOR: Final = float(np.finfo(np.float64).tiny)
# A sum that is below a score by less than this factor may be rounded up to it, and is as good.
_ROUNDING: Final = 1 - 2.0**-23
_SAMPLED: Final = 16
_POSTINGS_AT_ONCE: Final = 1 << 16
_LOW_BITS: Final = 0xFFFFFFFF
_LONG: Final = 8
_DENSE_LISTS: Final = 128
"""Lists of more than a part of a segment's documents, and how many of them at most."""


@dataclass(frozen=True)
class Queries:
    """Analysed queries, which share what they have in common.

    hashes: uint64[T], the distinct terms, ascending. A clause is a term with the number of times
    that a query has it: clause_terms int32[C], places in `hashes`; clause_counts int32[C].
    query_starts: int64[Q + 1]; query q has the clauses query_clauses[query_starts[q] ..
    query_starts[q + 1] - 1], int32.
    """

    hashes: npt.NDArray[np.uint64]
    clause_terms: npt.NDArray[np.int32]
    clause_counts: npt.NDArray[np.int32]
    query_starts: npt.NDArray[np.int64]
    query_clauses: npt.NDArray[np.int32]

    @classmethod
    def of(cls, texts: Sequence[str | bytes]) -> Queries:
        """Analyse the texts as documents are analysed."""
        table = TermTable()
        places, numbers = table.count(texts)
        by_number = table.hashes()
        hashes = np.sort(by_number)
        terms = np.searchsorted(hashes, by_number)[numbers]
        keys, counts = np.unique((places << 32) | terms, return_counts=True)
        clauses, query_clauses = np.unique(((keys & _LOW_BITS) << 32) | counts, return_inverse=True)
        return cls(
            hashes=hashes,
            clause_terms=(clauses >> 32).astype(np.int32),
            clause_counts=(clauses & _LOW_BITS).astype(np.int32),
            query_starts=np.searchsorted(keys >> 32, np.arange(len(texts) + 1)),
            query_clauses=query_clauses.astype(np.int32),
        )

    def __len__(self) -> int:
        return len(self.query_starts) - 1


@dataclass(frozen=True)
class FieldScoring:
    """What one field needs to score: weights float32[C] of the clauses; inverses float32[256];
    boosted: whether the field has a weight of its own, so that its sum is rounded by itself."""

    weights: npt.NDArray[np.float32]
    inverses: npt.NDArray[np.float32]
    boosted: bool = False

    @classmethod
    def of(
        cls,
        queries: Queries,
        statistics: FieldStatistics,
        document_frequencies: npt.NDArray[np.int64],
        *,
        parameters: Parameters | None = None,
        field_weight: float = 1.0,
    ) -> FieldScoring:
        """document_frequencies: int64[T], of `queries.hashes` over all segments of the field."""
        if not 0 < field_weight < MAXIMUM_WEIGHT:
            raise ValueError(
                f"a field's weight must be above 0 and below {MAXIMUM_WEIGHT:g}, not {field_weight}"
            )
        idf = inverse_document_frequency(document_frequencies, statistics.documents)
        return cls(
            clause_weights(queries.clause_counts, idf[queries.clause_terms], field_weight),
            norm_inverses(parameters or Parameters(), statistics.average_length),
            field_weight != 1.0,
        )


@dataclass(frozen=True)
class Candidates:
    """The best documents of each query, in order: score descending, then id rank descending.

    scores: float32[Q, k], -inf pads; id_ranks: int32[Q, k], -1 pads. The id rank names a document.
    """

    scores: npt.NDArray[np.float32]
    id_ranks: npt.NDArray[np.int32]

    def rows(self, id_rank: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """int32[Q, k]: rows of the corpus, -1 pads. id_rank: int32[n] of the whole corpus."""
        by_rank = np.empty(len(id_rank) + 1, dtype=np.int32)
        by_rank[id_rank] = np.arange(len(id_rank), dtype=np.int32)
        by_rank[-1] = NO_DOCUMENT
        return by_rank[self.id_ranks]


class BestDocuments:
    """The best k documents of each query among the segments that were scored so far.

    A document is kept as one number that sorts as the order asks: the bits of its score, which
    ascend with a positive float32, above its id rank. The k-th best is the floor for what follows.
    """

    def __init__(self, queries: int, k: int):
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        self.k = k
        # The first cut gives a floor; later ones wait until they are worth it.
        self.keys = np.empty((queries, max(k * 3 // 2, k)), dtype=np.int64)
        self.counts = np.zeros(queries, dtype=np.int64)
        self.floors = np.full(queries, _NO_FLOOR)

    def floor(self, query: int) -> float:
        """A document whose sum is below this is not among the best k of the query."""
        return float(self.floors[query])

    def add(
        self, query: int, scores: npt.NDArray[np.float32], id_ranks: npt.NDArray[np.int32]
    ) -> None:
        """Some documents that were not added before; their scores are positive."""
        keys = (scores.view(np.int32).astype(np.int64) << 32) | id_ranks
        before = int(self.counts[query])
        total, capacity = before + len(keys), self.keys.shape[1]
        if total >= (self.k if self.floors[query] == _NO_FLOOR else capacity):
            keys = np.concatenate((self.keys[query, :before], keys))
            keys.partition(total - self.k)
            keys = keys[total - self.k :]
            self.floors[query] = float(_scores_of(keys[:1])[0]) * _ROUNDING
            before, total = 0, self.k
        self.keys[query, before:total] = keys
        self.counts[query] = total

    def found(self) -> Candidates:
        """What was found, in order."""
        scores = np.full((len(self.keys), self.k), -np.inf, dtype=np.float32)
        id_ranks = np.full((len(self.keys), self.k), -1, dtype=np.int32)
        for query, count in enumerate(self.counts.tolist()):
            ordered = np.sort(self.keys[query, :count])[::-1][: self.k]
            scores[query, : len(ordered)] = _scores_of(ordered)
            id_ranks[query, : len(ordered)] = ordered.astype(np.int32)
        return Candidates(scores, id_ranks)


def _scores_of(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return (keys >> 32).astype(np.int32).view(np.float32)


def score_segment(
    best: BestDocuments,
    queries: Queries,
    segments: Sequence[Segment],
    scorings: Sequence[FieldScoring],
    id_ranks: npt.NDArray[np.int32],
    *,
    excluded: npt.NDArray[np.int32] | None = None,
    loops: Loops | None = None,
    threads: int = 1,
) -> None:
    """Add one segment's documents to the best of each query.

    segments and scorings: one for each field, over the same n documents; id_ranks: int32[n], each
    document's place in id order, not negative; excluded: int32[Q], a document of this segment that
    the query must not return (-1: none); loops: compiled ones, with which `threads` share the
    queries.
    A document without any of the query's terms is never returned.
    """
    n_documents = len(id_ranks)
    if any(len(segment) != n_documents for segment in segments):
        raise ValueError("the fields of a segment and its id ranks must have the same length")
    # The compiled loops have one sum for all fields, as Lucene has where no field is boosted.
    if loops is not None and not any(scoring.boosted for scoring in scorings):
        _search_compiled(best, queries, segments, scorings, id_ranks, excluded, loops, threads)
        return
    fields = [
        _FieldScores(queries, segment, scoring)
        for segment, scoring in zip(segments, scorings, strict=True)
    ]
    adder = _Adder(fields, n_documents)
    for query in range(len(queries)):
        begin, end = queries.query_starts[query : query + 2]
        sums = adder.sums(queries.query_clauses[begin:end].tolist())
        if sums is None:
            continue
        if excluded is not None and excluded[query] != NO_DOCUMENT:
            sums[excluded[query]] = 0.0
        floor = best.floor(query)
        if floor == _NO_FLOOR:
            floor = _guessed_floor(sums, best.k)
        reach = np.flatnonzero(sums >= floor)
        best.add(query, sums[reach].astype(np.float32), id_ranks[reach])


def _guessed_floor(sums: npt.NDArray[np.float64], k: int) -> float:
    """A value that at least k documents reach, from every sixteenth document; or no floor."""
    sample = sums[::_SAMPLED]
    sample = sample[sample > 0]
    wanted = k * 3 // (2 * _SAMPLED) + _SAMPLED
    if wanted < len(sample):
        guess = float(np.partition(sample, -wanted)[-wanted])
        if np.count_nonzero(sums >= guess) >= k:
            return guess * _ROUNDING
    return _NO_FLOOR


class _FieldScores:
    """What each clause gives to each document of a segment, in one field.

    documents: uint16, of all postings of the segment; scores: float32, of the clauses' postings
    one after the other; spans: for each clause (low, high, at): it has the documents low .. high-1
    and the scores from `at` on. None where the segment does not have the term.
    """

    def __init__(self, queries: Queries, segment: Segment, scoring: FieldScoring):
        places = segment.find(queries.hashes)[queries.clause_terms]
        clauses = np.flatnonzero(places >= 0)
        places = places[clauses]
        lows, sizes = segment.offsets[places].astype(np.int64), segment.sizes(places)
        ends = np.cumsum(sizes)
        self.documents = segment.documents
        self.boosted = scoring.boosted
        self.scores = np.empty(int(sizes.sum()), dtype=np.float32)
        self.spans: list[tuple[int, int, int] | None] = [None] * len(queries.clause_terms)
        columns = (clauses, lows, lows + sizes, ends - sizes)
        for clause, low, high, at in zip(*(column.tolist() for column in columns), strict=True):
            self.spans[clause] = low, high, at
        inverses = scoring.inverses[segment.norms]
        # Some postings at once: enough to hide the calls, and few enough for the processor's cache.
        bounds = np.flatnonzero(np.diff(ends // _POSTINGS_AT_ONCE, prepend=-1, append=-1))
        for first, last in pairwise(bounds.tolist()):
            documents, frequencies = segment.postings(places[first:last])
            weights = np.repeat(scoring.weights[clauses[first:last]], sizes[first:last])
            scores = term_scores(weights, frequencies, inverses.take(documents))
            self.scores[ends[last - 1] - len(scores) : ends[last - 1]] = scores


class _Adder:
    """Adds up one query after the other in the same memory.

    Fresh memory for each would cost more than the sums, for the system clears every new page.
    """

    def __init__(self, fields: Sequence[_FieldScores], n_documents: int):
        self._fields = fields
        self._documents = np.empty(0, dtype=np.intp)
        self._scores = np.empty(0, dtype=np.float64)
        self._sums = np.zeros(n_documents, dtype=np.float64)

    def sums(self, clauses: Sequence[int]) -> npt.NDArray[np.float64] | None:
        """float64[n], what each document gets for the clauses, 0 without any of them.

        Good until the next call; None if no document has any of the clauses.
        """
        plain = [field for field in self._fields if not field.boosted]
        if len(plain) == len(self._fields):
            return self._added(plain, clauses)
        whole = None
        # Lucene's query of a boosted field is one of its own, whose score is a float.
        for fields in (plain, *([field] for field in self._fields if field.boosted)):
            found = self._added(fields, clauses)
            if found is not None:
                score = found.astype(np.float32) if fields[0].boosted else found
                # Memory of its own: the next sum takes that of the last.
                whole = score + (np.float64(0) if whole is None else whole)
        return whole

    def _added(
        self, fields: Sequence[_FieldScores], clauses: Sequence[int]
    ) -> npt.NDArray[np.float64] | None:
        documents, scores, size = [], [], 0
        for field in fields:
            for clause in clauses:
                if span := field.spans[clause]:
                    low, high, at = span
                    documents.append(field.documents[low:high])
                    scores.append(field.scores[at : at + high - low])
                    size += high - low
        if not size:
            return None
        if size > len(self._scores):
            self._documents = np.empty(2 * size, dtype=np.intp)
            self._scores = np.empty(2 * size, dtype=np.float64)
        np.concatenate(documents, out=self._documents[:size])
        np.concatenate(scores, out=self._scores[:size])
        self._sums.fill(0.0)
        np.add.at(self._sums, self._documents[:size], self._scores[:size])
        return self._sums


def _search_compiled(
    best: BestDocuments,
    queries: Queries,
    segments: Sequence[Segment],
    scorings: Sequence[FieldScoring],
    id_ranks: npt.NDArray[np.int32],
    excluded: npt.NDArray[np.int32] | None,
    loops: Loops,
    threads: int,
) -> None:
    """The same by compiled loops, whose queries the threads share."""
    places = [segment.find(queries.hashes)[queries.clause_terms] for segment in segments]
    spans = np.zeros((len(segments), len(queries.clause_terms), 2), dtype=np.int64)
    at = 0
    for field, (segment, found) in enumerate(zip(segments, places, strict=True)):
        # A segment may hold no term at all.
        sizes = np.zeros(len(found), dtype=np.int64)
        sizes[found >= 0] = segment.sizes(found[found >= 0])
        ends = at + np.cumsum(sizes)
        spans[field, :, 0], spans[field, :, 1] = np.concatenate(([at], ends[:-1])), ends
        at = int(ends[-1]) if len(ends) else at
    documents, scores = np.empty(at, dtype=np.uint16), np.empty(at, dtype=np.float32)
    most = np.zeros(spans.shape[:2], dtype=np.float32)
    rows = _dense_rows(spans, len(id_ranks))
    dense = np.zeros((int(rows.max(initial=-1)) + 1, len(id_ranks)), dtype=np.float32)
    for field, (segment, found) in enumerate(zip(segments, places, strict=True)):
        clauses = np.flatnonzero(found >= 0)
        low, high = spans[field, clauses].T
        first = segment.offsets[found[clauses]].astype(np.int64)
        lists = np.stack((first, first + high - low, low, rows[field, clauses]), axis=1)
        largest = np.empty(len(clauses), dtype=np.float32)
        loops.decode(
            segment.documents,
            segment.frequencies,
            (segment.long_positions, segment.long_frequencies),
            scorings[field].inverses[segment.norms],
            scorings[field].weights[clauses],
            lists,
            (documents, scores, largest, dense),
        )
        most[field, clauses] = largest
    if excluded is None:
        excluded = np.full(len(queries), NO_DOCUMENT, dtype=np.int32)
    starts = queries.query_starts.astype(np.int64)
    asked = (starts, queries.query_clauses, _exact_in_every_order(queries, scorings), excluded)
    held = (spans, documents, scores, most)
    kept = (best.keys, best.counts, best.floors, best.k)

    def share(numbers: npt.NDArray[np.int64]) -> None:
        loops.search(numbers, asked, held, (rows, dense), id_ranks, kept)

    with futures.ThreadPoolExecutor(threads) as pool:
        # Neighbours may be alike: every thread takes some from everywhere.
        numbers = [np.arange(first, len(queries), threads) for first in range(threads)]
        for done in [pool.submit(share, some) for some in numbers if len(some)]:
            done.result()


def _exact_in_every_order(
    queries: Queries, scorings: Sequence[FieldScoring]
) -> npt.NDArray[np.bool_]:
    """bool[Q]: float64 holds every sum of a query's scores as it is.

    A score w - w / (1 + x) in single precision is a multiple of 2^-26 of the power of two below w:
    either its own last bit is no smaller, or it is near 0, and then the difference is exact, of two
    numbers above w / 2. A sum of multiples of a number that is less than 2^53 of it is exact.
    """
    weights = np.stack([scoring.weights for scoring in scorings]).astype(np.float64)
    totals, least = weights.sum(axis=0), weights.min(axis=0)
    starts, exact = queries.query_starts[:-1], np.zeros(len(queries), dtype=np.bool_)
    some = queries.query_starts[1:] > starts
    if some.any():
        # Those without a clause are left out: `reduceat` would give them their neighbour's.
        sums = np.add.reduceat(totals[queries.query_clauses], starts[some])
        exact[some] = sums < 2.0**25 * np.minimum.reduceat(
            least[queries.query_clauses], starts[some]
        )
    return exact


def _dense_rows(spans: npt.NDArray[np.int64], n_documents: int) -> npt.NDArray[np.int32]:
    """int32[F, C]: a number for each of the longest lists, -1 for the others. Those are kept once
    more, with a place for every document: to look one up in them takes one step."""
    rows = np.full(spans.shape[:2], -1, dtype=np.int32)
    sizes = spans[:, :, 1] - spans[:, :, 0]
    long = np.argwhere(sizes * _LONG > n_documents)
    order = np.argsort(-sizes[tuple(long.T)], kind="stable")[:_DENSE_LISTS]
    rows[tuple(long[order].T)] = np.arange(len(order), dtype=np.int32)
    return rows
