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
"""Random assignments of signs, and resamples: enough for p to two digits."""
_AT_ONCE, _DRAWN_AT_ONCE = 500, 1 << 22
_EXACT = 14
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
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], *, samples: int = SAMPLES
) -> Comparison:
    """Compare per-query values of two systems on the same queries in the same order."""
    difference = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    n = len(difference)
    observed = float(difference.mean())
    low, high = mean_interval(difference, samples=samples)
    return Comparison(
        n=n,
        mean_a=float(np.mean(a)),
        mean_b=float(np.mean(b)),
        difference=observed,
        low=low,
        high=high,
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
    n, many = differences.shape
    total = differences.sum(axis=0)
    observed = np.abs(total) / n
    if n <= _EXACT:
        plus = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.float64)
        flipped = np.abs(2 * (plus @ differences) - total) / n
        exact: npt.NDArray[np.float64] = (flipped >= observed - _ROUNDING).mean(axis=0)
        return exact
    generator = np.random.default_rng(_SEED)
    at_least = np.zeros(many, dtype=np.int64)
    for start in range(0, samples, _AT_ONCE):
        count = min(_AT_ONCE, samples - start)
        drawn = generator.integers(0, 256, size=(count, -(-n // 8)), dtype=np.uint8)
        plus = np.unpackbits(drawn, axis=1, count=n).astype(np.float64)
        # A random sign each: what has a plus counts twice, less the sum of all.
        flipped = np.abs(2 * (plus @ differences) - total) / n
        at_least += (flipped >= observed - _ROUNDING).sum(axis=0)
    p_values: npt.NDArray[np.float64] = (at_least + 1) / (samples + 1)
    return p_values


def mean_interval(
    values: npt.NDArray[np.float64], *, samples: int = SAMPLES
) -> tuple[float, float]:
    """95 % interval of a mean over queries; see `mean_intervals`."""
    low, high = mean_intervals(np.asarray(values)[:, None], samples=samples)
    return float(low[0]), float(high[0])


def mean_intervals(
    values: npt.NDArray[np.float64], *, parts: Sequence[int] = (), samples: int = SAMPLES
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % intervals of the mean of each column: bias-corrected and accelerated bootstrap.

    values: float64[n queries, m]; parts: how many rows each part has, if the mean is that of the
    parts' means (values as `weighted` gives them); returns low and high, float64[m] each. Queries
    are drawn once, each part's from itself, and used for every column. A column without spread has
    its mean as both ends. Formulas: Efron and Tibshirani, An Introduction to the Bootstrap (1993),
    14.10 to 14.15.
    """
    n, many = values.shape
    sizes = np.asarray(parts or [n])
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    means = _resampled(values, starts, starts + np.repeat(sizes, sizes), samples)
    centre = values.mean(axis=0)
    of_parts = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=0) / sizes[:, None]
    away = values - np.repeat(of_parts, sizes, axis=0)
    # A resample that equals the mean but for its last digit lies neither below nor above it.
    below = (means < centre - _ROUNDING).mean(axis=0)
    equal = (np.abs(means - centre) <= _ROUNDING).mean(axis=0)
    bias = stats.norm.ppf(np.clip(below + equal / 2, 0.5 / samples, 1 - 0.5 / samples))
    spread = (away**2).sum(axis=0)
    varies = spread > n * _ROUNDING
    ends = np.empty((2, many))
    ends[:] = centre
    acceleration = np.zeros(many)
    acceleration[varies] = (away**3).sum(axis=0)[varies] / (6 * spread[varies] ** 1.5)
    for end, z in enumerate(stats.norm.ppf([0.025, 0.975])):
        moved = bias + z
        at = stats.norm.cdf(bias + moved / (1 - acceleration * moved))
        for column in np.flatnonzero(varies):
            ends[end, column] = np.quantile(means[:, column], at[column])
    return ends[0], ends[1]


def _resampled(
    values: npt.NDArray[np.float64],
    first: npt.NDArray[np.int64],
    beyond: npt.NDArray[np.int64],
    samples: int,
) -> npt.NDArray[np.float64]:
    """Means of resamples, float64[samples, m]; each row is drawn from rows first to beyond - 1."""
    n, many = values.shape
    generator = np.random.default_rng(_SEED)
    at_once = max(1, min(samples, _DRAWN_AT_ONCE // n))
    means = np.empty((samples, many))
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        drawn = generator.integers(first, beyond, size=(count, n)) + n * np.arange(count)[:, None]
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
