"""ColBERT: a vector for every token, MaxSim over the whole corpus, block by block, with no index.

A block's token vectors are made, scored exactly against all queries, and forgotten: what is kept is
the block's top k. The checkpoint is run by sentence-transformers' MultiVectorEncoder, which reads
Stanford's, PyLate's and its own format.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import sentence_transformers
import torch
import transformers

from evaluate.blocks import Block, BlockStore
from evaluate.data.store import Dataset
from evaluate.errors import CheckpointError, NumericalError, UsageError
from evaluate.files import Digest, fingerprint_of
from evaluate.memory import give_back
from evaluate.progress import Progress
from evaluate.runs import Run
from evaluate.systems.base import Found, Kind, SearchOptions, Settings
from evaluate.systems.checkpoints.multi_vector import COLBERT, MultiVectorFolder, open_multi_vector
from evaluate.systems.checkpoints.weights import require_all
from evaluate.systems.encoder import resolve_device
from evaluate.systems.linear import pack_linear_layers
from evaluate.systems.maxsim import MaxSim, TokenVectors
from evaluate.systems.search import BlockFound, BlockSearch, for_each_device, search_on
from evaluate.systems.sentence import quiet_libraries
from evaluate.systems.t5 import DTYPES
from evaluate.topk import NO_DOCUMENT, TopK, empty, merge, require_finite, sort_and_cut

PREFIX = "colbert:"
NUMERICS = 1
"""Goes up when the same vectors or scores are computed in another order of operations."""
_CPU_BATCH, _GPU_BATCH = 16, 128
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
        search, run, facts = search_on(self, self._asked, self._each, dataset, options, progress)
        assert isinstance(search, ColbertSearch)
        facts |= {
            "device": ",".join(each.device or self.encoder.device for each in self._each),
            "dtype": self.encoder.dtype,
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


class TokenEncoder:
    """Texts -> token vectors, with the checkpoint's own lengths, expansion, skip list and prefixes,
    or those that the settings put in their place. `knobs` says what they are."""

    def __init__(self, folder: MultiVectorFolder, settings: Settings):
        self.device = resolve_device(settings.device)
        self.dtype = settings.dtype or "fp32"
        self._model = _load(folder, self.device, self.dtype)
        self.weights_bytes = sum(v.nbytes for v in self._model.state_dict().values())
        transformer = self._model[0]
        require_all(transformer.auto_model.state_dict(), folder.encoder)
        _choose(self._model, settings, folder)
        tokenizer = self._model.tokenizer
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise CheckpointError(f"{folder.path} has no fast tokenizer (tokenizer.json)")
        self._packed_layers = pack_linear_layers(self._model) if self.device == "cpu" else 0
        self._batch = _CPU_BATCH if self.device == "cpu" else _GPU_BATCH
        mask = _mask(self._model, folder)
        self.knobs: dict[str, Any] = {
            "query_length": transformer.query_length or transformer.max_seq_length,
            "document_length": transformer.document_length or transformer.max_seq_length,
            "query_expansion": transformer.query_expansion,
            "skiplist": list(mask.skiplist_words),
            "prompts": {
                kind: self._model.prompts.get(kind) or "" for kind in ("query", "document")
            },
            "similarity": self._model.similarity_fn_name,
        }
        self.tokenizer = tokenizer.backend_tokenizer
        self.dimension = int(self.encode(["a"], kind="query")[0].vectors.shape[1])

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What decides the last bits of a score beside weights and texts: for keys of blocks."""
        return {
            "colbert": NUMERICS,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "sentence_transformers": sentence_transformers.__version__,
            "device": torch.device(self.device).type,
            "packed": self._packed_layers,
            "batch": self._batch,
        }

    def encode(self, texts: list[str], *, kind: Kind) -> tuple[TokenVectors, int]:
        """Token vectors of the texts, and how many texts were cut."""
        if not texts:
            return TokenVectors(np.empty((0, self.dimension), np.float32), np.empty(0, int)), 0
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with quiet_libraries():
            found = encode(texts, batch_size=self._batch, show_progress_bar=False)
        lengths = np.array([len(vectors) for vectors in found], dtype=np.int64)
        vectors = torch.cat(found).float().cpu().numpy()
        if self.device == "cpu":
            give_back()
        return TokenVectors(vectors, lengths), self._cut(texts, kind)

    def _cut(self, texts: list[str], kind: Kind) -> int:
        """How many of the texts the checkpoint's length cuts."""
        limit = int(self.knobs[f"{kind}_length"])
        tokenizer = self._model.tokenizer.backend_tokenizer
        prompt = self._model.prompts.get(kind) or ""
        tokenizer.no_padding()
        tokenizer.enable_truncation(limit)
        return sum(
            bool(encoding.overflowing)
            for encoding in tokenizer.encode_batch([prompt + text for text in texts])
        )


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


def _load(folder: MultiVectorFolder, device: str, dtype: str) -> Any:
    torch.set_float32_matmul_precision("highest")
    with quiet_libraries():
        from sentence_transformers import MultiVectorEncoder

        try:
            model = MultiVectorEncoder(
                str(folder.path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": DTYPES[dtype]},
            )
        except Exception as error:  # whatever the library raises, the user gets one sentence
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(
                f"{folder.path} cannot be loaded ({type(error).__name__}: {reason})"
            ) from error
    for name, values in model.state_dict().items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise CheckpointError(
                f"{folder.path}: the array {name} has values that are not finite; get or save the "
                "checkpoint again"
            )
    return model.to(DTYPES[dtype]).eval()


def _choose(model: Any, settings: Settings, folder: MultiVectorFolder) -> None:
    """Put what the user chose in the place of what the checkpoint says."""
    transformer = model[0]
    least = model.tokenizer.num_special_tokens_to_add() + 2
    most = getattr(transformer.auto_model.config, "max_position_embeddings", None) or 1 << 20
    for flag, length in (
        ("--query-length", settings.query_length),
        ("--document-length", settings.document_length),
    ):
        if length is not None and not least <= length <= most:
            raise UsageError(
                f"{flag} {length} is not possible with {folder.path}; give {least} to {most}"
            )
    expansion = transformer.query_expansion
    if settings.query_expansion is False:
        transformer.query_expansion = None
    elif settings.query_expansion and expansion is None:
        raise UsageError(f"{folder.path} has no query expansion that could be switched on")
    if settings.query_length is not None:
        if transformer.query_expansion is not None:
            transformer.query_length = None
            transformer.query_expansion = {
                **transformer.query_expansion,
                "length": settings.query_length,
            }
        transformer.query_length = settings.query_length
    if settings.document_length is not None:
        transformer.document_length = settings.document_length
    for kind, prefix in (("query", settings.query_prefix), ("document", settings.document_prefix)):
        if prefix is not None:
            model.prompts[kind] = prefix
    if settings.skiplist is not None:
        mask = _mask(model, folder)
        mask.skiplist_words = list(string.punctuation) if settings.skiplist else []
        mask.resolve_with_tokenizer(model.tokenizer)


def _mask(model: Any, folder: MultiVectorFolder) -> Any:
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    for module in model:
        if isinstance(module, MultiVectorMask):
            return module
    raise CheckpointError(f"{folder.path} has no MultiVectorMask, so its tokens cannot be chosen")


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
