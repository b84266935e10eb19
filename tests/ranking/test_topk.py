"""Exact top-k against brute force, with ties, duplicates and excluded documents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtr_beir.errors import NumericalError
from gtr_beir.ranking.topk import TopK, dense_top_k, merge, order_key, sort_and_cut


def brute(queries, documents, id_ranks, k, excluded):
    scores = (queries.astype(np.float64) @ documents.astype(np.float64).T).astype(np.float32)
    expected = []
    for query in range(len(queries)):
        rows = [r for r in range(len(documents)) if excluded is None or r != excluded[query]]
        rows.sort(key=lambda r: (-scores[query, r], -id_ranks[r]))
        expected.append((rows[:k] + [-1] * k)[:k])
    return np.array(expected)


def blocked(queries, documents, id_ranks, k, excluded, size):
    best = None
    for start in range(0, len(documents), size):
        part = dense_top_k(
            queries,
            documents[start : start + size],
            id_ranks=id_ranks[start : start + size],
            first_row=start,
            k=k,
            excluded=excluded,
        )
        best = merge(best, part, k)
    return best


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 120),
    st.integers(1, 40),
    st.sampled_from([1, 7, 50, 1000]),
    st.booleans(),
)
def test_equals_brute_force(seed: int, count: int, k: int, size: int, exclude: bool) -> None:
    generator = np.random.default_rng(seed)
    # Small whole numbers: many exact ties, and sums that single precision holds exactly.
    documents = generator.integers(-2, 3, (count, 8)).astype(np.float32)
    queries = generator.integers(-2, 3, (5, 8)).astype(np.float32)
    id_ranks = generator.permutation(count).astype(np.int32)
    excluded = generator.integers(-1, count, 5).astype(np.int32) if exclude else None
    found = blocked(queries, documents, id_ranks, k, excluded, size)
    expected = brute(queries, documents, id_ranks, k, excluded)
    assert (found.rows == expected).all()


def test_near_ties_are_decided_in_double_precision() -> None:
    """A thousand twins a hair apart: single precision alone would mix them up."""
    generator = np.random.default_rng(5)
    base = generator.standard_normal(256).astype(np.float32)
    documents = np.tile(base, (3000, 1))
    documents += generator.integers(-3, 4, documents.shape) * np.float32(1e-7)
    queries = generator.standard_normal((4, 256)).astype(np.float32)
    id_ranks = generator.permutation(3000).astype(np.int32)
    whole = blocked(queries, documents, id_ranks, 100, None, 3000)
    assert (whole.rows == brute(queries, documents, id_ranks, 100, None)).all()
    for size in (64, 999):
        other = blocked(queries, documents, id_ranks, 100, None, size)
        assert (other.rows == whole.rows).all()
        assert (other.scores == whole.scores).all()


def test_a_block_of_equal_vectors() -> None:
    documents = np.ones((500, 4), dtype=np.float32)
    id_ranks = np.random.default_rng(1).permutation(500).astype(np.int32)
    found = blocked(documents[:1], documents, id_ranks, 10, None, 200)
    assert found.id_ranks[0].tolist() == list(range(499, 489, -1))


def test_not_a_number_is_refused() -> None:
    documents = np.full((3, 2), np.nan, dtype=np.float32)
    with pytest.raises(NumericalError, match="not finite"):
        dense_top_k(
            np.ones((1, 2), np.float32),
            documents,
            id_ranks=np.arange(3, dtype=np.int32),
            first_row=0,
            k=2,
        )


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=20))
def test_order_key_sorts_like_scores(values: list[float]) -> None:
    scores = np.array([values], dtype=np.float32)
    ranks = np.arange(len(values), dtype=np.int32)[None]
    by_key = np.argsort(order_key(scores, ranks)[0], kind="stable").tolist()
    assert by_key == sorted(range(len(values)), key=lambda i: (scores[0, i], ranks[0, i]))


def test_pads_go_last() -> None:
    found = TopK(
        np.array([[-1, 4, 7]], np.int32),
        np.array([[-np.inf, -2.0, 3.0]], np.float32),
        np.array([[-1, 0, 1]], np.int32),
    )
    assert sort_and_cut(found, 3).rows.tolist() == [[7, 4, -1]]
