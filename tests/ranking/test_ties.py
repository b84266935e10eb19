"""Bounds over all orders of equal scores, beside every order there is."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from doubles import write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.ranking.measures import Measure, mean, per_query
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.ties import tie_bounds

MEASURES = [Measure("ndcg", 3), Measure("recall", 2), Measure("ndcg", 10)]


def dataset(place: Path, draw: np.random.Generator, documents: int) -> Dataset:
    source = write_beir(
        place / "source",
        [{"_id": f"d{n}", "title": "", "text": f"t {n}"} for n in range(documents)],
        {"q": "a", "p": "b"},
        [
            (query, f"d{n}", int(draw.integers(-1, 3)))
            for query in ("q", "p")
            for n in range(documents)
            if n == 0 or draw.random() < 0.6
        ],
    )
    found = import_beir(source, name="tied", datasets_dir=place / "datasets")
    assert isinstance(found, Dataset)
    return found


def orders(scores: np.ndarray) -> list[tuple[int, ...]]:
    """Every order of places that keeps scores descending."""
    groups = [list(g) for _, g in itertools.groupby(range(len(scores)), key=lambda n: scores[n])]
    each = [list(itertools.permutations(group)) for group in groups]
    return [tuple(itertools.chain(*one)) for one in itertools.product(*each)]


@pytest.mark.parametrize("seed", range(8))
def test_bounds_are_those_of_all_orders(seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    tied = dataset(tmp_path, draw, 6)
    rows = np.stack([draw.permutation(6) for _ in range(2)]).astype(np.int32)
    scores = -np.sort(-draw.integers(0, 3, (2, 6)).astype(np.float32), axis=1)
    run = Run(tied.query_ids, rows, scores)
    low, high = {}, {}
    for query, identifier in enumerate(tied.query_ids):
        values = [
            per_query(
                Run([identifier], rows[query : query + 1, list(o)], scores[:1]), tied, MEASURES
            )
            .loc[identifier]
            .to_numpy()
            for o in orders(scores[query])
        ]
        low[identifier], high[identifier] = np.min(values, axis=0), np.max(values, axis=0)
    found = tie_bounds(run, tied, MEASURES)
    for place, measure in enumerate(MEASURES):
        expected = [float(np.mean([end[q][place] for q in end])) for end in (low, high)]
        assert found[str(measure)] == pytest.approx(expected)
    own = mean(per_query(run, tied, MEASURES))
    for measure in MEASURES:
        least, most = found[str(measure)]
        assert least - 1e-12 <= own[str(measure)] <= most + 1e-12


def test_without_ties_there_is_one_order(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    tied = dataset(tmp_path, draw, 6)
    rows = np.stack([draw.permutation(6) for _ in range(2)]).astype(np.int32)
    run = Run(tied.query_ids, rows, np.tile(np.arange(6, 0, -1, dtype=np.float32), (2, 1)))
    for low, high in tie_bounds(run, tied, MEASURES).values():
        assert low == high
