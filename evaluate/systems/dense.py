"""The dense system: one vector a text, exact search by dot product, block by block."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluate.blocks import Arrays, Block, BlockStore, content_key, plan_blocks
from evaluate.data.store import Dataset
from evaluate.errors import UsageError
from evaluate.files import Digest, fingerprint_of
from evaluate.memory import give_back
from evaluate.progress import Progress
from evaluate.runs import Run
from evaluate.systems.base import CHECKPOINTS, Found, Kind, SearchOptions, Settings
from evaluate.systems.checkpoints.hub import open_checkpoint
from evaluate.systems.encoder import Encoder, SentenceEncoder
from evaluate.topk import TopK, dense_top_k, empty, merge, require_finite


class DenseSystem:
    """A dual-encoder checkpoint under a length protocol and a precision."""

    def __init__(self, name: str, settings: Settings):
        misplaced = {"k1", "b", "field_weights"} & settings.chosen().keys()
        if misplaced:
            raise UsageError(f"{', '.join(sorted(misplaced))} belong to BM25, not to {name}")
        self._folder = open_checkpoint(
            CHECKPOINTS.get(name, name), revision=settings.revision, offline=settings.offline
        )
        self._encoder = SentenceEncoder(self._folder, settings)
        self._protocol = settings.protocol
        self.name = system_name(name, settings)
        self.settings: Mapping[str, Any] = {
            "checkpoint": name if self._folder.revision else self._folder.path.resolve().name,
            "revision": self._folder.revision,
            "weights": self._folder.fingerprint,
            "modules": list(self._folder.modules),
            "gtr": self._folder.gtr,
            "protocol": self._protocol,
            "own_length": self._encoder.own_length,
            "dtype": self._encoder.dtype,
            "similarity": "cosine" if self._encoder.normalises else "dot",
            "prompts": dict(self._encoder.prompts),
        }
        self.fingerprint = fingerprint_of(self.settings)

    @property
    def encoder(self) -> Encoder:
        return self._encoder

    def max_tokens(self, dataset: Dataset, kind: Kind) -> int:
        """The length limit under the protocol, never beyond the checkpoint's positions."""
        own = self._encoder.own_length
        limit = own if self._protocol == "hub" else dataset.spec.length(kind)
        return min(limit, self._encoder.positions or limit)

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Encode what is not encoded yet, search every block exactly, merge."""
        limits = {kind: self.max_tokens(dataset, kind) for kind in ("query", "document")}
        arithmetic = fingerprint_of(self._encoder.arithmetic)
        key = Digest().add(self.fingerprint).add(arithmetic).add(str(limits["document"])).hex()
        progress = Progress(
            f"{self.name} on {dataset.name}", dataset.n_documents, "documents", quiet=options.quiet
        )
        store = BlockStore(options.work_dir, progress.say)
        queries = _encode_queries(
            self._encoder, dataset, store, self.fingerprint + arithmetic, limits["query"]
        )
        search = DenseSearch(
            self._encoder, dataset, options, store, progress, key, queries, limits["document"]
        )
        run, facts = search.run()
        facts |= {
            "device": self._encoder.device,
            "dtype": self._encoder.dtype,
            "max_tokens": limits,
            "query_tokens": int(queries["tokens"].sum()),
            "queries_truncated": int(queries["truncated"].sum()),
            "dimension": self._encoder.dimension,
        }
        return Found(run, facts)


def system_name(name: str, settings: Settings) -> str:
    """For folders and tables: the checkpoint's last name, and what is not as by default."""
    base = Path(name).expanduser().resolve().name if Path(name).expanduser().is_dir() else name
    suffix = "@hub" if settings.protocol == "hub" else ""
    if settings.dtype not in (None, "fp32"):
        suffix += f"@{settings.dtype}"
    return base.replace("/", "--") + suffix


def _encode_queries(
    encoder: Encoder, dataset: Dataset, store: BlockStore, fingerprint: str, max_tokens: int
) -> Arrays:
    key = Digest().add(fingerprint).add(str(max_tokens))
    key.add(dataset.manifest["fingerprints"]["queries"])

    def compute() -> Arrays:
        encoded = encoder.encode(dataset.query_texts, kind="query", max_tokens=max_tokens)
        require_finite(encoded.vectors, "queries", dataset.query_ids)
        return {
            "vectors": encoded.vectors,
            "tokens": encoded.tokens,
            "truncated": encoded.truncated,
        }

    return store.get_or_compute(f"queries-{key.hex()[:32]}", compute)


class DenseSearch:
    """Encodes and searches the blocks of one dataset; each step is kept as soon as it is done."""

    def __init__(
        self,
        encoder: Encoder,
        dataset: Dataset,
        options: SearchOptions,
        store: BlockStore,
        progress: Progress,
        key: str,
        queries: Arrays,
        max_tokens: int,
    ):
        self._encoder, self._dataset, self._options = encoder, dataset, options
        self._store, self._progress = store, progress
        self._key, self._queries, self._max_tokens = key, queries, max_tokens
        self._excluded = dataset.own_rows if options.self_matches == "drop" else None
        # Ties go by the rank of ids in the whole corpus, so all of it decides what a block yields.
        query_vectors = np.ascontiguousarray(queries["vectors"])
        corpus = dataset.manifest["fingerprints"]["corpus"]
        digest = Digest().add(key).add(query_vectors.tobytes()).add(corpus)
        digest.add(str(options.k)).add(options.self_matches)
        if options.self_matches == "drop":
            digest.add(dataset.own_rows.tobytes())
        self._search_key = digest.hex()
        self._seconds = {"encode": 0.0, "search": 0.0}

    def run(self) -> tuple[Run, dict[str, Any]]:
        best: TopK | None = None
        tokens = truncated = 0
        for block in plan_blocks(self._dataset.n_documents, self._options.block_documents):
            compute = functools.partial(self._search, block)
            arrays = self._store.get_or_compute(self._top_k_key(block), compute)
            self._progress.reach(block.stop)
            found = TopK(arrays["rows"], arrays["scores"], arrays["id_ranks"])
            best = merge(best, found, self._options.k)
            tokens += int(arrays["tokens"][0])
            truncated += int(arrays["truncated"][0])
        self._progress.finish()
        if best is None:
            best = empty(len(self._dataset.query_ids), self._options.k)
        facts = {
            "document_tokens": tokens,
            "documents_truncated": truncated,
            "seconds": self._seconds,
        }
        return Run.of(self._dataset.query_ids, best), facts

    def _vectors_key(self, block: Block) -> str:
        digests = self._dataset.unit_digests
        return "vectors-" + content_key(digests, block, self._key)

    def _top_k_key(self, block: Block) -> str:
        return "topk-" + content_key(self._dataset.unit_digests, block, self._search_key)

    def _search(self, block: Block) -> Arrays:
        if self._options.keep_embeddings:
            encoded = self._store.get_or_compute(
                self._vectors_key(block), lambda: self._encode(block)
            )
        else:
            encoded = self._store.get(self._vectors_key(block)) or self._encode(block)
        start = time.perf_counter()
        found = dense_top_k(
            self._queries["vectors"],
            encoded["vectors"],
            id_ranks=self._dataset.id_rank[block.start : block.stop],
            first_row=block.start,
            k=self._options.k,
            excluded=self._excluded,
            device=getattr(self._encoder, "device", "cpu"),
        )
        give_back()
        self._seconds["search"] += time.perf_counter() - start
        return {
            "rows": found.rows,
            "scores": found.scores,
            "id_ranks": found.id_ranks,
            "tokens": np.array([encoded["tokens"].sum(dtype=np.int64)]),
            "truncated": np.array([encoded["truncated"].sum(dtype=np.int64)]),
        }

    def _encode(self, block: Block) -> Arrays:
        """Vectors of a block. Units are encoded one by one, so that what a text is batched with,
        and so its vector to the last bit, does not depend on the block size."""
        start = time.perf_counter()
        vectors = np.empty((len(block), self._encoder.dimension), dtype=np.float32)
        tokens = np.empty(len(block), dtype=np.int32)
        truncated = np.empty(len(block), dtype=bool)
        for low, high in block.units():
            encoded = self._encoder.encode(
                self._dataset.texts(low, high), kind="document", max_tokens=self._max_tokens
            )
            place = slice(low - block.start, high - block.start)
            self._require_finite(encoded.vectors, low)
            vectors[place] = encoded.vectors
            tokens[place], truncated[place] = encoded.tokens, encoded.truncated
            self._progress.advance(high - low)
        self._seconds["encode"] += time.perf_counter() - start
        return {"vectors": vectors, "tokens": tokens, "truncated": truncated}

    def _require_finite(self, vectors: npt.NDArray[np.float32], first: int) -> None:
        if not np.isfinite(vectors).all():
            ids = self._dataset.document_ids(np.arange(first, first + len(vectors)))
            require_finite(vectors, "documents", ids)
