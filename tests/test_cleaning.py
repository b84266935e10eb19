"""What no record needs goes, and nothing else; indexes can lie elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doubles import WordSystem
from gtr_beir import benchmark, cli
from gtr_beir.data.store import Dataset
from gtr_beir.files import lock
from gtr_beir.records import Record
from gtr_beir.systems import bm25_index
from gtr_beir.systems.base import SearchOptions, load_system


@pytest.fixture
def folders(small: Dataset, tmp_path: Path) -> tuple[str, ...]:
    return (
        *("--results-dir", str(tmp_path / "results")),
        *("--datasets-dir", str(small.path.parent)),
    )


def test_blocks_of_whole_records_go(
    small: Dataset,
    word_system: WordSystem,
    folders: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results"
    record = benchmark(word_system, small, results_dir=results)
    begun = results / "begun/small/blocks/topk-1"
    begun.mkdir(parents=True)
    (begun / "block.json").write_text("{}")
    blocks = results / "words/small/blocks"
    kept = {path.name for path in blocks.parent.iterdir() if path.is_file()}
    assert cli.main(["clean", "--dry-run", *folders]) == 0
    assert str(blocks) in capsys.readouterr().out
    assert any(blocks.iterdir())
    with lock(blocks.parent / ".lock"):
        assert cli.main(["clean", *folders]) == 0
    assert "a run is at work there" in capsys.readouterr().out
    assert any(blocks.iterdir())
    assert cli.main(["clean", *folders]) == 0
    told = capsys.readouterr().out
    assert f"removed:  {blocks}  " in told
    assert told.endswith("were freed\n")
    assert not blocks.exists()
    assert begun.is_dir()
    assert {path.name for path in blocks.parent.iterdir() if path.is_file()} == kept
    assert Record.read(blocks.parent) == record
    # What is done stays done, and what was removed is made again where it is needed.
    assert benchmark(word_system, small, results_dir=results) == record
    again = benchmark(word_system, small, results_dir=results, again=True)
    assert again.measures == record.measures


def test_an_index_elsewhere_by_command(
    folders: tuple[str, ...], small: Dataset, tmp_path: Path
) -> None:
    place = tmp_path / "indexes"
    run = ["run", "bm25-flat", "-d", "small", "-q", "--index-dir", str(place), *folders]
    assert cli.main(run) == 0
    assert list(place.rglob("*.npy"))
    assert not list(small.path.rglob("contents_*"))


class OfLength:
    def encode(self, texts: list[str]) -> np.ndarray[Any, Any]:
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def test_again_leaves_the_blocks_of_its_own_settings_alone(
    small: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    word_system = load_system(OfLength(), name="words")

    def names() -> set[str]:
        return {path.name for path in (tmp_path / "words/small/blocks").glob("[a-z]*-*")}

    benchmark(word_system, small, results_dir=tmp_path, depth=5)
    before = names()
    (tmp_path / "words/small/blocks/parts/vectors-old/000000").mkdir(parents=True)
    (tmp_path / "words/small/blocks/parts/vectors-old/000000/done.npy").write_bytes(bytes(3 << 20))
    benchmark(word_system, small, results_dir=tmp_path, depth=3, again=True, quiet=False)
    assert "removed 3.1 MB of blocks of other settings, which no record needs\n" in (
        capsys.readouterr().err
    )
    gone, new = before - names(), names() - before
    assert {name.partition("-")[0] for name in (*gone, *new)} == {"topk"}, "vectors are the same"
    assert not (tmp_path / "words/small/blocks/parts/vectors-old").exists()
    benchmark(word_system, small, results_dir=tmp_path, depth=3, again=True, quiet=False)
    assert "removed" not in capsys.readouterr().err


def test_blocks_of_a_record_that_was_changed_stay(
    small: Dataset, word_system: WordSystem, folders: tuple[str, ...], tmp_path: Path
) -> None:
    benchmark(word_system, small, results_dir=tmp_path / "results")
    folder = tmp_path / "results/words/small"
    (folder / "queries.csv").write_text("query_id,ndcg@10\nq1,0.5\n")
    assert cli.main(["clean", *folders]) == 0
    assert (folder / "blocks").is_dir()


def test_indexes_of_other_texts_go(small: Dataset, folders: tuple[str, ...]) -> None:
    options = SearchOptions(work_dir=small.path.parent.parent / "work", k=3)
    for name in ("bm25-flat", "bm25-multifield"):
        load_system(name).search(small, options)
    there = {path.name for path in (small.path / "bm25").glob("[!.]*")}
    assert len(there) == 2
    shutil.copytree(small.path / "bm25" / min(there), small.path / "bm25/flat-of-another-text")
    assert cli.main(["clean", *folders]) == 0
    assert {path.name for path in (small.path / "bm25").glob("[!.]*")} == there


@pytest.mark.parametrize("where", ["named", "with the result"])
def test_an_index_elsewhere(
    where: str, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot be written to is left alone; rankings are the same."""
    work = SearchOptions(work_dir=tmp_path / "work", k=3)
    expected = load_system("bm25-flat").search(small, work).run
    shutil.rmtree(small.path / "bm25")
    before = sorted(path.name for path in small.path.iterdir())
    named = tmp_path / "indexes"
    if where == "named":
        system = load_system("bm25-flat", index_dir=str(named))
    else:
        access = os.access
        monkeypatch.setattr(
            bm25_index.os,
            "access",
            lambda path, mode: small.path not in (path, path.parent) and access(path, mode),
        )
        system = load_system("bm25-flat")
    found = system.search(small, work).run
    assert (found.doc_rows == expected.doc_rows).all()
    assert (found.scores == expected.scores).all()
    assert sorted(path.name for path in small.path.iterdir()) == before
    place = named / "small" if where == "named" else tmp_path / "work"
    assert any(path.name.startswith("flat-") for path in place.iterdir())
