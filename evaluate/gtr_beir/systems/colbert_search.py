"""ColBERT's search in one block: MaxSim over every token, with no index.

A unit's token vectors are made, scored exactly against all queries, and forgotten: what is left is
the block's top k.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.encoders.base import TokenVectors
from gtr_beir.encoders.tokens import TokenEncoder
from gtr_beir.ranking.topk import NO_DOCUMENT, TopK, empty, merge, require_finite, sort_and_cut
from gtr_beir.systems.block_work import (
    Asked,
    BlockResult,
    BlockTask,
    Keep,
    Timer,
    keep_nothing,
    proof_of,
)
from gtr_beir.systems.maxsim import MaxSim
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import Tell

SCORES_HELD = 1 << 22
"""Scores that are held before they are cut to the best, or those of a unit; each takes 40 bytes
with its row, its id's rank, and the keys and copies of sorting."""


class ColbertWork:
    """An encoder and the token vectors of all queries: float32[tokens, dim], int64[Q] lengths.

    settings: all that decides vectors but the arithmetic; keep: where encoded queries are kept.
    """

    vectors_key = None

    def __init__(
        self,
        encoder: TokenEncoder,
        asked: Asked,
        *,
        settings: Mapping[str, Any],
        keep: Keep = keep_nothing,
    ):
        self._encoder, self._asked = encoder, asked
        self.deciding = {**settings, "arithmetic": dict(encoder.arithmetic)}
        self.queries = _encoded_queries(encoder, asked, self.deciding, keep)
        vectors = np.ascontiguousarray(self.queries["vectors"])
        lengths = np.asarray(self.queries["lengths"])
        self.queries_digest = Digest().add(vectors.tobytes()).add(lengths.tobytes()).hex()
        self._maxsim = MaxSim(TokenVectors(np.asarray(vectors), lengths), encoder.device)
        self._asking = None if asked.reranked is None else _Asking(asked.reranked)
        self.proof = proof_of(self.deciding, self.queries_digest, encoder.device)

    def do(self, task: BlockTask, tell: Tell) -> BlockResult:
        """Unit by unit, so that memory does not grow with the block, and what is multiplied with
        what does not depend on its size."""
        timer = Timer("encode", "search")
        best: TopK | None = None
        held: list[TopK] = []
        tokens = truncated = columns = 0
        for low, high in task.block.units():
            rows = np.arange(low, high)
            if self._asking is not None:
                rows = self._asking.rows_within(low, high)
            if len(rows):
                with timer.of("encode"):
                    documents, cut = self._encode(task, rows, low, high)
                bad = _not_finite(documents)
                if len(bad):
                    return BlockResult({}, not_finite=tuple(rows[bad].tolist()))
                with timer.of("search"):
                    held.append(self._score(task, documents, rows))
                tokens += len(documents.vectors)
                truncated += cut
                columns += held[-1].rows.shape[1]
            if columns * len(self._asked.query_ids) > SCORES_HELD:
                best, held, columns = self._cut_down(best, held), [], 0
            tell(high - low)
        top = self._cut_down(best, held)
        return BlockResult.of(task, top, tokens=tokens, truncated=truncated, seconds=timer.seconds)

    def _encode(
        self, task: BlockTask, rows: npt.NDArray[np.int64], low: int, high: int
    ) -> tuple[TokenVectors, int]:
        assert task.texts is not None
        texts = task.texts.texts(low, high)
        return self._encoder.encode([texts[row - low] for row in rows.tolist()], kind="document")

    def _score(self, task: BlockTask, documents: TokenVectors, rows: npt.NDArray[np.int64]) -> TopK:
        """Every query's scores of these documents, not yet in order."""
        if self._asking is None:
            scores = self._maxsim.scores(documents)
        else:
            scores = self._asking.scores(self._maxsim, documents, rows)
        if self._asked.excluded is not None:
            own = self._asked.excluded
            places = np.searchsorted(rows, own).clip(max=len(rows) - 1)
            there = np.flatnonzero((own >= 0) & (rows[places] == own))
            scores[there, places[there]] = -np.inf
        found = np.broadcast_to(rows.astype(np.int32), scores.shape)
        ranks = np.broadcast_to(task.id_ranks[rows - task.block.start], scores.shape)
        missing = np.isneginf(scores)
        if missing.any():
            found = np.where(missing, NO_DOCUMENT, found)
            ranks = np.where(missing, -1, ranks)
        return TopK(found, scores, ranks)

    def _cut_down(self, best: TopK | None, held: list[TopK]) -> TopK:
        """The best k so far; what is held is in no order yet."""
        k = self._asked.k
        if not held:
            return best or empty(len(self._asked.query_ids), k)
        joined = TopK(
            np.concatenate([part.rows for part in held], axis=1),
            np.concatenate([part.scores for part in held], axis=1),
            np.concatenate([part.id_ranks for part in held], axis=1),
        )
        if joined.rows.shape[1] < k:
            joined = merge(empty(len(joined.rows), k), joined, k)
        return merge(best, sort_and_cut(joined, k), k)


class _Asking:
    """Which queries ask for which documents: a run to rerank, turned round."""

    def __init__(self, reranked: npt.NDArray[np.int32]):
        queries, columns = np.nonzero(reranked >= 0)
        rows = reranked[queries, columns]
        order = np.argsort(rows, kind="stable")
        self._rows, self._queries = rows[order].astype(np.int64), queries[order]
        self._count = len(reranked)

    def rows_within(self, low: int, high: int) -> npt.NDArray[np.int64]:
        """Documents low..high-1 that any query asks for, ascending."""
        first, last = np.searchsorted(self._rows, (low, high))
        return np.unique(self._rows[first:last])

    def scores(
        self, maxsim: MaxSim, documents: TokenVectors, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """float32[queries, documents]; minus infinity where a query does not ask."""
        found = np.full((self._count, len(rows)), -np.inf, dtype=np.float32)
        starts = documents.starts
        for place, row in enumerate(rows.tolist()):
            vectors = documents.vectors[starts[place] : starts[place + 1]]
            if len(vectors):
                first, last = np.searchsorted(self._rows, (row, row + 1))
                queries = self._queries[first:last]
                found[queries, place] = maxsim.pair_scores(queries, vectors)
        return found


def _encoded_queries(
    encoder: TokenEncoder, asked: Asked, deciding: Mapping[str, Any], keep: Keep
) -> Arrays:
    key = fingerprint_of([deciding, asked.queries])

    def make() -> dict[str, npt.NDArray[Any]]:
        encoded, _ = encoder.encode(asked.query_texts, kind="query")
        bad = np.zeros((len(asked.query_ids), 1), dtype=np.float32)
        bad[_not_finite(encoded)] = np.nan
        require_finite(bad, "queries", asked.query_ids)
        return {"vectors": encoded.vectors, "lengths": encoded.lengths}

    return keep(f"query-tokens-{key[:32]}", make)


def _not_finite(encoded: TokenVectors) -> npt.NDArray[np.int64]:
    """The texts, by place, that have a token vector that is not finite."""
    bad = ~np.isfinite(encoded.vectors).all(axis=1)
    owners = np.repeat(np.arange(len(encoded.lengths)), encoded.lengths)
    return np.unique(owners[bad])
