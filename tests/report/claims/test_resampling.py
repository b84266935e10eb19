"""Draws of queries: alike for systems, apart for datasets, forum by forum."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.results import record, write, write_queries

from gtr_beir.data.registry import registered
from gtr_beir.ranking.significance import RESAMPLES
from gtr_beir.records import PER_QUERY, Record
from gtr_beir.report.claims.resampling import DOCUMENT_SAMPLES, Draws, resampled_documents
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.texts.top_lengths import TopLengths


def draws(results: Path, *records: Record) -> Draws:
    return Draws(PerQuery(results, records), records)


def test_datasets_are_drawn_apart_and_systems_alike(tmp_path: Path) -> None:
    values = np.random.default_rng(2).random(50)
    made = [
        replace(record(system, name, 0.5, family="f"), n_queries=50)
        for system in ("a", "b")
        for name in ("nq", "fiqa")
    ]
    write(tmp_path, *made)
    made = [write_queries(tmp_path, m.system, m.dataset, values.tolist()) for m in made]
    held = draws(tmp_path, *made)
    nq, fiqa, again, _ = (held.means(one, "ndcg@10") for one in made)
    assert nq is not None
    assert fiqa is not None
    assert again is not None
    assert len(nq) == RESAMPLES
    assert (nq == again).all()
    assert sorted(nq) == pytest.approx(sorted(fiqa)), "as many queries"
    assert abs(np.corrcoef(nq, fiqa)[0, 1]) < 0.05


def test_what_is_drawn_beside_others_is_what_is_drawn_alone(tmp_path: Path) -> None:
    """Also of a model that is not published, and of a measure that no claim is about."""
    first, second = (
        replace(one, n_queries=30)
        for one in (record("a", "nq", 0.5, family="f"), record("b", "nq", 0.5))
    )
    write(tmp_path, first, second)
    first, second = (
        write_queries(tmp_path, system, "nq", np.random.default_rng(place).random(30).tolist())
        for place, system in enumerate("ab")
    )
    both, alone = draws(tmp_path, first, second), draws(tmp_path, second)
    assert both.means(first, "ndcg@10") is not None
    assert both.means(second, "ndcg@10") == pytest.approx(alone.means(second, "ndcg@10"))
    assert both.means(second, "map@100") is None


def test_cqadupstack_is_drawn_forum_by_forum(tmp_path: Path) -> None:
    spec = registered("cqadupstack")
    assert spec is not None
    one = record("gtr-base", "cqadupstack", sum(range(12)) / 12 / 20, family="gtr-base")
    queries = sum(3 + place for place in range(len(spec.parts)))
    one = replace(one, parts={forum: {} for forum in spec.parts}, n_queries=queries)
    write(tmp_path, one)
    assert draws(tmp_path, one).means(one, "ndcg@10") is None
    for place, forum in enumerate(spec.parts):
        folder = tmp_path / "gtr-base" / forum
        folder.mkdir(parents=True)
        lines = [f"q{n},{place / 20!r}" for n in range(3 + place)]
        (folder / PER_QUERY).write_text("\n".join(["query_id,ndcg@10", *lines, ""]))
    drawn = draws(tmp_path, one).means(one, "ndcg@10")
    assert drawn == pytest.approx(np.full(RESAMPLES, sum(range(12)) / 12 / 20))


def test_documents_are_drawn_query_by_query() -> None:
    words = np.repeat(np.arange(6_666, dtype=np.int32)[:, None], 10, axis=1)
    top = TopLengths(words, words)
    found = resampled_documents(top, "fever", lambda drawn: float(drawn.words.mean()))
    assert len(found) == DOCUMENT_SAMPLES
    error = words.std() / np.sqrt(len(words))
    assert found.mean() == pytest.approx(words.mean(), abs=0.2 * error)
    assert found.std() == pytest.approx(error, rel=0.1)
    assert (found == resampled_documents(top, "fever", lambda d: float(d.text_words.mean()))).all()
