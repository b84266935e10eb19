"""The table in the docs is the registry's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtr_beir.cli import main

DOCS = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


def test_docs_table_is_printed_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "list", "--markdown"]) == 0
    table = capsys.readouterr().out.strip()
    assert table in DOCS.read_text(encoding="utf-8")
    assert len(table.splitlines()) == 21


def test_list_shows_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str], small) -> None:
    assert main(["datasets", "list", "--datasets-dir", str(small.path.parent)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["small"].split()[1:5] == ["5", "3", "test", "yes"]
    assert "comes with gtr-beir" in lines["demo"]
    assert " no " in lines["scifact"]
