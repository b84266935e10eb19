"""ColBERT's search in one block: MaxSim over every token, with no index.

A unit's token vectors are made, scored exactly against all queries, and forgotten: what is left is
the block's top k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.encoders.base import TokenVectors
from gtr_beir.encoders.tokens import TokenEncoder
from gtr_beir.ranking.packing import pack, unpack
from gtr_beir.ranking.topk import (
    NO_DOCUMENT,
    TopK,
    above,
    empty,
    merge,
    require_finite,
    sort_and_cut,
)
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
from gtr_beir.systems.token_encoding import encoded_in_pieces
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import Tell, to_nobody
from gtr_beir.work.parts import DONE, STANDS_FOR_ALL, KeepPart, Parts, keep_no_part

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

    def do(self, task: BlockTask, tell: Tell, keep: KeepPart = keep_no_part) -> BlockResult:
        """Unit by unit, so that memory does not grow with the block, and what is multiplied with
        what does not depend on its size."""
        timer = Timer("encode", "search")
        parts = Parts(task.parts, keep)
        before = _Ranked.of(parts.known, task, self._asked.k)
        best, tokens, truncated = before.best, before.tokens, before.truncated
        held: list[TopK] = []
        columns = 0
        fresh = _Ranked()
        kept = parts.kept
        for low, high in task.block.units():
            rows = np.arange(low, high)
            if self._asking is not None:
                rows = self._asking.rows_within(low, high)
            if low in before.units:
                tell(high - low - len(rows))
                continue
            if len(rows):
                with timer.of("encode"):
                    documents, cut = self._encode(task, rows, low, high, tell, parts)
                bad = _not_finite(documents)
                if len(bad):
                    return BlockResult({}, not_finite=tuple(rows[bad].tolist()))
                with timer.of("search"):
                    held.append(self._score(task, documents, rows))
                fresh.add(low, rows, tokens=len(documents.vectors), truncated=int(cut.sum()))
                columns += held[-1].rows.shape[1]
            tell(high - low - len(rows))
            if columns * len(self._asked.query_ids) > SCORES_HELD:
                fresh.best, held, columns = self._cut_down(fresh.best, held), [], 0
            # Token vectors that were kept meanwhile are of this unit alone.
            if fresh.units and (parts.due or parts.kept > kept):
                fresh.best, held, columns = self._cut_down(fresh.best, held), [], 0
                parts.keep(fresh.part(task))
                best = fresh.best if best is None else merge(best, fresh.best, self._asked.k)
                tokens, truncated = tokens + fresh.tokens, truncated + fresh.truncated
                fresh = _Ranked()
                kept = parts.kept
        top = self._cut_down(fresh.best, held)
        if best is not None:
            top = merge(best, top, self._asked.k)
        return BlockResult.of(
            task,
            top,
            tokens=tokens + fresh.tokens,
            truncated=truncated + fresh.truncated,
            seconds=timer.seconds,
        )

    def _encode(
        self,
        task: BlockTask,
        rows: npt.NDArray[np.int64],
        low: int,
        high: int,
        tell: Tell,
        parts: Parts,
    ) -> tuple[TokenVectors, npt.NDArray[np.bool_]]:
        assert task.texts is not None
        texts = task.texts.texts(low, high)
        wanted = [texts[row - low] for row in rows.tolist()]
        return encoded_in_pieces(
            self._encoder, wanted, rows, kind="document", tell=tell, parts=parts
        )

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


@dataclass
class _Ranked:
    """Units whose documents are ranked: where they begin, the rows in them, the best k of those,
    and what was encoded."""

    units: set[int] = field(default_factory=set)
    rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    best: TopK | None = None
    tokens: int = 0
    truncated: int = 0

    @staticmethod
    def of(parts: Sequence[Arrays], task: BlockTask, k: int) -> _Ranked:
        """Of parts of rankings; token vectors are parts too."""
        found = _Ranked()
        for part in parts:
            found_in = part[STANDS_FOR_ALL].tolist() if STANDS_FOR_ALL in part else []
            units = {unit for unit in found_in if task.block.start <= unit < task.block.stop}
            # Two workers may have been at a block: what both did counts once.
            if units and len(units) == len(found_in) and not units & found.units:
                top = unpack(part, task.block.start, task.id_ranks)
                found.best = merge(found.best or empty(len(top.rows), k), top, k)
                found.units |= units
                found.tokens += int(part["tokens"][0])
                found.truncated += int(part["truncated"][0])
        return found

    def add(self, unit: int, rows: npt.NDArray[np.int64], *, tokens: int, truncated: int) -> None:
        self.units.add(unit)
        self.rows.append(rows)
        self.tokens += tokens
        self.truncated += truncated

    def part(self, task: BlockTask) -> Arrays:
        assert self.best is not None
        return {
            DONE: np.concatenate(self.rows).astype(np.int32),
            STANDS_FOR_ALL: np.array(sorted(self.units)),
            "tokens": np.array([self.tokens]),
            "truncated": np.array([self.truncated]),
            **pack(above(self.best, task.floor), task.block.start),
        }


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

    def make(parts: Parts) -> dict[str, npt.NDArray[Any]]:
        rows = np.arange(len(asked.query_texts))
        encoded, _ = encoded_in_pieces(
            encoder, asked.query_texts, rows, kind="query", tell=to_nobody, parts=parts
        )
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
