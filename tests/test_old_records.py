"""Records of version 0.1: read where they tell what they are of, and brought up by a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gtr_beir import benchmark, load_dataset, load_system
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.errors import StoreError
from gtr_beir.lengths import Lengths
from gtr_beir.old_records import identity_of_format_1
from gtr_beir.ranking.measures import MEASURES
from gtr_beir.records import Record

GTR = {
    "checkpoint": "gtr-base",
    "revision": "7027e9594267928589816394bdd295273ddc0739",
    "weights": "ab",
    "gtr": True,
    "protocol": "paper",
    "own_length": 512,
    "dtype": "bf16",
}
BM25 = {"k1": 0.9, "b": 0.4, "fields": {"contents": 1.0}, "analyzer": "lucene-english-1"}
COLBERT = {
    "checkpoint": "colbert-ir/colbertv2.0",
    "revision": "c1e84128e85ef755c096a95bdb06b47793b13acf",
    "weights": "cd",
    "format": "stanford",
    "dtype": "fp32",
    "query_length": 32,
    "document_length": 180,
}


def written(settings: dict[str, Any], system: str = "free text", **other: Any) -> dict[str, Any]:
    """The fields of a record of 0.1 that tell what it is of."""
    policy = {"policy": "drop", "queries": 0}
    return {
        "settings": settings,
        "system": system,
        "dataset": "scifact",
        "depth": 1000,
        "self_matches": policy,
        **other,
    }


def test_gtr_from_the_hub_is_told_by_its_commit() -> None:
    own = identity_of_format_1(written(GTR))
    assert (own.model.family, own.model.weights) == ("gtr-base", "ab")
    assert own.lengths == Lengths("paper", 512, 512)
    assert (own.precision, own.self_matches, own.version) == ("bf16", "none", "")


def test_a_folder_is_not_taken_for_what_it_is_called() -> None:
    own = identity_of_format_1(written({**GTR, "revision": None}, system="gtr-base"))
    assert (own.model.family, own.model.akin) == ("", "gtr-base")
    assert "version 0.1" in own.model.why_not


def test_bm25_is_told_by_its_fields() -> None:
    assert identity_of_format_1(written(BM25)).model.family == "bm25-lucene-flat"
    two = {"contents": 1.0, "title": 0.5}
    own = identity_of_format_1(written({**BM25, "k1": 1.2, "fields": two}))
    assert own.model.family == "bm25-lucene-multifield"
    assert own.options == {"k1": "k1=1.2", "field_weights": "contents=1,title=0.5"}


def test_colbert_did_not_say_what_was_changed() -> None:
    rerank = {"run": "bm25-flat", "depth": 100, "sha256": "ef"}
    own = identity_of_format_1(written({**COLBERT, "rerank": rerank}))
    assert (own.model.family, own.model.akin) == ("", "colbertv2")
    assert str(own.scoring) == "reranked the first 100 of bm25-flat"


def test_a_run_brings_an_old_record_up(tmp_path: Path) -> None:
    """Identity and measures are added from the run file that is there; nothing is searched."""
    dataset = load_dataset("demo", datasets_dir=tmp_path / "datasets")
    system = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True)
    whole = benchmark(system, dataset, results_dir=tmp_path, label="toy")
    file = tmp_path / "toy" / "demo" / "record.json"
    old = json.loads(file.read_text(encoding="utf-8"))
    del old["identity"], old["digest"]
    old["format"] = 1
    old["measures"] = {name: old["measures"][name] for name in ("ndcg@10", "recall@100")}
    file.write_text(json.dumps(old), encoding="utf-8")
    before = Record.read(file.parent)
    assert before.identity.model.family == ""
    assert set(before.lacks) == {str(m) for m in MEASURES} - {"ndcg@10", "recall@100"}

    def never(*_: object) -> None:
        raise AssertionError("nothing is to be searched")

    system.search = never  # type: ignore[method-assign]
    again = benchmark(system, dataset, results_dir=tmp_path, label="toy")
    assert again.measures == whole.measures
    assert again.identity == whole.identity
    assert again.lacks == ()
    assert Record.read(file.parent).identity == whole.identity


def test_records_of_a_later_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"format": 3}', encoding="utf-8")
    with pytest.raises(StoreError, match="written by another version; run again with --again"):
        Record.read(tmp_path)
