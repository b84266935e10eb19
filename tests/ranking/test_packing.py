"""Rankings that are packed come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtr_beir.ranking.packing import pack, unpack
from gtr_beir.ranking.topk import TopK, empty, merge, sort_and_cut

SCORES = st.floats(width=32, allow_nan=False, allow_infinity=False)


def same(one: TopK, other: TopK) -> bool:
    return all(
        (a == b).all() for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


def drawn(scores: list[list[float]], documents: int) -> tuple[TopK, np.ndarray]:
    """A ranking of some of the documents with these scores for each query, and all id ranks."""
    draw = np.random.default_rng(len(scores))
    id_ranks = draw.permutation(documents).astype(np.int32)
    top = empty(len(scores), max(map(len, scores), default=0))
    for query, own in enumerate(scores):
        rows = draw.choice(documents, len(own), replace=False)
        top.rows[query, : len(own)] = rows + 5000
        top.scores[query, : len(own)] = np.array(own, np.float32) + np.float32(0)
        top.id_ranks[query, : len(own)] = id_ranks[rows]
    return sort_and_cut(top, top.rows.shape[1]), id_ranks


@pytest.mark.parametrize("documents", [20, 70_000])
@given(st.lists(st.lists(SCORES, max_size=12), max_size=6))
def test_what_is_packed_comes_back(documents: int, scores: list[list[float]]) -> None:
    top, id_ranks = drawn(scores, documents)
    packed = pack(top, 5000)
    assert packed["rows"].dtype == (np.uint16 if documents == 20 else packed["rows"].dtype)
    assert same(unpack(packed, 5000, id_ranks), top)


def test_from_the_largest_to_the_smallest() -> None:
    most = float(np.finfo(np.float32).max)
    top, id_ranks = drawn([[most, 0.0, 1e-45, -1e-45, -most], [], [0.5]], 20)
    assert same(unpack(pack(top, 5000), 5000, id_ranks), top)


def test_four_bytes_a_document() -> None:
    draw = np.random.default_rng(0)
    scores = [draw.normal(0.5, 0.03, 1000).tolist() for _ in range(20)]
    top, id_ranks = drawn(scores, 2000)
    packed = pack(top, 5000)
    assert sum(array.nbytes for array in packed.values()) < 4.3 * 20_000
    assert same(merge(None, unpack(packed, 5000, id_ranks), 1000), top)


@pytest.mark.parametrize(("least", "spread", "bytes_each"), [(0.3, 0.1, 5), (0.1, 0.8, 5)])
def test_few_documents_that_lie_far_apart(least: float, spread: float, bytes_each: int) -> None:
    """What a floor leaves of a late block: steps need more than two bytes, and none need a place of
    their own in a list."""
    draw = np.random.default_rng(1)
    scores = [(least + draw.random(40) * spread).tolist() for _ in range(500)]
    top, id_ranks = drawn(scores, 2000)
    packed = pack(top, 5000)
    held = {
        name: array.nbytes for name, array in packed.items() if name not in ("counts", "highest")
    }
    assert bytes_each * 20_000 <= sum(held.values()) < (bytes_each + 0.6) * 20_000
    assert same(unpack(packed, 5000, id_ranks), top)


def test_what_an_earlier_state_of_the_program_packed() -> None:
    top, id_ranks = drawn([[0.5, 0.25, 0.125]], 20)
    packed = pack(top, 5000)
    steps = packed["steps"].astype(np.int64)
    if len(packed["high"]):
        steps += packed["high"].astype(np.int64) << 16
    long = np.flatnonzero(steps >> 16)
    before = {
        **{name: packed[name] for name in ("counts", "rows", "highest")},
        "steps": (steps & 0xFFFF).astype(np.uint16),
        "long": long,
        "long_steps": (steps[long] >> 16).astype(np.uint16),
    }
    assert same(unpack(before, 5000, id_ranks), top)
