"""BM25's index of a dataset, in segments that are blocks, and the search over all of them.

A segment holds up to 65,536 documents; it is keyed and resumed like an encoded block, lies beside
the dataset's columns (`bm25/`) unless told otherwise, and is used again.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gtr_beir.data.store import Dataset
from gtr_beir.memory import give_back
from gtr_beir.progress import Progress
from gtr_beir.ranking.runs import Run
from gtr_beir.systems.base import Found, SearchOptions
from gtr_beir.systems.lucene.analysis import ANALYZER_VERSION, TermTable
from gtr_beir.systems.lucene.loops import compiled
from gtr_beir.systems.lucene.scoring import Parameters, field_statistics, term_statistics
from gtr_beir.systems.lucene.search import BestDocuments, FieldScoring, Queries, score_segment
from gtr_beir.systems.lucene.segment import MAXIMUM_DOCUMENTS, Segment, build_segment
from gtr_beir.work.blocks import Arrays, Block, content_key, plan_blocks
from gtr_beir.work.pool import in_processes
from gtr_beir.work.store import BlockStore

_WORTH_COMPILING = 1 << 29
"""Queries times documents: they take about as long without loops as those take to compile."""
INDEX = "bm25"
FIELDS = {"flat": ("contents",), "multifield": ("contents", "title")}
"""The fields of each mode; `contents` is title, newline and text in flat, else the text."""


def search_index(
    dataset: Dataset,
    options: SearchOptions,
    *,
    mode: str,
    name: str,
    parameters: Parameters,
    weights: Mapping[str, float],
    processes: int | None,
    index_dir: Path | None,
) -> Found:
    """Build what is missing of the index, then score all queries against every segment.

    index_dir: where indexes are kept (None: beside the dataset's columns, or with the result where
    that folder cannot be written to).
    """
    start = time.perf_counter()
    wanted = min(options.block_documents or MAXIMUM_DOCUMENTS, MAXIMUM_DOCUMENTS)
    blocks = plan_blocks(dataset.n_documents, wanted)
    progress = Progress(
        f"index {dataset.name} for {name}",
        dataset.n_documents,
        "documents",
        quiet=options.quiet,
    )
    folder = _index_folder(dataset, mode, blocks, options, index_dir, progress)
    store = BlockStore(folder, progress.say)
    build_index(dataset, mode, blocks, folder, store, progress, processes)
    built = time.perf_counter()
    segments = [_segments(mode, _stored(store, dataset, mode, block)) for block in blocks]
    by_field = list(zip(*segments, strict=True))
    statistics = [field_statistics(field) for field in by_field]
    queries = Queries.of(dataset.query_texts)
    scorings = [
        FieldScoring.of(
            queries,
            statistics[place],
            term_statistics(field, queries.hashes),
            parameters=parameters,
            field_weight=weights[field_name],
        )
        for place, (field_name, field) in enumerate(zip(FIELDS[mode], by_field, strict=True))
    ]
    best = BestDocuments(len(queries), options.k)
    searching = Progress(
        f"{options.shown or name} on {dataset.name}",
        dataset.n_documents,
        "documents",
        quiet=options.quiet,
    )
    many = len(queries) * dataset.n_documents >= _WORTH_COMPILING
    loops, threads = compiled() if many else None, processes or os.cpu_count() or 1
    with searching.moving():
        for block, fields in zip(blocks, segments, strict=True):
            excluded = None
            if options.self_matches == "drop":
                inside = (dataset.self_rows >= block.start) & (dataset.self_rows < block.stop)
                excluded = np.where(inside, dataset.self_rows - block.start, -1).astype(np.int32)
            ranks = np.asarray(dataset.id_rank[block.start : block.stop])
            score_segment(
                best,
                queries,
                fields,
                scorings,
                ranks,
                excluded=excluded,
                loops=loops,
                threads=threads,
            )
            searching.advance(len(block))
    searching.finish()
    found = best.found()
    run = Run(dataset.query_ids, found.rows(dataset.id_rank), found.scores)
    facts = {
        "seconds": {"index": built - start, "search": time.perf_counter() - built},
        "terms": {
            field_name: field.terms
            for field_name, field in zip(FIELDS[mode], statistics, strict=True)
        },
        "index_bytes": sum(
            sum(array.nbytes for array in vars(segment).values())
            for fields in segments
            for segment in fields
        ),
    }
    return Found(run, facts)


def index_keys(dataset: Dataset) -> set[str]:
    """The keys of all segments that a search of this dataset looks for by default."""
    return {
        _key(dataset, mode, block) for mode in FIELDS for block in plan_blocks(dataset.n_documents)
    }


def index_terms(dataset: Dataset, mode: str) -> int | None:
    """Total terms of the contents field, repeats counted; None if there is no whole index."""
    store = BlockStore(dataset.path / INDEX)
    total = 0
    for block in plan_blocks(dataset.n_documents):
        arrays = store.get(_key(dataset, mode, block))
        if arrays is None:
            return None
        total += int(arrays["contents_totals"][1])
    return total


def _index_folder(
    dataset: Dataset,
    mode: str,
    blocks: list[Block],
    options: SearchOptions,
    index_dir: Path | None,
    progress: Progress,
) -> Path:
    """Where the index is, or will be."""
    if index_dir is not None:
        return index_dir / dataset.name
    beside = dataset.path / INDEX
    if os.access(beside if beside.is_dir() else dataset.path, os.W_OK):
        return beside
    if all((beside / _key(dataset, mode, block)).is_dir() for block in blocks):
        return beside
    progress.say(f"{dataset.path} cannot be written to; the index is kept in {options.work_dir}")
    return options.work_dir


def build_index(
    dataset: Dataset,
    mode: str,
    blocks: list[Block],
    folder: Path,
    store: BlockStore,
    progress: Progress,
    processes: int | None,
) -> None:
    """Build the segments that are not there, on all cores."""
    missing = []
    for block in blocks:
        if store.has(_key(dataset, mode, block)):
            progress.skip(len(block))
        else:
            missing.append(block)
    with progress.moving():
        in_processes(
            _build_block,
            [(dataset.path, folder, mode, block) for block in missing],
            processes=processes or os.cpu_count() or 1,
            done=lambda index: progress.advance(len(missing[index])),
        )
    # The terms that this process has analysed, if it did: nobody needs them to search.
    _term_table.cache_clear()
    give_back()
    progress.finish()


def _key(dataset: Dataset, mode: str, block: Block) -> str:
    return f"{mode}-" + content_key(dataset.unit_digests, block, ANALYZER_VERSION, mode)


def _build_block(path: Path, folder: Path, mode: str, block: Block) -> None:
    """One segment, by whichever process; each process keeps the terms that it has analysed."""
    dataset = Dataset(path)
    BlockStore(folder).get_or_compute(
        _key(dataset, mode, block), functools.partial(_build, dataset, mode, block)
    )


@functools.cache
def _term_table() -> TermTable:
    return TermTable()


def _build(dataset: Dataset, mode: str, block: Block) -> Arrays:
    def texts(field: str) -> Any:
        for low, high in block.units():
            titles, bodies = dataset.titles_and_texts(low, high)
            if mode == "flat":
                yield from (f"{t}\n{b}" for t, b in zip(titles, bodies, strict=True))
            else:
                yield from (titles if field == "title" else bodies)

    arrays: dict[str, Any] = {}
    blank = None
    for field in FIELDS[mode]:
        # A document without contents is left out of the index, its title too (as Anserini does).
        segment = build_segment(texts(field), left_out=blank, table=_term_table())
        if field == "contents":
            blank = segment["blank"]
        arrays |= {f"{field}_{name}": array for name, array in segment.items()}
    return arrays


def _stored(store: BlockStore, dataset: Dataset, mode: str, block: Block) -> Arrays:
    return store.get_or_compute(
        _key(dataset, mode, block), functools.partial(_build, dataset, mode, block)
    )


def _segments(mode: str, arrays: Arrays) -> tuple[Segment, ...]:
    return tuple(
        Segment.of(
            {
                name.removeprefix(f"{field}_"): array
                for name, array in arrays.items()
                if name.startswith(f"{field}_")
            }
        )
        for field in FIELDS[mode]
    )
