"""What mteb's own reader makes of an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.report.exported import COMMIT, FORUMS, HUB, as_mteb, with_forums
from tests.report.results import write

from gtr_beir.errors import UsageError
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.exchange.fitness import values_for_others
from gtr_beir.report.exchange.mteb_export import MODEL_META, export_mteb
from gtr_beir.report.exchange.mteb_tasks import mteb_tasks


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    results = write(tmp_path / "results", as_mteb(), with_forums(), as_mteb("msmarco", 0.25))
    export_mteb(values_for_others(results / "my-encoder@hub"), tmp_path / "out")
    return tmp_path / "out"


def read_by_mteb(folder: Path, **choices: Any) -> Any:
    mteb = pytest.importorskip("mteb")
    results = mteb.ResultCache(folder).load_results(include_remote=False, **choices)
    (model,) = results.model_results
    return model


def test_mtebs_reader_finds_every_task(exported: Path) -> None:
    model = read_by_mteb(exported)
    assert (model.model_name, model.model_revision) == (HUB, COMMIT)
    scores = {result.task_name: float(result.get_score()) for result in model.task_results}
    assert scores["SciFact"] == 0.64508
    assert scores["MSMARCO"] == 0.25
    assert len(scores) == 15
    forums = [scores[mteb_tasks()[name].name] for name in FORUMS]
    assert scores["CQADupstackRetrieval"] == round(sum(forums) / 12, 6)


def test_mteb_takes_the_splits_for_its_own(exported: Path) -> None:
    mteb = pytest.importorskip("mteb")
    tasks = [mteb.get_task(name) for name in ("SciFact", "MSMARCO")]
    model = read_by_mteb(exported, tasks=tasks, validate_and_filter=True)
    found = {result.task_name: result for result in model.task_results}
    assert set(found["MSMARCO"].scores) == {"dev"}
    assert found["SciFact"].evaluation_time == 12.5
    assert found["SciFact"].date.isoformat() == "2026-11-27T05:30:00+00:00"
    (entry,) = found["SciFact"].scores["test"]
    assert entry["accuracy"] == entry["recall_at_1"] == 0.5
    for name in entry:
        if "_at_" in name:
            assert Measure.parse(name), "mteb's names are understood on the way back"


def test_mteb_validates_what_is_known_of_the_model(exported: Path) -> None:
    meta = pytest.importorskip("mteb.models.model_meta").ModelMeta
    (path,) = exported.rglob(MODEL_META)
    found = meta.model_validate_json(path.read_text(encoding="utf-8"))
    assert (found.name, found.revision) == (HUB, COMMIT)
    assert (found.max_tokens, found.embed_dim) == (512, 384)
    assert found.similarity_fn_name.value == "cosine"
    assert found.use_instructions is False


def test_bm25_is_sparse_and_has_no_limit(tmp_path: Path) -> None:
    one = as_mteb(lengths=None, precision="")
    folder = write(tmp_path, one) / one.system
    home = export_mteb(values_for_others(folder), tmp_path / "out")
    found = json.loads((home / MODEL_META).read_text(encoding="utf-8"))
    assert (found["model_type"], found["max_tokens"]) == (["sparse"], None)


def test_the_same_record_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    values = values_for_others(tmp_path / "results" / "my-encoder@hub")
    before = {path: path.read_bytes() for path in exported.rglob("*.json")}
    export_mteb(values, exported)
    assert {path: path.read_bytes() for path in exported.rglob("*.json")} == before
    export_mteb(values, tmp_path / "again")
    again = tmp_path / "again"
    assert {again / path.relative_to(exported): data for path, data in before.items()} == {
        path: path.read_bytes() for path in again.rglob("*.json")
    }


def test_files_of_mteb_stay(exported: Path, tmp_path: Path) -> None:
    values = values_for_others(tmp_path / "results" / "my-encoder@hub")
    home = exported / "results" / "me__my-encoder" / COMMIT
    (home / MODEL_META).write_text("{}")
    export_mteb(values, exported)
    assert (home / MODEL_META).read_text() == "{}"
    (home / "SciFact.json").write_text('{"mteb_version": "2.26.24"}')
    with pytest.raises(UsageError, match=r"SciFact\.json is there already"):
        export_mteb(values, exported)


@pytest.mark.parametrize(
    "theirs",
    [
        '{"task_name": "SciFact", "notes": "checked against gtr-beir 0.2.0: equal"}',
        '{"signature": "as by gtr-beir 0.2.0: equal"}',
        '[{"signature": "gtr-beir 0.2.0: in a list"}]',
        '"signature": "gtr-beir 0.2.0: x"',
        '{"scores": {"signature": "gtr-beir 0.2.0: x"}}',
        "[" * 100_000,
        "",
    ],
)
def test_a_file_that_mentions_us_is_not_ours(theirs: str, exported: Path, tmp_path: Path) -> None:
    values = values_for_others(tmp_path / "results" / "my-encoder@hub")
    place = exported / "results" / "me__my-encoder" / COMMIT / "SciFact.json"
    before = place.read_text(encoding="utf-8")
    place.write_text(theirs)
    with pytest.raises(UsageError, match=r"SciFact\.json is there already"):
        export_mteb(values, exported)
    assert place.read_text() == theirs
    place.write_text(before.replace('"gtr-beir ', '"gtr-beir 0.0.'), encoding="utf-8")
    export_mteb(values, exported)
    assert place.read_text(encoding="utf-8") == before, "an older version's is replaced"
