"""The dense system: one vector a text, exact search by dot product, block by block."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from evaluate.blocks import Arrays, Block, BlockStore, beside, content_key, plan_blocks
from evaluate.data.columns import UNIT
from evaluate.data.store import Dataset
from evaluate.errors import UsageError
from evaluate.files import Digest, fingerprint_of
from evaluate.memory import give_back
from evaluate.progress import Progress
from evaluate.runs import Run
from evaluate.systems.base import Encoder, Found, Kind, SearchOptions, Settings
from evaluate.systems.encoder import resolve_device
from evaluate.systems.loading import open_encoder
from evaluate.topk import TopK, dense_top_k, empty, merge, require_finite


class DenseSystem:
    """A dual-encoder checkpoint under a length protocol and a precision.

    With several devices, this process works on the first and starts one more for each of the
    others; blocks are dealt out among them.
    """

    def __init__(self, name: str, settings: Settings):
        misplaced = {"k1", "b", "field_weights"} & settings.chosen().keys()
        if misplaced:
            raise UsageError(f"{', '.join(sorted(misplaced))} belong to BM25, not to {name}")
        self._asked = name
        self._each = [
            replace(settings, device=device) for device in (settings.device or "").split(",")
        ]
        if settings.device is None:
            self._each = [settings]
        for each in self._each[1:]:
            resolve_device(each.device)
        opened = open_encoder(name, self._each[0])
        self._encoder = opened.encoder
        self._protocol = settings.protocol
        self.name = system_name(opened.name, settings)
        deciding: dict[str, Any] = {
            "weights": opened.weights,
            "gtr": opened.gtr,
            "protocol": self._protocol,
            "own_length": self._encoder.own_length,
            "dtype": self._encoder.dtype,
            "similarity": "cosine" if self._encoder.normalises else "dot",
            "prompts": dict(self._encoder.prompts),
        }
        self.settings: Mapping[str, Any] = {**opened.origin, **deciding}
        self.fingerprint = fingerprint_of(deciding)

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
        progress = Progress(
            f"{self.name} on {dataset.name}", dataset.n_documents, "documents", quiet=options.quiet
        )
        devices = len(self._each)
        if devices > 1:
            # Every device gets a block, also of a small corpus.
            share = -(-dataset.n_documents // devices)
            size = max(min(options.block_documents, share), UNIT)
            options = replace(options, block_documents=size)
        search = self._search(dataset, options, progress)
        if devices > 1:
            calls = [
                (self._asked, replace(each, offline=True), dataset.path, options, share, devices)
                for share, each in enumerate(self._each)
            ]
            with beside(_work_share, calls[1:], processes=devices - 1) as look:
                search.compute(0, devices, watch=look)
        run, facts = search.run()
        limits = {kind: self.max_tokens(dataset, kind) for kind in ("query", "document")}
        facts |= {
            "device": ",".join(each.device or self._encoder.device for each in self._each),
            "dtype": self._encoder.dtype,
            "max_tokens": limits if self._encoder.counts_tokens else None,
            "query_tokens": int(search.queries["tokens"].sum()),
            "queries_truncated": int(search.queries["truncated"].sum()),
            "dimension": self._encoder.dimension,
        }
        if not self._encoder.counts_tokens:
            for name in ("query_tokens", "document_tokens"):
                facts[name] = None
            for name in ("queries_truncated", "documents_truncated"):
                facts[name] = None
        return Found(run, facts)

    def _search(self, dataset: Dataset, options: SearchOptions, progress: Progress) -> DenseSearch:
        limits = {kind: self.max_tokens(dataset, kind) for kind in ("query", "document")}
        arithmetic = fingerprint_of(self._encoder.arithmetic)
        key = Digest().add(self.fingerprint).add(arithmetic).add(str(limits["document"])).hex()
        store = BlockStore(options.work_dir, progress.say)
        queries = _encode_queries(
            self._encoder, dataset, store, self.fingerprint + arithmetic, limits["query"]
        )
        return DenseSearch(
            self._encoder, dataset, options, store, progress, key, queries, limits["document"]
        )


def _work_share(
    name: str, settings: Settings, path: Path, options: SearchOptions, share: int, shares: int
) -> None:
    """In a process of its own: the blocks of one share, left in the folder of blocks."""
    if settings.device == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // shares))
    system = DenseSystem(name, settings)
    dataset = Dataset(path)
    progress = Progress(system.name, dataset.n_documents, "documents", quiet=True)
    system._search(dataset, options, progress).compute(share, shares)


def system_name(name: str, settings: Settings) -> str:
    """For folders and tables: the checkpoint's last name, and what is not as by default."""
    suffix = "@hub" if settings.protocol == "hub" else ""
    if settings.dtype not in (None, "fp32"):
        suffix += f"@{settings.dtype}"
    return name.replace("/", "--") + suffix


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
        self._key, self.queries, self._max_tokens = key, queries, max_tokens
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
        for block in self._blocks():
            arrays = self._done(block)
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

    def compute(self, share: int, shares: int, *, watch: Callable[[], None] = lambda: None) -> None:
        """Do every `shares`-th block from `share` on; `watch` is called after each."""
        for block in self._blocks()[share::shares]:
            self._done(block)
            watch()

    def _blocks(self) -> list[Block]:
        return plan_blocks(self._dataset.n_documents, self._options.block_documents)

    def _done(self, block: Block) -> Arrays:
        compute = functools.partial(self._search, block)
        return self._store.get_or_compute(self._top_k_key(block), compute)

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
            self.queries["vectors"],
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
        units = list(block.units())
        groups = (self._dataset.texts(low, high) for low, high in units)
        encoded_units = self._encoder.encode_each(
            groups, kind="document", max_tokens=self._max_tokens
        )
        for (low, high), encoded in zip(units, encoded_units, strict=True):
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
