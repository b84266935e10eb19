"""Run files: what is written comes back; the order is trec_eval's."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from doubles import WordSystem
from gtr_beir.data import lines
from gtr_beir.data.store import Dataset
from gtr_beir.errors import InputError
from gtr_beir.ranking import measures
from gtr_beir.ranking.runs import Run
from gtr_beir.systems.base import SearchOptions


def test_written_run_comes_back(small: Dataset, word_system: WordSystem, tmp_path: Path) -> None:
    run = word_system.search(small, SearchOptions(work_dir=tmp_path / "w", k=4)).run
    for name in ("run.trec", "run.trec.gz"):
        run.write(tmp_path / name, small, tag="words")
        again = Run.read(tmp_path / name, small)
        assert again.query_ids == run.query_ids
        assert (again.doc_rows == run.doc_rows).all()
        assert (again.scores == run.scores).all()
    lines = (tmp_path / "run.trec").read_text().splitlines()
    assert lines[0] == "q1 Q0 d4 1 1 words"
    assert [line.split()[3] for line in lines[:4]] == ["1", "2", "3", "4"]


def test_same_ranking_same_bytes(small: Dataset, word_system: WordSystem, tmp_path: Path) -> None:
    run = word_system.search(small, SearchOptions(work_dir=tmp_path / "w")).run
    run.write(tmp_path / "a.gz", small, tag="words")
    run.write(tmp_path / "b.gz", small, tag="words")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()).startswith(b"q1 Q0 ")


def test_scores_decide_and_ids_break_ties(small: Dataset, tmp_path: Path) -> None:
    """Rank columns are ignored; equal scores (in single precision) go by id, descending."""
    path = tmp_path / "theirs.trec"
    path.write_text(
        "q1 Q0 d1 1 0.5 x\nq1 Q0 d4 2 0.9 x\nq1 Q0 d2 3 0.5000000001 x\nq1 Q0 d3 9 0.5 x\n"
        "unjudged Q0 d1 1 1.0 x\n"
    )
    run = Run.read(path, small)
    ranked = small.document_ids(run.doc_rows[0][run.doc_rows[0] >= 0])
    assert ranked == ["d4", "d3", "d2", "d1"]
    values = measures.per_query(Run.read(path, small), small)
    # trec_eval itself, on the same lines:
    theirs = pytrec_eval.RelevanceEvaluator(
        {"q1": {"d1": 1, "d4": 2}}, {"ndcg_cut.3,10", "map_cut.10", "P.3"}
    ).evaluate({"q1": {"d1": 0.5, "d4": 0.9, "d2": 0.5000000001, "d3": 0.5}})["q1"]
    assert values.loc["q1", "ndcg@3"] == theirs["ndcg_cut_3"]
    assert values.loc["q1", "ndcg@10"] == theirs["ndcg_cut_10"]
    assert values.loc["q1", "map@10"] == theirs["map_cut_10"]
    assert values.loc["q1", "p@3"] == theirs["P_3"]
    assert values.loc["q2"].sum() == 0


def test_pads_are_not_written(small: Dataset, tmp_path: Path) -> None:
    run = Run(["q1"], np.array([[2, -1]], np.int32), np.array([[0.25, -np.inf]], dtype=np.float32))
    run.write(tmp_path / "r", small, tag="t")
    assert (tmp_path / "r").read_text() == "q1 Q0 d3 1 0.25 t\n"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_line_without_end_is_refused(
    compress: Callable[[bytes], bytes],
    small: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    path = tmp_path / "theirs.trec"
    path.write_bytes(compress(b"q1 Q0 d1 1 0.5 x\n" + b"q" * 1000))
    with pytest.raises(InputError, match="the line is longer than 100 bytes") as caught:
        Run.read(path, small)
    assert (caught.value.path, caught.value.line) == (str(path), 2)


def test_an_empty_ranking_is_read_again(small: Dataset, tmp_path: Path) -> None:
    """No query finds anything: what is written then is read, and every query has no documents."""
    n = len(small.query_ids)
    none = Run(small.query_ids, np.full((n, 5), -1, np.int32), np.full((n, 5), -np.inf, "f4"))
    path = tmp_path / "run.trec.gz"
    none.write(path, small, tag="x")
    again = Run.read(path, small).for_queries(small.query_ids)
    assert again.query_ids == small.query_ids
    assert (again.doc_rows == -1).all()
    path.write_bytes(b"")
    with pytest.raises(InputError, match="there are no lines in it"):
        Run.read(path, small)
    path.write_bytes(gzip.compress(b"\n\n"))
    with pytest.raises(InputError, match="there are no lines in it"):
        Run.read(path, small)
