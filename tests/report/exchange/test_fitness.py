"""What may leave under MTEB's name, and what is refused with which reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.exported import COMMIT, FORUMS, HUB, as_mteb, with_forums
from tests.report.results import record, write

from gtr_beir.errors import StoreError, UsageError
from gtr_beir.identity import Scoring
from gtr_beir.lengths import Lengths
from gtr_beir.report.exchange.fitness import (
    WRITTEN_BY,
    signed,
    values_for_others,
    why_not_mteb,
    write_files,
)


def test_an_encoder_as_mteb_runs_it(tmp_path: Path) -> None:
    found = values_for_others(write(tmp_path, as_mteb()) / "my-encoder@hub")
    assert (found.model, found.revision, found.skipped) == (HUB, COMMIT, ())
    (one,) = found.tasks
    assert one.task.name == "SciFact"
    assert one.values["ndcg_at_10"] == 0.64508123
    assert {"precision_at_1000", "hit_rate_at_20", "mrr_at_3"} <= set(one.values)
    assert not [name for name in one.values if "cap" in name or "success" in name]
    assert one.seconds == 12.5


@pytest.mark.parametrize(
    ("dataset", "identity", "reason"),
    [
        ("scifact", {"lengths": Lengths("paper", 512, 512)}, "paper lengths (64 and 512 tokens)"),
        ("scifact", {"lengths": Lengths("checkpoint", 32, 180)}, "checkpoint lengths (32 and 180"),
        ("scifact", {"self_matches": "drop"}, "own id are dropped here, kept there"),
        ("arguana", {"self_matches": "keep"}, "own id are kept here, dropped there"),
        ("scifact", {"scoring": Scoring("bm25", 100)}, "reranked the first 100 of bm25 here"),
        ("scifact", {"options": {"length": "length=32"}}, "length=32 here, the defaults there"),
        ("scifact", {"depth": 5}, "ranked to depth 5 here"),
        ("scifact", {"version": "split train"}, "dataset split train here"),
        ("scifact", {"precision": "bf16"}, "bf16 here, fp32 there"),
        ("webis-touche2020", {"version": "v1"}, "dataset v1 here, v2 there"),
        ("bioasq", {}, "MTEB has no task of it"),
        ("own-set", {}, "MTEB has no task of it"),
        ("cqadupstack", {}, "the values of its 12 forums are not in the record"),
    ],
)
def test_what_mteb_does_not_measure_is_refused(
    dataset: str, identity: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, as_mteb(dataset, **identity)) / "my-encoder@hub"
    with pytest.raises(UsageError, match="has nothing that MTEB measures") as refusal:
        values_for_others(folder)
    assert reason in str(refusal.value)
    write(tmp_path, as_mteb("nfcorpus"))
    found = values_for_others(folder)
    assert [one.task.name for one in found.tasks] == ["NFCorpus"]
    (sentence,) = found.skipped
    assert sentence.startswith(f"{dataset}: ")
    assert reason in sentence


@pytest.mark.parametrize(
    ("dataset", "identity"),
    [
        ("scifact", {"self_matches": "none"}),
        ("scifact", {"self_matches": "keep"}),
        ("arguana", {"self_matches": "drop"}),
        # The paper's lengths on ArguAna are 512 tokens for both, as the checkpoint's own.
        ("arguana", {"lengths": Lengths("paper", 512, 512)}),
        ("scifact", {"lengths": None}),
        ("scifact", {"lengths": Lengths("hub", 1024, 1024, most=512)}),
        ("webis-touche2020", {"version": "v2"}),
    ],
)
def test_what_mteb_measures_too(dataset: str, identity: dict[str, Any]) -> None:
    assert why_not_mteb(as_mteb(dataset, **identity), "fp32") == ""


def test_a_ranking_that_is_not_deep_has_no_deep_measures(tmp_path: Path) -> None:
    one = as_mteb(depth=10)
    found = values_for_others(write(tmp_path, replace(one, depth=10)) / one.system)
    assert "ndcg_at_10" in found.tasks[0].values
    assert "recall_at_20" not in found.tasks[0].values


def test_forums_and_their_mean_as_mteb_takes_it(tmp_path: Path) -> None:
    """The mean of the forums' values as they are rounded in their files."""
    whole = with_forums()
    found = values_for_others(write(tmp_path, whole) / whole.system)
    mean, *forums = found.tasks
    assert mean.task.name == "CQADupstackRetrieval"
    assert [one.task.dataset for one in forums] == FORUMS
    rounded = [round(whole.parts[name]["ndcg@10"], 5) for name in FORUMS]
    assert dict(mean.values) == {"ndcg_at_10": pytest.approx(sum(rounded) / 12, abs=1e-12)}
    assert forums[3].values["ndcg_at_10"] == whole.parts[FORUMS[3]]["ndcg@10"]


def test_some_forums_have_no_mean(tmp_path: Path) -> None:
    one = as_mteb("cqadupstack/gis")
    one.write(tmp_path / one.system / one.dataset)
    found = values_for_others(tmp_path / one.system)
    assert [each.task.name for each in found.tasks] == ["CQADupstackGisRetrieval"]


def test_a_model_that_is_not_on_the_hub_needs_a_name(tmp_path: Path) -> None:
    folder = write(tmp_path, record("mine", "scifact", 0.5, protocol="hub")) / "mine"
    with pytest.raises(UsageError, match=r"not on the hub; give --name ORG/MODEL"):
        values_for_others(folder)
    found = values_for_others(folder, "me/mine")
    assert (found.model, found.revision) == ("me/mine", "b"), "the system's fingerprint"


def test_the_hubs_commit_is_for_the_hubs_name_alone(tmp_path: Path) -> None:
    folder = write(tmp_path, as_mteb(precision="bf16")) / "my-encoder@hub"
    with pytest.raises(UsageError, match="bf16 here, fp32 there"):
        values_for_others(folder)
    found = values_for_others(folder, "me/my-encoder-bf16")
    assert (found.model, found.revision) == ("me/my-encoder-bf16", "b")


@pytest.mark.parametrize(
    "name", ["../up/x", "..", "a/../b", "/etc/x", "a/b/c", "a", "a/", "a/b\n", "a b/c", "a/.b"]
)
def test_names_that_would_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path, as_mteb()) / "my-encoder@hub"
    with pytest.raises(UsageError, match="cannot be a model's name"):
        values_for_others(folder, name)


def test_a_commit_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    one = as_mteb()
    model = replace(one.identity.model, commit="../../up")
    folder = write(tmp_path, as_mteb(model=model)) / one.system
    with pytest.raises(StoreError, match="damaged"):
        values_for_others(folder)


def test_one_name_for_two_systems_is_refused(tmp_path: Path) -> None:
    other = as_mteb("nfcorpus")
    other = replace(other, fingerprints={**other.fingerprints, "system": "c"})
    folder = write(tmp_path, as_mteb(), other) / other.system
    with pytest.raises(UsageError, match="of another model or other settings"):
        values_for_others(folder)


@pytest.mark.parametrize("value", [1.5, float("nan"), "0.5"])
def test_damaged_measures_are_told(value: Any, tmp_path: Path) -> None:
    one = as_mteb()
    damaged = replace(one, measures={**one.measures, "map@5": value})
    with pytest.raises(StoreError, match="my-encoder@hub on scifact is damaged"):
        values_for_others(write(tmp_path, damaged) / one.system)


def test_no_record_no_export(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no record in"):
        values_for_others(tmp_path)


def test_a_sentence_has_nothing_that_a_terminal_acts_on(tmp_path: Path) -> None:
    hostile = replace(as_mteb(), dataset="x\x1b[2Jy\n")
    hostile.write(tmp_path / hostile.system / "any")
    write(tmp_path, as_mteb())
    (sentence,) = values_for_others(tmp_path / hostile.system).skipped
    assert sentence.isprintable()
    assert "[2Jy" in sentence


def test_what_others_wrote_is_not_replaced(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    mine = str.isdecimal
    theirs.write_text("mteb 2")
    ours.write_text("1")
    with pytest.raises(UsageError, match="gtr-beir did not write it"):
        write_files({ours: "2", theirs: "2"}, mine)
    assert (ours.read_text(), theirs.read_text()) == ("1", "mteb 2"), "all or nothing"
    write_files({ours: "2"}, mine)
    assert ours.read_text() == "2"


@pytest.mark.parametrize("content", [b"1" * (1 << 22) + b"1", b"1\xff", None])
def test_what_cannot_be_ours_is_not_replaced(content: bytes | None, tmp_path: Path) -> None:
    """Larger than any of ours, no text, or a folder."""
    place = tmp_path / "place"
    if content is None:
        place.mkdir()
    else:
        place.write_bytes(content)
    with pytest.raises(UsageError, match="gtr-beir did not write it"):
        write_files({place: "1"}, lambda _: True)
    assert place.is_dir() if content is None else place.read_bytes() == content


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{WRITTEN_BY}: NDCG@10|key:1", True),
        ("gtr-beir 0.1.0: older", True),
        ("made like gtr-beir 0.2.0: by hand", False),
        ("gtr-beir: see there", False),
        ("gtr-beir is a program: see there", False),
        ({"gtr-beir 0.2.0: ": 1}, False),
        (None, False),
    ],
)
def test_signatures(text: object, found: bool) -> None:
    assert signed(text) is found
