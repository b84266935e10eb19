"""Tables: averages only over whole sets, differences marked, rounding only when rendered."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from gtr_beir.data.registry import zero_shot_names
from gtr_beir.published import published_values
from gtr_beir.ranking.measures import MEASURES
from gtr_beir.records import Record
from gtr_beir.report import render
from gtr_beir.report.table import DIFFERS, OWN, differences, leaderboard


def record(system: str, dataset: str, ndcg: float, protocol: str = "paper") -> Record:
    return Record(
        dataset=dataset,
        split="test",
        system=system,
        settings={"protocol": protocol},
        measures={**dict.fromkeys(MEASURES, 0.5), "ndcg@10": ndcg},
        n_queries=10,
        n_documents=20,
        depth=1000,
        self_matches={"policy": "drop", "queries": 0},
        fingerprints={"dataset": "a", "system": "b", "run": "c"},
    )


def write(results: Path, *records: Record) -> Path:
    for one in records:
        one.write(results / one.system / one.dataset)
    return results


def row(table, system, source):
    return next(r for r in table.rows if (r.system, r.source) == (system, source))


def test_without_records_the_published_tables(tmp_path: Path) -> None:
    ndcg, recall = leaderboard(tmp_path)
    assert all(r.source != OWN for r in ndcg.rows)
    paper = row(ndcg, "gtr-xxl", "gtr-paper")
    assert render.show(paper.cells["avg-zero-shot"]) == "0.458"  # as the paper prints
    assert render.show(row(ndcg, "gtr-xl", "gtr-paper").cells["avg-zero-shot"]) == "0.453"
    assert render.show(row(ndcg, "bm25-flat", "anserini").cells["cqadupstack"]) == "0.3021"
    capped = row(recall, "gtr-base", "t5x_retrieval-readme").cells["trec-covid"]
    assert render.show(capped).endswith(" c")


def test_averages_need_the_whole_set(tmp_path: Path) -> None:
    names = zero_shot_names()
    whole = [record("mine", name, 0.1 + 0.01 * place) for place, name in enumerate(names)]
    write(tmp_path, *whole, *(replace(one, system="partial") for one in whole[:-1]))
    table = leaderboard(tmp_path)[0]
    mine = row(table, "mine", OWN).cells["avg-zero-shot"]
    assert mine.n == 18
    assert mine.value == pytest.approx(0.1 + 0.01 * 17 / 2)
    assert "avg-zero-shot" not in row(table, "partial", OWN).cells


def test_differences_are_at_the_published_precision(tmp_path: Path) -> None:
    value = next(
        v
        for v in published_values()
        if (v.source, v.system) == ("gtr-paper", "gtr-base") and v.dataset == "scifact"
    )
    close = record("gtr-base", "scifact", value.value + 0.0004)
    far = record("gtr-base@bf16", "scifact", value.value + 0.0006)
    hub = record("gtr-base@hub", "scifact", value.value, protocol="hub")
    found = {(d.system, d.source): d.agrees for d in differences([close, far, hub])}
    assert found[("gtr-base", "gtr-paper")]
    assert not found[("gtr-base@bf16", "gtr-paper")]
    assert ("gtr-base@hub", "gtr-paper") not in found
    assert ("gtr-base@hub", "mteb-results") in found
    table = leaderboard(write(tmp_path, close, far))[0]
    assert row(table, "gtr-base@bf16", OWN).cells["scifact"].marks == (DIFFERS,)


def test_csv_is_unrounded_and_long(tmp_path: Path) -> None:
    write(tmp_path, record("mine", "scifact", 0.123456789))
    frame = pd.read_csv(io.StringIO(render.csv(leaderboard(tmp_path))))
    mine = frame[(frame.source == OWN) & (frame.measure == "ndcg@10")]
    assert mine["value"].tolist() == [0.123456789]
    assert mine["n"].tolist() == [10]


@pytest.mark.parametrize("name", render.FORMATS)
def test_every_format_shows_every_row(name: str, tmp_path: Path) -> None:
    write(tmp_path, record("mine", "scifact", 0.5), record("mine", "own-set", 0.25))
    tables = leaderboard(tmp_path)
    text = render.FORMATS[name](tables, differences([record("gtr-base", "scifact", 0.5)]))
    assert "mine" in text
    assert "own-set" in text
    assert "gtr-xxl" in text
    assert ("0.2500" in text) or name == "csv"
    assert "<script" not in text
