"""The dense system: one vector a text, exact search by dot product, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.data.store import Dataset
from gtr_beir.encoders.base import Encoder, Kind, Settings
from gtr_beir.encoders.loading import open_encoder
from gtr_beir.encoders.precision import why_other_products
from gtr_beir.errors import UsageError
from gtr_beir.files import Digest, fingerprint_of
from gtr_beir.memory import give_back
from gtr_beir.progress import Progress
from gtr_beir.ranking.topk import dense_top_k, require_finite
from gtr_beir.systems.base import Found, SearchOptions, refuse_candidates
from gtr_beir.systems.search import BlockFound, BlockSearch, for_each_device, search_on
from gtr_beir.work.blocks import Arrays, Block, content_key
from gtr_beir.work.store import BlockStore

_OTHERS = {
    "BM25": {"k1", "b", "field_weights"},
    "colbert": {
        *("query_length", "document_length", "query_expansion", "skiplist"),
        *("query_prefix", "document_prefix"),
    },
}


class DenseSystem:
    """A dual-encoder checkpoint under a length protocol and a precision."""

    def __init__(self, name: str, settings: Settings):
        for owner, fields in _OTHERS.items():
            misplaced = fields & settings.chosen().keys()
            if misplaced:
                raise UsageError(f"{', '.join(sorted(misplaced))} belong to {owner}, not to {name}")
        self._asked = name
        self._each = for_each_device(settings)
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
        refuse_candidates(self.name, options.candidates)
        progress = Progress(
            f"{self.name} on {dataset.name}", dataset.n_documents, "documents", quiet=options.quiet
        )
        kernels = _kernels(self._encoder)
        reason = kernels.get("without_flex")
        if reason:
            progress.say(f"FlexAttention does not work here, so encoding is slower ({reason})")
        dtype = self._encoder.dtype
        if other := why_other_products(dtype, kernels.get("products", dtype)):
            progress.say(other)
        search, run, facts = search_on(self, self._asked, self._each, dataset, options, progress)
        assert isinstance(search, DenseSearch)
        facts |= {
            "device": ",".join(each.device or self._encoder.device for each in self._each),
            "dtype": self._encoder.dtype,
            **kernels,
            "max_tokens": {kind: self.max_tokens(dataset, kind) for kind in ("query", "document")},
            "query_tokens": int(search.queries["tokens"].sum()),
            "queries_truncated": int(search.queries["truncated"].sum()),
            "dimension": self._encoder.dimension,
        }
        if not self._encoder.counts_tokens:
            facts |= dict.fromkeys(_COUNTED)
        return Found(run, facts)

    def block_search(
        self, dataset: Dataset, options: SearchOptions, progress: Progress
    ) -> DenseSearch:
        """The search over the blocks of a dataset, its queries encoded."""
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


def _kernels(encoder: Any) -> dict[str, Any]:
    """The precision of the products, which attention ran, and why it was not FlexAttention where it
    should have been."""
    model = getattr(encoder, "model", None)
    if model is None:
        return {}
    reason = getattr(model, "without_flex", None)
    facts = {"products": model.products, "attention": model.attention}
    return {**facts, **({"without_flex": reason} if reason else {})}


_COUNTED = (
    *("max_tokens", "query_tokens", "queries_truncated"),
    *("document_tokens", "documents_truncated"),
)
"""Facts that an encoder must count tokens for."""


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


class DenseSearch(BlockSearch):
    """Encodes and searches the blocks of one dataset; vectors are kept unless they are not wanted.

    queries: what `_encode_queries` gives; key: what decides vectors beside the texts.
    """

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
        vectors = np.ascontiguousarray(queries["vectors"])
        super().__init__(dataset, options, store, progress, key, vectors.tobytes())
        self._encoder, self._key = encoder, key
        self.queries, self._max_tokens = queries, max_tokens

    def _find(self, block: Block) -> BlockFound:
        name = "vectors-" + content_key(self._dataset.unit_digests, block, self._key)
        with self._timed("encode"):
            if self._options.keep_embeddings:
                encoded = self._store.get_or_compute(name, lambda: self._encode(block))
            else:
                encoded = self._store.get(name) or self._encode(block)
        with self._timed("search"):
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
        tokens = int(encoded["tokens"].sum(dtype=np.int64))
        return BlockFound(found, tokens, int(encoded["truncated"].sum(dtype=np.int64)))

    def _encode(self, block: Block) -> Arrays:
        """Vectors of a block. Units are encoded one by one, so that what a text is batched with,
        and so its vector to the last bit, does not depend on the block size."""
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
        return {"vectors": vectors, "tokens": tokens, "truncated": truncated}

    def _require_finite(self, vectors: npt.NDArray[np.float32], first: int) -> None:
        if not np.isfinite(vectors).all():
            ids = self._dataset.document_ids(np.arange(first, first + len(vectors)))
            require_finite(vectors, "documents", ids)
