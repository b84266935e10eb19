"""The dense system beside sentence-transformers and beir, with real and toy checkpoints."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch
from sentence_transformers import SentenceTransformer

from doubles import WordSystem, die, many, write_beir
from gtr_beir import benchmark, load_dataset, load_system
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.encoders.batching import packed_batches, padded_batches
from gtr_beir.encoders.beir_model import BeirModel
from gtr_beir.errors import CheckpointError, NumericalError, StoreError, UsageError
from gtr_beir.systems.base import SearchOptions
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.store import BlockStore

TEXTS = [
    "",
    "one",
    " leading and trailing blanks ",
    "a much longer text about zero-shot retrieval, é ü 漢字",
    "word " * 700,
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    dataset = load_dataset("demo", datasets_dir=tmp_path_factory.mktemp("demo"))
    assert isinstance(dataset, Dataset)
    return dataset


def reference(path: str, texts: list[str], max_tokens: int) -> np.ndarray:
    model = SentenceTransformer(
        path, device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32}
    )
    model.max_seq_length = max_tokens
    return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


@pytest.mark.parametrize("checkpoint", ["toy", "minilm"])
def test_equal_to_sentence_transformers(checkpoint: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue("minilm") if checkpoint == "minilm" else str(CHECKPOINT_DIR)
    system = load_system(path, device="cpu", offline=True)
    encoded = system.encoder.encode(TEXTS, kind="document", max_tokens=256)
    assert np.abs(encoded.vectors - reference(path, TEXTS, 256)).max() < 2e-5
    assert np.abs(np.linalg.norm(encoded.vectors, axis=1) - 1).max() < 1e-6
    assert encoded.tokens[-1] == 256
    assert encoded.truncated.tolist() == [False, False, False, False, True]


def test_scores_on_a_slice_of_scifact(scifact: Dataset, minilm: str) -> None:
    """The published value itself is `make verify`; here, scores of a slice of it."""
    system = load_system(minilm, protocol="hub", device="cpu", offline=True)
    texts = scifact.texts(0, 64)
    queries = scifact.query_texts[:20]
    limits = {kind: system.max_tokens(scifact, kind) for kind in ("query", "document")}
    assert limits == {"query": 256, "document": 256}
    documents = system.encoder.encode(texts, kind="document", max_tokens=256).vectors
    vectors = system.encoder.encode(queries, kind="query", max_tokens=256).vectors
    theirs = reference(minilm, queries, 256) @ reference(minilm, texts, 256).T
    assert np.abs(vectors @ documents.T - theirs).max() < 2e-6


def test_plugs_into_beir(demo: Dataset, tmp_path: Path) -> None:
    """The same vectors through beir's exact search and evaluation give the same numbers."""
    system = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True)
    record = benchmark(system, demo, results_dir=tmp_path, label="toy")
    corpus, queries, qrels = demo.as_beir()
    model = BeirModel(system.encoder, query_tokens=64, document_tokens=512)
    search = DenseRetrievalExactSearch(model, show_progress_bar=False)
    retriever = EvaluateRetrieval(search, score_function="dot")
    results = retriever.retrieve(corpus, queries)
    ndcg, mapped, recall, precision = retriever.evaluate(qrels, results, [1, 10, 100])
    for ours, theirs in (
        ("ndcg@10", ndcg["NDCG@10"]),
        ("map@100", mapped["MAP@100"]),
        ("recall@100", recall["Recall@100"]),
        ("p@10", precision["P@10"]),
    ):
        assert record.measures[ours] == pytest.approx(theirs, abs=2e-5)


def test_same_run_for_any_block_size_and_threads(tmp_path: Path) -> None:
    dataset = many(tmp_path)
    runs = []
    threads = torch.get_num_threads()
    for number, (count, keep, block) in enumerate([(1, True, 1024), (2, False, 65_536)]):
        torch.set_num_threads(count)
        system = load_system(
            str(CHECKPOINT_DIR), device="cpu", offline=True, discard_embeddings=not keep
        )
        options = SearchOptions(work_dir=tmp_path / str(number), block_documents=block)
        runs.append(system.search(dataset, options).run)
    torch.set_num_threads(threads)
    assert (runs[0].doc_rows == runs[1].doc_rows).all()
    assert (runs[0].scores == runs[1].scores).all()


def test_bf16_is_another_system(demo: Dataset) -> None:
    fp32 = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True)
    bf16 = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True, dtype="bf16")
    assert bf16.identity.name.endswith("@bf16")
    assert bf16.fingerprint != fp32.fingerprint
    texts = demo.texts(0, 20)
    one, two = (s.encoder.encode(texts, kind="document", max_tokens=512) for s in (fp32, bf16))
    assert 0 < np.abs(one.vectors - two.vectors).max() < 0.05


def test_changed_weights_change_the_fingerprint(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(CHECKPOINT_DIR, copy)
    before = load_system(str(copy), device="cpu", offline=True).fingerprint
    config = json.loads((copy / "config.json").read_text())
    config["note"] = "changed"
    (copy / "config.json").write_text(json.dumps(config))
    assert load_system(str(copy), device="cpu", offline=True).fingerprint != before


@pytest.mark.parametrize("value", [float("nan"), 3e38])
def test_weights_that_give_no_numbers(value: float, demo: Dataset, tmp_path: Path) -> None:
    """NaN is refused when it is loaded; what overflows on the way names the query or document."""
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "copy"
    shutil.copytree(CHECKPOINT_DIR, copy)
    weights = load_file(copy / "model.safetensors")
    name = next(n for n in weights if "final_layer_norm" in n)
    weights[name][:] = value
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    if value != value:
        with pytest.raises(CheckpointError, match=r"final_layer_norm.weight has values that are"):
            load_system(str(copy), device="cpu", offline=True)
        return
    system = load_system(str(copy), device="cpu", offline=True)
    with pytest.raises(NumericalError, match="not finite for queries"):
        system.search(demo, SearchOptions(work_dir=tmp_path / "w"))


def test_a_bin_that_holds_code_runs_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(CHECKPOINT_DIR, copy)
    (copy / "model.safetensors").unlink()
    mark = tmp_path / "executed"

    class Code:
        def __reduce__(self):
            return (Path.touch, (mark,))

    torch.save({"weight": Code()}, copy / "pytorch_model.bin")
    with pytest.raises(
        CheckpointError, match="holds more than weights, and none of it was executed"
    ):
        load_system(str(copy), device="cpu", offline=True)
    assert not mark.exists()


def test_batches_keep_the_budget() -> None:
    tokens = np.array([5, 300, 7, 7, 90, 1], dtype=np.int32)
    batches = [batch.tolist() for batch in padded_batches(tokens, 100)]
    assert sorted(index for batch in batches for index in batch) == list(range(6))
    assert batches[0] == [1]
    assert all(len(b) == 1 or len(b) * max(tokens[b]) <= 100 for b in batches)


def test_packed_batches_keep_the_budget() -> None:
    tokens = np.array([5, 300, 7, 7, 90, 1, 0], dtype=np.int32)
    batches = [batch.tolist() for batch in packed_batches(tokens, 100)]
    assert sorted(index for batch in batches for index in batch) == list(range(7))
    assert batches[:2] == [[1], [4, 2]]
    assert all(len(b) == 1 or sum(tokens[b]) <= 100 for b in batches)
    assert list(packed_batches(np.array([], dtype=np.int32), 100)) == []


def test_two_devices_give_the_run_of_one(tmp_path: Path) -> None:
    """Two processes on the CPU stand for two GPUs."""
    dataset = many(tmp_path)
    one = load_system(str(CHECKPOINT_DIR), device="cpu", offline=True)
    two = load_system(str(CHECKPOINT_DIR), device="cpu,cpu", offline=True)
    expected = one.search(dataset, SearchOptions(work_dir=tmp_path / "one", block_documents=1024))
    found = two.search(dataset, SearchOptions(work_dir=tmp_path / "two", block_documents=1024))
    assert found.facts["device"] == "cpu,cpu"
    workers = found.facts["workers"]
    assert [worker["device"] for worker in workers] == ["cpu", "cpu"]
    assert sum(worker["blocks"] for worker in workers) == 3
    assert "workers" not in expected.facts
    assert (found.run.doc_rows == expected.run.doc_rows).all()
    assert (found.run.scores == expected.run.scores).all()


def test_a_dead_worker_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and not waited for; what was done is kept."""
    dataset = many(tmp_path)
    system = load_system(str(CHECKPOINT_DIR), device="cpu,cpu", offline=True)
    monkeypatch.setattr("gtr_beir.systems.sharing.prepared", die)
    options = SearchOptions(work_dir=tmp_path / "work", block_documents=1024)
    with pytest.raises(StoreError, match="a worker process died"):
        system.search(dataset, options)
    monkeypatch.undo()
    assert system.search(dataset, options).run.scores.shape[0] == 5


def test_where_a_block_cannot_be_kept_nobody_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the error is looked at, which holds what was at work."""
    dataset = many(tmp_path)
    system = load_system(str(CHECKPOINT_DIR), device="cpu,cpu", offline=True)
    put, full = BlockStore.put, OSError("the disk is full")

    def fail(self: BlockStore, key: str, arrays: Arrays) -> Arrays:
        if key.startswith("topk-"):
            raise full
        return put(self, key, arrays)

    monkeypatch.setattr(BlockStore, "put", fail)
    before = threading.active_count()
    options = SearchOptions(work_dir=tmp_path / "work", block_documents=1024)
    with pytest.raises(OSError, match="the disk is full") as held:
        system.search(dataset, options)
    assert held.value is full
    assert multiprocessing.active_children() == []
    assert threading.active_count() <= before


def test_a_device_that_is_not_there_is_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"there is no cuda:7 on this machine"):
        load_system(str(CHECKPOINT_DIR), device="cpu,cuda:7", offline=True)


def words(tmp_path: Path, *, documents: int = 7000) -> Dataset:
    """Seven blocks of documents with many equal scores."""
    source = write_beir(
        tmp_path / "source",
        [
            {"_id": f"d{n}", "title": "", "text": " ".join(f"w{n * p % 17}" for p in (3, 5, 7))}
            for n in range(documents)
        ],
        {f"q{n}": f"w{n} w{n + 1}" for n in range(9)},
        [(f"q{n}", f"d{n}", 1) for n in range(9)],
    )
    dataset = import_beir(source, name="words", datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


def test_stored_blocks_shrink_and_any_mixture_gives_the_same_bytes(tmp_path: Path) -> None:
    """1, 2 and 7 blocks; then blocks vanish at random and are searched again with other floors."""
    dataset = words(tmp_path)
    system = WordSystem([f"w{n}" for n in range(17)])
    runs = {}
    for blocks, size in ((1, 7168), (2, 4096), (7, 1024)):
        options = SearchOptions(work_dir=tmp_path / str(blocks), k=300, block_documents=size)
        run = system.search(dataset, options).run
        run.write(tmp_path / f"{blocks}.gz", dataset, tag="words")
        runs[blocks] = (tmp_path / f"{blocks}.gz").read_bytes()
    assert runs[1] == runs[2] == runs[7]
    folders = sorted((tmp_path / "7").glob("topk-*"))
    counts = sorted(int(np.load(folder / "counts.npy").sum()) for folder in folders)
    assert len(folders) == 7
    assert counts[-1] == 300 * 9
    assert sum(counts) < 0.75 * 7 * 300 * 9
    draw = np.random.default_rng(0)
    for _ in range(5):
        for folder in draw.choice(folders, 4, replace=False):
            shutil.rmtree(folder)
        run = system.search(dataset, options).run
        run.write(tmp_path / "again.gz", dataset, tag="words")
        assert (tmp_path / "again.gz").read_bytes() == runs[1]
