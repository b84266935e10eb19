"""What a run would take: documents, tokens, arithmetic, time, memory and disk, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.registry import DatasetSpec, registered
from gtr_beir.data.store import Dataset, DatasetGroup, datasets_folder, is_here
from gtr_beir.errors import UsageError
from gtr_beir.lengths import paper_limit
from gtr_beir.systems.base import system_class
from gtr_beir.systems.costs import (
    LIBRARIES_BYTES,
    EncoderCost,
    TokenCounts,
    block_bytes,
    encoder_cost,
    late_bytes,
    lengths_of,
    maxsim_rate,
    search_rate,
)
from gtr_beir.systems.dense import DenseOptions
from gtr_beir.systems.options import EncoderOptions, Options
from gtr_beir.work.blocks import usual_block

SAMPLE = 512
_CHUNK = 32
_UNPACKED = 2.8
"""A zip's text over its bytes, about; only for datasets that are not here."""
_QUERY_CHARACTERS = 60
DEMO_CHARACTERS = 800


@dataclass(frozen=True)
class Extent:
    """How much text a dataset has. texts: a sample of documents spread over the corpus, empty if it
    is not here; characters: of each text of the sample, or one estimate."""

    name: str
    documents: int
    queries: int
    texts: list[str]
    characters: npt.NDArray[np.int64]
    query_texts: list[str]
    document_limit: int
    query_limit: int

    @property
    def here(self) -> bool:
        return bool(self.texts)

    @property
    def text_bytes(self) -> int:
        """Of the corpus, a byte a character."""
        return int(self.documents * self.characters.mean())


@dataclass(frozen=True)
class DatasetPlan:
    """The plan of one dataset.

    tokens: of documents and queries after the cut; operations: of encoding (None where the
    arithmetic is not known), for ColBERT those of its scoring; seconds: of encoding and of search;
    disk: in bytes; blocks: that workers share; text_bytes: of the corpus;
    driver_seconds: that a driver of workers elsewhere needs to pass it on; counted: whether tokens
    come from the dataset's own texts.
    """

    name: str
    documents: int
    queries: int
    tokens: float
    operations: float | None
    encode_seconds: float
    search_seconds: float
    disk: int
    blocks: int
    text_bytes: int
    driver_seconds: float
    counted: bool

    @property
    def seconds(self) -> float:
        """Of one worker that does all of it."""
        return self.encode_seconds + self.search_seconds

    def share(self, workers: int) -> float:
        """The part of the work that the busiest of so many workers does: whole blocks."""
        return -(-self.blocks // workers) / self.blocks


_TEXTS_A_SECOND, _VECTORS_A_SECOND = 208e6, 195e6
"""Bytes of texts that a driver's one core sends out in a second, and of vectors that it keeps: from
`benchmarks/cluster.py --only rate` (docs/cluster.md), as is the next."""
_SECONDS_A_RANK = 1.19e-7
"""To take in a block's ranking, for each query and place."""


@dataclass(frozen=True)
class WholePlan:
    """All datasets together. memory: the most that is held at once, in bytes; devices: workers,
    each as fast as this machine; remote: whether they are on other machines."""

    encoder: EncoderCost
    datasets: list[DatasetPlan]
    memory: int
    devices: int
    remote: bool = False

    @property
    def disk(self) -> int:
        """In bytes, besides the datasets."""
        return sum(entry.disk for entry in self.datasets)

    @property
    def seconds(self) -> float:
        """On all devices, which share the blocks of each dataset; not faster than the driver."""
        shared = sum(entry.seconds * entry.share(self.devices) for entry in self.datasets)
        return max(shared, self.driver_seconds) if self.remote else shared

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes of texts that go to other machines, and of what comes back."""
        return sum(entry.text_bytes for entry in self.datasets), self.disk

    @property
    def driver_seconds(self) -> float:
        """That the driver needs to pass everything on."""
        return sum(entry.driver_seconds for entry in self.datasets)

    @property
    def fed(self) -> float:
        """How many workers the driver can feed."""
        alone = sum(entry.seconds for entry in self.datasets)
        return alone / self.driver_seconds

    @property
    def most_blocks(self) -> int:
        """Of one dataset: more workers than that share nothing."""
        return max(entry.blocks for entry in self.datasets)


def plan_run(
    system: str,
    datasets: Sequence[str],
    options: Options,
    *,
    datasets_dir: Path | str | None = None,
    depth: int = 1000,
    block_documents: int | None = None,
    workers: int | None = None,
) -> WholePlan:
    """The plan for an encoder on datasets, which may be here or only in the registry; options are
    those of the system; workers: on other machines, each as fast as this one (None: the devices of
    this machine).

    Nothing is fetched and nothing is written. Raises UsageError for names that are not known.
    """
    kind = system_class(system).options_type
    if not issubclass(kind, EncoderOptions) or not isinstance(options, kind):
        raise UsageError(
            f"plan is for encoders; {system} needs no GPU and little time (docs/benchmarks.md has "
            "its rates)"
        )
    extents = [
        extent for name in datasets for extent in _extents(name, datasets_folder(datasets_dir))
    ]
    sample = next((extent.texts for extent in extents if extent.here), None)
    if sample is None:
        mean = int(np.mean([extent.characters.mean() for extent in extents]))
        sample = ["word " * max(mean // 5, 1)] * SAMPLE
    cost = encoder_cost(system, options, sample)
    if cost.query_vectors is not None:
        rate = maxsim_rate(cost.dimension, cost.device)
        found = [_late(cost, extent, rate, depth, block_documents) for extent in extents]
    else:
        rate = search_rate(cost.dimension, depth, cost.device)
        if not isinstance(options, DenseOptions):
            raise UsageError(f"plan knows dense encoders and ColBERT, not {system}")
        hub, kept = options.protocol == "hub", not options.discard_embeddings
        found = [_dense(cost, e, rate, depth, block_documents, hub, kept) for e in extents]
    memory = max(held for _, held in found) + cost.weights_bytes + LIBRARIES_BYTES
    devices = len(options.device.split(",")) if options.device else 1
    if workers is not None and (devices > 1 or workers < 1):
        raise UsageError(
            f"{workers} workers are not possible; give 1 or more"
            if workers < 1
            else f"--device {options.device} and --workers cannot be given together; name one "
            "device, which stands for a worker's"
        )
    plans = [plan for plan, _ in found]
    return WholePlan(cost, plans, memory, workers or devices, workers is not None)


def _dense(
    cost: EncoderCost,
    extent: Extent,
    pairs_a_second: float,
    depth: int,
    block: int | None,
    hub: bool,
    kept: bool,
) -> tuple[DatasetPlan, int]:
    """One vector a text: the plan, and the memory of the search in bytes."""
    limits = [extent.document_limit, extent.query_limit]
    if hub:
        limits = [cost.own_length] * 2
    texts = _texts(cost, extent, *limits)
    operations = [cost.operations(lengths) for lengths, _ in texts]
    memory, disk = block_bytes(
        extent.documents,
        cost.dimension,
        extent.queries,
        depth,
        block or usual_block(extent.documents),
    )
    plan = DatasetPlan(
        name=extent.name,
        documents=extent.documents,
        queries=extent.queries,
        tokens=sum(scale * float(lengths.sum()) for lengths, scale in texts),
        operations=None
        if cost.shape is None
        else sum((n or 0.0) * scale for n, (_, scale) in zip(operations, texts, strict=True)),
        encode_seconds=sum(scale * cost.seconds(lengths) for lengths, scale in texts),
        search_seconds=float(extent.documents) * extent.queries / pairs_a_second,
        disk=disk if kept else disk - 4 * cost.dimension * extent.documents,
        blocks=_blocks(extent, block),
        text_bytes=extent.text_bytes,
        driver_seconds=_driver_seconds(extent, block, depth, cost.dimension if kept else 0),
        counted=extent.here and cost.tokenizer is not None,
    )
    return plan, memory


def _late(
    cost: EncoderCost, extent: Extent, operations_a_second: float, depth: int, block: int | None
) -> tuple[DatasetPlan, int]:
    """A vector a token, none of which is kept: the plan, and the memory of the search in bytes."""
    width = cost.query_vectors or 0
    texts = _texts(cost, extent, cost.own_length, width)
    (documents, scale), _ = texts
    asked = extent.queries * width
    work = 2.0 * cost.dimension * asked * scale * float(documents.sum())
    longest = int(documents.max())
    memory = late_bytes(cost.dimension, asked, longest, extent.queries, depth)
    _, disk = block_bytes(
        extent.documents, 0, extent.queries, depth, block or usual_block(extent.documents)
    )
    plan = DatasetPlan(
        name=extent.name,
        documents=extent.documents,
        queries=extent.queries,
        tokens=scale * float(documents.sum()) + asked,
        operations=work,
        encode_seconds=sum(s * cost.seconds(lengths) for lengths, s in texts),
        search_seconds=work / operations_a_second,
        disk=disk,
        blocks=_blocks(extent, block),
        text_bytes=extent.text_bytes,
        driver_seconds=_driver_seconds(extent, block, depth, 0),
        counted=extent.here and cost.tokenizer is not None,
    )
    return plan, memory


def _driver_seconds(extent: Extent, block: int | None, depth: int, dimension: int) -> float:
    """dimension: of vectors that come back, 0: none do."""
    places = _blocks(extent, block) * extent.queries * depth
    vectors = 4 * dimension * extent.documents
    texts = extent.text_bytes / _TEXTS_A_SECOND
    return texts + vectors / _VECTORS_A_SECOND + places * _SECONDS_A_RANK


def _blocks(extent: Extent, block: int | None) -> int:
    return max(1, -(-extent.documents // (block or usual_block(extent.documents))))


def _texts(
    cost: EncoderCost, extent: Extent, document_limit: int, query_limit: int
) -> list[tuple[TokenCounts, float]]:
    """Of documents and of queries: tokens of each text of the sample, and how many texts of the
    dataset each stands for."""
    documents = _lengths(cost, extent.texts, extent.characters, document_limit)
    asked = np.array([_QUERY_CHARACTERS])
    queries = _lengths(cost, extent.query_texts, asked, query_limit)
    return [
        (documents, extent.documents / len(documents)),
        (queries, extent.queries / len(queries)),
    ]


def _lengths(
    cost: EncoderCost, texts: list[str], characters: npt.NDArray[np.int64], limit: int
) -> TokenCounts:
    return cost.lengths(texts, limit) if texts else lengths_of(characters, limit)


def _extents(name: str, folder: Path) -> list[Extent]:
    """One for a dataset; for one that is made of parts, one a part."""
    spec = registered(name)
    parts = spec.parts if spec is not None and spec.parts else (name,)
    return [_extent(part, folder) for part in parts]


def _extent(name: str, folder: Path) -> Extent:
    spec = registered(name)
    if spec is None or is_here(name, folder):
        dataset = load_dataset(name, datasets_dir=folder)
        assert not isinstance(dataset, DatasetGroup)
        return _sampled(dataset)
    if spec.documents is None or spec.queries is None:
        raise UsageError(f"the size of '{name}' is not known until it is here; fetch it first")
    return Extent(
        name=name,
        documents=spec.documents,
        queries=spec.queries,
        texts=[],
        characters=np.array([_characters(spec)]),
        query_texts=[],
        document_limit=paper_limit(name, "document"),
        query_limit=paper_limit(name, "query"),
    )


def _sampled(dataset: Dataset) -> Extent:
    count = dataset.n_documents
    starts = np.unique(np.linspace(0, max(count - _CHUNK, 0), SAMPLE // _CHUNK).astype(int))
    texts = [text for start in starts for text in dataset.texts(start, min(start + _CHUNK, count))]
    return Extent(
        name=dataset.name,
        documents=count,
        queries=len(dataset.query_ids),
        texts=texts,
        characters=np.array([len(text) for text in texts]),
        query_texts=dataset.query_texts[:SAMPLE],
        document_limit=paper_limit(dataset.name, "document"),
        query_limit=paper_limit(dataset.name, "query"),
    )


def _characters(spec: DatasetSpec) -> int:
    """Of a document on average, from what the registry knows: the terms that BM25 counts in the
    corpus, else the bytes of the zip."""
    assert spec.documents is not None
    if spec.bm25_terms:
        return int(spec.bm25_terms["flat"] / spec.documents * _CHARACTERS_A_TERM)
    if spec.zip_bytes:
        return int(spec.zip_bytes * _UNPACKED / spec.documents)
    return DEMO_CHARACTERS


_CHARACTERS_A_TERM = 9.3
"""Characters of text for each term that BM25 counts, stopwords left out; measured on SciFact."""
