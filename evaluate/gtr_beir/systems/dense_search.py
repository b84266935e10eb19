"""The search of the dense system in one block: encode, then exact top-k."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.encoders.base import Encoder, Kind, encode
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
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import Tell


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

    def do(self, task: BlockTask, tell: Tell) -> BlockResult:
        timer = Timer("encode", "search")
        with timer.of("encode"):
            encoded = task.vectors or self._encode(task, tell)
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

    def _encode(self, task: BlockTask, tell: Tell) -> Arrays:
        """Vectors of a block. Units are encoded one by one, so that what a text is batched with,
        and so its vector to the last bit, does not depend on the block size."""
        assert task.texts is not None
        texts, block = task.texts, task.block
        vectors = np.empty((len(block), self._encoder.dimension), dtype=np.float32)
        tokens = np.empty(len(block), dtype=np.int32)
        truncated = np.empty(len(block), dtype=bool)
        units = list(block.units())
        groups = (texts.texts(low, high) for low, high in units)
        encoded_units = self._encoder.encode_each(
            groups, kind="document", max_tokens=self._max_tokens, tell=tell
        )
        for (low, high), encoded in zip(units, encoded_units, strict=True):
            place = slice(low - block.start, high - block.start)
            vectors[place] = encoded.vectors
            tokens[place], truncated[place] = encoded.tokens, encoded.truncated
            if not np.isfinite(encoded.vectors).all():
                vectors[place.stop :] = 0
                break
        return {"vectors": vectors, "tokens": tokens, "truncated": truncated}


def _encoded_queries(
    encoder: Encoder, asked: Asked, settings: Mapping[str, Any], max_tokens: int, keep: Keep
) -> Arrays:
    key = Digest().add(fingerprint_of(settings) + fingerprint_of(encoder.arithmetic))
    key.add(str(max_tokens)).add(asked.queries)

    def make() -> dict[str, npt.NDArray[Any]]:
        encoded = encode(encoder, asked.query_texts, kind="query", max_tokens=max_tokens)
        require_finite(encoded.vectors, "queries", asked.query_ids)
        return {
            "vectors": encoded.vectors,
            "tokens": encoded.tokens,
            "truncated": encoded.truncated,
        }

    return keep(f"queries-{key.hex()[:32]}", make)
