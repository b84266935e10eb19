"""The BM25 systems: Anserini's numbers on SciFact, the same for any blocks and processes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from doubles import write_beir
from gtr_beir import load_system
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.errors import StoreError, UsageError
from gtr_beir.evaluation import RunOptions, benchmark
from gtr_beir.records import RUN
from gtr_beir.systems import bm25_index as bm25
from gtr_beir.systems.base import SearchOptions
from gtr_beir.work.blocks import plan_blocks
from gtr_beir.work.pool import in_processes
from gtr_beir.work.store import BlockStore

ANSERINI = {
    # NDCG@10, Recall@100, Recall@1000, and total terms of the contents field
    "flat": (0.6789, 0.9253, 0.9767, 838_128),
    "multifield": (0.6647, 0.9076, 0.9800, 784_591),
}


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Five units of short documents with ties, and a query whose own document is there."""
    folder = tmp_path_factory.mktemp("units")
    words = ["tea", "milk", "sugar", "cup", "spoon", "kettle", "leaf", "pot"]
    documents = [
        {
            "_id": f"d{(row * 7919) % 5000}",
            "title": words[row % 3],
            "text": " ".join(words[(row * step) % 8] for step in range(1, 2 + row % 5)),
        }
        for row in range(5000)
    ]
    queries = {"q1": "tea with milk and milk", "d7": "sugar cup", "q3": "absent words", "q4": "pot"}
    source = write_beir(folder / "units", documents, queries, [(q, "d1", 1) for q in queries])
    dataset = import_beir(source, datasets_dir=folder / "store")
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.mark.parametrize("mode", ANSERINI)
def test_equals_anserini_on_scifact(mode: str, scifact: Dataset, tmp_path: Path) -> None:
    record = benchmark(load_system(f"bm25-{mode}"), scifact, results_dir=tmp_path)
    ndcg, recall, deep, terms = ANSERINI[mode]
    assert round(record.measures["ndcg@10"], 4) == ndcg
    assert round(record.measures["recall@100"], 4) == recall
    assert round(record.measures["recall@1000"], 4) == deep
    assert record.facts["terms"]["contents"] == terms
    assert bm25.index_terms(scifact, mode) == terms


@pytest.mark.parametrize("mode", ANSERINI)
def test_same_for_any_blocks_and_processes(mode: str, units: Dataset, tmp_path: Path) -> None:
    runs = []
    for blocks, processes in ((65_536, 1), (1024, 1), (2048, 2)):
        system = load_system(f"bm25-{mode}", processes=processes)
        options = SearchOptions(work_dir=tmp_path, block_documents=blocks)
        runs.append(system.search(units, options).run)
    for run in runs[1:]:
        assert (run.doc_rows == runs[0].doc_rows).all()
        assert (run.scores == runs[0].scores).all()
    assert (runs[0].doc_rows[2] == -1).all(), "no term, no document"
    own = units.self_rows[1]
    assert own >= 0
    assert own not in runs[0].doc_rows[1]
    kept = system.search(units, SearchOptions(work_dir=tmp_path, self_matches="keep", k=5000)).run
    assert own in kept.doc_rows[1]


def test_index_is_used_again_and_refused_when_the_analyzer_changed(
    units: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = load_system("bm25-flat")
    options = SearchOptions(work_dir=tmp_path)
    before = system.search(units, options).run
    monkeypatch.setattr(bm25, "_build", lambda *_: pytest.fail("built again"))
    again = system.search(units, options).run
    assert (again.doc_rows == before.doc_rows).all()
    monkeypatch.setattr(bm25, "ANALYZER_VERSION", "another")
    with pytest.raises(pytest.fail.Exception, match="built again"):
        system.search(units, options)


def test_k1_and_b_are_settings(units: Dataset, tmp_path: Path) -> None:
    options = SearchOptions(work_dir=tmp_path)
    default = load_system("bm25-flat")
    other = load_system("bm25-flat", k1=1.2, b=0.75)
    assert other.identity.name == "bm25-flat@k1=1.2@b=0.75"
    assert other.fingerprint != default.fingerprint
    one, two = default.search(units, options).run, other.search(units, options).run
    assert not np.array_equal(one.scores, two.scores)


def test_field_weights(units: Dataset, tmp_path: Path) -> None:
    """A title that weighs nothing to speak of leaves the contents' order."""
    options = SearchOptions(work_dir=tmp_path, k=50)
    light = load_system("bm25-multifield", field_weights={"title": 1e-9})
    assert light.settings["fields"] == {"contents": 1.0, "title": 1e-9}
    run = light.search(units, options).run
    assert (np.diff(run.scores[0]) <= 0).all()


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"k1": -1.0}, "k1"),
        ({"b": 2.0}, "b in"),
        ({"field_weights": {"body": 1.0}}, "no field body"),
        ({"field_weights": {"contents": 0.0}}, "above 0"),
        ({"dtype": "bf16"}, "--dtype belongs to dense encoders"),
    ],
)
def test_wrong_settings(choices: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_system("bm25-flat", **choices)


def test_killed_and_resumed(units: Dataset, tmp_path: Path) -> None:
    """SIGKILL while the index is built; the run is the same bytes as an undisturbed one's."""
    calm = benchmark(load_system("bm25-flat"), units, RunOptions(results_dir=tmp_path / "calm"))
    command = [sys.executable, "-m", "gtr_beir", "run", "bm25-flat", "-d", "units", "-q"]
    command += ["--datasets-dir", str(units.path.parent), "--results-dir", str(tmp_path / "killed")]
    command += ["--block-documents", "1024", "--processes", "2"]
    for seconds in (0.7, 1.0, 1.3):
        process = subprocess.Popen(command)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    run = (tmp_path / "killed" / "bm25-flat" / "units" / RUN).read_bytes()
    assert hashlib.sha256(run).hexdigest() == calm.fingerprints["run"]
    assert not list((units.path / bm25.INDEX).glob(".tmp-*"))


def test_a_dead_worker_fails_the_work() -> None:
    with pytest.raises(StoreError, match="a worker process died"):
        in_processes(os._exit, [(3,), (3,)], processes=2)


def test_a_damaged_segment_is_built_again(units: Dataset, tmp_path: Path) -> None:
    system, options = load_system("bm25-flat"), SearchOptions(work_dir=tmp_path)
    before = system.search(units, options).run
    key = bm25._key(units, "flat", plan_blocks(units.n_documents)[0])
    file = units.path / bm25.INDEX / key / "contents_documents.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert BlockStore(units.path / bm25.INDEX).get(key) is None
    again = system.search(units, options).run
    assert (again.doc_rows == before.doc_rows).all()


def test_torch_is_not_imported(small: Dataset, tmp_path: Path) -> None:
    """BM25 takes 100 MB; torch alone takes 200."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from gtr_beir.data.store import Dataset\n"
        "from gtr_beir.systems.base import SearchOptions, load_system\n"
        f"dataset = Dataset(Path({str(small.path)!r}))\n"
        f"options = SearchOptions(work_dir=Path({str(tmp_path / 'work')!r}), k=3)\n"
        f"system = load_system('bm25-flat', index_dir={str(tmp_path / 'index')!r})\n"
        "system.search(dataset, options)\n"
        "sys.exit(str({'torch', 'pandas', 'numba'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
