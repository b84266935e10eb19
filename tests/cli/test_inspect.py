"""`gtr-beir inspect` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtr_beir import cli
from gtr_beir.data.registry import registered
from gtr_beir.data.store import Dataset, DatasetGroup
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.report.inspection import inspection
from refusal import Refused

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def run(mine: Dataset) -> None:
    """Two results on the good folder, the second of them with less."""
    for label, depth in (("a", "3"), ("b", "1")):
        words = ["run", "fixed", "-d", mine.name, "--label", label, "--depth", depth, "--quiet"]
        assert cli.main(words) == 0


@pytest.mark.parametrize(
    ("name", "begin"),
    [("text", "mine: the query with"), ("md", "# mine: the query with"), ("html", "<!doctype")],
)
def test_formats(name: str, begin: str, run: None, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = ["inspect", "a", "b", "-d", "mine", "--worst", "1", "--measure", "recall@3"]
    assert cli.main([*words[:2], *words[3:], "--format", name]) == 0
    found = capsys.readouterr()
    assert found.out.startswith(begin)
    assert found.out.endswith("\n")
    assert found.err == ""
    assert cli.main([*words, "--format", name]) == 0
    assert "changed most from A" in capsys.readouterr().out


def test_a_name_with_a_slip(run: None, results: Path, refused: Refused) -> None:
    refused(
        f"there is no run of mine in c; give a results folder such as {results / 'bm25-flat'}, its "
        "name, or a run file",
        *("inspect", "c", "-d", "mine"),
        code=2,
    )
    refused("there is no dataset 'mien'…did you mean 'mine'?", "inspect", "a", "-d", "mien", code=2)
    refused(
        "there is no measure 'bleu'…", "inspect", "a", "-d", "mine", "--measure", "bleu", code=2
    )


def test_the_mean_of_forums_has_no_queries(
    mine: Dataset, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    spec = registered("cqadupstack")
    assert spec is not None
    group = DatasetGroup(spec, [mine])
    monkeypatch.setattr(inspection, "load_dataset", lambda *_, **__: group)
    refused(
        "cqadupstack is the mean of its forums; name one of them, such as mine",
        *("inspect", "a", "-d", "cqadupstack"),
        code=2,
    )


def test_the_tokenizer_of_the_run_is_used(
    mine: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(CHECKPOINT_DIR), "-d", mine.name, "--label", "toy", "--offline", "--device", "cpu"]
    assert cli.main(["run", *words, "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["inspect", "toy", "-d", mine.name]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "mine: the 2 queries with the lowest NDCG@10 of A"
    assert second == "A toy: reads 64 tokens of a query, 512 of a document"
