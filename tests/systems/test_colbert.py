"""ColBERT beside sentence-transformers' own exhaustive evaluator, in every checkpoint format."""

from __future__ import annotations

import json
import re
import shutil
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.multi_vector_encoder.evaluation import (
    MultiVectorInformationRetrievalEvaluator,
)
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Normalize
from sentence_transformers.util import maxsim

from doubles import die, write_beir
from gtr_beir import benchmark, cli, load_dataset, load_system
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.errors import CheckpointError, StoreError, UsageError
from gtr_beir.ranking.runs import Run
from gtr_beir.records import Record
from gtr_beir.systems.base import SearchOptions

TOY = f"colbert:{COLBERT_DIR}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    dataset = load_dataset("demo", datasets_dir=tmp_path_factory.mktemp("demo"))
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture(scope="module")
def untrained(minilm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all-MiniLM-L6-v2's token vectors as a ColBERT that was never trained to be one."""
    folder = tmp_path_factory.mktemp("untrained") / "minilm"
    model = MultiVectorEncoder(
        modules=[
            Transformer(minilm, max_seq_length=256),
            MultiVectorMask(skiplist_words=list(string.punctuation)),
            Normalize(module_input_name="token_embeddings"),
        ],
        device="cpu",
    )
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def library(path: Path) -> Any:
    return MultiVectorEncoder(str(path), device="cpu", local_files_only=True)


def ranked(model: Any, dataset: Dataset, texts: list[str]) -> np.ndarray:
    """float64 scores from the library's vectors, by the definition."""
    queries = [v.double() for v in model.encode_query(dataset.query_texts, show_progress_bar=False)]
    documents = [v.double() for v in model.encode_document(texts, show_progress_bar=False)]
    rows = [
        [float((q @ d.T).amax(1).sum()) if len(d) else -np.inf for d in documents] for q in queries
    ]
    return np.array(rows)


def search(system: Any, dataset: Dataset, folder: Path, **options: Any) -> Run:
    return system.search(dataset, SearchOptions(work_dir=folder, **options)).run


def test_scores_and_order_of_the_definition(demo: Dataset, tmp_path: Path) -> None:
    run = search(load_system(TOY, device="cpu", offline=True), demo, tmp_path, k=50)
    expected = ranked(library(COLBERT_DIR), demo, demo.texts(0, demo.n_documents))
    for query, rows in enumerate(run.doc_rows):
        own = demo.self_rows[query]
        assert np.abs(run.scores[query] - expected[query, rows]).max() < 1e-5
        scores = expected[query].copy()
        if own >= 0:
            scores[own] = -np.inf
        floor = np.sort(scores)[-50]
        assert (scores[rows] >= floor - 1e-5).all()


def test_real_texts_with_real_vectors(scifact: Dataset, untrained: Path, tmp_path: Path) -> None:
    """SciFact's queries and a slice of its documents, beside the library's own MaxSim."""
    from gtr_beir.systems.maxsim import MaxSim

    model = library(untrained)
    texts, questions = scifact.texts(0, 96), scifact.query_texts[:25]
    system = load_system(f"colbert:{untrained}", device="cpu", offline=True)
    queries, _ = system.encoder.encode(questions, kind="query")
    documents, _ = system.encoder.encode(texts, kind="document")
    found = MaxSim(queries).scores(documents)
    asked = model.encode_query(questions, show_progress_bar=False)
    held = model.encode_document(texts, show_progress_bar=False)
    theirs = maxsim(asked, held).numpy()
    assert np.abs(found - theirs).max() < 2e-4  # vectors themselves differ in their last bits
    exact = [[float((q.double() @ d.double().T).amax(1).sum()) for d in held] for q in asked]
    from gtr_beir.encoders.base import TokenVectors

    def packed(vectors: list[torch.Tensor]) -> TokenVectors:
        lengths = np.array([len(v) for v in vectors], dtype=np.int64)
        return TokenVectors(torch.cat(vectors).numpy(), lengths)

    same = MaxSim(packed(asked)).scores(packed(held))
    assert np.abs(same - np.array(exact)).max() < 1e-5
    for ours, reference in zip(same, np.array(exact), strict=True):
        order = np.argsort(-reference)[:20]
        apart = np.abs(np.diff(np.sort(reference)[::-1][:21]))
        if apart.min() > 1e-5:
            assert np.argsort(-ours)[:20].tolist() == order.tolist()


def test_the_ranking_of_the_librarys_evaluator(demo: Dataset, tmp_path: Path) -> None:
    """MultiVectorInformationRetrievalEvaluator's top 30, wherever its scores are apart."""
    hits: list[list[dict[str, Any]]] = []

    class Keeping(MultiVectorInformationRetrievalEvaluator):
        def compute_metrics(self, queries_result_list: Any) -> Any:
            hits.extend(queries_result_list)
            return super().compute_metrics(queries_result_list)

    corpus, queries, qrels = demo.as_beir()
    evaluator = Keeping(
        queries=dict(queries),
        corpus={i: f"{d['title']} {d['text']}".strip() for i, d in corpus.items()},
        relevant_docs={q: {d for d, grade in held.items() if grade} for q, held in qrels.items()},
        map_at_k=[30],
        write_csv=False,
    )
    evaluator(library(COLBERT_DIR))
    system = load_system(TOY, device="cpu", offline=True)
    run = search(system, demo, tmp_path, k=30, self_matches="keep")
    compared = 0
    for query_id, found in zip(evaluator.queries_ids, hits, strict=True):
        theirs = sorted(found, key=lambda hit: -hit["score"])[:30]
        scores = np.array([hit["score"] for hit in theirs])
        place = run.query_ids.index(query_id)
        assert np.abs(run.scores[place] - scores).max() < 1e-4
        if np.abs(np.diff(scores)).min() > 1e-4:
            compared += 1
            ours = demo.document_ids(run.doc_rows[place])
            assert ours == [hit["corpus_id"] for hit in theirs]
    assert compared > 30


def many(tmp_path: Path) -> Dataset:
    source = write_beir(
        tmp_path / "source",
        [
            {
                "_id": f"d{n}",
                "title": "",
                "text": f"rain and bread {n * 7919 % 997}" if n % 50 else "",
            }
            for n in range(2500)
        ],
        {f"q{n}": f"bread number {n}" for n in range(5)},
        [(f"q{n}", f"d{n + 1}", 1) for n in range(5)],
    )
    dataset = import_beir(source, name="many", datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


def test_any_block_thread_and_device_gives_the_same_run(tmp_path: Path) -> None:
    dataset = many(tmp_path)
    system = load_system(TOY, device="cpu", offline=True)
    expected = search(system, dataset, tmp_path / "a", k=100)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = search(system, dataset, tmp_path / "b", k=100, block_documents=1024)
    torch.set_num_threads(threads)
    two_devices = load_system(TOY, device="cpu,cpu", offline=True)
    two = search(two_devices, dataset, tmp_path / "c", k=100)
    for other in (one, two):
        assert np.array_equal(expected.doc_rows, other.doc_rows)
        assert np.array_equal(expected.scores, other.scores)


def test_a_dead_worker_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = many(tmp_path)
    system = load_system(TOY, device="cpu,cpu", offline=True)
    monkeypatch.setattr("gtr_beir.systems.sharing.prepared", die)
    with pytest.raises(StoreError, match="a worker process died"):
        search(system, dataset, tmp_path / "w", k=10)


def test_blank_documents_and_those_of_punctuation_alone(tmp_path: Path) -> None:
    """[CLS], the marker and [SEP] are vectors too, so a blank text has a score; with everything on
    the skip list a document has no vector and is in no ranking."""
    source = write_beir(
        tmp_path / "source",
        [
            {"_id": "words", "title": "", "text": "bread"},
            {"_id": "points", "title": "", "text": "... ?? ,;"},
            {"_id": "blank", "title": "", "text": ""},
        ],
        {"q": "bread"},
        [("q", "words", 1)],
    )
    dataset = import_beir(source, name="mine", datasets_dir=tmp_path / "datasets")
    run = search(load_system(TOY, device="cpu", offline=True), dataset, tmp_path / "a", k=3)
    assert dataset.document_ids(run.doc_rows[0])[0] == "words"
    assert (run.doc_rows >= 0).all()
    copy = tmp_path / "copy"
    shutil.copytree(COLBERT_DIR, copy)
    (config,) = [p for p in copy.rglob("config.json") if "skiplist_words" in p.read_text()]
    words = [*string.punctuation, "[CLS]", "[SEP]", "[D]"]
    config.write_text(json.dumps({**json.loads(config.read_text()), "skiplist_words": words}))
    system = load_system(f"colbert:{copy}", device="cpu", offline=True)
    run = search(system, dataset, tmp_path / "b", k=3)
    assert dataset.document_ids(run.doc_rows[0][:1]) == ["words"]
    assert run.doc_rows[0].tolist()[1:] == [-1, -1]


def stanford(folder: Path) -> None:
    """The toy as Stanford's ColBERT saves: one file of weights, and `artifact.metadata`."""
    weights = load_file(COLBERT_DIR / "model.safetensors")
    joined = {f"bert.{name}": value for name, value in weights.items()}
    dense = load_file(COLBERT_DIR / "1_Dense" / "model.safetensors")
    joined["linear.weight"] = dense["linear.weight"]
    folder.mkdir()
    save_file(joined, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((COLBERT_DIR / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(COLBERT_DIR / name, folder)
    metadata = {
        "query_token_id": "[Q]",
        "doc_token_id": "[D]",
        "query_maxlen": 24,
        "doc_maxlen": 180,
        "mask_punctuation": True,
        "attend_to_mask_tokens": False,
    }
    (folder / "artifact.metadata").write_text(json.dumps(metadata))


def pylate(folder: Path) -> None:
    """The toy as PyLate 1.x saves: two modules, the rest in config_sentence_transformers.json."""
    shutil.copytree(COLBERT_DIR, folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    shutil.rmtree(folder / "2_MultiVectorMask", ignore_errors=True)
    dense = {
        "in_features": 64,
        "out_features": 32,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "1_Dense" / "config.json").write_text(json.dumps(dense))
    limits = {"max_seq_length": 180, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(limits))
    config = {
        "model_type": "ColBERT",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 24,
        "document_length": 180,
        "attend_to_expansion_tokens": False,
        "skiplist_words": list(string.punctuation),
        "similarity_fn_name": "MaxSim",
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))


@pytest.mark.parametrize("write", [stanford, pylate])
def test_other_formats_give_the_same_scores(write: Any, demo: Dataset, tmp_path: Path) -> None:
    write(tmp_path / "other")
    native = search(load_system(TOY, device="cpu", offline=True), demo, tmp_path / "a", k=20)
    system = load_system(f"colbert:{tmp_path / 'other'}", device="cpu", offline=True)
    assert system.settings["format"] == write.__name__
    other = search(system, demo, tmp_path / "b", k=20)
    assert np.array_equal(native.doc_rows, other.doc_rows)
    assert np.abs(native.scores - other.scores).max() < 1e-5


def test_rerank_scores_the_candidates_alone(demo: Dataset, tmp_path: Path) -> None:
    whole = load_system(TOY, device="cpu", offline=True)
    results = tmp_path / "results"
    benchmark(load_system("bm25-flat"), demo, results_dir=results)
    full = benchmark(whole, demo, results_dir=results, label="whole")
    again = benchmark(whole, demo, results_dir=results, rerank=results / "bm25-flat", depth=10)
    assert again.system == f"{whole.identity.name}@rerank-10-bm25-flat"
    assert again.settings["rerank"]["run"] == "bm25-flat"
    assert again.settings["rerank"]["depth"] == 10
    assert again.key != full.key
    first = Run.read(results / "bm25-flat" / "demo" / "run.trec.gz", demo)
    mine = Run.read(results / again.system / "demo" / "run.trec.gz", demo)
    everything = Run.read(results / "whole" / "demo" / "run.trec.gz", demo)
    for place, query in enumerate(mine.query_ids):
        asked = first.doc_rows[first.query_ids.index(query)][:10]
        rows = mine.doc_rows[place]
        assert set(rows[rows >= 0]) == set(asked[asked >= 0])
        known = dict(
            zip(
                everything.doc_rows[everything.query_ids.index(query)].tolist(),
                everything.scores[everything.query_ids.index(query)].tolist(),
                strict=True,
            )
        )
        for row, score in zip(rows.tolist(), mine.scores[place].tolist(), strict=True):
            if row >= 0:
                assert score == pytest.approx(known[row], abs=1e-5)


def test_rerank_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--datasets-dir", str(tmp_path / "d"), "--results-dir", str(tmp_path / "r"), "-q"]
    assert cli.main(["run", "bm25-flat", "-d", "demo", *folders]) == 0
    run = tmp_path / "r" / "bm25-flat"
    rerank = ["run", TOY, "-d", "demo", "--rerank", str(run), "--depth", "20"]
    assert cli.main([*rerank, *folders]) == 0
    record = Record.read(tmp_path / "r" / "colbert@rerank-20-bm25-flat" / "demo")
    assert record.depth == 20
    assert cli.main(["run", TOY, "-d", "demo", "--rerank", str(tmp_path / "no"), *folders]) == 2
    told = capsys.readouterr().err
    assert "there is no run to rerank in" in told
    assert (
        cli.main(["run", "bm25-flat", "-d", "demo", "--rerank", str(run), "--again", *folders]) == 2
    )
    assert cli.main(["run", str(CHECKPOINT_DIR), "-d", "demo", "--rerank", str(run), *folders]) == 2


def test_what_the_checkpoint_says_can_be_changed(tmp_path: Path) -> None:
    system = load_system(TOY, device="cpu", offline=True)
    assert system.settings["query_length"] == 24
    assert system.settings["prompts"] == {"query": "[Q] ", "document": "[D] "}
    other = load_system(
        TOY,
        device="cpu",
        offline=True,
        query_length=12,
        document_length=50,
        skiplist=False,
        document_prefix="",
    )
    assert other.settings["skiplist"] == []
    assert other.settings["query_expansion"]["length"] == 12
    assert other.fingerprint != system.fingerprint
    assert re.fullmatch(
        r"colbert@q=12@d=50@skiplist=False@document-prefix-[0-9a-f]{6}", other.identity.name
    )
    queries, _ = other.encoder.encode(["bread"], kind="query")
    documents, cut = other.encoder.encode(["bread, " * 200], kind="document")
    assert queries.lengths.tolist() == [12]
    assert documents.lengths.tolist() == [50]
    assert cut == 1
    plain = load_system(TOY, device="cpu", offline=True, query_expansion=False)
    assert plain.encoder.encode(["bread"], kind="query")[0].lengths[0] < 12


@pytest.mark.parametrize(
    "choices", [{"document_length": 1}, {"query_length": 3}, {"query_length": 100_000}]
)
def test_lengths_that_cannot_be(choices: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"--(query|document)-length \d+ is not possible with"):
        load_system(TOY, device="cpu", offline=True, **choices)


def test_no_modules_no_arrays_no_tokenizer(tmp_path: Path) -> None:
    """What the library would make up out of nothing."""
    for number, (name, sentence) in enumerate(
        [("modules.json", "has no modules.json"), ("tokenizer.json", "has no tokenizer")]
    ):
        copy = tmp_path / str(number)
        shutil.copytree(COLBERT_DIR, copy)
        (copy / name).unlink()
        with pytest.raises(CheckpointError, match=sentence):
            load_system(f"colbert:{copy}", device="cpu", offline=True)
    copy = tmp_path / "arrays"
    shutil.copytree(COLBERT_DIR, copy)
    weights = load_file(copy / "model.safetensors")
    del weights["encoder.layer.0.attention.self.query.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks the arrays encoder.layer.0.attention.self.q"):
        load_system(f"colbert:{copy}", device="cpu", offline=True)


@pytest.mark.parametrize("given", ["dense", "GTR", "encoder alone"])
def test_single_vector_checkpoints_are_no_colbert(given: str, minilm: str, tmp_path: Path) -> None:
    path = {"dense": minilm, "GTR": str(CHECKPOINT_DIR)}.get(given, str(tmp_path / "alone"))
    if given == "encoder alone":
        (tmp_path / "alone").mkdir()
        shutil.copy(COLBERT_DIR / "config.json", tmp_path / "alone")
    with pytest.raises(CheckpointError, match="is not a ColBERT checkpoint: it has"):
        load_system(f"colbert:{path}", device="cpu", offline=True)


def test_what_else_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(COLBERT_DIR, copy)
    weights = load_file(copy / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][7] = float("nan")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"word_embeddings.weight has values that are"):
        load_system(f"colbert:{copy}", device="cpu", offline=True)
    modules = json.loads((copy / "modules.json").read_text())
    modules[1]["type"] = "mine.Dense"
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match=r"asks for code of its own \(mine.Dense\)"):
        load_system(f"colbert:{copy}", device="cpu", offline=True)
    for choices in ({"protocol": "hub"}, {"k1": 1.2}, {"batch_tokens": 5}, {"dtype": "fp16"}):
        with pytest.raises(UsageError):
            load_system(TOY, device="cpu", offline=True, **choices)
    with pytest.raises(UsageError, match="--query-length belongs to ColBERT"):
        load_system(str(CHECKPOINT_DIR), device="cpu", offline=True, query_length=5)
    with pytest.raises(UsageError, match="--skiplist belongs to ColBERT"):
        load_system("bm25-flat", skiplist=True)
    with pytest.raises(UsageError, match="--offline"):
        load_system("colbert", offline=True, device="cpu")
