"""Own systems beside each other: every pair on every dataset, and over datasets.

Tests are paired randomisation tests; the p-values of all pairs and datasets of a measure are
corrected together, by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import (
    EXACT,
    holm,
    intervals_of,
    mean_intervals,
    p_of,
    randomisation_test,
    weighted,
)
from gtr_beir.report.board import LEVEL
from gtr_beir.report.findings import Overall, Pair
from gtr_beir.report.naming import MOST, by_size
from gtr_beir.report.per_query import Values

EDGES = tuple(step / 10 - 1.05 for step in range(22))
"""Edges of the bins of per-query differences: the middle one holds those of less than 0.05."""

Held = Mapping[str, Mapping[str, Values]]
"""Title of a dataset's line -> name of a system -> its values."""
_Matrix = npt.NDArray[np.float64]
_Kind = Literal["values", "resampled", "flipped"]
_KINDS: tuple[_Kind, ...] = ("values", "resampled", "flipped")
_SEED = 20211215  # any fixed number: the same report prints the same p-values


@dataclass(frozen=True)
class _Tested:
    """Differences b - a of some pairs by one measure, on one dataset or over several.

    values: float64[n, pairs]; p, low, high: float64[pairs]; parts: as in Values.
    """

    measure: Measure
    titles: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    values: _Matrix
    parts: tuple[int, ...]
    p: _Matrix
    low: _Matrix
    high: _Matrix


def pairs_of(measure: Measure, held: Held) -> list[Pair]:
    """Every two systems that have the same queries, on every dataset, in the order given. held:
    with draws."""
    made = []
    for title, systems in held.items():
        pairs = _comparable(systems)
        if pairs:
            parts = systems[pairs[0][0]].parts
            values, resampled, flipped = (_differences(systems, pairs, kind) for kind in _KINDS)
            low, high = intervals_of(resampled, values, parts)
            few = len(values) <= EXACT
            p = randomisation_test(values) if few else p_of(flipped, values.mean(axis=0))
            tested = _Tested(measure, (title,), tuple(pairs), values, parts, p, low, high)
            made += [_pair(tested, at) for at in range(len(pairs))]
    return _corrected(made)


def pairs_beside(measure: Measure, held: Held, baseline: str) -> list[Pair]:
    """Every system beside one of them alone, which is what is done of more than MOST; held needs no
    draws."""
    made = []
    for title, systems in held.items():
        alike = [
            name
            for name in systems
            if name != baseline
            and baseline in systems
            and systems[name].query_ids == systems[baseline].query_ids
        ]
        for start in range(0, len(alike), MOST):
            pairs = tuple((baseline, name) for name in alike[start : start + MOST])
            parts = systems[baseline].parts
            values = _differences(systems, pairs, "values")
            low, high = mean_intervals(values, parts=parts)
            p = randomisation_test(values)
            tested = _Tested(measure, (title,), pairs, values, parts, p, low, high)
            made += [_pair(tested, at) for at in range(len(pairs))]
    return _corrected(made)


def _corrected(made: Sequence[Pair]) -> list[Pair]:
    corrected = holm([pair.p for pair in made])
    return [replace(pair, corrected=p) for pair, p in zip(made, corrected, strict=True)]


def _pair(tested: _Tested, at: int) -> Pair:
    a, b = tested.pairs[at]
    # Of CQADupStack's forums the signs and the histogram are of unweighted queries.
    plain = tested.values[:, at] / weighted([np.ones(size) for size in tested.parts])
    return Pair(
        measure=str(tested.measure),
        dataset=tested.titles[0],
        a=a,
        b=b,
        n=len(plain),
        difference=float(tested.values[:, at].mean()),
        low=float(tested.low[at]),
        high=float(tested.high[at]),
        p=float(tested.p[at]),
        corrected=1.0,
        wins=int((plain > 0).sum()),
        ties=int((plain == 0).sum()),
        losses=int((plain < 0).sum()),
        spread=tuple(np.histogram(plain, bins=EDGES)[0].tolist()),
    )


def overall_of(measure: Measure, held: Held) -> list[Overall]:
    """Every two systems over the datasets that both have, if these are two or more. held: with
    draws."""
    made = []
    for titles, pairs in _shared(held).items():
        tested = _over_datasets(measure, titles, held, pairs)
        means = np.array(
            [_differences(held[title], pairs, "values").mean(axis=0) for title in titles]
        )
        p_datasets = randomisation_test(means)
        made += [_overall(tested, means, float(p_datasets[at]), at) for at in range(len(pairs))]
    by_query = holm([one.p for one in made])
    by_dataset = holm([one.p_datasets for one in made])
    return [
        replace(one, corrected=p, corrected_datasets=p_datasets)
        for one, p, p_datasets in zip(made, by_query, by_dataset, strict=True)
    ]


def _over_datasets(
    measure: Measure, titles: tuple[str, ...], held: Held, pairs: Sequence[tuple[str, str]]
) -> _Tested:
    """The draws of different datasets are put together in a random order of their own, since those
    of datasets with as many queries are the same."""
    resampled = flipped = np.zeros(1)
    for place, title in enumerate(titles):
        generator = np.random.default_rng([_SEED, place])
        drawn, turned = (_differences(held[title], pairs, kind) for kind in _KINDS[1:])
        resampled = resampled + generator.permutation(drawn) / len(titles)
        flipped = flipped + generator.permutation(turned) / len(titles)
    each = [_differences(held[title], pairs, "values") for title in titles]
    values = np.column_stack([weighted([d[:, at] for d in each]) for at in range(len(pairs))])
    parts = tuple(size for title in titles for size in held[title][pairs[0][0]].parts)
    low, high = intervals_of(resampled, values, parts)
    p = p_of(flipped, values.mean(axis=0))
    return _Tested(measure, titles, tuple(pairs), values, parts, p, low, high)


def _shared(held: Held) -> dict[tuple[str, ...], list[tuple[str, str]]]:
    """Titles of two datasets or more, all full or all Nano -> the pairs that can be compared on
    just these."""
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    names = list(dict.fromkeys(name for systems in held.values() for name in systems))
    for a, b in combinations(names, 2):
        both = (
            title
            for title, systems in held.items()
            if a in systems and b in systems and _comparable({a: systems[a], b: systems[b]})
        )
        for titles in by_size(both).values():
            if len(titles) > 1:
                found.setdefault(tuple(titles), []).append((a, b))
    return found


def _overall(tested: _Tested, means: _Matrix, p_datasets: float, at: int) -> Overall:
    """means: float64[datasets, pairs], differences of the means of each dataset."""
    a, b = tested.pairs[at]
    return Overall(
        measure=str(tested.measure),
        datasets=tested.titles,
        a=a,
        b=b,
        difference=float(means[:, at].mean()),
        low=float(tested.low[at]),
        high=float(tested.high[at]),
        p=float(tested.p[at]),
        corrected=1.0,
        p_datasets=p_datasets,
        corrected_datasets=1.0,
        wins=int((means[:, at] > 0).sum()),
        ties=int((means[:, at] == 0).sum()),
        losses=int((means[:, at] < 0).sum()),
    )


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


def _differences(
    systems: Mapping[str, Values], pairs: Sequence[tuple[str, str]], kind: _Kind
) -> _Matrix:
    """b - a of each pair: float64[n queries or samples, pairs]."""
    columns = {name: _column(systems[name], kind) for ends in pairs for name in ends}
    return np.column_stack([columns[b] - columns[a] for a, b in pairs])


def _column(values: Values, kind: _Kind) -> _Matrix:
    """Values, or their means over draws, which PerQuery.drawn gives."""
    found = {
        "values": values.values,
        "resampled": values.resampled,
        "flipped": values.flipped,
    }[kind]
    if found is None:
        raise ValueError("values without draws cannot be tested; PerQuery.drawn gives them")
    return found
