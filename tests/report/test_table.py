"""Tables: averages only over whole sets, differences marked, rounding only when rendered."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from gtr_beir.data.registry import suite
from gtr_beir.identity import Identity, Model
from gtr_beir.lengths import Lengths
from gtr_beir.published import published_values
from gtr_beir.ranking.measures import MEASURES
from gtr_beir.records import Record
from gtr_beir.report import render
from gtr_beir.report.table import DIFFERS, OWN, average_sets, differences, leaderboard


def record(
    system: str, dataset: str, ndcg: float, protocol: str = "paper", family: str = ""
) -> Record:
    return Record(
        dataset=dataset,
        split="test",
        system=system,
        identity=Identity(
            Model(system, family=family),
            lengths=Lengths(protocol, 512, 512),
            precision="fp32",
            self_matches="none",
            dataset=dataset,
        ),
        settings={"protocol": protocol},
        measures={**dict.fromkeys(map(str, MEASURES), 0.5), "ndcg@10": ndcg},
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
    assert render.show(paper.cells["avg-zero-shot"]) == "0.458 v1"  # as the paper prints
    assert render.show(row(ndcg, "gtr-xl", "gtr-paper").cells["avg-zero-shot"]) == "0.453 v1"
    assert render.show(row(ndcg, "bm25-flat", "anserini").cells["cqadupstack"]) == "0.3021"
    capped = row(recall, "gtr-base", "t5x_retrieval-readme").cells["trec-covid"]
    assert render.show(capped).endswith(" c")


def test_averages_need_the_whole_set(tmp_path: Path) -> None:
    names = suite("zero-shot")
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
    close = record("close", "scifact", value.value + 0.0004, family="gtr-base")
    far = record("far", "scifact", value.value + 0.0006, family="gtr-base")
    hub = record("hub", "scifact", value.value, protocol="hub", family="gtr-base")
    found = {
        (d.system, d.source): d for d in differences([close, far, hub]) if d.measure == "ndcg@10"
    }
    assert found[("close", "gtr-paper")].agrees
    assert not found[("far", "gtr-paper")].agrees
    assert found[("far", "gtr-paper")].why_not == ""
    assert "hub lengths (512 and 512 tokens) here" in found[("hub", "gtr-paper")].why_not
    assert found[("hub", "mteb-results")].why_not == ""
    table = leaderboard(write(tmp_path, close, far))[0]
    assert row(table, "far", OWN).cells["scifact"].marks == (DIFFERS,)
    assert row(table, "close", OWN).cells["scifact"].marks == ()


def test_a_comparison_that_is_not_made_is_said() -> None:
    hub = record("hub", "scifact", 0.5, protocol="hub", family="gtr-base")
    text = render.markdown([], differences([hub]))
    assert "not compared: hub lengths (512 and 512 tokens) here, paper lengths (64 and 512)" in text
    touche = record("mine", "webis-touche2020", 0.2, family="gtr-base")
    own = replace(touche, identity=replace(touche.identity, version="v2"))
    assert "not compared: dataset v2 here, v1 there" in render.markdown([], differences([own]))


def test_averages_are_over_named_sets_alone() -> None:
    """A registered dataset that is added later joins no average by being there."""
    sets = average_sets()
    assert {name: len(names) for name, names in sets.items()} == {
        "avg-zero-shot": 18,
        "avg-unseen": 16,
        "avg-public": 14,
    }
    assert set(sets["avg-zero-shot"]) - set(sets["avg-unseen"]) == {"nq", "cqadupstack"}


def test_the_average_without_what_gtr_was_trained_on(tmp_path: Path) -> None:
    """.414 to .455, worked out elsewhere from the published values."""
    ndcg = leaderboard(tmp_path)[0]
    for size, mean in (("base", ".414"), ("large", ".443"), ("xl", ".450"), ("xxl", ".455")):
        cell = row(ndcg, f"gtr-{size}", "gtr-paper").cells["avg-unseen"]
        assert render.show(cell) == f"0{mean} v1"
    assert ndcg.headers["nq"] == "NQ *"
    assert ndcg.headers["cqadupstack"] == "CQA (*)"
    assert "GTR was fine-tuned on it" in render.markdown([ndcg])


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
