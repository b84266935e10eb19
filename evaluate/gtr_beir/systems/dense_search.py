"""The search of the dense system in one block: encode, then exact top-k."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.encoders.base import Encoder, Kind
from gtr_beir.memory import give_back
from gtr_beir.ranking.topk import dense_top_k, require_finite
from gtr_beir.systems.block_work import (
    Asked,
    BlockResult,
    BlockTask,
    Keep,
    Timer,
    keep_nothing,
    proof_of,
)
from gtr_beir.systems.encoding import Encoding
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import Tell, to_nobody
from gtr_beir.work.parts import KeepPart, Parts, keep_no_part


class DenseWork:
    """An encoder and the vectors of all queries: float32[Q, dim], tokens int32[Q], cuts bool[Q].

    settings: all that decides vectors but the arithmetic; limits: tokens of a query and of a
    document; keep: where encoded queries are kept; keep_embeddings: whether vectors of documents
    are given back, to be kept.
    """

    def __init__(
        self,
        encoder: Encoder,
        asked: Asked,
        *,
        settings: Mapping[str, Any],
        limits: Mapping[Kind, int],
        keep: Keep = keep_nothing,
        keep_embeddings: bool = True,
    ):
        self._encoder, self._asked, self._max_tokens = encoder, asked, limits["document"]
        self.deciding = {
            **settings,
            "arithmetic": dict(encoder.arithmetic),
            "document tokens": self._max_tokens,
        }
        self.queries = _encoded_queries(encoder, asked, settings, limits["query"], keep)
        vectors = np.ascontiguousarray(self.queries["vectors"])
        self.queries_digest = Digest().add(vectors.tobytes()).hex()
        # As 0.1 made it: its vectors are found again.
        key = Digest().add(fingerprint_of(settings)).add(fingerprint_of(encoder.arithmetic))
        self.vectors_key = key.add(str(self._max_tokens)).hex()
        self._keep_embeddings = keep_embeddings
        self.proof = proof_of(self.deciding, self.queries_digest, encoder.device)

    def do(self, task: BlockTask, tell: Tell, keep: KeepPart = keep_no_part) -> BlockResult:
        timer = Timer("encode", "search")
        with timer.of("encode"):
            encoded = task.vectors or self._encode(task, tell, Parts(task.parts, keep))
        bad = np.flatnonzero(~np.isfinite(encoded["vectors"]).all(axis=1))
        if len(bad):
            return BlockResult({}, not_finite=tuple((bad + task.block.start).tolist()))
        with timer.of("search"):
            found = dense_top_k(
                self.queries["vectors"],
                encoded["vectors"],
                id_ranks=task.id_ranks,
                first_row=task.block.start,
                k=self._asked.k,
                excluded=self._asked.excluded,
                device=self._encoder.device,
                floor=task.floor,
            )
            give_back()
        return BlockResult.of(
            task,
            found,
            tokens=int(encoded["tokens"].sum(dtype=np.int64)),
            truncated=int(encoded["truncated"].sum(dtype=np.int64)),
            vectors=encoded if self._keep_embeddings and task.vectors is None else None,
            seconds=timer.seconds,
        )

    def _encode(self, task: BlockTask, tell: Tell, parts: Parts) -> Arrays:
        """Vectors of a block. Units are encoded one by one, so that what a text is batched with,
        and so its vector to the last bit, does not depend on the block size."""
        assert task.texts is not None
        found = Encoding(list(task.block.units()), self._encoder.dimension, tell, parts)
        texts = task.texts.texts
        encoded_units = self._encoder.encode_each(
            (texts(low, high) for low, high in found.units),
            kind="document",
            max_tokens=self._max_tokens,
            follower=found,
        )
        for group, encoded in enumerate(encoded_units):
            found.put(group, encoded)
            if not np.isfinite(encoded.vectors).all():
                return found.up_to(group)
        return found.arrays


def _encoded_queries(
    encoder: Encoder, asked: Asked, settings: Mapping[str, Any], max_tokens: int, keep: Keep
) -> Arrays:
    key = Digest().add(fingerprint_of(settings) + fingerprint_of(encoder.arithmetic))
    key.add(str(max_tokens)).add(asked.queries)

    def make(parts: Parts) -> Arrays:
        found = Encoding([(0, len(asked.query_ids))], encoder.dimension, to_nobody, parts)
        for group, encoded in enumerate(
            encoder.encode_each(
                [asked.query_texts] * len(found.units),
                kind="query",
                max_tokens=max_tokens,
                follower=found,
            )
        ):
            found.put(group, encoded)
        require_finite(found.arrays["vectors"], "queries", asked.query_ids)
        return found.arrays

    return keep(f"queries-{key.hex()[:32]}", make)
