"""Dot products rounded once, against exact rational arithmetic."""

from __future__ import annotations

import importlib.util
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtr_beir.ranking.exact import ExactScores, norms_at_most, norms_of, rounded_sum
from ranking.rational import exact_score, nearest


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=8))
def test_sums_are_rounded_once(values: list[float]) -> None:
    assert rounded_sum(values) == nearest(sum(map(Fraction, values)))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exponent", [0, -20, 60, -126, -149])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("off", [0.0, 2.0**-60, -(2.0**-60), 2.0**-100])
def test_the_middle_of_two_floats(sign: int, exponent: int, even: bool, off: float) -> None:
    """What is off is lost when float64 holds the middle, and decides all the same."""
    unit = 2.0 ** max(exponent, -149 + (23 if exponent > -126 else 0))
    step = math.ldexp(1, exponent - 23) if exponent > -126 else 2.0**-149
    low = unit if even else unit + step
    values = [sign * low, sign * step / 2, sign * off * step]
    expected = nearest(sum(map(Fraction, values)))
    assert rounded_sum(values) == expected


def test_a_product_that_float64_would_round_twice() -> None:
    query = np.array([1, 2.0**-12, 2.0**-40], np.float32)
    documents = np.array([[1 + 2.0**-23, 2.0**-12, -(2.0**-40)]], np.float32)
    (scores,) = ExactScores(documents, norms_of(documents))(
        query[None], norms_of(query[None]), [np.array([0])]
    )
    assert scores[0] == np.float32(1 + 2.0**-23) == nearest(exact_score(query, documents[0]))


needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba is not installed (gtr-beir[fast])"
)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_numba)])
@pytest.mark.parametrize("dimension", [1, 3, 70_000])
def test_rows_in_any_number_and_of_any_length(dimension: int, compiled: bool) -> None:
    draw = np.random.default_rng(dimension)
    documents = draw.standard_normal((40, dimension)).astype(np.float32)
    documents *= (10.0 ** draw.integers(-20, 15, (40, 1))).astype(np.float32)
    queries = draw.standard_normal((4, dimension)).astype(np.float32)
    # One query wants nothing, and one a document twice.
    found = [draw.permutation(40)[:33], np.empty(0, np.int64), np.array([7, 7]), np.arange(40)]
    exact = ExactScores(documents, norms_of(documents), compiled=compiled)
    scores = exact(queries, norms_of(queries), found)
    assert [len(each) for each in scores] == [33, 0, 2, 40]
    for query, rows, each in zip(queries, found, scores, strict=True):
        for row, score in list(zip(rows, each, strict=True))[: 40 if dimension < 10 else 2]:
            assert score == nearest(exact_score(query, documents[row]))


def test_norms_outside_of_the_range_of_squares() -> None:
    vectors = np.array([[3e-40, 4e-40], [3e30, 4e30], [0, 0]], np.float32)
    wide = vectors.astype(np.float64)
    assert norms_of(vectors) == pytest.approx(np.hypot(wide[:, 0], wide[:, 1]), rel=1e-14)


@pytest.mark.parametrize("power", [-44, -38, -30, -19, -15, 0, 15, 18, 30, 37])
def test_bounds_of_norms_are_close_and_never_below(power: int) -> None:
    draw = np.random.default_rng(3)
    vectors = (draw.standard_normal((50, 33)) * 10.0**power).astype(np.float32)
    vectors[7] = 0
    bounds, norms = norms_at_most(vectors), norms_of(vectors)
    assert (bounds >= norms).all()
    assert bounds == pytest.approx(norms, rel=1e-4)
