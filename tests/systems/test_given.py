"""Encoders given from Python as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtr_beir import benchmark, load_system
from gtr_beir.data.store import Dataset
from gtr_beir.errors import UsageError
from gtr_beir.systems.base import SearchOptions
from gtr_beir.work.executors.here import Here

WORDS = ("apple", "pear", "plum")


class Counts:
    """The least that is needed: `encode`."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def encode(self, texts: list[str]) -> list[list[float]]:
        self.asked.append(len(texts))
        return [[text.split().count(word) for word in WORDS] for text in texts]


class Wrong:
    def __init__(self, answer: Any):
        self._answer = answer

    def encode(self, texts: list[str]) -> Any:
        return self._answer


def test_any_object_with_encode(small: Dataset, tmp_path: Path) -> None:
    """Scores are dot products of what it gives; each run of unknown weights stands for itself."""
    model = Counts()
    system = load_system(model)
    found = system.search(small, SearchOptions(work_dir=tmp_path / "work", k=3))
    row = found.run.query_ids.index("q2")
    assert small.document_ids(found.run.doc_rows[row]) == ["d3", "d2", "q3"]
    assert found.run.scores[row].tolist() == [2, 2, 0]
    assert system.identity.name == "Counts@unknown-weights"
    assert system.settings["weights"] == "unknown"
    assert load_system(Counts()).fingerprint != system.fingerprint
    assert model.asked[0] == 1  # what tells its dimension


def test_a_named_one_is_found_again(small: Dataset, tmp_path: Path) -> None:
    first = load_system(Counts(), name="counts", weights="epoch 3")
    record = benchmark(first, small, results_dir=tmp_path / "results")
    assert record.system == "counts"
    assert record.settings["weights"] == "epoch 3"
    assert "document_tokens" not in record.facts
    again = Counts()
    same = benchmark(
        load_system(again, name="counts", weights="epoch 3"),
        small,
        results_dir=tmp_path / "results",
    )
    assert same == record
    assert again.asked == [1]
    later = load_system(Counts(), name="counts", weights="epoch 4")
    with pytest.raises(UsageError, match="holds a record of other weights"):
        benchmark(later, small, results_dir=tmp_path / "results")


def test_sentence_transformers(small: Dataset, tmp_path: Path, minilm: str) -> None:
    """The same scores as from its folder, and weights that are seen."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(minilm, device="cpu", local_files_only=True)
    system = load_system(model, name="mini")
    found = system.search(small, SearchOptions(work_dir=tmp_path / "given", k=5)).run
    folder = load_system(minilm, protocol="hub", device="cpu", offline=True)
    expected = folder.search(small, SearchOptions(work_dir=tmp_path / "folder", k=5)).run
    held = np.isfinite(expected.scores)
    assert np.abs(found.scores[held] - expected.scores[held]).max() < 1e-5
    assert (np.isfinite(found.scores) == held).all()
    assert system.identity.model.weights is not None
    assert system.identity.lengths is not None
    assert system.identity.lengths.document == model.max_seq_length
    worded = load_system(model, name="mini", weights="epoch 3")
    model.prompts = {"query": "find: "}
    assert load_system(model, name="mini").fingerprint != system.fingerprint
    with torch.no_grad():
        next(model.parameters()).add_(1)
    # The word says nothing against what is seen, and a system is of the state that it was given in.
    assert load_system(model, name="mini", weights="epoch 3").fingerprint != worded.fingerprint
    with pytest.raises(UsageError, match="mini was changed since it was given"):
        system.search(small, SearchOptions(work_dir=tmp_path / "given", k=5))
    assert load_system(model.bfloat16(), name="mini").identity.precision == "bf16"


def test_a_name_is_no_state(small: Dataset) -> None:
    """Two encoders may have one name."""
    one, other = (load_system(Counts(), name="x") for _ in range(2))
    assert one.fingerprint != other.fingerprint
    with pytest.raises(UsageError, match=r"'\.\./x' cannot be a name"):
        load_system(Counts(), name="../x")


class Elsewhere(Counts):
    """On a device that torch's search does not know, with an array that is its own."""

    device = "mps:0"
    similarity_fn_name = "cosine"

    def __init__(self) -> None:
        super().__init__()
        self.held = np.full((1, 3), 2.0, dtype=np.float32)
        self.held.flags.writeable = False

    def encode(self, texts: list[str], **_: Any) -> Any:
        return np.broadcast_to(self.held, (len(texts), 3))


def test_other_devices_and_read_only_arrays(small: Dataset, tmp_path: Path) -> None:
    system = load_system(Elsewhere(), name="elsewhere", weights="1")
    found = system.search(small, SearchOptions(work_dir=tmp_path, k=3))
    assert np.allclose(found.run.scores[np.isfinite(found.run.scores)], 1)
    assert found.facts["device"] == "mps:0"
    with pytest.raises(UsageError, match="an object of this process"):
        system.search(small, SearchOptions(work_dir=tmp_path, k=3, executor=Here()))


def test_another_similarity_is_refused() -> None:
    model = Elsewhere()
    model.similarity_fn_name = "euclidean"
    with pytest.raises(UsageError, match="meant for euclidean similarity"):
        load_system(model)


def test_a_dataset_by_name(small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTR_BEIR_DATASETS", str(small.path.parent))
    record = benchmark(load_system(Counts(), name="c"), "small", results_dir=tmp_path / "results")
    assert record.dataset == "small"


def test_what_is_no_system_yet(small: Dataset, tmp_path: Path) -> None:
    """An object, or a name, as it is."""
    record = benchmark(Counts(), small, results_dir=tmp_path)
    assert record.system == "Counts@unknown-weights"
    assert benchmark("bm25-flat", small, results_dir=tmp_path).system == "bm25-flat"
    with pytest.raises(UsageError, match=r"an object whose weights are unknown, .* load_system a"):
        benchmark(Counts(), small, results_dir=tmp_path)
    benchmark(Counts(), small, results_dir=tmp_path, again=True)
    with pytest.raises(UsageError, match="a int cannot be run"):
        benchmark(3, small, results_dir=tmp_path)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (3, "a int cannot be run: give the name of a system, or an object with encode"),
        (Wrong([1.0, 2.0]), r"Wrong.encode gave an array of shape \(2,\) for 1 texts"),
        (Wrong([[1.0], [2.0]]), r"gave an array of shape \(2, 1\) for 1 texts"),
        (Wrong("words"), "gave no array of numbers"),
    ],
)
def test_what_is_no_encoder(model: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_system(model)
    with pytest.raises(UsageError, match="has no dtype; it has name and weights"):
        load_system(Counts(), dtype="bf16")
