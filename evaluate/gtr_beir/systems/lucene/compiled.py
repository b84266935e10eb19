"""The search of a segment in compiled loops; imported only where numba is installed.

A *list* is what one clause of the queries gives to the documents of one field: documents in
ascending order, and a score each. Scores are added in float64, as `systems.lucene.search` adds
them. With a floor, the lists that together cannot lift a document to it are not gone through: what
the others have found is looked up in them (MaxScore: Turtle and Flood, "Query evaluation:
strategies and optimizations", 1995). A document that is left out is surely below the floor, and a
query takes part only if its sums are exact in every order, so the rankings are the same to the bit.
"""

from __future__ import annotations

import numba
import numpy as np

NO_FLOOR = float(np.finfo(np.float64).tiny)
ROUNDING = 1 - 2.0**-23
"""A sum that is below a score by less than this factor may be rounded up to it."""
_SLACK = 1 + 1e-9
"""For bounds that are sums of scores."""
_SAMPLED = 16
_WORTH_PASSING = 32
"""A list is gone through rather than searched if it is no longer than so many for each document."""

_compiled = numba.njit(nogil=True, error_model="numpy")
"""No other flags: in another order, or with fused operations, the last bits would differ."""


@_compiled
def decode(documents, frequencies, long, inverses, weights, lists, out):  # type: ignore[no-untyped-def]
    """Write the lists' documents and scores.

    documents: uint16, frequencies: uint8 of all postings; long: (uint32, uint32), postings whose
    frequency is above 255, and it; inverses: float32[n] of the documents; weights: float32[L];
    lists: int64[L, 4], first and last posting of a list, where it goes, and its row in what is
    dense, -1: none; out: (uint16, float32) to be written, float32[L], the largest score of each,
    and float32[rows, n], zeros, for the dense ones.
    """
    to_documents, to_scores, most, dense = out
    one = np.float32(1)
    for place in range(len(lists)):
        low, high, at, row = lists[place]
        weight, largest = weights[place], np.float32(0)
        here, counts = documents[low:high], frequencies[low:high]
        there, scores = to_documents[at : at + high - low], to_scores[at : at + high - low]
        for step in range(high - low):
            document = here[step]
            frequency = np.float32(counts[step])
            if counts[step] == 0:
                frequency = np.float32(long[1][_place(long[0], low + step)])
            score = weight - weight / (one + frequency * inverses[document])
            there[step] = document
            scores[step] = score
            if score > largest:
                largest = score
            if row >= 0:
                dense[row, document] = score
        most[place] = largest


@_compiled
def search(numbers, queries, lists, dense, segment, best):  # type: ignore[no-untyped-def]
    """Add a segment's documents to the best of some queries.

    numbers: int64, the queries; queries: (starts int64[Q + 1], clauses int32, bool[Q] whether a
    query's sums are exact in every order, int32[Q] a document that it must not return, -1: none);
    lists: (spans int64[F, C, 2] of each field and clause, empty where there is none, documents
    uint16, scores float32, most float32[F, C]); dense: (int32[F, C], the row of a list that is kept
    as float32[rows, n] too, -1: none, and those); segment: id_ranks int32[n]; best: keys int64[Q,
    capacity], counts int64[Q], floors float64[Q] and k, as `BestDocuments` has them.
    """
    starts, clauses, exact, excluded = queries
    spans, documents, scores, most = lists
    rows, held = dense
    keys, counts, floors, k = best
    size, fields = len(segment), len(spans)
    sums = np.zeros(size)
    found = np.empty(size + 1, np.int32)
    values = np.empty(size + 1, np.float32)
    sample = np.empty(size // _SAMPLED + 1)
    longest = 0
    for query in numbers:
        longest = max(longest, starts[query + 1] - starts[query])
    order = np.empty((fields * longest + 1, 2), np.int64)
    rest = np.empty(fields * longest + 1)
    for query in numbers:
        own, floor = excluded[query], floors[query]
        many = total = 0
        for field in range(fields):
            for clause in clauses[starts[query] : starts[query + 1]]:
                low, high = spans[field, clause]
                if high > low:
                    order[many, 0], order[many, 1] = field, clause
                    many += 1
                    total += high - low
        if many == 0:
            continue
        needed = many
        if floor > NO_FLOOR and exact[query]:
            needed = _needed(order, many, most, floor, rest)
            if needed == 0:
                continue
            passed = 0
            for place in range(needed):
                low, high = spans[order[place, 0], order[place, 1]]
                passed += high - low
            if 3 * passed > total + size:
                needed = many
        if needed < many:
            count = 0
            for place in range(needed):
                low, high = spans[order[place, 0], order[place, 1]]
                here, adds = documents[low:high], scores[low:high]
                for step in range(len(here)):
                    document = here[step]
                    sum_ = sums[document]
                    # Written in any case: to choose would cost more. A score can be 0.
                    found[count] = document
                    count += (sum_ == 0.0) & (adds[step] > 0)
                    sums[document] = sum_ + np.float64(adds[step])
            for place in range(needed, many):
                count = _reaching(found, count, sums, rest[place] * _SLACK, floor)
                field, clause = order[place, 0], order[place, 1]
                row = rows[field, clause]
                if row >= 0:
                    for at in range(count):
                        sums[found[at]] += np.float64(held[row, found[at]])
                else:
                    low, high = spans[field, clause]
                    here, adds = documents[low:high], scores[low:high]
                    if high - low < _WORTH_PASSING * count:
                        for step in range(len(here)):
                            # Only what was found has a sum.
                            if sums[here[step]] > 0.0:
                                sums[here[step]] += np.float64(adds[step])
                    else:
                        _look_up(here, adds, found, count, sums)
            kept = 0
            for at in range(count):
                document = found[at]
                if sums[document] >= floor and document != own:
                    values[kept] = sums[document]
                    found[kept] = document
                    kept += 1
                sums[document] = 0.0
        else:
            for field in range(fields):
                for clause in clauses[starts[query] : starts[query + 1]]:
                    low, high = spans[field, clause]
                    here, adds = documents[low:high], scores[low:high]
                    for step in range(len(here)):
                        sums[here[step]] += np.float64(adds[step])
            if own >= 0:
                sums[own] = 0.0
            if floor == NO_FLOOR:
                floor = _guessed(sums, k, sample)
            kept = 0
            for document in range(size):
                found[kept] = document
                values[kept] = sums[document]
                kept += sums[document] >= floor
            for document in range(size):
                sums[document] = 0.0
        if kept:
            _keep(query, found[:kept], values[:kept], segment, keys, counts, floors, k)


@_compiled
def _needed(order, many, most, floor, rest):  # type: ignore[no-untyped-def]
    """Put lists in order, those with the largest scores first; returns how many must be gone
    through. rest: float64, to be written: what each and those behind it give together at most."""
    for place in range(1, many):
        field, clause = order[place, 0], order[place, 1]
        at = place
        while at > 0 and most[order[at - 1, 0], order[at - 1, 1]] < most[field, clause]:
            order[at, 0], order[at, 1] = order[at - 1, 0], order[at - 1, 1]
            at -= 1
        order[at, 0], order[at, 1] = field, clause
    rest[many] = 0.0
    needed = many
    for place in range(many - 1, -1, -1):
        rest[place] = rest[place + 1] + np.float64(most[order[place, 0], order[place, 1]])
        if rest[place] * _SLACK < floor:
            needed = place
    return needed


@_compiled
def _reaching(found, count, sums, more, floor):  # type: ignore[no-untyped-def]
    """Keep the documents that can reach the floor with so much more; the sums of others are
    cleared. Returns how many."""
    kept = 0
    for at in range(count):
        document = found[at]
        if sums[document] + more >= floor:
            found[kept] = document
            kept += 1
        else:
            sums[document] = 0.0
    return kept


@_compiled
def _look_up(here, adds, found, count, sums):  # type: ignore[no-untyped-def]
    for at in range(count):
        place = _place(here, found[at])
        if place < len(here) and here[place] == found[at]:
            sums[found[at]] += np.float64(adds[place])


@_compiled
def _guessed(sums, k, sample):  # type: ignore[no-untyped-def]
    """A value that at least k documents reach, from every sixteenth document; or no floor."""
    count = 0
    for document in range(0, len(sums), _SAMPLED):
        sample[count] = sums[document]
        count += sums[document] > 0
    wanted = k * 3 // (2 * _SAMPLED) + _SAMPLED
    if wanted < count:
        _largest_last(sample, count, wanted)
        guess = sample[count - wanted]
        reached = 0
        for document in range(len(sums)):
            reached += sums[document] >= guess
        if reached >= k:
            return guess * ROUNDING
    return NO_FLOOR


@_compiled
def _largest_last(values, count, wanted):  # type: ignore[no-untyped-def]
    """Order the first `count` values so far that the `wanted` largest are the last of them, and the
    least of these is the first of them (Hoare's quickselect; numpy's own takes seconds to
    compile)."""
    low, high, at = 0, count - 1, count - wanted
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if at <= right:
            high = right
        elif at >= left:
            low = left
        else:
            break


@_compiled
def _place(ascending, value):  # type: ignore[no-untyped-def]
    """Where a value is, or would be."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled
def _keep(query, found, values, id_ranks, keys, counts, floors, k):  # type: ignore[no-untyped-def]
    """As `BestDocuments.add`."""
    bits = values.view(np.int32)
    before, more = counts[query], len(found)
    total = before + more
    if total < (k if floors[query] == NO_FLOOR else keys.shape[1]):
        for at in range(more):
            keys[query, before + at] = (np.int64(bits[at]) << 32) | np.int64(id_ranks[found[at]])
        counts[query] = total
        return
    every = np.empty(total, np.int64)
    for at in range(before):
        every[at] = keys[query, at]
    for at in range(more):
        every[before + at] = (np.int64(bits[at]) << 32) | np.int64(id_ranks[found[at]])
    _largest_last(every, total, k)
    for at in range(k):
        keys[query, at] = every[total - k + at]
    counts[query] = k
    score = np.empty(1, np.int32)
    score[0] = keys[query, 0] >> 32
    floors[query] = np.float64(score.view(np.float32)[0]) * ROUNDING
