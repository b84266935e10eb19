"""The paired tests beside scipy's own, and Holm's correction beside its definition."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.intervals import mean_interval

from gtr_beir.ranking.significance import (
    Comparison,
    compare,
    holm,
    mean_intervals,
    weighted,
)

Values = npt.NDArray[np.float64]
SAMPLES = 20_000


def two_systems(queries: int, better: float, seed: int) -> tuple[Values, Values]:
    """Values in [0, 1] of queries that both systems find about as hard; b is `better` on average,
    and every fifth query is a tie."""
    draw = np.random.default_rng(seed)
    a = draw.beta(2, 2, queries)
    b = np.clip(a + draw.normal(better, 0.1, queries), 0, 1)
    b[::5] = a[::5]
    return a, b


def mean_difference(a: Values, b: Values, axis: int = -1) -> Values:
    return np.asarray(np.mean(b, axis=axis) - np.mean(a, axis=axis))


def scipy_permutation(a: Values, b: Values, samples: float = SAMPLES) -> float:
    found = stats.permutation_test(
        (a, b),
        mean_difference,
        permutation_type="samples",
        n_resamples=samples,
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    return float(found.pvalue)


def sampling_error(p: float) -> float:
    """Four standard deviations of a p-value that is counted in samples, and the one that both
    methods count in addition."""
    return 4 * float(np.sqrt(p * (1 - p) / SAMPLES)) + 1 / SAMPLES


@pytest.mark.parametrize(("queries", "better"), [(6, 0.1), (9, 0.1), (11, -0.08), (12, 0.0)])
def test_few_queries_against_every_permutation(queries: int, better: float) -> None:
    a, b = two_systems(queries, better, queries + 1)
    exact = scipy_permutation(a, b, np.inf)
    assert 0.01 < exact < 1, "0 and 1 would hide a wrong count of samples"
    assert compare(a, b).p_randomisation == pytest.approx(exact, rel=1e-12)


def test_exact_and_sampled_meet() -> None:
    """14 queries are counted, 15 are sampled: a tie more does not change what is exact."""
    a, b = two_systems(14, 0.06, 21)
    exact = compare(a, b).p_randomisation
    sampled = compare(np.append(a, 0.5), np.append(b, 0.5)).p_randomisation
    assert 0.01 < exact < 1
    assert sampled == pytest.approx(exact, abs=sampling_error(exact))


@pytest.mark.parametrize("better", [0.0, 0.008, -0.012, 0.02])
def test_many_queries_against_sampled_permutations(better: float) -> None:
    a, b = two_systems(300, better, 7)
    theirs = scipy_permutation(a, b)
    bound = 2**0.5 * sampling_error(theirs)
    assert compare(a, b).p_randomisation == pytest.approx(theirs, abs=bound)


@pytest.mark.parametrize(("queries", "better"), [(12, 0.1), (50, -0.05), (300, 0.02)])
def test_interval_against_scipy_bootstrap(queries: int, better: float) -> None:
    a, b = two_systems(queries, better, queries)
    theirs = stats.bootstrap(
        (b - a,),
        np.mean,
        method="BCa",
        n_resamples=SAMPLES,
        rng=np.random.default_rng(2),
    )
    found = compare(a, b)
    # Four standard deviations of the difference of two such quantiles, which is 0.027 of the
    # mean's own standard deviation; a 90 % interval would be off by 0.31 of it.
    bound = 0.11 * float(np.std(b - a)) / queries**0.5
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=bound)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=bound)
    assert found.low < found.difference < found.high


def most_is_found(draw: np.random.Generator, shape: tuple[int, int]) -> Values:
    """As Recall@100 is where queries have one to three relevant documents."""
    relevant = draw.integers(1, 4, shape)
    return draw.binomial(relevant, 0.93) / relevant


def a_few_hits(draw: np.random.Generator, shape: tuple[int, int]) -> Values:
    """As NDCG@10 is on a hard dataset: most queries find nothing."""
    return np.where(draw.random(shape) < 0.6, 0.0, draw.beta(2, 3, shape))


def spread_out(draw: np.random.Generator, shape: tuple[int, int]) -> Values:
    return draw.beta(0.5, 0.5, shape)


@pytest.mark.parametrize(
    ("values", "mean"),
    [(most_is_found, 0.93), (a_few_hits, 0.4 * 0.4), (spread_out, 0.5)],
)
@pytest.mark.parametrize("queries", [50, 300])
def test_intervals_cover_the_mean(
    values: Callable[[np.random.Generator, tuple[int, int]], Values], mean: float, queries: int
) -> None:
    drawn = values(np.random.default_rng(queries), (queries, 2_000))
    low, high = mean_intervals(drawn, samples=4_000)
    covered = float(np.mean((low <= mean) & (mean <= high)))
    assert 0.93 <= covered <= 0.97
    assert (low <= drawn.mean(axis=0)).all()
    assert (drawn.mean(axis=0) <= high).all()


def test_a_column_is_what_it_is_alone() -> None:
    a, b = two_systems(80, 0.02, 9)
    table = np.column_stack([a, b, b - a, np.full(80, 0.25)])
    low, high = mean_intervals(table)
    for column in range(table.shape[1]):
        alone = mean_interval(table[:, column])
        assert (low[column], high[column]) == pytest.approx(alone, abs=1e-12)
    assert (low[3], high[3]) == (0.25, 0.25)


def test_the_mean_of_parts_is_covered_too() -> None:
    """Three datasets of different size and difficulty, the largest with the least weight a query:
    of 1,000 such triples the intervals cover the mean of the three means."""
    draw = np.random.default_rng(5)
    sizes, true = (40, 100, 250), (0.2, 0.5, 0.9)
    covered = []
    for _ in range(50):
        drawn = [draw.beta(4 * m, 4 * (1 - m), (n, 20)) for n, m in zip(sizes, true, strict=True)]
        table = weighted(drawn)
        assert table.mean(axis=0) == pytest.approx(np.mean([d.mean(axis=0) for d in drawn], axis=0))
        low, high = mean_intervals(table, parts=sizes, samples=2_000)
        covered.append((low <= np.mean(true)) & (np.mean(true) <= high))
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(("queries", "better"), [(2, 0.1), (12, 0.1), (300, -0.02), (300, 0.0)])
def test_t_against_scipy(queries: int, better: float) -> None:
    a, b = two_systems(queries, better, queries)
    assert compare(a, b, samples=10).p_t == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)


def test_the_sign_says_who_is_better() -> None:
    a, b = two_systems(50, 0.1, 3)
    found = compare(a, b)
    assert found.n == 50
    assert (found.mean_a, found.mean_b) == pytest.approx((a.mean(), b.mean()))
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.difference > found.low > 0, "b is better"
    assert compare(b, a).high < 0


def test_wins_are_those_of_b() -> None:
    found = compare(np.array([0.1, 0.2, 0.5, 0.9, 0.4, 0]), np.array([0.2, 0.4, 0.5, 0.1, 0.4, 1]))
    assert (found.wins, found.ties, found.losses) == (3, 2, 1)


def test_a_system_against_itself() -> None:
    a, _ = two_systems(40, 0.0, 4)
    assert compare(a, a.copy()) == Comparison(
        40, a.mean(), a.mean(), 0.0, 0.0, 0.0, 1.0, 1.0, wins=0, ties=40, losses=0
    )


@pytest.mark.parametrize("queries", [7, 120])
def test_swapping_the_systems_turns_the_signs_only(queries: int) -> None:
    a, b = two_systems(queries, 0.03, 5)
    found, swapped = compare(a, b), compare(b, a)
    assert swapped.p_randomisation == found.p_randomisation
    assert swapped.p_t == pytest.approx(found.p_t, rel=1e-12)
    assert (swapped.mean_a, swapped.mean_b) == (found.mean_b, found.mean_a)
    assert swapped.difference == -found.difference
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), rel=1e-12)
    assert (swapped.wins, swapped.ties, swapped.losses) == (found.losses, found.ties, found.wins)


@pytest.mark.parametrize(
    ("a", "b"),
    [([0, 0, 0], [1, 1, 1]), ([0.1, 0.2, 0.7], [0.4, 0.5, 1.0]), ([0.3, 0.4], [0.2, 0.3])],
)
def test_every_query_differs_by_the_same(a: list[float], b: list[float]) -> None:
    """Also where rounding makes the differences 0.3 and 0.30000000000000004."""
    assert compare(np.array(a), np.array(b), samples=100).p_t == 0.0


def test_one_query_or_none_that_differs_says_nothing() -> None:
    assert compare(np.array([0.2]), np.array([0.9]), samples=100).p_t == 1.0
    assert compare(np.array([0.2]), np.array([0.9]), samples=100).p_randomisation == 1.0
    rounded = compare(np.array([0.1 + 0.2, 0.5]), np.array([0.3, 0.5]), samples=100)
    assert (rounded.p_t, rounded.p_randomisation) == (1.0, 1.0)


def test_the_same_comparison_gives_the_same_numbers() -> None:
    a, b = two_systems(30, 0.05, 6)
    assert compare(a, b) == compare(a, b)


@pytest.mark.parametrize(
    ("given_p", "by_hand"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # .04 alone stays below .03 x 2
        ([0.04, 0.01], [0.04, 0.02]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        ([0.5, 0.6, 0.9], [1.0, 1.0, 1.0]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm_by_hand(given_p: list[float], by_hand: list[float]) -> None:
    assert holm(given_p) == pytest.approx(by_hand)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.3, 0.3001, 1.0]), max_size=7))
def test_holm_is_the_closed_test_with_bonferroni(p_values: list[float]) -> None:
    """Its definition: a hypothesis is rejected where Bonferroni rejects every set that has it."""
    slow = [
        max(
            min(1.0, size * min(p_values[i] for i in chosen))
            for size in range(1, len(p_values) + 1)
            for chosen in combinations(range(len(p_values)), size)
            if index in chosen
        )
        for index in range(len(p_values))
    ]
    assert holm(p_values) == pytest.approx(slow)
