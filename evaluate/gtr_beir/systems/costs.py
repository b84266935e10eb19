"""What encoding and search will cost, before anything starts: the arithmetic, at a measured rate.

For GTR the sizes alone are enough: the rate is measured with a layer or two of random weights, so
a plan for gtr-xxl needs neither its weights nor the memory for them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.checkpoints.door import Checkpoint, TfHubCheckpoint, open_checkpoint
from gtr_beir.checkpoints.hub import as_path, whole_in_cache
from gtr_beir.checkpoints.layout import RELEASED, GtrShape
from gtr_beir.checkpoints.tokenizer import GTR_LENGTH, TextFace
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.data.columns import UNIT
from gtr_beir.encoders.base import TokenVectors, encode
from gtr_beir.encoders.batching import packed_batches
from gtr_beir.encoders.devices import resolve_device
from gtr_beir.encoders.loading import load_encoder
from gtr_beir.encoders.precision import products_of
from gtr_beir.encoders.t5 import T5Model, weights_bytes
from gtr_beir.errors import UsageError
from gtr_beir.ranking.topk import dense_top_k
from gtr_beir.systems.colbert import ColbertOptions, ColbertSystem
from gtr_beir.systems.colbert_search import SCORES_HELD
from gtr_beir.systems.dense import DenseOptions
from gtr_beir.systems.maxsim import MaxSim
from gtr_beir.systems.options import PRECISIONS, EncoderOptions

CHARACTERS_A_TOKEN = 4.2
"""Of English text in T5's vocabulary, for plans without a tokenizer (about 4.2 on SciFact)."""
LIBRARIES_BYTES = 500 << 20
"""Resident after the imports of an encoder: 497 MB on Linux with a CPU build of torch."""
_LAYERS_TRIED = 2
_SECONDS_TRIED = 1.5
_TEXTS_TRIED = 64
_SEARCHED = (256, 16_384)

TokenCounts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EncoderCost:
    """How an encoder's work on texts of given lengths is worked out.

    `operations_a_second` (GTR, whose arithmetic is known) or `tokens_a_second` (any other) was
    measured on this machine; weights_bytes: what the weights take in memory; how: in words;
    query_vectors: token vectors of a query, where a text has many (ColBERT), else None; beside: of
    a GTR the rate in each other precision that the device has arithmetic for.
    """

    name: str
    device: str
    dtype: str
    dimension: int
    own_length: int
    weights_bytes: int
    shape: GtrShape | None
    operations_a_second: float
    tokens_a_second: float
    tokenizer: Any
    how: str
    query_vectors: int | None = None
    beside: Mapping[str, float] = field(default_factory=dict)

    def lengths(self, texts: list[str], limit: int) -> TokenCounts:
        """Tokens of each text, counted if the tokenizer is here, else from its characters."""
        if self.tokenizer is None:
            return lengths_of(np.array([len(text) for text in texts]), limit)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(limit)
        return np.array([len(e.ids) for e in self.tokenizer.encode_batch(texts)], dtype=np.int64)

    def operations(self, lengths: TokenCounts) -> float | None:
        """Floating-point operations to encode texts of these lengths; None if not known."""
        return float(self.shape.operations(lengths.tolist())) if self.shape else None

    def seconds(self, lengths: TokenCounts) -> float:
        operations = self.operations(lengths)
        if operations is None:
            return float(lengths.sum()) / self.tokens_a_second
        return operations / self.operations_a_second


def lengths_of(characters: npt.NDArray[Any], limit: int) -> TokenCounts:
    """Tokens of texts of so many characters, estimated; the end token counts."""
    return np.minimum(characters / CHARACTERS_A_TOKEN + 1, limit).astype(np.int64)


def encoder_cost(name: str, options: EncoderOptions, sample: list[str]) -> EncoderCost:
    """Measure the encoder that `name` stands for on texts like `sample`; nothing is fetched.

    options: those of the system that the name stands for.
    """
    device = resolve_device(options.device.split(",")[0] if options.device is not None else None)
    if isinstance(options, ColbertOptions):
        return _colbert_cost(name, options, device, sample)
    if not isinstance(options, DenseOptions):
        raise UsageError(f"plan knows dense encoders and ColBERT, not {name}")
    dtype = options.dtype or "fp32"
    face: TextFace | None = None
    if name in RELEASED and whole_in_cache(RELEASED[name].hub, RELEASED[name].revision) is None:
        shape = RELEASED[name].shape
    else:
        checkpoint = _here(name, options)
        if not checkpoint.gtr or isinstance(checkpoint, TfHubCheckpoint):
            return _measured_whole(checkpoint, options, device, sample)
        shape = checkpoint.arrays().shape
        try:
            face = checkpoint.face()
        except UsageError:  # a T5X checkpoint without a tokenizer: tokens are estimated
            if options.tokenizer is not None:
                raise
    products = products_of(dtype, device)
    cost = EncoderCost(
        name=name,
        device=device,
        dtype=dtype,
        dimension=shape.dimension,
        own_length=GTR_LENGTH if face is None else face.own_length,
        weights_bytes=weights_bytes(shape, products),
        shape=shape,
        operations_a_second=1.0,
        tokens_a_second=0.0,
        tokenizer=None if face is None else face.tokenizer,
        how=f"measured now with {min(_LAYERS_TRIED, shape.layers)} layers of this shape"
        + _other(dtype, products),
    )
    others = [
        other for other in PRECISIONS if other != dtype and products_of(other, device) == other
    ]
    return replace(
        cost,
        operations_a_second=_rate(cost, sample),
        beside={other: _rate(replace(cost, dtype=other), sample) for other in others},
    )


def _here(name: str, options: DenseOptions) -> Checkpoint:
    try:
        return open_checkpoint(
            name, revision=options.revision, tokenizer=options.tokenizer, offline=True
        )
    except UsageError:
        if not as_path(name).is_dir() and ":" not in name and "/" in name.strip("./~"):
            raise UsageError(
                f"'{name}' is not here, and a plan fetches nothing; get it with `gtr-beir models "
                f"fetch {name}` first"
            ) from None
        raise


def _rate(cost: EncoderCost, sample: list[str]) -> float:
    """Operations a second of a few layers of the shape, on texts of the sample's lengths."""
    assert cost.shape is not None
    shape = replace(
        cost.shape, layers=min(_LAYERS_TRIED, cost.shape.layers), vocabulary=1024, buckets=32
    )
    model = T5Model(UntrainedArrays(shape), dtype=cost.dtype, device=cost.device)
    lengths = cost.lengths(sample[:_TEXTS_TRIED], cost.own_length).astype(np.int32)
    batches = [
        [[int(i) % 1000 + 3 for i in range(lengths[place])] for place in batch]
        for batch in packed_batches(lengths, model.batch_tokens)
    ]
    model.forward(batches[0]).sum().item()  # prepares kernels
    done, start = 0, time.perf_counter()
    for batch in itertools.cycle(batches):
        # The result is waited for, as a GPU would only be given the work otherwise.
        model.forward(batch).sum().item()
        done += shape.operations(len(ids) for ids in batch)
        spent = time.perf_counter() - start
        if spent > _SECONDS_TRIED:
            break
    return done / spent


def _measured_whole(
    checkpoint: Checkpoint, options: DenseOptions, device: str, sample: list[str]
) -> EncoderCost:
    """Any other encoder: the real one, on the sample."""
    encoder = load_encoder(
        checkpoint, dtype=options.dtype, device=device, batch_tokens=options.batch_tokens
    )
    limit = min(encoder.own_length, encoder.positions or encoder.own_length)
    texts = sample[:_TEXTS_TRIED]
    encode(encoder, texts[:4], kind="document", max_tokens=limit)
    start = time.perf_counter()
    tokens = int(encode(encoder, texts, kind="document", max_tokens=limit).tokens.sum())
    seconds = time.perf_counter() - start
    return EncoderCost(
        name=checkpoint.asked,
        device=device,
        dtype=encoder.dtype,
        dimension=encoder.dimension,
        own_length=limit,
        weights_bytes=encoder.weights_bytes,
        shape=None,
        operations_a_second=0.0,
        tokens_a_second=max(tokens, len(texts)) / seconds,
        tokenizer=encoder.tokenizer,
        how=f"measured now on {len(texts)} texts" + _other(encoder.dtype, encoder.products),
    )


def _colbert_cost(
    name: str, options: ColbertOptions, device: str, sample: list[str]
) -> EncoderCost:
    """The real ColBERT, on the sample."""
    encoder = ColbertSystem(name, replace(options, device=device, offline=True)).encoder
    texts = sample[:_TEXTS_TRIED]
    encoder.encode(texts[:4], kind="document")
    start = time.perf_counter()
    found, _ = encoder.encode(texts, kind="document")
    seconds = time.perf_counter() - start
    return EncoderCost(
        name=name,
        device=encoder.device,
        dtype=encoder.dtype,
        dimension=encoder.dimension,
        own_length=encoder.document_length,
        weights_bytes=encoder.weights_bytes,
        shape=None,
        operations_a_second=0.0,
        tokens_a_second=max(int(found.lengths.sum()), 1) / seconds,
        tokenizer=encoder.tokenizer,
        how=f"measured now on {len(texts)} texts" + _other(encoder.dtype, encoder.products),
        query_vectors=encoder.query_length,
    )


def _other(dtype: str, products: str) -> str:
    return "" if products == dtype else f", products in {products}"


def maxsim_rate(dimension: int, device: str) -> float:
    """Operations a second of ColBERT's exact scoring, measured on random vectors."""
    draw = np.random.default_rng(0)

    def made(texts: int, tokens: int) -> TokenVectors:
        vectors = draw.standard_normal((texts * tokens, dimension), dtype=np.float32)
        return TokenVectors(vectors, np.full(texts, tokens, dtype=np.int64))

    queries, documents = made(64, 32), made(256, 150)
    scorer = MaxSim(queries, device)
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        scorer.scores(documents)
        taken.append(time.perf_counter() - start)
    return 2 * dimension * len(queries.vectors) * len(documents.vectors) / min(taken)


def search_rate(dimension: int, depth: int, device: str) -> float:
    """Pairs of query and document a second in the exact search, measured on random vectors."""
    queries, documents = _SEARCHED
    draw = np.random.default_rng(0)
    one = draw.standard_normal((queries, dimension), dtype=np.float32)
    other = draw.standard_normal((documents, dimension), dtype=np.float32)
    ranks = np.arange(documents, dtype=np.int32)
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        dense_top_k(one, other, id_ranks=ranks, first_row=0, k=depth, excluded=None, device=device)
        taken.append(time.perf_counter() - start)
    return queries * documents / min(taken)


def late_bytes(dimension: int, asked: int, longest: int, queries: int, depth: int) -> int:
    """Memory of ColBERT's search beside the encoder: token vectors of the queries and of a unit,
    scores until they are cut, the rankings so far."""
    vectors = 4 * dimension * (asked + 2 * UNIT * longest)
    held = max(SCORES_HELD, UNIT * queries) + 2 * queries * depth
    return vectors + 40 * held


def block_bytes(
    documents: int, dimension: int, queries: int, depth: int, block: int
) -> tuple[int, int]:
    """(memory, disk) of the search beside the encoder: a block's vectors, all rankings; on disk the
    vectors of the corpus and, four bytes a document, what each block keeps: of the i-th block of a
    corpus in no order, on average the i-th part of a whole ranking can still be in the answer."""
    blocks = max(1, -(-documents // block))
    ranked = queries * depth
    memory = 4 * dimension * min(block, documents) + 2 * 12 * ranked
    kept = sum(ranked / place for place in range(1, blocks + 1))
    return memory, 4 * dimension * documents + int(4 * kept)
