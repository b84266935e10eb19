"""MaxSim beside float64 brute force; nothing but the vectors decides a score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtr_beir.encoders.base import TokenVectors
from gtr_beir.systems import maxsim
from gtr_beir.systems.maxsim import MaxSim


def ragged(lengths: list[int], dim: int, seed: int) -> TokenVectors:
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((sum(lengths), dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return TokenVectors(vectors, np.array(lengths, dtype=np.int64))


def brute_force(queries: TokenVectors, documents: TokenVectors) -> np.ndarray:
    """The definition, in float64; minus infinity for a document without vectors."""
    found = np.full((len(queries.lengths), len(documents.lengths)), -np.inf)
    for q in range(len(queries.lengths)):
        asked = queries.of(np.array([q])).vectors.astype(np.float64)
        for d in range(len(documents.lengths)):
            held = documents.of(np.array([d])).vectors.astype(np.float64)
            if len(held):
                found[q, d] = (asked @ held.T).max(axis=1).sum() if len(asked) else 0.0
    return found


QUERIES = ragged([32, 5, 0, 32, 1, 32, 17], 48, 1)
DOCUMENTS = ragged([3, 150, 0, 1, 300, 150, 150, 3, 700, 2, 0, 41], 48, 2)


both_ways = pytest.mark.parametrize("as_on_gpu", [False, True])


@both_ways
def test_equal_to_brute_force(as_on_gpu: bool) -> None:
    scores = MaxSim(QUERIES, as_on_gpu=as_on_gpu).scores(DOCUMENTS)
    expected = brute_force(QUERIES, DOCUMENTS)
    assert (np.isneginf(scores) == np.isneginf(expected)).all()
    held = ~np.isneginf(expected)
    assert np.abs(scores[held] - expected[held]).max() < 1e-5
    assert scores.dtype == np.float32


@pytest.mark.parametrize(("tile", "piece"), [(1, 1), (64, 100), (4096, 4096)])
def test_tiles_and_threads(tile: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same to the last bits whatever the tiles, and to the very bit for any thread count."""
    expected = MaxSim(QUERIES).scores(DOCUMENTS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = MaxSim(QUERIES).scores(DOCUMENTS)
    torch.set_num_threads(threads)
    assert np.array_equal(alone, expected)
    monkeypatch.setattr(maxsim, "_TILE_TOKENS", tile)
    monkeypatch.setattr(maxsim, "_PIECE_TOKENS", piece)
    scores = MaxSim(QUERIES).scores(DOCUMENTS)
    held = ~np.isneginf(expected)
    assert np.abs(scores[held] - expected[held]).max() < 1e-5


def test_pairs_are_the_same_scores() -> None:
    whole = MaxSim(QUERIES)
    scores = whole.scores(DOCUMENTS)
    for document in (0, 4, 8):
        vectors = DOCUMENTS.of(np.array([document])).vectors
        some = np.array([6, 2, 0])
        assert np.abs(whole.pair_scores(some, vectors) - scores[some, document]).max() < 1e-5


@both_ways
def test_nothing_to_score(as_on_gpu: bool) -> None:
    queries = MaxSim(QUERIES, as_on_gpu=as_on_gpu)
    empty = TokenVectors(np.empty((0, 48), np.float32), np.zeros(0, np.int64))
    assert queries.scores(empty).shape == (7, 0)
    assert MaxSim(empty, as_on_gpu=as_on_gpu).scores(DOCUMENTS).shape == (0, 12)
    blank = TokenVectors(np.empty((0, 48), np.float32), np.zeros(3, np.int64))
    assert np.isneginf(queries.scores(blank)).all()


def test_a_gpu_brings_back_scores_alone() -> None:
    """The same as on a CPU but for the last bit: maxima are exact, sums are in float64."""
    one, other = (MaxSim(QUERIES, as_on_gpu=way).scores(DOCUMENTS) for way in (False, True))
    assert np.allclose(one, other, rtol=2.0**-23, atol=0)


@both_ways
def test_equal_vectors_have_equal_scores(as_on_gpu: bool) -> None:
    """Twins in different places of different lengths of corpus tie to the bit."""
    twin = DOCUMENTS.of(np.array([1]))
    maxsim = MaxSim(QUERIES, as_on_gpu=as_on_gpu)
    scores = maxsim.scores(DOCUMENTS.of(np.array([1, 0, 4, 1, 5, 1])))
    assert np.array_equal(scores[:, 0], scores[:, 3])
    assert np.array_equal(scores[:, 0], scores[:, 5])
    assert np.abs(MaxSim(QUERIES).scores(twin)[:, 0] - scores[:, 0]).max() < 1e-5
