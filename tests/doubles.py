"""Test doubles: an encoder that counts words, a system that ranks as it is told, BEIR folders."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.digests import fingerprint_of
from gtr_beir.encoders.base import BatchesByItself, Encoded
from gtr_beir.identity import Identity, Model
from gtr_beir.lengths import Lengths
from gtr_beir.progress import Progress
from gtr_beir.ranking.runs import Run
from gtr_beir.systems.base import Found, SearchOptions
from gtr_beir.systems.block_work import Asked, Keep, keep_nothing
from gtr_beir.systems.dense import DenseOptions
from gtr_beir.systems.dense_search import DenseWork
from gtr_beir.systems.options import EncoderOptions, Options
from gtr_beir.systems.sharing import SharedSearch

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


def many(tmp_path: Path) -> Dataset:
    """Blocks enough for two devices."""
    source = write_beir(
        tmp_path / "source",
        [
            {"_id": f"d{n}", "title": "", "text": f"rain number {n * 7919 % 997}"}
            for n in range(2500)
        ],
        {f"q{n}": f"number {n}" for n in range(5)},
        [(f"q{n}", f"d{n}", 1) for n in range(5)],
    )
    dataset = import_beir(source, name="many", datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


def die(*_: object) -> None:
    """What a working process does whose memory ran out."""
    os.kill(os.getpid(), signal.SIGKILL)


class WordEncoder(BatchesByItself):
    """Words of a fixed list -> counts, L2-normalised: every score can be worked out by hand."""

    device = "cpu"
    dtype = products = "fp32"
    arithmetic: Mapping[str, str | int] = {}
    own_length = 512
    positions: int | None = None
    counts_tokens = normalises = True
    prompts: Mapping[str, str] = {"query": "", "document": ""}
    kernels: Mapping[str, str] = {}
    remarks: tuple[str, ...] = ()
    weights_bytes = parameters = 0
    tokenizer = None

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

    title = "words"
    options_type = Options
    reranks = False

    def __init__(self, words: list[str], name: str = "words"):
        self.identity = Identity(Model(name), lengths=Lengths("paper", 512, 512))
        self.encoder = WordEncoder(words)
        self.settings = {"words": words}
        self.fingerprint = fingerprint_of(self.settings)

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        progress = Progress("words", dataset.n_documents, "documents", quiet=True)
        each = [EncoderOptions()]
        _, run, facts = SharedSearch(self, "words", each, dataset, options, progress).run()
        return Found(run, facts)

    def work(self, asked: Asked, keep: Keep = keep_nothing) -> DenseWork:
        limits = {"query": 64, "document": 512}
        return DenseWork(self.encoder, asked, settings=self.settings, limits=limits, keep=keep)


class FixedSystem:
    """Ranks the first documents of the corpus in their order, whatever the query."""

    title = "fixed rankings"
    options_type = DenseOptions
    reranks = False

    def __init__(self, name: str, options: DenseOptions, ranked: int = 3):
        self.identity = Identity(Model(name), lengths=Lengths(options.protocol, 512, 512))
        self.settings = {"ranked": ranked, "protocol": options.protocol}
        self.fingerprint = f"fixed-{ranked}-{options.protocol}"
        self._ranked = ranked

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        depth = min(self._ranked, options.k, dataset.n_documents)
        rows = np.tile(np.arange(depth, dtype=np.int32), (len(dataset.query_ids), 1))
        return Found(Run(dataset.query_ids, rows, -rows.astype(np.float32)))
