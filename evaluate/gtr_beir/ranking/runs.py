"""Run: the one ranking type, and TREC run files.

A run file has six columns: query id, Q0, document id, rank, score, tag. The order is made from the
scores, in single precision, and the document ids, never from the rank column: so does trec_eval.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from gtr_beir.data.lines import columns, numbered_lines
from gtr_beir.data.opening import GZIP_MAGIC, Gzip, PlainFile, Recognised, opened
from gtr_beir.data.store import Dataset
from gtr_beir.errors import InputError, UsageError
from gtr_beir.files import atomic_write
from gtr_beir.ranking.topk import NO_DOCUMENT, TopK, sort_and_cut

_QUERIES_AT_ONCE = 256
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Run:
    """Ranked documents of queries, best first under the one ordering.

    query_ids: Q ids; doc_rows: int32[Q, k], rows of the dataset's corpus, -1 pads;
    scores: float32[Q, k], -inf where doc_rows is -1.
    """

    query_ids: list[str]
    doc_rows: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = (len(self.query_ids), self.doc_rows.shape[1])
        if self.doc_rows.shape != shape or self.scores.shape != shape:
            raise ValueError("query_ids, doc_rows and scores must have the same length")

    def for_queries(self, query_ids: list[str]) -> Run:
        """The run in the order of `query_ids`; a query that it lacks has no documents."""
        places = {query_id: place for place, query_id in enumerate(self.query_ids)}
        found = np.array([places.get(query_id, -1) for query_id in query_ids], dtype=np.int64)
        rows, scores = self.doc_rows[found], self.scores[found]
        rows[found < 0], scores[found < 0] = NO_DOCUMENT, -np.inf
        return Run(query_ids, rows, scores)

    def write(self, path: Path, dataset: Dataset, *, tag: str) -> None:
        """Write a TREC run file with true ranks; `.gz` is compressed. The bytes depend on the
        ranking alone."""
        with atomic_write(path) as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", 3, fileobj=raw, mtime=0) as compressed:
                    self._write_lines(compressed, dataset, tag)
            else:
                self._write_lines(raw, dataset, tag)

    def _write_lines(self, stream: IO[bytes] | gzip.GzipFile, dataset: Dataset, tag: str) -> None:
        tag = "-".join(tag.split())
        for start in range(0, len(self.query_ids), _QUERIES_AT_ONCE):
            rows = self.doc_rows[start : start + _QUERIES_AT_ONCE]
            held = rows != NO_DOCUMENT
            ids = iter(dataset.document_ids(rows[held]))
            for offset, query_id in enumerate(self.query_ids[start : start + _QUERIES_AT_ONCE]):
                scores = self.scores[start + offset][held[offset]].tolist()
                lines = [
                    f"{query_id} Q0 {next(ids)} {rank} {score:.9g} {tag}\n"
                    for rank, score in enumerate(scores, start=1)
                ]
                stream.write("".join(lines).encode("utf-8"))

    @staticmethod
    def read(path: Path | str, dataset: Dataset) -> Run:
        """Read anyone's TREC run file (`.gz` as well) for `dataset`.

        Raises InputError with file and line for anything that is not six columns with a finite
        score, for a document ranked twice, and for documents that the corpus does not hold.
        Queries that the dataset does not have are an error only if it has none of them.
        """
        return _read_run(Path(path), dataset)

    @staticmethod
    def of(query_ids: list[str], found: TopK) -> Run:
        """A run from a ranking that is in order already."""
        return Run(query_ids, found.rows, found.scores)


def _read_run(path: Path, dataset: Dataset) -> Run:
    hits: dict[str, dict[str, float]] = {}
    lines: dict[str, int] = {}
    for number, query_id, document_id, score in _parse(path):
        ranked = hits.setdefault(query_id, {})
        if document_id in ranked:
            raise InputError(
                f"document '{document_id}' is ranked twice for query '{query_id}'; keep one",
                path=path,
                line=number,
            )
        ranked[document_id] = score
        lines.setdefault(document_id, number)
    if not hits:
        return _empty_run(path, dataset)
    wanted = list(lines)
    rows = dict(zip(wanted, dataset.rows_of(wanted).tolist(), strict=True))
    for document_id, row in rows.items():
        if row < 0:
            raise InputError(
                f"document '{document_id}' is not in {dataset.name}; is the run for another "
                "dataset, or for another copy of the corpus?",
                path=path,
                line=lines[document_id],
            )
    if not hits.keys() & set(dataset.query_ids):
        raise InputError(
            f"none of its queries is judged in {dataset.name}; is the run for another dataset?",
            path=path,
        )
    depth = max(map(len, hits.values()))
    doc_rows = np.full((len(hits), depth), NO_DOCUMENT, dtype=np.int32)
    scores = np.full((len(hits), depth), -np.inf, dtype=np.float32)
    for index, ranked in enumerate(hits.values()):
        doc_rows[index, : len(ranked)] = [rows[document_id] for document_id in ranked]
        scores[index, : len(ranked)] = list(ranked.values())
    id_ranks = np.where(doc_rows >= 0, dataset.id_rank[doc_rows], -1).astype(np.int32)
    return Run.of(list(hits), sort_and_cut(TopK(doc_rows, scores, id_ranks), depth))


def _empty_run(path: Path, dataset: Dataset) -> Run:
    """What is written where no query finds anything: packed, and nothing in it. A file of no bytes
    is what a full disk leaves, and is refused."""
    with path.open("rb") as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    if not packed or any(True for _ in _lines(path)):
        raise InputError("there are no lines in it", path=path)
    shape = (len(dataset.query_ids), 1)
    rows = np.full(shape, NO_DOCUMENT, dtype=np.int32)
    return Run(list(dataset.query_ids), rows, np.full(shape, -np.inf, dtype=np.float32))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    source = Recognised(PlainFile(path), {GZIP_MAGIC: Gzip})
    with opened(source, damaged="the gzip file is damaged ({})") as stream:
        yield from numbered_lines(stream, path)


def _parse(path: Path) -> Iterator[tuple[int, str, str, float]]:
    if not path.is_file():
        raise UsageError(f"{path} does not exist; give a TREC run file")
    for number, line in _lines(path):
        fields = columns(line, path, number)
        if not fields:
            continue
        if len(fields) != 6:
            raise InputError(
                f"{len(fields)} columns where a run has six: query id, Q0, document id, rank, "
                "score, tag",
                path=path,
                line=number,
            )
        score = float(fields[4]) if _NUMBER.fullmatch(fields[4]) else math.nan
        if not math.isfinite(score) or abs(score) > 3.4e38:
            raise InputError(f"score '{fields[4]}' is not a finite number", path=path, line=number)
        yield number, fields[0], fields[2], score
