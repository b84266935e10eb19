"""What is told of an evaluation that is not what it seems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doubles import write_beir
from gtr_beir import benchmark, cli, load_system
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.records import Record


def made(
    folder: Path, texts: list[str], queries: list[str], judged: list[tuple[str, str, int]]
) -> Dataset:
    source = write_beir(
        folder / "source" / "odd",
        [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)],
        {f"q{n}": text for n, text in enumerate(queries)},
        judged,
    )
    dataset = import_beir(source, datasets_dir=folder / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


class AllTheSame:
    def encode(self, texts: list[str]) -> np.ndarray[Any, Any]:
        return np.ones((len(texts), 4), dtype=np.float32)


def signs(record: Record) -> list[str]:
    return list(record.facts["signs"])


def test_vectors_that_are_all_the_same(tmp_path: Path) -> None:
    dataset = made(
        tmp_path,
        [f"text {n}" for n in range(40)],
        ["one", "two"],
        [("q0", "d1", 1), ("q1", "d2", 1), ("q1", "elsewhere", 1)],
    )
    record = benchmark(load_system(AllTheSame(), name="same"), dataset, results_dir=tmp_path / "r")
    assert signs(record) == [
        "100% of the queries have an NDCG@10 of 0",
        "100% of the queries give their first ten documents one score, as vectors do that are all "
        "the same",
        "1 judged document is not in the corpus",
        "0 of the 20 documents among the first ten are judged, where 3 could be",
    ]


class OneQuery:
    """Documents differ, queries do not."""

    def encode_query(self, texts: list[str]) -> np.ndarray[Any, Any]:
        return np.ones((len(texts), 2), dtype=np.float32)

    def encode_document(self, texts: list[str]) -> np.ndarray[Any, Any]:
        numbers = [float(len(text) + ord(text[-1]) / 100) for text in texts]
        return np.array([[number, 1] for number in numbers], dtype=np.float32)

    def encode(self, texts: list[str]) -> np.ndarray[Any, Any]:
        return self.encode_document(texts)


def test_queries_that_are_all_the_same(tmp_path: Path) -> None:
    judged = [(f"q{n}", f"d{m}", 1) for n in range(3) for m in range(30, 40)]
    texts = [f"text {n}" for n in range(40)]
    dataset = made(tmp_path, texts, ["one", "two", "three"], judged)
    record = benchmark(load_system(OneQuery(), name="one"), dataset, results_dir=tmp_path / "r")
    assert signs(record) == [
        "100% of the queries have the first ten documents and scores of another query, as queries "
        "do whose vectors are the same"
    ]


def test_a_tokenizer_of_another_language(tmp_path: Path) -> None:
    arabic = "كيف تعمل محركات البحث وما هي أفضل طريقة لترتيب الوثائق"
    dataset = made(
        tmp_path,
        [f"{arabic} {n}" for n in range(30)],
        [arabic],
        [("q0", f"d{n}", 1) for n in range(30)],
    )
    system = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True)
    said = signs(benchmark(system, dataset, results_dir=tmp_path / "r"))
    assert any(
        "of the tokens of the first 30 documents are unknown to the tokenizer" in s for s in said
    )
    assert any("of the tokens of the first 1 queries are unknown" in s for s in said)


def test_documents_that_are_cut(tmp_path: Path) -> None:
    texts = [f"{n} " + "bread dough oven " * 400 for n in range(30)]
    judged = [("q0", f"d{n}", 1) for n in range(30)]
    dataset = made(tmp_path, texts, ["bread"], judged)
    system = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True)
    said = signs(benchmark(system, dataset, results_dir=tmp_path / "r"))
    assert "100% of the documents were cut at the length limit" in said


def test_nothing_is_said_of_an_ordinary_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, where = tmp_path / "results", tmp_path / "datasets"
    folders = ["--results-dir", str(results), "--datasets-dir", str(where)]
    run = ["run", "bm25-flat", "-d", "demo", "--offline", *folders]
    assert cli.main(run) == 0
    assert "note:" not in capsys.readouterr().err
    assert signs(Record.read(results / "bm25-flat/demo")) == []


def test_they_are_told_once_and_stand_in_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = made(tmp_path, ["apple", "pear"], ["plum", "fig"], [("q0", "d1", 1), ("q1", "d0", 1)])
    folders = ["--results-dir", str(tmp_path / "r"), "--datasets-dir", str(dataset.path.parent)]
    run = ["run", "bm25-flat", "-d", "odd", *folders]
    assert cli.main(run) == 0
    told = capsys.readouterr().err
    assert "  note: 100% of the queries have an NDCG@10 of 0\n" in told
    assert "  note: 100% of the queries find no document\n" in told
    assert cli.main(run) == 0
    assert "note:" not in capsys.readouterr().err
    assert cli.main(["leaderboard", "--format", "md,html", *folders]) == 0
    for name in ("leaderboard.md", "leaderboard.html"):
        assert (
            "bm25-flat: 100% of the queries find no document" in (tmp_path / "r" / name).read_text()
        )


def test_another_encoder_is_told_its_own_length(
    minilm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = made(tmp_path, ["apple", "pear"], ["apple"], [("q0", "d0", 1)])
    folders = ["--results-dir", str(tmp_path / "r"), "--datasets-dir", str(dataset.path.parent)]
    run = ["run", minilm, "-d", "odd", "--device", "cpu", "--offline", *folders]
    assert cli.main(run) == 0
    told = capsys.readouterr().err
    assert "documents are read to 512 tokens, as the GTR paper has it" in told
    assert "is made for 256: --protocol hub" in told
    assert cli.main([*run, "--protocol", "hub"]) == 0
    assert "is made for" not in capsys.readouterr().err
