"""Records that are damaged, of other settings or without their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.tags import Tags

from doubles import FixedSystem
from gtr_beir import benchmark, cli
from gtr_beir.data.store import Dataset
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record
from gtr_beir.systems.dense import DenseOptions
from refusal import Refused, files_in, leftovers

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def record(mine: Dataset, results: Path) -> Path:
    """The record of a run of `fixed` on `mine`."""
    benchmark(FixedSystem("fixed", DenseOptions()), mine, results_dir=results)
    return results / "fixed" / "mine" / RECORD


def record_with(**values: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        value = json.loads(path.read_text(encoding="utf-8"))
        # So that more than the digest is looked at; records of earlier versions have none.
        del value["digest"]
        value.update(values)
        path.write_text(json.dumps({k: v for k, v in value.items() if v is not ...}))

    return damage


DAMAGED_RECORDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut off": (
        lambda path: path.write_bytes(path.read_bytes()[:100]) and None,
        "{record} is damaged (…); delete it and run again",
    ),
    "not UTF-8": (
        lambda path: path.write_bytes(b'{"system": "\xff"}') and None,
        "{record} is damaged (…); delete it and run again",
    ),
    "of another version": (
        record_with(format=0),
        "{record} was written by another version; run again with --again",
    ),
    "a list": (
        lambda path: path.write_text("[]") and None,
        "{record} was written by another version; run again with --again",
    ),
    "without measures": (
        record_with(measures=...),
        "{record} is damaged (…); run again with --again",
    ),
    "with no measure": (
        record_with(measures={}),
        "{record} is damaged (…); run again with --again",
    ),
    "with measures that are null": (
        record_with(measures=None),
        "{record} is damaged (…); run again with --again",
    ),
    "without fingerprints": (
        record_with(fingerprints={}),
        "{record} is damaged (…); run again with --again",
    ),
    "with another digit": (
        lambda path: (
            path.write_text(path.read_text().replace('"n_queries": ', '"n_queries": 1')) and None
        ),
        "{record} has changed since it was written; run again with --again",
    ),
    "with an unknown field": (
        record_with(colour="red"),
        "{record} is damaged (…); run again with --again",
    ),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGED_RECORDS.values(), ids=DAMAGED_RECORDS)
def test_a_damaged_record_stops_the_leaderboard_and_is_made_again_by_run(
    damage: Callable[[Path], None], sentence: str, record: Path, results: Path, refused: Refused
) -> None:
    good = Record.read(record.parent)
    damage(record)
    before = files_in(results)
    refused(sentence.replace("{record}", str(record)), "leaderboard")
    assert files_in(results) == before
    assert leftovers(results) == []
    assert cli.main(["run", "fixed", "-d", "mine", "-q"]) == 0
    assert Record.read(record.parent).measures == good.measures


def test_a_record_of_other_settings_needs_again(
    record: Path, results: Path, refused: Refused
) -> None:
    before = files_in(results)
    for changed, differs in (
        (("--protocol", "hub", "--label", "fixed"), "protocol 'paper' there, 'hub' here"),
        (("--depth", "10"), "depth 1000 there, 10 here"),
        (("--self-matches", "keep"), "self_matches 'drop' there, 'keep' here"),
    ):
        refused(
            f"{record.parent} holds a record of other settings ({differs}); name this one with "
            "--label, or replace it with --again",
            *("run", "fixed", "-d", "mine", "-q", *changed),
            code=2,
        )
        assert files_in(results) == before
    assert cli.main(["run", "fixed", "-d", "mine", "-q", "--depth", "10", "--again"]) == 0
    assert Record.read(record.parent).depth == 10
    assert leftovers(results) == []


def test_a_system_with_blanks_in_its_name_leaves_a_run_file_that_can_be_read(
    mine: Dataset, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint folder may be called so, and the sixth column of a run is its name."""
    benchmark(FixedSystem("my model", DenseOptions()), mine, results_dir=results)
    assert cli.main(["score", str(results / "my model" / "mine" / RUN), "-d", "mine"]) == 0
    assert "ndcg@10" in capsys.readouterr().out


@pytest.mark.parametrize("missing", [RUN, PER_QUERY])
def test_a_record_without_its_files_is_made_again(
    missing: str, record: Path, results: Path
) -> None:
    before = {name: data for name, data in files_in(results).items() if not name.endswith(RECORD)}
    (record.parent / missing).unlink()
    assert cli.main(["run", "fixed", "-d", "mine", "-q"]) == 0
    after = {name: data for name, data in files_in(results).items() if not name.endswith(RECORD)}
    assert after == before


def test_a_record_in_a_notebook(record: Path) -> None:
    """Both measures, as the file has them, and the signature; names are text."""
    found = Record.read(record.parent)
    kept = json.loads(record.read_text(encoding="utf-8"))
    shown = Tags(found._repr_html_())
    heads, line = shown.rows
    cells = dict(zip(heads, line, strict=True))
    assert (cells["system"], cells["dataset"]) == ("fixed", "mine")
    for head, name in (("NDCG@10", "ndcg@10"), ("Recall@100", "recall@100")):
        assert float(cells[head]) == pytest.approx(kept["measures"][name], abs=1e-6)
    assert kept["signature"] in shown.text
    bad = Tags(replace(found, system="<script>alert(1)</script>")._repr_html_())
    assert bad.tags == {*("div", "p", "code", "table", "thead", "tbody", "tr", "th", "td")}
    assert bad.text.count("<script>alert(1)</script>") == 2


def test_a_record_in_one_line(record: Path) -> None:
    found = replace(Record.read(record.parent), system="\x1b[2J")
    value = found.measures["ndcg@10"]
    assert repr(found).startswith(f"Record(ndcg@10={value!r}, recall@100=")
    assert "\x1b" not in repr(found)
    assert "\n" not in repr(found)
