"""Own systems beside each other: every pair on every dataset, and over datasets.

Tests are paired randomisation tests; the p-values of all pairs and datasets of a measure are
corrected together, by Holm's method.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import holm, mean_intervals, randomisation_test, weighted
from gtr_beir.report.board import LEVEL
from gtr_beir.report.findings import Overall, Pair
from gtr_beir.report.per_query import RESAMPLES, Values

LETTERS = string.ascii_lowercase
"""What systems are called beside values that are better than theirs."""
MOST = len(LETTERS)
"""Systems that are tested beside each other."""
EDGES = tuple(step / 10 - 1.05 for step in range(22))
"""Edges of the bins of per-query differences: the middle one holds those of less than 0.05."""

Held = Mapping[str, Mapping[str, Values]]
"""Title of a dataset's line -> name of a system -> its values."""
_Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Job:
    """Differences that are tested together: of one measure, on one dataset or over several.
    differences: float64[n, pairs], b - a of each pair; parts: as in Values."""

    measure: Measure
    titles: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    differences: _Matrix
    parts: tuple[int, ...]


@dataclass(frozen=True)
class _Tested:
    """p, low and high: float64[pairs]."""

    p: _Matrix
    low: _Matrix
    high: _Matrix


def pairs_of(held: Mapping[Measure, Held], baseline: str = "") -> list[Pair]:
    """Every two systems that have the same queries, on every dataset, in the order given; of more
    than MOST systems each beside the baseline alone. Each measure is corrected on its own."""
    names = {name for systems in held.values() for here in systems.values() for name in here}
    jobs = []
    for measure, by_title in held.items():
        for title, systems in by_title.items():
            pairs = [
                pair for pair in _comparable(systems) if len(names) <= MOST or baseline in pair
            ]
            if pairs:
                parts = systems[pairs[0][0]].parts
                differences = _differences(systems, pairs)
                jobs.append(_Job(measure, (title,), tuple(pairs), differences, parts))
    made = [
        _pair(job, tested, at) for job, tested in _all_tested(jobs) for at in range(len(job.pairs))
    ]
    return [
        replace(pair, corrected=p)
        for measure in held
        for these in [[pair for pair in made if pair.measure == str(measure)]]
        for pair, p in zip(these, holm([pair.p for pair in these]), strict=True)
    ]


def _pair(job: _Job, tested: _Tested, at: int) -> Pair:
    a, b = job.pairs[at]
    # Of CQADupStack's forums the signs and the histogram are of unweighted queries.
    plain = job.differences[:, at] / weighted([np.ones(size) for size in job.parts])
    return Pair(
        measure=str(job.measure),
        dataset=job.titles[0],
        a=a,
        b=b,
        n=len(plain),
        difference=float(job.differences[:, at].mean()),
        low=float(tested.low[at]),
        high=float(tested.high[at]),
        p=float(tested.p[at]),
        corrected=1.0,
        wins=int((plain > 0).sum()),
        ties=int((plain == 0).sum()),
        losses=int((plain < 0).sum()),
        spread=tuple(np.histogram(plain, bins=EDGES)[0].tolist()),
    )


def overall_of(held: Mapping[Measure, Held]) -> list[Overall]:
    """Every two systems over the datasets that both have, if these are two or more; none of more
    than MOST systems. Each measure is corrected on its own."""
    jobs, means = [], []
    for measure, by_title in held.items():
        for titles, pairs in _shared(by_title).items():
            each = [_differences(by_title[title], pairs) for title in titles]
            columns = [weighted([d[:, at] for d in each]) for at in range(len(pairs))]
            parts = [size for title in titles for size in by_title[title][pairs[0][0]].parts]
            joined = np.column_stack(columns)
            jobs.append(_Job(measure, titles, tuple(pairs), joined, tuple(parts)))
            means.append(np.array([differences.mean(axis=0) for differences in each]))
    made = [
        _overall(job, tested, of_datasets, at)
        for (job, tested), of_datasets in zip(_all_tested(jobs), means, strict=True)
        for at in range(len(job.pairs))
    ]
    found = []
    for measure in held:
        these = [one for one in made if one.measure == str(measure)]
        by_query = holm([one.p for one in these])
        by_dataset = holm([one.p_datasets for one in these])
        found += [
            replace(one, corrected=p, corrected_datasets=p_datasets)
            for one, p, p_datasets in zip(these, by_query, by_dataset, strict=True)
        ]
    return found


def _shared(held: Held) -> dict[tuple[str, ...], list[tuple[str, str]]]:
    """Titles of two datasets or more -> the pairs that can be compared on just these."""
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    names = list(dict.fromkeys(name for systems in held.values() for name in systems))
    for a, b in combinations(names, 2) if len(names) <= MOST else ():
        titles = tuple(
            title
            for title, systems in held.items()
            if a in systems and b in systems and _comparable({a: systems[a], b: systems[b]})
        )
        if len(titles) > 1:
            found.setdefault(titles, []).append((a, b))
    return found


def _overall(job: _Job, tested: _Tested, means: _Matrix, at: int) -> Overall:
    """means: float64[datasets, pairs], differences of the means of each dataset."""
    a, b = job.pairs[at]
    return Overall(
        measure=str(job.measure),
        datasets=job.titles,
        a=a,
        b=b,
        difference=float(means[:, at].mean()),
        low=float(tested.low[at]),
        high=float(tested.high[at]),
        p=float(tested.p[at]),
        corrected=1.0,
        p_datasets=float(randomisation_test(means[:, [at]])[0]),
        corrected_datasets=1.0,
        wins=int((means[:, at] > 0).sum()),
        ties=int((means[:, at] == 0).sum()),
        losses=int((means[:, at] < 0).sum()),
    )


def _all_tested(jobs: Sequence[_Job]) -> Iterator[tuple[_Job, _Tested]]:
    """Jobs of the same queries share the draws, which cost more than the sums over them: the
    measures of a dataset are tested at once."""
    groups: dict[tuple[tuple[str, ...], tuple[int, ...]], list[_Job]] = {}
    for job in jobs:
        groups.setdefault((job.titles, job.parts), []).append(job)
    found: dict[int, _Tested] = {}
    for (_, parts), together in groups.items():
        matrix = np.hstack([job.differences for job in together])
        p_values = randomisation_test(matrix)
        low, high = mean_intervals(matrix, parts=parts, samples=RESAMPLES)
        start = 0
        for job in together:
            stop = start + len(job.pairs)
            found[id(job)] = _Tested(p_values[start:stop], low[start:stop], high[start:stop])
            start = stop
    for job in jobs:
        yield job, found[id(job)]


def beaten(pairs: Sequence[Pair]) -> dict[tuple[str, str], list[str]]:
    """(dataset, system) -> the systems that it is significantly better than there."""
    found: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        if pair.corrected < LEVEL:
            better, worse = (pair.b, pair.a) if pair.difference > 0 else (pair.a, pair.b)
            found.setdefault((pair.dataset, better), []).append(worse)
    return found


def _comparable(systems: Mapping[str, Values]) -> list[tuple[str, str]]:
    return [
        (a, b)
        for a, b in combinations(systems, 2)
        if systems[a].query_ids == systems[b].query_ids and systems[a].parts == systems[b].parts
    ]


def _differences(systems: Mapping[str, Values], pairs: Sequence[tuple[str, str]]) -> _Matrix:
    """float64[n queries, pairs]: b - a."""
    return np.column_stack([systems[b].values - systems[a].values for a, b in pairs])
