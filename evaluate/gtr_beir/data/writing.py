"""The files of a dataset: columns and arrays, each with its size and hash for the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.columns import UNIT, ColumnFile, ColumnWriter, unit_digest
from gtr_beir.data.identifiers import IdPacker
from gtr_beir.digests import Digest, hash_file
from gtr_beir.progress import Progress

_IDS = pa.schema([("id", pa.string())])
_TEXTS = pa.schema([("title", pa.large_string()), ("text", pa.large_string())])
_QUERIES = pa.schema([("id", pa.string()), ("text", pa.large_string())])
_QRELS = pa.schema(
    [
        ("query_row", pa.int32()),
        ("document_id", pa.string()),
        ("document_row", pa.int32()),
        ("grade", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Corpus:
    """What was written: counts, ids to be ranked, and digests uint8[units, 16]."""

    documents: int
    blank: int
    blank_titles: int
    blank_texts: int
    packer: IdPacker
    digests: np.ndarray[Any, np.dtype[np.uint8]]


def write_corpus(
    documents: Iterable[Document], work: Path, files: dict[str, dict[str, Any]], progress: Progress
) -> Corpus:
    """Write ids and texts unit by unit; `files` gets an entry for each file."""
    packer = IdPacker()
    digests: list[bytes] = []
    blank = blank_titles = blank_texts = count = 0
    ids: list[str] = []
    titles: list[str] = []
    texts: list[str] = []
    with (
        ColumnWriter(work / "ids.arrow", _IDS) as id_writer,
        ColumnWriter(work / "texts.arrow", _TEXTS) as text_writer,
    ):

        def write_unit() -> None:
            packer.add(ids)
            digests.append(unit_digest(id_writer.write(ids), text_writer.write(titles, texts)))
            progress.advance(len(ids))
            for column in (ids, titles, texts):
                column.clear()

        for document in documents:
            title = document.title or ""
            text = document.text or ""
            no_title = not title.strip()
            no_text = not text.strip()
            blank_titles += no_title
            blank_texts += no_text
            blank += no_title and no_text
            ids.append(document.id)
            titles.append(title)
            texts.append(text)
            count += 1
            if len(ids) == UNIT:
                write_unit()
        if ids:
            write_unit()
    files["ids.arrow"] = id_writer.entry()
    files["texts.arrow"] = text_writer.entry()
    table = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 16)
    return Corpus(count, blank, blank_titles, blank_texts, packer, table)


def save_array(path: Path, array: np.ndarray[Any, Any], files: dict[str, dict[str, Any]]) -> None:
    """Write an array and its entry."""
    np.save(path, array, allow_pickle=False)
    files[path.name] = {"bytes": path.stat().st_size, "sha256": hash_file(path)}


def _in_units(*columns: list[Any]) -> Iterable[tuple[list[Any], ...]]:
    for start in range(0, len(columns[0]), UNIT):
        yield tuple(column[start : start + UNIT] for column in columns)


def write_queries(judged: Mapping[str, str], work: Path, files: dict[str, dict[str, Any]]) -> str:
    """Write the queries; returns their fingerprint."""
    digest = Digest()
    with ColumnWriter(work / "queries.arrow", _QUERIES) as writer:
        for unit in _in_units(list(judged), list(judged.values())):
            digest.add(writer.write(*unit))
    files["queries.arrow"] = writer.entry()
    return digest.hex()


def write_qrels(
    judged: Mapping[str, str],
    judgements: list[Judgement],
    work: Path,
    files: dict[str, dict[str, Any]],
) -> tuple[str, int]:
    """Write the judgements; returns their fingerprint, and how many documents the corpus lacks."""
    query_row = {identifier: row for row, identifier in enumerate(judged)}
    document_ids = [judgement.document_id for judgement in judgements]
    document_rows = ColumnFile(work / "ids.arrow").find("id", document_ids)
    digest = Digest()
    with ColumnWriter(work / "qrels.arrow", _QRELS) as writer:
        for unit in _in_units(
            [query_row[judgement.query_id] for judgement in judgements],
            document_ids,
            document_rows.tolist(),
            [judgement.grade for judgement in judgements],
        ):
            digest.add(writer.write(*unit))
    files["qrels.arrow"] = writer.entry()
    return digest.hex(), int((document_rows < 0).sum())
