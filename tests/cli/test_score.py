"""`gtr-beir score`: what a run covers, JSON, and somebody else's run beside one's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from doubles import write_beir
from gtr_beir import cli, compare
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.errors import StoreError
from gtr_beir.records import Record
from refusal import Refused

BOARD = ("leaderboard", "--print", "--measures", "NDCG@3")
PARTIAL = "q1 Q0 d4 1 2.5 other\nq1 Q0 d2 2 1.5 other\nq1 Q0 d3 3 0.5 other\n"


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "other.run"
    path.write_text(PARTIAL)
    return path


@pytest.fixture
def where(small: Dataset, tmp_path: Path) -> tuple[str, ...]:
    return (
        *("-d", "small", "--datasets-dir", str(small.path.parent)),
        *("--results-dir", str(tmp_path / "results")),
    )


def test_what_a_run_covers(
    run_file: Path, where: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """q2 and q3 are judged and not in the run; `gone` is judged and not in the corpus."""
    assert cli.main(["score", str(run_file), *where]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-3:] == [
        "the run ranks documents for 1 of 3 judged queries; the others score 0",
        "and 1 of 5 relevant documents",
        "of 3 documents among its first ten 1 are judged",
    ]


def test_a_whole_run_has_nothing_to_add(
    where: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "whole.run"
    pairs = [("q1", "d1"), ("q1", "d4"), ("q2", "d2"), ("q3", "d1")]
    path.write_text("".join(f"{q} Q0 {d} 1 1 t\n" for q, d in pairs))
    assert cli.main(["score", str(path), *where]) == 0
    told = capsys.readouterr().out
    assert "the run ranks documents for 3 of 3 judged queries\nand 4 of 5 relevant" in told
    assert "of 4 documents among its first ten 4 are judged" in told


def test_an_empty_ranking_of_ones_own(
    small: Dataset, where: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A query set that finds nothing: the run file of the program is one for its own `score`."""
    qrels = [(query, "d1", 1) for query in ("q1", "q2")]
    documents = [{"_id": "d1", "title": "", "text": "apple"}]
    source = write_beir(tmp_path / "nothing", documents, {"q1": "kiwi", "q2": "fig"}, qrels)
    import_beir(source, datasets_dir=small.path.parent)
    on = ("-d", "nothing", *where[2:])
    assert cli.main(["run", "bm25-flat", *on, "-q"]) == 0
    capsys.readouterr()
    run = tmp_path / "results/bm25-flat/nothing/run.trec.gz"
    assert cli.main(["score", str(run), *on]) == 0
    assert "the run ranks documents for 0 of 2 judged queries" in capsys.readouterr().out


def test_grades_far_below_0(
    small: Dataset, where: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A query whose grades are all -2 or lower ended the process inside the library."""
    qrels = [("q1", "d1", -2), ("q1", "d2", -3), ("q2", "d2", 1), ("q2", "d1", -2)]
    documents = [{"_id": f"d{n}", "title": "", "text": f"apple {n}"} for n in (1, 2)]
    source = write_beir(tmp_path / "below", documents, {"q1": "apple", "q2": "apple 2"}, qrels)
    import_beir(source, datasets_dir=small.path.parent)
    on = ("-d", "below", *where[2:])
    words = [sys.executable, "-m", "gtr_beir"]
    subprocess.run([*words, "run", "bm25-flat", *on, "-q"], check=True, capture_output=True)
    record = Record.read(tmp_path / "results/bm25-flat/below")
    assert record.measures["ndcg@10"] == pytest.approx(0.5), "q1 is judged, and has no gain"
    run = str(tmp_path / "results/bm25-flat/below/run.trec.gz")
    subprocess.run([*words, "score", run, *on], check=True, capture_output=True)


def test_json(run_file: Path, where: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["score", str(run_file), *where, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["queries"], said["answered"], said["relevant"], said["ranked"]) == (3, 1, 5, 1)
    assert 0 < said["measures"]["ndcg@10"] < 1 / 3


def test_somebody_elses_run_beside_ones_own(
    run_file: Path,
    where: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    refused: Refused,
) -> None:
    results = tmp_path / "results"
    assert cli.main(["score", str(run_file), *where, "--label", "theirs"]) == 0
    assert cli.main(["run", "bm25-flat", *where, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1])["system"] == "bm25-flat"
    folder = results / "theirs@given/small"
    record = Record.read(folder)
    assert record.identity.model.family == ""
    assert record.depth == 3
    assert cli.main([*BOARD, "--results-dir", str(results)]) == 0
    assert "theirs@given" in capsys.readouterr().out
    outcome = compare(folder, results / "bm25-flat/small", measure="recall@1")
    assert [len(one.query_ids) for one in outcome.compared[0].pairs] == [3]
    assert (
        cli.main(
            [
                *("compare", str(folder), str(results / "bm25-flat/small")),
                *("--json", "--measure", "recall@1"),
            ]
        )
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said["compared"][0]["datasets"][0]["dataset"] == "small"
    # The same again is found; another file under the label is refused.
    assert cli.main(["score", str(run_file), *where, "--label", "theirs"]) == 0
    run_file.write_text(PARTIAL + "q2 Q0 d2 1 1 other\n")
    refused(
        "…holds a record of other…", "score", str(run_file), *where, "--label", "theirs", code=2
    )
    assert Record.read(folder) == record
    assert cli.main(["score", str(run_file), *where, "--label", "theirs", "--again"]) == 0
    assert Record.read(folder).measures["recall@1"] > record.measures["recall@1"]


def test_a_kill_between_the_names(
    run_file: Path, where: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was moved when the process died, the next start finishes it."""
    folder = tmp_path / "results/theirs@given/small"
    assert cli.main(["score", str(run_file), *where, "--label", "theirs"]) == 0
    whole = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    names = ["run.trec.gz", "queries.csv", "record.json"]
    for moved in range(4):
        (folder / "staged").mkdir()
        for name in names[moved:]:
            (folder / "staged" / name).write_bytes((folder / name).read_bytes())
            (folder / name).write_bytes(b"what was there before")
        if moved == 0:
            with pytest.raises(StoreError):
                Record.read(folder)
        # Nothing is made again, which would have another time in it.
        monkeypatch.setattr("gtr_beir.given_runs.keep", None)
        assert cli.main(["score", str(run_file), *where, "--label", "theirs"]) == 0
        assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == whole
        assert not (folder / "staged").exists()
