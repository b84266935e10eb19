"""How long are the documents that a system ranks first? Figure 5 of the GTR paper.

Length is counted in words, which are what stands between white space. The paper does not say
whether titles count, so both are given.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.data.store import Dataset, join_title_and_text
from gtr_beir.digests import fingerprint_of
from gtr_beir.errors import StoreError
from gtr_beir.files import atomic_write
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT
from gtr_beir.records import RUN, Record

TOP = 10
"""Documents of a query that are looked at."""
KEPT = "top_lengths.npz"
"""Name, in a record's folder, of what was counted."""
NO_WORDS = -1
"""Stands where a query has fewer documents."""


@dataclass(frozen=True)
class TopLengths:
    """Words of the first ten documents of every query, in the order of the dataset's queries.

    words: int32[queries, 10], of title and text as they are encoded; text_words: int32[queries,
    10], of the text alone, 0 where a document has a title only. NO_WORDS pads both.
    """

    words: npt.NDArray[np.int32]
    text_words: npt.NDArray[np.int32]


def kept_top_lengths(
    folder: Path, record: Record, dataset: Dataset, say: Callable[[str], None]
) -> TopLengths:
    """Of a record's run. A long run takes half a minute to read, so what was counted is kept in the
    record's folder; say: told before a run is read. Raises what `Run.read` raises."""
    kept = folder / KEPT
    key = fingerprint_of([record.fingerprints["run"], dataset.fingerprint])
    found = _kept(kept, key, len(dataset.query_ids))
    if found is not None:
        return found
    say(f"counting words of the first {TOP} documents of {record.system} on {record.dataset}")
    found = top_lengths(folder / RUN, dataset)
    # A folder of others, or a disk, may not take it; then it is counted again the next time.
    with contextlib.suppress(OSError, StoreError), atomic_write(kept) as handle:
        np.savez_compressed(handle, key=key, words=found.words, text_words=found.text_words)
    return found


def _kept(path: Path, key: str, queries: int) -> TopLengths | None:
    """What was counted of this very run and corpus; None if nothing was, or it is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            words, text_words = held["words"], held["text_words"]
            whole = words.shape == text_words.shape == (queries, TOP)
            return TopLengths(words, text_words) if whole and str(held["key"]) == key else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def top_lengths(path: Path, dataset: Dataset) -> TopLengths:
    """Of a run file (`run.trec.gz`) on its dataset. Raises what `Run.read` raises."""
    ranked = Run.read(path, dataset).for_queries(dataset.query_ids).doc_rows[:, :TOP]
    rows = np.full((len(ranked), TOP), NO_DOCUMENT, dtype=np.int32)
    rows[:, : ranked.shape[1]] = ranked
    held = rows != NO_DOCUMENT
    distinct, places = np.unique(rows[held], return_inverse=True)
    titles, texts = dataset.titles_and_texts_of(distinct)
    whole = [join_title_and_text(*pair) for pair in zip(titles, texts, strict=True)]
    return TopLengths(*(_placed(counted, places, held) for counted in (whole, texts)))


def _placed(
    texts: list[str], places: npt.NDArray[np.intp], held: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    counts = np.array([len(text.split()) for text in texts], dtype=np.int32)
    found = np.full(held.shape, NO_WORDS, dtype=np.int32)
    found[held] = counts[places]
    return found


def median_words(words: npt.NDArray[np.int32]) -> float:
    """The median over all documents of all queries; NaN where there is none."""
    held = words[words != NO_WORDS]
    return float(np.median(held)) if held.size else float("nan")


def share_without_words(words: npt.NDArray[np.int32]) -> float:
    """Share of the documents that have no word; NaN where there is none."""
    held = words[words != NO_WORDS]
    return float(np.mean(held == 0)) if held.size else float("nan")
