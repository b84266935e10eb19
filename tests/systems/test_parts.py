"""Work within a block is kept now and then: whoever is interrupted goes on there, and no bit of
what comes out depends on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doubles import write_beir
from gtr_beir import benchmark, load_system
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.records import PER_QUERY, RUN
from gtr_beir.systems.base import SearchOptions
from gtr_beir.systems.encoding import Encoding
from gtr_beir.work import parts, store
from gtr_beir.work.blocks import Arrays

WORDS = ["bread", "dough", "oven", "bicycle", "tyre", "chain", "lake", "shore", "wind", "sail"]
SYSTEMS: dict[str, Callable[[], Any]] = {
    "gtr": lambda: load_system(str(CHECKPOINT_DIR), device="cpu", batch_tokens=2048),
    "gtr, two processes": lambda: load_system(
        str(CHECKPOINT_DIR), device="cpu,cpu", batch_tokens=2048
    ),
    "colbert": lambda: load_system(f"colbert:{COLBERT_DIR}", device="cpu"),
    "given": lambda: load_system(Counting()),
}


class Counting:
    """Counts words."""

    def encode(self, texts: list[str]) -> np.ndarray:
        counts = [[text.split().count(word) for word in WORDS] for text in texts]
        return np.array(counts, dtype=np.float32)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two units of documents of many lengths, in one block."""
    place = tmp_path_factory.mktemp("texts")
    draw = np.random.default_rng(3)
    documents = [
        {"_id": f"d{row}", "title": "", "text": " ".join(draw.choice(WORDS, 1 + row % 37))}
        for row in range(1400)
    ]
    queries = {f"q{row}": " ".join(draw.choice(WORDS, 3)) for row in range(70)}
    judged = [(query, f"d{row}", 1) for row, query in enumerate(queries)]
    source = write_beir(place / "source", documents, queries, judged)
    dataset = import_beir(source, name="texts", datasets_dir=place / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


class Interrupted(Exception):  # noqa: N818 - as Ctrl-C is one
    pass


@pytest.mark.parametrize("system", SYSTEMS)
def test_interrupted_within_a_block(
    system: str, texts: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after every few parts and begun again: what was kept is not done again."""
    monkeypatch.setattr(parts, "EVERY", 0.0)
    keep_part = store.BlockStore.keep_part
    done: list[np.ndarray] = []
    ends: list[int] = []

    def counted(self: store.BlockStore, key: str, part: Arrays) -> None:
        keep_part(self, key, part)
        # Rankings of units whose token vectors were parts before are not work done again.
        if not key.startswith("quer") and "units" not in part:
            done.append(np.array(part[parts.DONE]))
        if ends and sum(map(len, done)) >= ends[0]:
            ends.clear()
            raise Interrupted

    monkeypatch.setattr(store.BlockStore, "keep_part", counted)

    def run(where: str) -> Path:
        benchmark(
            loaded,
            texts,
            results_dir=tmp_path / where,
            label="one",
            block_documents=2048,
            quiet=True,
        )
        return tmp_path / where / "one" / "texts"

    # What is unknown of an object's weights is a new unknown for every system made of it.
    loaded = SYSTEMS[system]()
    calm = run("calm")
    at_once = len(done)
    assert at_once > 3
    done.clear()
    for rows in (300, 800, 1200):
        ends.append(rows)
        with pytest.raises(Interrupted):
            run("disturbed")
        assert list((tmp_path / "disturbed").rglob("parts/*/0*"))
    disturbed = run("disturbed")
    for name in (RUN, PER_QUERY):
        assert (calm / name).read_bytes() == (disturbed / name).read_bytes()
    assert not list(tmp_path.rglob("parts/*/0*"))
    redone = sum(map(len, done)) - len(np.unique(np.concatenate(done)))
    most = 200 if system == "gtr, two processes" else 0
    assert redone <= most


def test_a_damaged_part_is_as_if_it_were_not_there(
    texts: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parts, "EVERY", 0.0)
    system = SYSTEMS["gtr"]()
    calm = system.search(texts, SearchOptions(work_dir=tmp_path / "calm", k=50, quiet=True))
    kept = store.BlockStore.keep_part
    count = 0

    def until_six(self: store.BlockStore, key: str, part: Arrays) -> None:
        nonlocal count
        kept(self, key, part)
        count += key.startswith("vectors-")
        if count == 6:
            raise Interrupted

    monkeypatch.setattr(store.BlockStore, "keep_part", until_six)
    options = SearchOptions(work_dir=tmp_path / "work", k=50, quiet=False)
    with pytest.raises(Interrupted):
        system.search(texts, options)
    damaged = sorted((tmp_path / "work").glob("parts/vectors-*/0*"))[2] / "vectors.npy"
    with damaged.open("r+b") as handle:
        handle.seek(500)
        handle.write(b"other bytes")
    monkeypatch.setattr(store.BlockStore, "keep_part", kept)
    found = system.search(texts, options)
    assert f"{damaged} is damaged (changed since it was written); it is" in capfd.readouterr().err
    assert (found.run.doc_rows == calm.run.doc_rows).all()
    assert (found.run.scores == calm.run.scores).all()


@pytest.mark.parametrize("seconds", [0.02, 3.0])
def test_late_interaction_loses_little_whatever_a_unit_takes(
    seconds: float, texts: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces of so many seconds, by a clock of the test: at every moment nearly all is kept, and
    token vectors of what is ranked are not kept any more."""
    now = [0.0]
    system = SYSTEMS["colbert"]()
    encode, keep_part = system.encoder.encode, store.BlockStore.keep_part
    begin = parts.Parts.__init__
    done, kept = [0], [np.zeros(0, dtype=int)]

    def timed(*arguments: Any, **how: Any) -> Any:
        found = encode(*arguments, **how)
        if how["kind"] == "document":
            now[0] += seconds
            done[0] += len(arguments[0])
            lost = (done[0] - len(np.unique(kept[0]))) / 128 * seconds
            assert lost <= parts.EVERY + 2 * seconds
        return found

    def counted(self: store.BlockStore, key: str, part: Arrays) -> None:
        keep_part(self, key, part)
        if key.startswith("topk-"):
            there = [np.array(one[parts.DONE]) for one in self.parts(key)]
            kept[0] = np.concatenate(there)
            assert len(kept[0]) == len(np.unique(kept[0]))

    monkeypatch.setattr(system.encoder, "encode", timed)
    monkeypatch.setattr(store.BlockStore, "keep_part", counted)
    monkeypatch.setattr(parts, "EVERY", 0.1 if seconds < 1 else 20.0)
    monkeypatch.setattr(
        parts.Parts, "__init__", lambda self, *a: begin(self, *a, clock=lambda: now[0])
    )
    system.search(texts, SearchOptions(work_dir=tmp_path, k=20, block_documents=2048))
    assert done[0] == 1400
    assert len(kept[0]) > 600


def test_vectors_that_are_not_finite_are_tried_again() -> None:
    rows = np.arange(4, dtype=np.int32)
    vectors = np.ones((4, 3), dtype=np.float32)
    vectors[2] = np.nan
    known = {
        parts.DONE: rows,
        "vectors": vectors,
        "tokens": rows,
        "truncated": np.zeros(4, dtype=bool),
    }
    found = Encoding([(0, 4)], 3, lambda _: None, parts.Parts([known]))
    assert found.units == [(0, 4)]
    assert found.known(0, np.array([0, 1, 3])) is not None
    assert found.known(0, np.array([1, 2])) is None


def test_parts_are_kept_as_often_as_it_is_said() -> None:
    now = [0.0]
    kept: list[Arrays] = []
    one = parts.Parts(keep=kept.append, clock=lambda: now[0])
    assert not one.due
    now[0] = parts.EVERY
    assert one.due
    assert parts.EVERY <= 30
    one.keep({parts.DONE: np.arange(3)})
    assert not one.due
    assert len(kept) == 1
    assert parts.rows_of([{parts.DONE: np.arange(3)}, {parts.DONE: np.arange(2, 5)}]) == 5
