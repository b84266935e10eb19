"""What huggingface_hub makes of a card, and whether the values are those of the records."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from tests.report.exported import FORUMS, as_mteb, with_forums
from tests.report.results import write

from gtr_beir.errors import UsageError
from gtr_beir.report.exchange.fitness import values_for_others
from gtr_beir.report.exchange.model_card import export_model_card

REVISION = "d56462d0e63a25450459c4f213e49ffdb866f7f9"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    results = write(tmp_path / "results", as_mteb(), with_forums())
    return export_model_card(values_for_others(results / "my-encoder@hub"), tmp_path / "out")


def test_the_card_is_parsed(card: Path) -> None:
    data = ModelCard.load(card / "model-index.md").data
    assert data.model_name == "my-encoder"
    results = data.eval_results
    assert results is not None
    assert len(results) == 2 * 13, "NDCG@10 and Recall@100 of SciFact and twelve forums"
    first = results[0]
    assert (first.task_type, first.dataset_type, first.dataset_name) == (
        "Retrieval",
        "mteb/scifact",
        "MTEB SciFact",
    )
    assert (first.dataset_config, first.dataset_split) == ("default", "test")
    assert first.dataset_revision == REVISION
    assert (first.metric_type, first.metric_value) == ("ndcg_at_10", 64.508)
    assert (results[1].metric_type, results[1].metric_value) == ("recall_at_100", 50.0)


def test_the_table_has_the_mean_of_the_forums(card: Path) -> None:
    text = (card / "model-index.md").read_text(encoding="utf-8")
    mean = sum(round(0.3 + 0.0123456789 * place, 5) for place in range(len(FORUMS))) / 12
    (line,) = (line for line in text.splitlines() if "| CQADupstackRetrieval " in line)
    assert float(line.split("|")[2]) == pytest.approx(100 * mean, abs=1e-4)
    assert max(map(len, text.partition("# me/")[2].splitlines())) <= 140


def test_eval_results_are_parsed(card: Path) -> None:
    files = sorted(path.name for path in (card / ".eval_results").iterdir())
    assert "SciFact.yaml" in files
    assert len(files) == 13
    assert "CQADupstackRetrieval.yaml" not in files, "the hub has no dataset that is the mean"
    text = (card / ".eval_results" / "SciFact.yaml").read_text(encoding="utf-8")
    entries = parse_eval_result_entries(yaml.safe_load(text))
    assert [entry.task_id for entry in entries] == ["SciFact_default_test", "SciFact"]
    for entry in entries:
        assert (entry.dataset_id, entry.dataset_revision) == ("mteb/scifact", REVISION)
        assert entry.value == 64.508
        assert entry.date is not None
        assert datetime.date.fromisoformat(entry.date) == datetime.date(2026, 11, 27)


def test_it_can_be_written_again_but_not_over_others(card: Path, tmp_path: Path) -> None:
    values = values_for_others(tmp_path / "results" / "my-encoder@hub")
    export_model_card(values, card)
    (card / ".eval_results" / "SciFact.yaml").write_text("- theirs\n")
    with pytest.raises(UsageError, match=r"SciFact\.yaml is there already"):
        export_model_card(values, card)


MENTIONED = "Values times 100, measured with gtr-beir 0.2.0 at revision `x`."


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("model-index.md", f"# My encoder\n\n{MENTIONED}\n"),
        ("model-index.md", f"---\nmodel-index:\n- name: x\n---\n{MENTIONED}\n\nAnd more.\n"),
        ("model-index.md", f"---\nlicense: mit\n---\n\n{MENTIONED}\n"),
        (".eval_results/SciFact.yaml", "- notes: checked with gtr-beir 0.2.0\n"),
        (".eval_results/SciFact.yaml", "- notes: 'gtr-beir 0.2.0: x'\n- value: 1\n"),
        (".eval_results/SciFact.yaml", "# gtr-beir 0.2.0: x\n[]\n"),
        (".eval_results/SciFact.yaml", "notes: 'gtr-beir 0.2.0: x'\n"),
        (".eval_results/SciFact.yaml", "- [\n"),
    ],
)
def test_a_file_that_mentions_us_is_not_ours(
    name: str, theirs: str, card: Path, tmp_path: Path
) -> None:
    values = values_for_others(tmp_path / "results" / "my-encoder@hub")
    before = (card / name).read_text(encoding="utf-8")
    (card / name).write_text(theirs)
    with pytest.raises(UsageError, match=r"is there already"):
        export_model_card(values, card)
    assert (card / name).read_text() == theirs
    (card / name).write_text(before.replace("gtr-beir ", "gtr-beir 0.0."), encoding="utf-8")
    export_model_card(values, card)
    assert (card / name).read_text(encoding="utf-8") == before, "an older version's is replaced"
