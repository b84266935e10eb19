"""ColBERT: a vector for every token, MaxSim over the whole corpus, block by block, with no index.

A block's token vectors are made, scored exactly against all queries, and forgotten: what is kept is
the block's top k. The checkpoint is run by sentence-transformers' MultiVectorEncoder, which reads
Stanford's, PyLate's and its own format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.checkpoints.multi_vector import COLBERT, MultiVectorFolder, open_multi_vector
from gtr_beir.data.store import Dataset
from gtr_beir.encoders.base import Settings, TokenVectors
from gtr_beir.encoders.precision import why_other_products
from gtr_beir.encoders.tokens import TokenEncoder
from gtr_beir.errors import NumericalError, UsageError
from gtr_beir.files import Digest, fingerprint_of
from gtr_beir.progress import Progress
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT, TopK, empty, merge, require_finite, sort_and_cut
from gtr_beir.systems.base import Found, SearchOptions
from gtr_beir.systems.maxsim import MaxSim
from gtr_beir.systems.search import BlockFound, BlockSearch, for_each_device, search_on
from gtr_beir.work.blocks import Block
from gtr_beir.work.store import BlockStore

PREFIX = "colbert:"
SCORES_HELD = 1 << 22
"""Scores that are held before they are cut to the best, or those of a unit; each takes 40 bytes
with its row, its id's rank, and the keys and copies of sorting."""


class ColbertSystem:
    """A ColBERT checkpoint: `colbert` (colbertv2.0), or `colbert:` and a folder or a hub id."""

    reranks = True

    def __init__(self, name: str, settings: Settings):
        self._refuse(name, settings)
        self._asked = name
        self._each = for_each_device(settings)
        given = COLBERT if name == "colbert" else name.removeprefix(PREFIX)
        folder = open_multi_vector(given, revision=settings.revision, offline=settings.offline)
        self.encoder = TokenEncoder(folder, self._each[0])
        self.name = _name(name, folder, settings, self.encoder.dtype)
        deciding = {
            "weights": folder.fingerprint,
            "format": folder.format,
            "dtype": self.encoder.dtype,
            **self.encoder.knobs,
        }
        self.settings: Mapping[str, Any] = {
            "checkpoint": given if folder.revision else folder.path.resolve().name,
            "revision": folder.revision,
            **deciding,
        }
        self.fingerprint = fingerprint_of(deciding)

    @staticmethod
    def _refuse(name: str, settings: Settings) -> None:
        for owner, fields in {
            "BM25": {"k1", "b", "field_weights"},
            "dense encoders": {"tokenizer", "batch_tokens"},
        }.items():
            misplaced = fields & settings.chosen().keys()
            if misplaced:
                raise UsageError(f"{', '.join(sorted(misplaced))} belong to {owner}, not to {name}")
        if settings.protocol == "hub":
            raise UsageError(
                f"{name} always has the lengths of its checkpoint; leave --protocol out, or give "
                "--query-length and --document-length"
            )

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Encode and score every block, or only the documents of `options.candidates`; merge."""
        what = "reranks" if options.candidates is not None else "on"
        progress = Progress(
            f"{self.name} {what} {dataset.name}",
            dataset.n_documents,
            "documents",
            quiet=options.quiet,
        )
        if other := why_other_products(self.encoder.dtype, self.encoder.products):
            progress.say(other)
        search, run, facts = search_on(self, self._asked, self._each, dataset, options, progress)
        assert isinstance(search, ColbertSearch)
        facts |= {
            "device": ",".join(each.device or self.encoder.device for each in self._each),
            "dtype": self.encoder.dtype,
            "products": self.encoder.products,
            "query_tokens": int(search.queries.lengths.sum()),
            "dimension": self.encoder.dimension,
        }
        if options.candidates is not None:
            facts["candidates"] = int((options.candidates.doc_rows >= 0).sum())
        return Found(run, facts)

    def block_search(
        self, dataset: Dataset, options: SearchOptions, progress: Progress
    ) -> ColbertSearch:
        """The search over the blocks of a dataset, its queries encoded."""
        store = BlockStore(options.work_dir, progress.say)
        key = self.fingerprint + fingerprint_of(self.encoder.arithmetic)
        digest = Digest().add(key).add(dataset.manifest["fingerprints"]["queries"])

        def compute() -> dict[str, npt.NDArray[Any]]:
            encoded, _ = self.encoder.encode(dataset.query_texts, kind="query")
            _require_finite(encoded, "queries", dataset.query_ids)
            return {"vectors": encoded.vectors, "lengths": encoded.lengths}

        arrays = store.get_or_compute(f"query-tokens-{digest.hex()[:32]}", compute)
        queries = TokenVectors(np.asarray(arrays["vectors"]), np.asarray(arrays["lengths"]))
        return ColbertSearch(self.encoder, dataset, options, store, progress, key, queries)


class ColbertSearch(BlockSearch):
    """Scores the blocks of one dataset; token vectors are never kept."""

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
        self._asking = None if options.candidates is None else _Asking(options.candidates)

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
    """Which queries ask for which documents: the candidates of a run, turned round."""

    def __init__(self, candidates: Run):
        queries, columns = np.nonzero(candidates.doc_rows >= 0)
        rows = candidates.doc_rows[queries, columns]
        order = np.argsort(rows, kind="stable")
        self._rows, self._queries = rows[order].astype(np.int64), queries[order]
        self._count = len(candidates.doc_rows)

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


def _name(name: str, folder: MultiVectorFolder, settings: Settings, dtype: str) -> str:
    """For folders and tables: the checkpoint's name and what is not as the checkpoint has it."""
    shown = name
    if name != "colbert":
        given = name.removeprefix(PREFIX)
        shown = given.replace("/", "--") if folder.revision else folder.path.resolve().name
    changed = {
        "q": settings.query_length,
        "d": settings.document_length,
        "expansion": settings.query_expansion,
        "skiplist": settings.skiplist,
    }
    parts = [f"{key}={value}" for key, value in changed.items() if value is not None]
    if settings.query_prefix is not None or settings.document_prefix is not None:
        parts.append("prefixes")
    if dtype != "fp32":
        parts.append(dtype)
    return "@".join([shown, *parts])
