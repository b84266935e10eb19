"""Are two systems' scores different? Paired tests over the same queries, corrected for many.

The randomisation test is the one that Smucker, Allan and Carterette (CIKM 2007) recommend for
retrieval; the interval is a percentile bootstrap over queries; many comparisons are corrected by
Holm's method (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

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
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], *, samples: int = 20_000
) -> Comparison:
    """Compare per-query values of two systems on the same queries in the same order."""
    difference = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    n = len(difference)
    observed = float(difference.mean())
    generator = np.random.default_rng(_SEED)
    at_least = 0
    means = np.empty(samples)
    for start in range(0, samples, 500):
        count = min(500, samples - start)
        signs = generator.integers(0, 2, size=(count, n), dtype=np.int8) * 2 - 1
        flipped = np.abs((signs * difference).mean(axis=1))
        at_least += int((flipped >= abs(observed) - _ROUNDING).sum())
        drawn = generator.integers(0, n, size=(count, n))
        means[start : start + count] = difference[drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Comparison(
        n=n,
        mean_a=float(np.mean(a)),
        mean_b=float(np.mean(b)),
        difference=observed,
        low=float(low),
        high=float(high),
        p_randomisation=(at_least + 1) / (samples + 1),
        p_t=_paired_t(difference),
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
    )


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
