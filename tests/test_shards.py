"""Shards and a merge give the bytes of one process, and the merge says what it did itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from doubles import many
from gtr_beir import benchmark, load_system
from gtr_beir.cli import main
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.errors import UsageError
from gtr_beir.evaluation import RunOptions, benchmark_shard
from gtr_beir.systems.base import Shard, System

GTR, COLBERT = str(CHECKPOINT_DIR), f"colbert:{COLBERT_DIR}"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """2,500 documents: three blocks."""
    return many(tmp_path_factory.mktemp("many"))


def result(results: Path) -> tuple[bytes, bytes]:
    (folder,) = results.glob("*/many")
    return (folder / "run.trec.gz").read_bytes(), (folder / "queries.csv").read_bytes()


def said_by_merge(
    system: System, dataset: Dataset, options: RunOptions, capsys: pytest.CaptureFixture[str]
) -> str:
    capsys.readouterr()
    benchmark(system, dataset, options, quiet=False)
    return capsys.readouterr().err


@pytest.mark.parametrize("which", ["gtr", "colbert", "rerank"])
def test_one_process_two_processes_and_shards_give_the_same_bytes(
    which: str, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = GTR if which == "gtr" else COLBERT
    rerank = None
    if which == "rerank":
        rerank = tmp_path / "bm25" / "bm25-flat"
        benchmark(load_system("bm25-flat"), dataset, results_dir=rerank.parent)
    choices = RunOptions(rerank=rerank, depth=50, label="toy")
    one = load_system(name, device="cpu", offline=True)
    two = load_system(name, device="cpu,cpu", offline=True)
    benchmark(one, dataset, choices, results_dir=tmp_path / "one")
    benchmark(two, dataset, choices, results_dir=tmp_path / "two")
    shards = RunOptions(results_dir=tmp_path / "shards", rerank=rerank, depth=50, label="toy")
    for number in (2, 0, 1):
        done = benchmark_shard(one, dataset, Shard(number, 3), shards)
        assert (done.blocks, done.done) == (1, 1)
    again = benchmark_shard(one, dataset, Shard(1, 3), shards)
    assert (again.blocks, again.done) == (1, 0)
    assert not list(tmp_path.glob("shards/*/*/record.json"))
    assert "to be done here" not in said_by_merge(one, dataset, shards, capsys)
    assert result(tmp_path / "one") == result(tmp_path / "two") == result(tmp_path / "shards")


def test_the_merge_says_what_it_does_itself_and_why(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One shard in another precision, one whose block was lost, one that did not run."""
    system = load_system(GTR, device="cpu", offline=True)
    other = load_system(GTR, device="cpu", offline=True, dtype="bf16")
    options = RunOptions(results_dir=tmp_path, label="toy")
    benchmark_shard(other, dataset, Shard(0, 3), options)
    benchmark_shard(system, dataset, Shard(1, 3), options)
    said = said_by_merge(system, dataset, options, capsys)
    assert "2 of 3 blocks are to be done here:\n" in said
    assert "  1 of shard 0/3, which had another dtype (bf16 there, fp32 here)\n" in said
    assert "  1 of shard 2/3, which has not run\n" in said
    expected = result(tmp_path)
    for folder in (tmp_path / "toy" / "many" / "blocks").glob("topk-*"):
        shutil.rmtree(folder)
    (tmp_path / "toy" / "many" / "record.json").unlink()
    said = said_by_merge(system, dataset, options, capsys)
    assert "3 of 3 blocks are to be done here:" in said
    assert "  1 of shard 1/3, which has not done them\n" in said
    assert result(tmp_path) == expected


def test_a_damaged_block_is_told_once_and_done_again(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last of three, which is looked at whenever a block is handed out."""
    system = load_system(GTR, device="cpu", offline=True)
    options = RunOptions(results_dir=tmp_path, label="toy")
    benchmark_shard(system, dataset, Shard(2, 3), options)
    (block,) = (tmp_path / "toy" / "many" / "blocks").glob("topk-*")
    (block / "rows.npy").write_bytes(b"")
    said = said_by_merge(system, dataset, options, capsys)
    assert said.count("is damaged") == 1
    assert "3 of 3 blocks are to be done here" in said


def test_damaged_notes_explain_nothing_and_stop_nothing(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system = load_system(GTR, device="cpu", offline=True)
    options = RunOptions(results_dir=tmp_path, label="toy")
    notes = tmp_path / "toy" / "many" / "blocks" / "shards"
    notes.mkdir(parents=True)
    (notes / "0-of-3.json").write_text("{")
    (notes / "x-of-3.json").write_text("{}")
    (notes / "1-of-3.json").write_text("[]")
    assert "to be done here" not in said_by_merge(system, dataset, options, capsys)


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/3", "1/0", "0/0", "", "1/2/3", "²/3"])
def test_a_shard_that_there_is_not(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text)


def test_on_the_command_line(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", GTR, "bm25-flat", "-d", "many", "--datasets-dir", str(dataset.path.parent)]
    run += ["--results-dir", str(tmp_path)]
    assert main([*run, "--shard", "1/2"]) == 0
    told = capsys.readouterr()
    assert told.out == "many  checkpoint  1 block of shard 1/2\n"
    assert "left out: bm25-flat has no shards" in told.err
    assert "the same command without --shard" in told.err
    assert main(["run", "bm25-flat", "-d", "many", "--shard", "0/2"]) == 2
    assert main([*run, "--shard", "2/2"]) == 2
    assert main(run) == 0
    told = capsys.readouterr()
    assert "2 of shard 0/2, which has not run" in told.err
    assert len(told.out.splitlines()) > 2
