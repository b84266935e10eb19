"""MTEB's result files, old and new, as values beside own ones."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.exported import FORUMS, as_mteb, with_forums
from tests.report.results import record, write

from doubles import SHARED
from gtr_beir.errors import InputError, UsageError
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import BESIDE, OWN
from gtr_beir.report.exchange.fitness import values_for_others
from gtr_beir.report.exchange.mteb_export import export_mteb
from gtr_beir.report.exchange.mteb_files import mteb_values
from gtr_beir.report.exchange.mteb_tasks import mteb_tasks
from gtr_beir.report.formats import render
from gtr_beir.report.leaderboard import leaderboard

NDCG, RECALL = Measure("ndcg", 10), Measure("recall", 100)
GTR = "sentence-transformers__gtr-t5-base"
OLD = "no_revision_available"
REAL = SHARED / "mteb_results"


def old(task: str, **splits: dict[str, Any]) -> dict[str, Any]:
    return {**splits, "mteb_version": "0.0.2", "mteb_dataset_name": task, "dataset_revision": "x"}


def new(task: str, **splits: dict[str, Any]) -> dict[str, Any]:
    scores = {
        split: [{"main_score": 0.5, "hf_subset": "default", "languages": ["eng-Latn"], **entry}]
        for split, entry in splits.items()
    }
    return {"task_name": task, "mteb_version": "2.18.11", "scores": scores, "dataset_revision": "x"}


def put(folder: Path, model: str, revision: str, *files: dict[str, Any]) -> Path:
    home = folder / "results" / model / revision
    home.mkdir(parents=True, exist_ok=True)
    for file in files:
        name = file.get("task_name") or file["mteb_dataset_name"]
        (home / f"{name}.json").write_text(json.dumps(file))
    return folder


def table(values: list[PublishedValue]) -> dict[tuple[str, str, str], float]:
    return {(value.system, value.dataset, value.metric): value.value for value in values}


SCORES = {"ndcg_at_10": 0.59738, "recall_at_100": 0.86367, "map_at_5": 0.5}


@pytest.mark.parametrize("format_", [old, new])
def test_both_formats_become_the_same_rows(format_: Any, tmp_path: Path) -> None:
    put(tmp_path, GTR, OLD, format_("SciFact", test=SCORES, train={"ndcg_at_10": 0.9}))
    values, remarks = mteb_values([tmp_path], [NDCG, RECALL])
    assert table(values) == {
        ("gtr-base", "scifact", "ndcg@10"): 0.59738,
        ("gtr-base", "scifact", "recall@100"): 0.86367,
    }
    assert remarks == []


@pytest.mark.parametrize("below", ["", "results", f"results/{GTR}", f"results/{GTR}/{OLD}"])
def test_a_folder_may_be_given_at_any_height(below: str, tmp_path: Path) -> None:
    put(tmp_path / "mine", GTR, OLD, old("SciFact", test=SCORES))
    values, _ = mteb_values([tmp_path / "mine" / below], [NDCG])
    assert [value.system for value in values] == ["gtr-base"]


@pytest.mark.parametrize("split", ["dev", "validation"])
@pytest.mark.parametrize("format_", [old, new])
def test_ms_marco_is_dev(format_: Any, split: str, tmp_path: Path) -> None:
    scores = {"test": {"ndcg_at_10": 0.7}, split: {"ndcg_at_10": 0.4}, "train": {"ndcg_at_10": 0.3}}
    put(tmp_path, GTR, OLD, format_("MSMARCO", **scores))
    (value,), _ = mteb_values([tmp_path], [NDCG])
    assert (value.dataset, value.value) == ("msmarco", 0.4)


def test_what_is_not_a_number_is_left_out_and_told(tmp_path: Path) -> None:
    nan = {"ndcg_at_10": float("nan"), "recall_at_100": 0.5}
    put(
        tmp_path,
        GTR,
        OLD,
        old("SciFact", test=nan),
        new("NFCorpus", test={**SCORES, "main_score": None}),
        new("SCIDOCS", train=SCORES),
    )
    values, remarks = mteb_values([tmp_path], [NDCG, RECALL])
    assert table(values) == {("gtr-base", "scifact", "recall@100"): 0.5}
    said = {remark.rpartition("/")[2] for remark in remarks}
    assert said == {
        "NFCorpus.json: its main score is null, so it is left out",
        "SCIDOCS.json: there are no scores on test",
        "SciFact.json: 1 values are null or NaN, so they are left out",
    }


def test_other_tasks_are_not_opened(tmp_path: Path) -> None:
    put(tmp_path, GTR, OLD, old("SciFact", test=SCORES))
    home = tmp_path / "results" / GTR / OLD
    for name in ("Touche2020Retrieval.v3.json", "STS12.json", "model_meta.json"):
        (home / name).write_text("no JSON")
    assert len(mteb_values([tmp_path], [NDCG])[0]) == 1


def forum_files(count: int) -> list[dict[str, Any]]:
    return [
        old(mteb_tasks()[name].name, test={"ndcg_at_10": 0.1 + 0.01 * place, "recall_at_100": 0.5})
        for place, name in enumerate(FORUMS[:count])
    ]


def test_cqadupstack_is_the_mean_of_twelve_files_or_the_file_of_the_mean(tmp_path: Path) -> None:
    whole = put(tmp_path / "a", GTR, OLD, *forum_files(12))
    values = table(mteb_values([whole], [NDCG, RECALL])[0])
    assert values["gtr-base", "cqadupstack", "ndcg@10"] == pytest.approx(0.1 + 0.01 * 5.5)
    assert values["gtr-base", "cqadupstack", "recall@100"] == pytest.approx(0.5)
    mean = new("CQADupstackRetrieval", test={"ndcg_at_10": 0.123456})
    only = put(tmp_path / "b", GTR, OLD, mean, *forum_files(11))
    found = [v for v in mteb_values([only], [NDCG, RECALL])[0] if v.dataset == "cqadupstack"]
    assert [(v.metric, v.value, v.decimals) for v in found] == [("ndcg@10", 0.123456, 6)]
    both = put(tmp_path / "c", GTR, OLD, mean, *forum_files(12))
    found = [v for v in mteb_values([both], [NDCG])[0] if v.dataset == "cqadupstack"]
    assert len(found) == 1


def test_some_forums_are_told(tmp_path: Path) -> None:
    values, (remark,) = mteb_values([put(tmp_path, GTR, OLD, *forum_files(11))], [NDCG])
    assert not [value for value in values if value.dataset == "cqadupstack"]
    assert remark.endswith("11 of 12 forums have no mean, so they are left out")


def test_trailing_zeros_do_not_make_a_value_coarse(tmp_path: Path) -> None:
    """0.14 in a file is 0.14000: an own 0.1437 does not agree with it."""
    put(tmp_path, GTR, OLD, old("SCIDOCS", test={"ndcg_at_10": 0.14}))
    (value,), _ = mteb_values([tmp_path], [NDCG])
    assert value.decimals == 5
    assert value.agrees(0.140004)
    assert not value.agrees(0.1437)


def test_revisions_of_a_model_are_columns_of_their_own(tmp_path: Path) -> None:
    for revision, ndcg in ((OLD, 0.1), ("7027e9594267928589816394bdd295273ddc0739", 0.2)):
        put(tmp_path, GTR, revision, old("SciFact", test={"ndcg_at_10": ndcg}))
    put(tmp_path, "me__mine", "1", old("SciFact", test={"ndcg_at_10": 0.3}))
    values, _ = mteb_values([tmp_path], [NDCG])
    assert table(values) == {
        ("gtr-base [no revision]", "scifact", "ndcg@10"): 0.1,
        ("gtr-base [7027e95]", "scifact", "ndcg@10"): 0.2,
        ("me/mine", "scifact", "ndcg@10"): 0.3,
    }


def test_two_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [
        put(tmp_path / place / "cache", GTR, OLD, old("SciFact", test={"ndcg_at_10": ndcg}))
        for place, ndcg in (("a", 0.1), ("b", 0.2))
    ]
    values, _ = mteb_values([*folders, folders[0]], [NDCG])
    assert [(v.source, v.value) for v in values] == [("cache/", 0.1), ("cache/ (2)", 0.2)]


def test_only_known_commits_are_of_a_family(tmp_path: Path) -> None:
    """A name proves nothing: another revision under the released model's name is shown only."""
    put(tmp_path, GTR, "deadbeef", old("SciFact", test=SCORES))
    (value,), _ = mteb_values([tmp_path], [NDCG])
    assert (value.system, value.family) == ("sentence-transformers/gtr-t5-base", "")
    own = record("gtr-base@hub", "scifact", 0.59738, protocol="hub", family="gtr-base")
    report = leaderboard(write(tmp_path / "own", own), published=False, beside=[tmp_path])
    assert report.verdicts == ()


def test_a_folder_of_an_own_systems_name_is_not_held_against_it(tmp_path: Path) -> None:
    put(tmp_path / "cache", "mine", "1", old("SciFact", test=SCORES))
    results = write(tmp_path / "own", record("mine", "scifact", 0.1, protocol="hub"))
    report = leaderboard(results, published=False, beside=[tmp_path / "cache"])
    assert report.verdicts == ()
    assert {column.name for column in report.boards[0].columns} == {"mine", "cache/mine"}


def test_they_stand_after_own_ones_and_are_compared_like_with_like(tmp_path: Path) -> None:
    put(tmp_path / "cache", GTR, OLD, old("SciFact", test=SCORES))
    hub = record("gtr-base@hub", "scifact", 0.597381, protocol="hub", family="gtr-base")
    paper = record("gtr-base", "scifact", 0.6, family="gtr-base")
    results = write(tmp_path / "own", hub, paper)
    report = leaderboard(results, published=False, beside=[tmp_path / "cache"], measures=[NDCG])
    columns = report.boards[0].columns
    assert [column.group for column in columns] == [OWN, OWN, BESIDE]
    assert columns[-1].source == "cache/"
    words = {verdict.system: (verdict.word, verdict.source) for verdict in report.verdicts}
    assert words == {
        "gtr-base@hub": ("reproduced", "cache/"),
        "gtr-base": ("not compared", "cache/"),
    }
    for name, render_one in render.FORMATS.items():
        text = render_one(report, False)
        assert "0.59738" in text, name
        assert r"cache/" in text, name


def test_what_is_exported_is_read_back(tmp_path: Path) -> None:
    results = write(tmp_path / "results", as_mteb(), with_forums())
    values = values_for_others(results / "my-encoder@hub")
    export_mteb(values, tmp_path / "out")
    found = table(mteb_values([tmp_path / "out"], [NDCG])[0])
    told = {one.task.dataset: one.values["ndcg_at_10"] for one in values.tasks}
    assert {dataset for _, dataset, _ in found} == set(told)
    for (_, dataset, _), value in found.items():
        assert value == pytest.approx(told[dataset], abs=5.1e-6)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not JSON", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ('{"a": ' * 100_000, "not a JSON file"),
        (" " * ((1 << 23) + 1), "not a JSON file"),
        ("[]", "not a result file of MTEB"),
        ('{"scores": []}', "not a result file of MTEB"),
        ('{"scores": {"test": ["x"]}}', "not a result file of MTEB"),
        ('{"scores": {"test": 0.5}}', "not a result file of MTEB"),
        ('{"test": {"ndcg_at_10": 64.5}}', "'ndcg_at_10' is not a number from 0 to 1"),
        ('{"test": {"ndcg_at_10": Infinity}}', "'ndcg_at_10' is not a number from 0 to 1"),
        ('{"test": {"ndcg_at_10": "0.5"}}', "'ndcg_at_10' is not a number from 0 to 1"),
        ('{"test": {"ndcg_at_10": true}}', "'ndcg_at_10' is not a number from 0 to 1"),
        ('{"task_name": "NFCorpus", "scores": {}}', "says that it is of another task"),
        ('{"task_name": ["../../x"], "scores": {}}', "says that it is of another task"),
    ],
)
def test_a_file_that_is_none_of_mtebs_is_told(content: str, sentence: str, tmp_path: Path) -> None:
    put(tmp_path, GTR, OLD, old("SciFact", test=SCORES))
    path = tmp_path / "results" / GTR / OLD / "SciFact.json"
    path.write_text(content)
    with pytest.raises(InputError) as refusal:
        mteb_values([tmp_path], [NDCG])
    assert str(refusal.value).startswith(f"{path}: ")
    assert sentence in str(refusal.value)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, GTR, OLD, old("SciFact", test=SCORES))
    path = tmp_path / "results" / GTR / OLD / "NFCorpus.json"
    os.mkfifo(path)
    with pytest.raises(InputError, match="not a JSON file"):
        mteb_values([tmp_path], [NDCG])


@pytest.mark.parametrize("given", ["nowhere", "."])
def test_a_folder_without_results_is_told(given: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no result of MTEB in"):
        mteb_values([tmp_path / given], [NDCG])


def test_hostile_names_are_shown_harmless(tmp_path: Path) -> None:
    model = "evil__<script>|\x1b[31m\n# x"
    nan = {"ndcg_at_10": 0.5, "recall_at_100": float("nan")}
    put(tmp_path, model, "<b>\n", old("SciFact", test=nan))
    report = leaderboard(tmp_path / "none", beside=[tmp_path])
    assert len(report.remarks) == 1
    for name, render_one in render.FORMATS.items():
        text = render_one(report, False)
        assert "\x1b" not in text
        assert "\n# x" not in text
        if name in ("md", "html"):
            assert "evil__<script>" not in text
            assert "/<script>|" not in text
            assert "<b>\N{REPLACEMENT CHARACTER}" not in text


@pytest.mark.skipif(not REAL.is_dir(), reason=f"MTEB's real files are not at {REAL}")
def test_real_files_of_both_formats_are_the_published_numbers() -> None:
    """Every value of the files is the one in published.csv, and of the same things."""
    read, remarks = mteb_values([REAL], [NDCG, RECALL])
    values = [
        value
        for value in read
        # Forums do not stand alone there, and their mean has no recall.
        if not value.dataset.startswith("cqadupstack/")
        and (value.dataset, value.metric) != ("cqadupstack", "recall@100")
    ]
    found = table(values)
    assert remarks == []
    assert {system for system, _, _ in found} == {
        "gtr-base",
        "gtr-xxl",
        "all-MiniLM-L6-v2",
        "colbertv2",
    }
    published = {
        (value.system, value.dataset, value.metric): value
        for value in published_values()
        if value.source == "mteb-results"
    }
    assert len(found) == 3 * (14 * 2 + 1) + 2
    for key, value in found.items():
        rounding = 5.1e-6 if key[1] == "cqadupstack" else 1e-9
        assert value == pytest.approx(published[key].value, abs=rounding), key
    for value in values:
        theirs = published[value.system, value.dataset, value.metric]
        same = replace(
            value,
            source=theirs.source,
            value=theirs.value,
            decimals=theirs.decimals,
            provenance=theirs.provenance,
        )
        assert same == theirs, "what they are of is the same as well"
