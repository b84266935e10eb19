"""Are two systems' scores different? Paired tests over the same queries, corrected for many.

The randomisation test is the one that Smucker, Allan and Carterette (CIKM 2007) recommend for
retrieval; the interval is Efron's bias-corrected and accelerated bootstrap (1987) over queries,
which covers the mean as it should also where most queries score 1 and few score 0; many comparisons
are corrected by Holm's method (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

SAMPLES = 20_000
"""Random assignments of signs: enough for p to two digits."""
RESAMPLES = 10_000
"""Resamples behind an interval."""
_AT_ONCE, _DRAWN_AT_ONCE = 500, 1 << 22
EXACT = 14
"""Up to so many pairs every assignment of signs is counted, not a sample of them."""
_SEED = 20211215  # any fixed number: the same comparison prints the same p-value
_ROUNDING = 1e-12
"""Measures lie in [0, 1]; what is closer than this differs by rounding alone."""


@dataclass(frozen=True)
class Comparison:
    """Mean difference b - a over n paired queries, with its tests.

    low, high: 95 % bootstrap interval of the mean difference; p_randomisation, p_t: two-sided (a
    t-test of one query says nothing: p_t is 1). wins, ties, losses: queries where b is above, equal
    to, below a.
    """

    n: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p_randomisation: float
    p_t: float
    wins: int
    ties: int
    losses: int


def compare(
    a: npt.NDArray[np.float64],
    b: npt.NDArray[np.float64],
    *,
    parts: Sequence[int] = (),
    samples: int = SAMPLES,
) -> Comparison:
    """Compare per-query values of two systems on the same queries in the same order; parts: as in
    `mean_intervals`."""
    difference = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    n = len(difference)
    observed = float(difference.mean())
    (low,), (high,) = mean_intervals(difference[:, None], parts=parts)
    return Comparison(
        n=n,
        mean_a=float(np.mean(a)),
        mean_b=float(np.mean(b)),
        difference=observed,
        low=float(low),
        high=float(high),
        p_randomisation=float(randomisation_test(difference[:, None], samples=samples)[0]),
        p_t=_paired_t(difference),
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
    )


def randomisation_test(
    differences: npt.NDArray[np.float64], *, samples: int = SAMPLES
) -> npt.NDArray[np.float64]:
    """Two-sided p of the paired randomisation test for each column of per-query differences.

    differences: float64[n queries, m comparisons]; returns float64[m]. Signs are drawn once and
    used for every column, so a column's p does not depend on what it stands beside. Up to 14
    queries (or datasets) every assignment of signs is counted, and p is exact.
    """
    n = len(differences)
    observed = differences.mean(axis=0)
    if n > EXACT:
        return p_of(flipped_means(differences, samples=samples), observed)
    plus = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.float64)
    exact: npt.NDArray[np.float64] = _as_far(_flipped(plus, differences), observed).mean(axis=0)
    return exact


def flipped_means(
    values: npt.NDArray[np.float64], *, samples: int = SAMPLES
) -> npt.NDArray[np.float64]:
    """Means of each column with a random sign before every row, float64[samples, m].

    The signs are the same for every table of n rows. So the flipped mean of a difference is the
    difference of two systems' flipped means, and all pairs of systems need one draw.
    """
    n, many = values.shape
    generator = np.random.default_rng(_SEED)
    found = np.empty((samples, many))
    for start in range(0, samples, _AT_ONCE):
        count = min(_AT_ONCE, samples - start)
        drawn = generator.integers(0, 256, size=(count, -(-n // 8)), dtype=np.uint8)
        plus = np.unpackbits(drawn, axis=1, count=n).astype(np.float64)
        found[start : start + count] = _flipped(plus, values)
    return found


def p_of(
    flipped: npt.NDArray[np.float64], observed: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Two-sided p, float64[m], of sampled flipped means [samples, m]; the observed assignment is
    one more of them, so that no p is 0."""
    p_values: npt.NDArray[np.float64] = (_as_far(flipped, observed).sum(axis=0) + 1) / (
        len(flipped) + 1
    )
    return p_values


def _flipped(
    plus: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """plus: float64[samples, n], 1 for a plus and 0 for a minus: what has a plus counts twice, less
    the sum of all."""
    found: npt.NDArray[np.float64] = (2 * (plus @ values) - values.sum(axis=0)) / len(values)
    return found


def _as_far(
    flipped: npt.NDArray[np.float64], observed: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    return np.abs(flipped) >= np.abs(observed) - _ROUNDING


def mean_intervals(
    values: npt.NDArray[np.float64], *, parts: Sequence[int] = (), samples: int = RESAMPLES
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % intervals of the mean of each column: bias-corrected and accelerated bootstrap.

    values: float64[n queries, m]; parts: how many rows each part has, if the mean is that of the
    parts' means (values as `weighted` gives them); returns low and high, float64[m] each. A column
    without spread has its mean as both ends.
    """
    return intervals_of(resampled_means(values, parts=parts, samples=samples), values, parts)


def intervals_of(
    resampled: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    parts: Sequence[int] = (),
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The intervals of `mean_intervals` from resampled means, float64[samples, m].

    Formulas: Efron and Tibshirani, An Introduction to the Bootstrap (1993), 14.10 to 14.15.
    """
    samples, many = resampled.shape
    sizes = np.asarray(parts or [len(values)])
    centre = values.mean(axis=0)
    of_parts = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=0) / sizes[:, None]
    away = values - np.repeat(of_parts, sizes, axis=0)
    # A resample that equals the mean but for its last digit lies neither below nor above it.
    below = (resampled < centre - _ROUNDING).mean(axis=0)
    equal = (np.abs(resampled - centre) <= _ROUNDING).mean(axis=0)
    bias = stats.norm.ppf(np.clip(below + equal / 2, 0.5 / samples, 1 - 0.5 / samples))
    spread = (away**2).sum(axis=0)
    varies = spread > len(values) * _ROUNDING
    ends = np.empty((2, many))
    ends[:] = centre
    acceleration = np.zeros(many)
    acceleration[varies] = (away**3).sum(axis=0)[varies] / (6 * spread[varies] ** 1.5)
    moved = bias + stats.norm.ppf([0.025, 0.975])[:, None]
    at = stats.norm.cdf(bias + moved / (1 - acceleration * moved))
    for column in np.flatnonzero(varies):
        ends[:, column] = np.quantile(resampled[:, column], at[:, column])
    return ends[0], ends[1]


def resampled_means(
    values: npt.NDArray[np.float64], *, parts: Sequence[int] = (), samples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """Means of resamples of the rows, each part's from itself: float64[samples, m].

    The rows that are drawn are the same for every table of these parts, so the resampled mean of a
    difference is the difference of two systems' resampled means.
    """
    n, many = values.shape
    sizes = list(parts) or [n]
    generator = np.random.default_rng(_SEED)
    at_once = max(1, min(samples, _DRAWN_AT_ONCE // n))
    means = np.empty((samples, many))
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        drawn = np.empty((count, n), dtype=np.int64)
        first = 0
        for size in sizes:
            here = generator.integers(0, size, size=(count, size), dtype=np.uint32)
            drawn[:, first : first + size] = here
            drawn[:, first : first + size] += first
            first += size
        drawn += n * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)
        means[start : start + count] = times.astype(np.float64) @ values / n
    return means


def weighted(parts: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Values of several parts in one column, weighted so that their mean is the unweighted mean of
    the parts' means, whatever number of queries each has."""
    total = sum(len(part) for part in parts)
    return np.concatenate([part * (total / (len(parts) * len(part))) for part in parts])


def _paired_t(difference: npt.NDArray[np.float64]) -> float:
    """Two-sided p of the paired t-test; 1 for one query or none that differs.

    Where every query differs by the same, t has no finite value and its limit is p = 0.
    """
    if len(difference) < 2 or np.abs(difference).max() <= _ROUNDING:
        return 1.0
    if np.ptp(difference) <= _ROUNDING:
        return 0.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values, in the order given."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for position, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = highest
    return [float(value) for value in adjusted]
