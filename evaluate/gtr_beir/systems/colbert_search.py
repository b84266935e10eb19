"""ColBERT's search over the blocks of a dataset: MaxSim over every token, with no index.

A block's token vectors are made, scored exactly against all queries, and forgotten: what is kept is
the block's top k.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gtr_beir.data.store import Dataset
from gtr_beir.digests import Digest, fingerprint_of
from gtr_beir.encoders.base import TokenVectors
from gtr_beir.encoders.tokens import TokenEncoder
from gtr_beir.errors import NumericalError
from gtr_beir.progress import Progress
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT, TopK, empty, merge, require_finite, sort_and_cut
from gtr_beir.systems.base import SearchOptions
from gtr_beir.systems.maxsim import MaxSim
from gtr_beir.systems.search import BlockFound, BlockSearch
from gtr_beir.work.blocks import Block
from gtr_beir.work.store import BlockStore

SCORES_HELD = 1 << 22
"""Scores that are held before they are cut to the best, or those of a unit; each takes 40 bytes
with its row, its id's rank, and the keys and copies of sorting."""


class ColbertSearch(BlockSearch):
    """Scores the blocks of one dataset; token vectors are never kept."""

    @classmethod
    def prepared(
        cls,
        encoder: TokenEncoder,
        dataset: Dataset,
        options: SearchOptions,
        progress: Progress,
        *,
        fingerprint: str,
    ) -> Self:
        """The search of a dataset with its queries encoded; fingerprint: of all that decides
        vectors but the arithmetic."""
        store = BlockStore(options.work_dir, progress.say)
        key = fingerprint + fingerprint_of(encoder.arithmetic)
        digest = Digest().add(key).add(dataset.manifest["fingerprints"]["queries"])

        def compute() -> dict[str, npt.NDArray[Any]]:
            encoded, _ = encoder.encode(dataset.query_texts, kind="query")
            _require_finite(encoded, "queries", dataset.query_ids)
            return {"vectors": encoded.vectors, "lengths": encoded.lengths}

        arrays = store.get_or_compute(f"query-tokens-{digest.hex()[:32]}", compute)
        queries = TokenVectors(np.asarray(arrays["vectors"]), np.asarray(arrays["lengths"]))
        return cls(encoder, dataset, options, store, progress, key, queries)

    def __init__(
        self,
        encoder: TokenEncoder,
        dataset: Dataset,
        options: SearchOptions,
        store: BlockStore,
        progress: Progress,
        key: str,
        queries: TokenVectors,
    ):
        super().__init__(dataset, options, store, progress, key, queries.vectors.tobytes())
        self._encoder, self.queries = encoder, queries
        self._maxsim = MaxSim(queries, encoder.device)
        self._asking = None if options.rerank is None else _Asking(options.rerank)

    def _find(self, block: Block) -> BlockFound:
        """Unit by unit, so that memory does not grow with the block, and what is multiplied with
        what does not depend on its size."""
        best: TopK | None = None
        held: list[TopK] = []
        tokens = truncated = columns = 0
        for low, high in block.units():
            rows = np.arange(low, high)
            if self._asking is not None:
                rows = self._asking.rows_within(low, high)
            if len(rows):
                with self._timed("encode"):
                    documents, cut = self._encode(rows, low, high)
                with self._timed("search"):
                    held.append(self._score(documents, rows))
                tokens += len(documents.vectors)
                truncated += cut
                columns += held[-1].rows.shape[1]
            if columns * len(self.queries.lengths) > SCORES_HELD:
                best, held, columns = self._cut_down(best, held), [], 0
            self._progress.advance(high - low)
        best = self._cut_down(best, held)
        return BlockFound(best, tokens, truncated)

    def _encode(self, rows: npt.NDArray[np.int64], low: int, high: int) -> tuple[TokenVectors, int]:
        texts = self._dataset.texts(low, high)
        chosen = [texts[row - low] for row in rows.tolist()]
        documents, cut = self._encoder.encode(chosen, kind="document")
        if not np.isfinite(documents.vectors).all():
            _require_finite(documents, "documents", self._dataset.document_ids(rows))
        return documents, cut

    def _score(self, documents: TokenVectors, rows: npt.NDArray[np.int64]) -> TopK:
        """Every query's scores of these documents, not yet in order."""
        if self._asking is None:
            scores = self._maxsim.scores(documents)
        else:
            scores = self._asking.scores(self._maxsim, documents, rows)
        queries = len(scores)
        if self._excluded is not None:
            own = self._excluded
            places = np.searchsorted(rows, own).clip(max=len(rows) - 1)
            there = np.flatnonzero((own >= 0) & (rows[places] == own))
            scores[there, places[there]] = -np.inf
        found = np.broadcast_to(rows.astype(np.int32), scores.shape)
        ranks = np.broadcast_to(np.asarray(self._dataset.id_rank[rows]), scores.shape)
        missing = np.isneginf(scores)
        if missing.any():
            found = np.where(missing, NO_DOCUMENT, found)
            ranks = np.where(missing, -1, ranks)
        assert queries == len(self.queries.lengths)
        return TopK(found, scores, ranks)

    def _cut_down(self, best: TopK | None, held: list[TopK]) -> TopK:
        """The best k so far; what is held is in no order yet."""
        k = self._options.k
        if not held:
            return best or empty(len(self.queries.lengths), k)
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

    def __init__(self, reranked: Run):
        queries, columns = np.nonzero(reranked.doc_rows >= 0)
        rows = reranked.doc_rows[queries, columns]
        order = np.argsort(rows, kind="stable")
        self._rows, self._queries = rows[order].astype(np.int64), queries[order]
        self._count = len(reranked.doc_rows)

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


def _require_finite(encoded: TokenVectors, what: str, names: list[str]) -> None:
    """NumericalError that names the texts with a token vector that is not finite."""
    bad_rows = ~np.isfinite(encoded.vectors).all(axis=1)
    if bad_rows.any():
        owners = np.repeat(np.arange(len(encoded.lengths)), encoded.lengths)
        bad = np.zeros((len(names), 1), dtype=np.float32)
        bad[np.unique(owners[bad_rows])] = np.nan
        require_finite(bad, what, names)
        raise NumericalError(f"the encoder gave values that are not finite for {what}")
