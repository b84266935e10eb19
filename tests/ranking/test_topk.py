"""Exact top-k against brute force, with ties, duplicates and excluded documents."""

from __future__ import annotations

from concurrent import futures

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtr_beir import onednn
from gtr_beir.errors import NumericalError
from gtr_beir.ranking import on_device, topk
from gtr_beir.ranking.candidates import Half, Single, below_half
from gtr_beir.ranking.exact import norms_of
from gtr_beir.ranking.topk import Floor, TopK, dense_top_k, merge, order_key, sort_and_cut
from ranking.rational import exact_score, nearest


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


def exact_ranking(queries, documents, id_ranks, k, excluded):
    """Rows and scores in rational arithmetic, rounded once; pads as `TopK` has them."""
    rows = np.full((len(queries), k), -1, np.int32)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for query, vector in enumerate(queries):
        found = [
            (nearest(exact_score(vector, document)), int(id_ranks[row]), row)
            for row, document in enumerate(documents)
            if excluded is None or row != excluded[query]
        ]
        for column, (score, _, row) in enumerate(sorted(found, reverse=True)[:k]):
            rows[query, column], scores[query, column] = row, score
    return rows, scores


def adversarial(seed):
    """Few vectors that are hard to rank: twins, twins a last bit apart, sums that cancel, middles
    of two floats, denormals, lengths from 1e-20 to 1e15, scores below 0."""
    draw = np.random.default_rng(seed)
    count, dimension = int(draw.integers(1, 60)), int(draw.choice([1, 2, 3, 8, 24]))
    kind = seed % 7
    documents = draw.standard_normal((count, dimension))
    queries = draw.standard_normal((int(draw.choice([2, 3, 9])), dimension))
    if kind == 1:
        documents *= 10.0 ** draw.integers(-20, 16, (count, 1))
    elif kind == 2:
        documents *= 1e-30
        queries *= 10.0 ** draw.integers(-16, -8, (len(queries), 1))
    elif kind == 3:
        documents = np.where(draw.random(documents.shape) < 0.5, documents, documents[:1])
        documents *= 10.0 ** draw.integers(-44, -36)
    elif kind == 4:
        documents = np.tile(documents[:1], (count, 1))
    elif kind == 5:
        documents, queries = -np.abs(documents), np.abs(queries)
    documents, queries = documents.astype(np.float32), queries.astype(np.float32)
    if kind in (0, 4, 5):
        twin = draw.integers(0, count, count)
        documents = documents[twin]
        up = draw.random(documents.shape) < 0.1
        documents = np.where(up, np.nextafter(documents, np.float32(2)), documents)
    if kind == 6:
        # A middle of two floats, and something far below it.
        low = draw.choice([-(2.0**-40), 0, 2.0**-40], (count, dimension))
        documents = low.astype(np.float32)
        documents[:, 0] = 1 + draw.integers(0, 4, count) * 2.0**-23
        queries[:] = np.float32(2.0**-40)
        queries[:, 0] = 1
        if dimension > 1:
            documents[:, 1] = 2.0**-12 * draw.integers(-1, 2, count)
            queries[:, 1] = 2.0**-12
    excluded = draw.integers(-1, count, len(queries)).astype(np.int32) if seed % 2 else None
    return queries, documents, draw.permutation(count).astype(np.int32), excluded, draw


@pytest.fixture(params=["single", "half", "device"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of products, whatever the processor likes; bf16 also where it tells few documents apart; or
    the way of a GPU, in small pieces."""
    half = request.param == "half"
    if request.param == "device":
        monkeypatch.setattr(topk, "stays_on", lambda _: True)
        for name in ("_TILE_BYTES", "_PAIRS", "_NUMBERS"):
            monkeypatch.setattr(on_device, name, 256)
    if half and not onednn.sums_bf16_in_single():
        pytest.skip("products of bf16 are not summed in single precision here")
    monkeypatch.setattr(topk, "worth_halving", lambda longest: half and longest < 2.0**60)
    monkeypatch.setattr(topk, "_WORTH_A_PRODUCT", 2.0)
    return str(request.param)


@pytest.mark.parametrize("seed", range(250))
@pytest.mark.usefixtures("precision")
def test_equal_to_rational_arithmetic(seed: int) -> None:
    queries, documents, id_ranks, excluded, draw = adversarial(seed)
    for k in (1, int(draw.integers(2, 20)), len(documents) + 3):
        rows, scores = exact_ranking(queries, documents, id_ranks, k, excluded)
        for size in (len(documents), 7):
            found = blocked(queries, documents, id_ranks, k, excluded, size)
            assert (found.rows == rows).all()
            assert (found.scores == scores).all()


@pytest.mark.usefixtures("precision")
def test_scores_below_the_smallest_normal_number() -> None:
    """Where single precision has no product left, every document is a candidate."""
    documents = np.array([[1e-30, 0], [0, 1e-30], [2e-30, 0]], np.float32)
    queries = np.array([[1e-14, 3e-14], [1e-16, 1e-16]], np.float32)
    id_ranks = np.arange(3, dtype=np.int32)
    found = blocked(queries, documents, id_ranks, 2, None, 3)
    rows, scores = exact_ranking(queries, documents, id_ranks, 2, None)
    assert found.rows.tolist() == rows.tolist() == [[1, 2], [2, 1]]
    assert (found.scores == scores).all()


@pytest.mark.parametrize("seed", range(0, 350, 5))
@pytest.mark.usefixtures("precision")
def test_any_floor_and_any_order_of_blocks(seed: int) -> None:
    """Each block is searched with a floor of any other blocks, as several processes, kills and
    damage leave them: what is merged at last is the same."""
    queries, documents, id_ranks, excluded, draw = adversarial(seed)
    k = int(draw.integers(1, 12))
    rows, scores = exact_ranking(queries, documents, id_ranks, k, excluded)
    size = int(draw.integers(3, 12))
    found: dict[int, TopK] = {}
    starts = list(range(0, len(documents), size))
    for start in [*draw.permutation(starts), *draw.permutation(starts)]:
        known = [found[other] for other in found if other != start and draw.random() < 0.7]
        floor = None
        for other in known:
            floor = merge(floor, other, k)
        found[start] = dense_top_k(
            queries,
            documents[start : start + size],
            id_ranks=id_ranks[start : start + size],
            first_row=start,
            k=k,
            excluded=excluded,
            floor=Floor.of(floor, k),
        )
    best = None
    for start in draw.permutation(starts):
        best = merge(best, found[start], k)
    assert best is not None
    assert (best.rows == rows).all()
    assert (best.scores == scores).all()


def test_a_floor_leaves_little() -> None:
    """What the k best elsewhere beat is not returned; an equal score is decided by the id."""
    documents = np.array([[1], [2], [3], [2]], np.float32)
    query = np.ones((1, 1), np.float32)

    def search(low: int, high: int, floor: TopK | None) -> TopK:
        return dense_top_k(
            query,
            documents[low:high],
            id_ranks=np.array([0, 2, 1, 3], np.int32)[low:high],
            first_row=low,
            k=1,
            floor=Floor.of(floor, 1),
        )

    second = search(1, 2, None)
    assert search(0, 1, second).rows.tolist() == [[-1]]
    assert search(2, 3, second).rows.tolist() == [[2]]
    assert search(3, 4, second).rows.tolist() == [[3]]
    assert search(1, 2, search(3, 4, None)).rows.tolist() == [[-1]]
    assert search(0, 1, TopK(*(part[:, :0] for part in vars(second).values()))).rows[0, 0] == 0


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, -1.0, 1.0078125, 3.1e-41, -3.1e-41, 2.5e38, -3e38]
)
def test_the_bf16_below(value: float) -> None:
    """The greatest that is surely less; the next one is not."""
    below = below_half(value)
    assert torch.tensor(below).bfloat16().item() == below < np.float32(value)
    bits = int(np.float32(below).view(np.int32))
    above = np.int32(bits - 0x10000 if bits < 0 else bits + 0x10000).view(np.float32)
    assert above >= np.float32(value)


@pytest.mark.parametrize("seed", range(0, 350, 3))
def test_what_bf16_may_be_off_by(seed: int) -> None:
    """No document falls below what it must reach, and none reaches what it must not: both are what
    candidates are chosen by."""
    if not onednn.sums_bf16_in_single():
        pytest.skip("products of bf16 are not summed in single precision here")
    queries, documents, _, _, _ = adversarial(seed)
    documents, queries = (np.ascontiguousarray(each) for each in (documents, queries))
    with futures.ThreadPoolExecutor(1) as pool:
        half = Half(documents, float(norms_of(documents).max()), pool)
    tile = half.tile(queries, norms_of(queries))
    for query, vector in enumerate(queries):
        error, shift = float(tile.errors[query]), float(tile.shifts[query])
        for row, document in enumerate(documents):
            computed = float(tile.scores[query, row])
            true = float(nearest(exact_score(vector, document)))
            assert computed >= tile.below(true - shift - error)
            assert true >= float(tile.below(computed)) + shift - error


def test_where_bf16_tells_nothing_apart_single_precision_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All within a rounding of each other: bf16 would have every document scored exactly."""
    draw = np.random.default_rng(5)
    documents = 1 + draw.standard_normal((2000, 16)).astype(np.float32) * np.float32(1e-5)
    documents[:1000] *= -1
    asked: list[str] = []
    for kind in (Half, Single):
        real = kind.tile
        monkeypatch.setattr(
            kind,
            "tile",
            lambda *of, kind=kind, real=real: asked.append(kind.__name__) or real(*of),
        )
    monkeypatch.setattr(topk, "worth_halving", lambda _: onednn.sums_bf16_in_single())
    queries = np.abs(draw.standard_normal((9, 16))).astype(np.float32)
    ranks = np.arange(2000, dtype=np.int32)
    found = blocked(queries, documents, ranks, 5, None, 2000)
    assert set(asked) in ({"Half", "Single"}, {"Single"})
    rows, scores = exact_ranking(queries, documents, ranks, 5, None)
    assert (found.rows == rows).all()
    assert (found.scores == scores).all()
