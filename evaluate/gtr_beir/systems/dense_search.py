"""The search of the dense system over the blocks of a dataset: encode, then exact top-k."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from gtr_beir.data.store import Dataset
from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.encoders.base import Encoder, Kind, encode
from gtr_beir.memory import give_back
from gtr_beir.progress import Progress
from gtr_beir.ranking.topk import dense_top_k, require_finite
from gtr_beir.systems.base import SearchOptions
from gtr_beir.systems.search import BlockFound, BlockSearch
from gtr_beir.work.blocks import Arrays, Block, content_key
from gtr_beir.work.store import BlockStore


class DenseSearch(BlockSearch):
    """Encodes and searches the blocks of one dataset; vectors are kept unless they are not wanted.

    queries: what `encode_queries` gives; key: what decides vectors beside the texts.
    """

    @classmethod
    def prepared(
        cls,
        encoder: Encoder,
        dataset: Dataset,
        options: SearchOptions,
        progress: Progress,
        *,
        fingerprint: str,
        limits: Mapping[Kind, int],
        keep_embeddings: bool = True,
    ) -> Self:
        """The search of a dataset with its queries encoded. fingerprint: of all that decides
        vectors but the arithmetic; limits: tokens of a query and of a document."""
        arithmetic = fingerprint_of(encoder.arithmetic)
        key = Digest().add(fingerprint).add(arithmetic).add(str(limits["document"])).hex()
        store = BlockStore(options.work_dir, progress.say)
        queries = encode_queries(encoder, dataset, store, fingerprint + arithmetic, limits["query"])
        return cls(
            encoder,
            dataset,
            options,
            store,
            progress,
            key,
            queries,
            limits["document"],
            keep_embeddings=keep_embeddings,
        )

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
        *,
        keep_embeddings: bool = True,
    ):
        vectors = np.ascontiguousarray(queries["vectors"])
        super().__init__(dataset, options, store, progress, key, vectors.tobytes())
        self._encoder, self._key = encoder, key
        self.queries, self._max_tokens = queries, max_tokens
        self._keep_embeddings = keep_embeddings

    def _find(self, block: Block) -> BlockFound:
        name = "vectors-" + content_key(self._dataset.unit_digests, block, self._key)
        with self._timed("encode"):
            if self._keep_embeddings:
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
                device=self._encoder.device,
                floor=self._best,
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


def encode_queries(
    encoder: Encoder, dataset: Dataset, store: BlockStore, fingerprint: str, max_tokens: int
) -> Arrays:
    """The queries' vectors (float32[Q, dim]), tokens (int32[Q]) and cuts (bool[Q]), kept."""
    key = Digest().add(fingerprint).add(str(max_tokens))
    key.add(dataset.manifest["fingerprints"]["queries"])

    def compute() -> Arrays:
        encoded = encode(encoder, dataset.query_texts, kind="query", max_tokens=max_tokens)
        require_finite(encoded.vectors, "queries", dataset.query_ids)
        return {
            "vectors": encoded.vectors,
            "tokens": encoded.tokens,
            "truncated": encoded.truncated,
        }

    return store.get_or_compute(f"queries-{key.hex()[:32]}", compute)
