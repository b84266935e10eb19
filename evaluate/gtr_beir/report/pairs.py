"""Own systems beside each other: every pair on every dataset, and over datasets.

Tests are paired randomisation tests; the p-values of all pairs and datasets of a measure are
corrected together, by Holm's method.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import holm, mean_intervals, randomisation_test, weighted
from gtr_beir.report.board import LEVEL
from gtr_beir.report.findings import Overall, Pair
from gtr_beir.report.per_query import Values

LETTERS = string.ascii_lowercase
"""What systems are called beside values that are better than theirs."""
MOST = len(LETTERS)
"""Systems that are tested beside each other."""
EDGES = tuple(step / 10 - 1.05 for step in range(22))
"""Edges of the bins of per-query differences: the middle one holds those of less than 0.05."""
_RESAMPLES = 4_000

Held = Mapping[str, Mapping[str, Values]]
"""Title of a dataset's line -> name of a system -> its values."""
_Matrix = npt.NDArray[np.float64]


def pairs_of(measure: Measure, held: Held) -> list[Pair]:
    """Every two systems that have the same queries, on every dataset, in the order given."""
    made = []
    for title, systems in held.items():
        pairs = _comparable(systems)
        if not pairs:
            continue
        parts = systems[pairs[0][0]].parts
        differences = _differences(systems, pairs)
        p_values = randomisation_test(differences)
        low, high = mean_intervals(differences, parts=parts, samples=_RESAMPLES)
        for at, (a, b) in enumerate(pairs):
            # Of CQADupStack's forums the signs and the histogram are of unweighted queries.
            plain = differences[:, at] / weighted([np.ones(size) for size in parts])
            made.append(
                Pair(
                    measure=str(measure),
                    dataset=title,
                    a=a,
                    b=b,
                    n=len(plain),
                    difference=float(differences[:, at].mean()),
                    low=float(low[at]),
                    high=float(high[at]),
                    p=float(p_values[at]),
                    corrected=1.0,
                    wins=int((plain > 0).sum()),
                    ties=int((plain == 0).sum()),
                    losses=int((plain < 0).sum()),
                    spread=tuple(np.histogram(plain, bins=EDGES)[0].tolist()),
                )
            )
    corrected = holm([pair.p for pair in made])
    return [replace(pair, corrected=p) for pair, p in zip(made, corrected, strict=True)]


def overall_of(measure: Measure, held: Held) -> list[Overall]:
    """Every two systems over the datasets that both have, if these are two or more."""
    shared: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    names = list(dict.fromkeys(name for systems in held.values() for name in systems))
    for a, b in combinations(names, 2):
        titles = tuple(
            title
            for title, systems in held.items()
            if a in systems and b in systems and _comparable({a: systems[a], b: systems[b]})
        )
        if len(titles) > 1:
            shared.setdefault(titles, []).append((a, b))
    made = []
    for titles, pairs in shared.items():
        each = [_differences(held[title], pairs) for title in titles]
        means = np.array([differences.mean(axis=0) for differences in each])
        joined = np.column_stack([weighted([d[:, at] for d in each]) for at in range(len(pairs))])
        parts = [size for title in titles for size in held[title][pairs[0][0]].parts]
        p_values = randomisation_test(joined)
        p_datasets = randomisation_test(means)
        low, high = mean_intervals(joined, parts=parts, samples=_RESAMPLES)
        for at, (a, b) in enumerate(pairs):
            made.append(
                Overall(
                    measure=str(measure),
                    datasets=titles,
                    a=a,
                    b=b,
                    difference=float(means[:, at].mean()),
                    low=float(low[at]),
                    high=float(high[at]),
                    p=float(p_values[at]),
                    corrected=1.0,
                    p_datasets=float(p_datasets[at]),
                    corrected_datasets=1.0,
                    wins=int((means[:, at] > 0).sum()),
                    ties=int((means[:, at] == 0).sum()),
                    losses=int((means[:, at] < 0).sum()),
                )
            )
    corrected = holm([one.p for one in made])
    by_dataset = holm([one.p_datasets for one in made])
    return [
        replace(one, corrected=p, corrected_datasets=p_datasets)
        for one, p, p_datasets in zip(made, corrected, by_dataset, strict=True)
    ]


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
