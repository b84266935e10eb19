"""The leaderboard of the repository: made from its own records, narrow, and up to date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gtr_beir.records import RECORD, Record
from gtr_beir.report.formats.markdown import WIDTH, markdown
from gtr_beir.report.formats.render import csv
from gtr_beir.report.leaderboard import leaderboard

RESULTS = Path(__file__).resolve().parents[2] / "results"
SYSTEMS = (
    *("all-MiniLM-L6-v2", "all-MiniLM-L6-v2@hub", "all-MiniLM-L6-v2@hub@bf16"),
    *("bm25-flat", "bm25-multifield"),
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The records that are committed, and none that somebody made beside them."""
    for system in SYSTEMS:
        (tmp_path / system).mkdir()
        (tmp_path / system / "scifact").symlink_to(RESULTS / system / "scifact")
    return tmp_path


@pytest.mark.parametrize("name", ["md", "csv"])
def test_it_is_what_the_command_writes_from_the_records(name: str, own: Path) -> None:
    report = leaderboard(own)
    text = {"md": markdown, "csv": csv}[name](report)
    assert (RESULTS / f"leaderboard.{name}").read_text(encoding="utf-8") == text


def test_it_reads_on_github_without_scrolling() -> None:
    lines = (RESULTS / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= WIDTH == 140
    tables = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    assert max(line.count("|") - 1 for line in tables) <= 9
    assert len(tables) > 100


@pytest.mark.parametrize("system", SYSTEMS)
def test_records_tell_nothing_of_a_machines_folders(system: str) -> None:
    path = RESULTS / system / "scifact"
    assert Record.read(path).n_queries == 300
    texts = str(json.loads((path / RECORD).read_text(encoding="utf-8")))
    assert "'/" not in texts
