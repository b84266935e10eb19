"""One segment of an index: one field of up to 65,536 documents, as flat arrays.

    hashes            uint64[T]      the segment's terms by `term_hash`, ascending
    offsets           uint32[T + 1]  term t has the postings offsets[t] .. offsets[t + 1] - 1
    documents         uint16[P]      the posting's document, ascending within a term
    frequencies       uint8[P]       how often the term occurs in it; 0: see the next two
    long_positions    uint32[L]      postings whose frequency is above 255, ascending
    long_frequencies  uint32[L]      their frequencies
    norms             uint8[n]       each document's length as Lucene keeps it (`smallfloat`)
    blank             bool[n]        the document's text holds nothing but blanks
    totals            int64[2]       documents with at least one term; terms, repeats counted

Nothing of it depends on other segments, so segments can be built anywhere and in any order. The
bytes depend on the texts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.systems.lucene.analysis import TermTable
from gtr_beir.systems.lucene.smallfloat import encode_lengths

MAXIMUM_DOCUMENTS = 1 << 16
"""Documents in a segment at most: a document's number has 16 bits."""

_BATCH_CHARACTERS = 1 << 17
_LARGEST_FREQUENCY = np.iinfo(np.uint8).max
_BLANKS = "".join(map(chr, range(33)))
_BLANK_BYTES = _BLANKS.encode()

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class _Batch:
    """Postings of some consecutive documents, by term and then by document.

    terms: int32[t], numbers of the batch's terms, ascending; sizes: int32[t], how many postings
    each has; documents: uint16[p]; frequencies: uint8[p]; long: int64[2, l], places among the p
    postings with their frequencies; lengths: int64 of each document.
    """

    terms: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]
    documents: npt.NDArray[np.uint16]
    frequencies: npt.NDArray[np.uint8]
    long: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


def build_segment(
    texts: Iterable[str | bytes],
    *,
    left_out: npt.NDArray[np.bool_] | None = None,
    table: TermTable | None = None,
) -> Arrays:
    """The arrays of a segment.

    texts: one field of each document, as strings or as UTF-8 bytes; left_out: bool[n], documents
    whose text is not read (they keep their number, and have no term); table: give the same one for
    all segments that a process builds, and what they share is analysed once.
    Raises ValueError for more than 65,536 documents.
    """
    table = TermTable() if table is None else table
    table.trim()
    batches: list[_Batch] = []
    blank: list[bool] = []
    first = 0
    for batch in _batches(texts):
        blank.extend(map(_is_blank, batch))
        if len(blank) > MAXIMUM_DOCUMENTS:
            raise ValueError(f"a segment holds {MAXIMUM_DOCUMENTS} documents at most")
        if left_out is not None:
            batch = [b"" if left_out[at] else text for at, text in enumerate(batch, first)]
        batches.append(_invert(table, batch, first))
        first += len(batch)
    return _assemble(table.hashes(), batches) | {"blank": np.array(blank, dtype=np.bool_)}


def _is_blank(text: str | bytes) -> bool:
    """Whether Java's `String.trim` leaves nothing: Anserini's test for an empty document."""
    return not (text.strip(_BLANKS) if isinstance(text, str) else text.strip(_BLANK_BYTES))


def _batches(texts: Iterable[str | bytes]) -> Iterator[list[str | bytes]]:
    """Lists of texts with about 131 thousand characters together."""
    batch: list[str | bytes] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _invert(table: TermTable, texts: list[str | bytes], first: int) -> _Batch:
    places, terms = table.count(texts)
    keys = (terms.astype(np.int64) << 16) | (places + first)
    keys.sort()
    # One run of equal keys is one posting; one run of equal terms among these is one term.
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    frequencies = np.diff(starts, append=len(keys))
    keys = keys[starts]
    numbers = keys >> 16
    heads = np.flatnonzero(np.diff(numbers, prepend=-1))
    long = np.flatnonzero(frequencies > _LARGEST_FREQUENCY)
    long = np.stack((long, frequencies[long]))
    frequencies[long[0]] = 0
    return _Batch(
        terms=numbers[heads].astype(np.int32),
        sizes=np.diff(heads, append=len(numbers)).astype(np.int32),
        documents=(keys & 0xFFFF).astype(np.uint16),
        frequencies=frequencies.astype(np.uint8),
        long=long,
        lengths=np.bincount(places, minlength=len(texts)),
    )


def _assemble(hashes: npt.NDArray[np.uint64], batches: list[_Batch]) -> Arrays:
    """Place the postings of all batches by the terms' hashes.

    A term's postings of one batch follow those of the batches before, so that its documents ascend
    without sorting.
    """
    sizes = np.zeros(len(hashes), dtype=np.int64)
    for batch in batches:
        sizes[batch.terms] += batch.sizes
    used = np.flatnonzero(sizes)
    used = used[np.argsort(hashes[used])]
    if len(used) > 1 and not (np.diff(hashes[used]) > 0).all():
        raise ValueError("two terms of one segment have the same 64-bit hash")
    offsets = np.concatenate(([0], np.cumsum(sizes[used])))
    free = np.zeros(len(hashes), dtype=np.int64)
    free[used] = offsets[:-1]
    documents = np.empty(offsets[-1], dtype=np.uint16)
    frequencies = np.empty(offsets[-1], dtype=np.uint8)
    long = [np.empty((2, 0), dtype=np.int64)]
    for batch in batches:
        inside = np.cumsum(batch.sizes, dtype=np.int64) - batch.sizes
        places = np.repeat(free[batch.terms] - inside, batch.sizes)
        places += np.arange(len(places))
        documents[places] = batch.documents
        frequencies[places] = batch.frequencies
        long.append(np.stack((places[batch.long[0]], batch.long[1])))
        free[batch.terms] += batch.sizes
    long_postings = np.concatenate(long, axis=1)
    long_postings = long_postings[:, np.argsort(long_postings[0])]
    lengths = np.concatenate([np.empty(0, dtype=np.int64), *(batch.lengths for batch in batches)])
    return {
        "hashes": hashes[used],
        "offsets": offsets.astype(np.uint32),
        "documents": documents,
        "frequencies": frequencies,
        "long_positions": long_postings[0].astype(np.uint32),
        "long_frequencies": long_postings[1].astype(np.uint32),
        "norms": encode_lengths(lengths),
        "totals": np.array([np.count_nonzero(lengths), lengths.sum()], dtype=np.int64),
    }


@dataclass(frozen=True)
class Segment:
    """The arrays of `build_segment`, in memory or memory-mapped, ready for queries."""

    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.uint32]
    documents: npt.NDArray[np.uint16]
    frequencies: npt.NDArray[np.uint8]
    long_positions: npt.NDArray[np.uint32]
    long_frequencies: npt.NDArray[np.uint32]
    norms: npt.NDArray[np.uint8]
    blank: npt.NDArray[np.bool_]
    totals: npt.NDArray[np.int64]

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Segment:
        """From arrays by name; others than a segment's are ignored."""
        # A slice of a memmap costs ten times that of the plain array over the same pages.
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})

    def __len__(self) -> int:
        return len(self.norms)

    def find(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """int64[H]: the place of each term among the segment's terms; -1: it has no such term."""
        if not len(self.hashes):
            return np.full(len(hashes), -1, dtype=np.int64)
        places = np.searchsorted(self.hashes, hashes)
        places[places == len(self.hashes)] = 0
        return np.where(self.hashes[places] == hashes, places, -1)

    def sizes(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """int64[t]: in how many documents each term occurs. places: as for `postings`."""
        return self.offsets[places + 1].astype(np.int64) - self.offsets[places]

    def postings(
        self, places: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
        """The postings of some terms, one term after the other.

        places: int64[t], terms as `find` gives them, none -1. Returns uint16[p], the documents, and
        float32[p], the frequencies.
        """
        starts, sizes = self.offsets[places].astype(np.int64), self.sizes(places)
        begins = np.cumsum(sizes) - sizes
        total = int(sizes.sum())
        documents = np.empty(total, dtype=np.uint16)
        frequencies = np.empty(total, dtype=np.float32)
        if total:
            slices = list(map(slice, starts.tolist(), (starts + sizes).tolist()))
            np.concatenate([self.documents[span] for span in slices], out=documents)
            np.concatenate([self.frequencies[span] for span in slices], out=frequencies)
        if len(self.long_positions):
            escaped = np.flatnonzero(frequencies == 0)
            terms = np.searchsorted(begins, escaped, side="right") - 1
            at = np.searchsorted(self.long_positions, starts[terms] + escaped - begins[terms])
            frequencies[escaped] = self.long_frequencies[at]
        return documents, frequencies
