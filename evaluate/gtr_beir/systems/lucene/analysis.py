"""Lucene's EnglishAnalyzer, as Anserini indexes and queries with it.

StandardTokenizer (`word_break`), then EnglishPossessiveFilter, LowerCaseFilter, StopFilter and
PorterStemFilter (`porter`), in this order.

Two ways lead to the same terms. `analyze` takes one text and gives its terms in order. `TermTable`
takes many texts and gives numbers. It works on UTF-8 bytes: ASCII characters that belong to no
token become blanks and capitals become small letters in one pass, the bytes are split at blanks,
and each piece is looked up. A piece is analysed only when it is seen for the first time, which is
right because a token never reaches over such a character. Splitting and looking up run without the
interpreter, at about a tenth of a microsecond a piece.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from gtr_beir.systems.lucene.porter import stem
from gtr_beir.systems.lucene.word_break import MAXIMUM_TOKEN_LENGTH, words

ANALYZER_VERSION: Final = "lucene-english-1 (unicode 12.1)"
"""Part of the key of everything that is made of terms; it changes whenever a term would."""

STOP_WORDS = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it"}
    | {"no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these"}
    | {"they", "this", "to", "was", "will", "with"}
)
"""EnglishAnalyzer.ENGLISH_STOP_WORDS_SET."""

_POSSESSIVE = re.compile("['\u2019\uff07][sS]$")


def analyze(text: str) -> list[str]:
    """The terms of a text, in order, repeated as often as they occur."""
    return [term for word in words(text) if (term := _term(word)) is not None]


def _term(word: str) -> str | None:
    """The term of a token; None for a stop word."""
    if word[-1] in "sS":
        word = _POSSESSIVE.sub("", word)
    lower = _lower(word)
    return None if lower in STOP_WORDS else stem(lower)


def _lower(word: str) -> str:
    """Small letters by each code point's own mapping, as Java's Character.toLowerCase(int).

    `str.lower` differs for two letters: it looks at a capital sigma's place in the word, and makes
    two code points of I with a dot.
    """
    if "\u03a3" in word or "\u0130" in word:
        return "".join(letter.lower()[0] for letter in word)
    return word.lower()


def term_hash(term: str) -> int:
    """The 64 bits that stand for a term: BLAKE2b over its UTF-8, little-endian.

    Terms are compared by these bits alone. Among n distinct terms any two share them with a
    probability below n^2 / 2^65: about 10^-5 for the 20 million of the largest BEIR corpus.
    `TermTable` sees all terms of a segment and refuses two that collide.
    """
    digest = hashlib.blake2b(term.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


NOTHING: Final = -1
"""Code of a piece without a term."""

_BOUNDARY: Final = -2
_FIRST_GROUP: Final = -3

# The byte FF does not occur in UTF-8, so that no text can hold the boundary of two texts.
_BOUNDARY_BYTE: Final = b"\xff"
_BETWEEN_TEXTS: Final = b" \xff "

_KEYCAP: Final = "\u20e3".encode()
# What may stand within a token, but not at its ends. Only a quote may: after a Hebrew letter.
_MIDDLE: Final = b".,:;"
_QUOTES: Final = b"'\""
_LONGEST_KEPT: Final = 64


def _translation(kept: bytes) -> bytes:
    """Byte -> byte: small letters; a blank for ASCII that is no letter, no digit and not kept."""
    table = bytearray(range(256)).lower()
    for code in range(128):
        if not chr(code).isalnum() and code not in kept:
            table[code] = ord(" ")
    return bytes(table)


_SEPARATED = _translation(b"_" + _MIDDLE + _QUOTES)
_SEPARATED_BUT_KEYCAPS = _translation(b"_#*" + _MIDDLE + _QUOTES)


def _utf_8(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


class TermTable(dict[bytes, int]):
    """Numbers the terms of many texts; shared by the segments that a process builds.

    A key is a piece of text, its value a term's number, or NOTHING, or the code of a group for a
    piece that holds several terms. Numbers say nothing outside of the table; `hashes` leads from
    them to what is stored. `limit` bounds the table: `trim` empties one that has more entries, so
    between two calls it grows by what the texts of one segment hold.
    """

    def __init__(self, *, limit: int = 1 << 19):
        super().__init__()
        self._limit = limit
        self._empty()

    def _empty(self) -> None:
        self.clear()
        self[_BOUNDARY_BYTE] = _BOUNDARY
        self._numbers: dict[str, int] = {}
        self._hashes = array("Q")
        self._group_terms = array("i")
        self._group_ends = array("q", [0])

    def trim(self) -> None:
        """Forget everything, if the limit is passed; numbers given before lose their meaning."""
        if len(self) + len(self._group_terms) > self._limit:
            self._empty()

    def hashes(self) -> npt.NDArray[np.uint64]:
        """uint64[terms]: `term_hash` of each term, by number."""
        return np.array(self._hashes, dtype=np.uint64)

    def count(
        self, texts: Sequence[str | bytes]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """All occurrences of terms in texts (strings, or UTF-8 bytes).

        Returns two arrays with one element an occurrence: int64, the text's place in `texts`, and
        int32, the term's number. Within a text their order means nothing.
        """
        data = _BETWEEN_TEXTS.join(map(_utf_8, texts))
        pieces = data.translate(_SEPARATED_BUT_KEYCAPS if _KEYCAP in data else _SEPARATED).split()
        codes = np.fromiter(map(self.__getitem__, pieces), dtype=np.int32, count=len(pieces))
        places = np.cumsum(codes == _BOUNDARY)
        if len(places) and places[-1] >= len(texts):
            raise ValueError("a text holds the byte FF, so it is not UTF-8")
        single = codes >= 0
        grouped = np.flatnonzero(codes <= _FIRST_GROUP)
        if not len(grouped):
            return places[single], codes[single]
        sizes, terms = self._group_members(_FIRST_GROUP - codes[grouped])
        return (
            np.concatenate((places[single], np.repeat(places[grouped], sizes))),
            np.concatenate((codes[single], terms)),
        )

    def _group_members(
        self, groups: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """The size of each group, and their terms one after the other."""
        ends = np.frombuffer(self._group_ends, dtype=np.int64)
        starts, sizes = ends[groups], ends[groups + 1] - ends[groups]
        shifts = np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
        terms = np.frombuffer(self._group_terms, dtype=np.int32)[shifts + np.arange(len(shifts))]
        return sizes, terms

    def __missing__(self, piece: bytes) -> int:
        ascii_only = piece.isascii()
        core = piece.strip(_MIDDLE + _QUOTES if ascii_only else _MIDDLE)
        if not core:
            code = NOTHING
        elif len(core) < len(piece):
            code = self[core]
        elif ascii_only and len(piece) <= MAXIMUM_TOKEN_LENGTH and piece.isalnum():
            code = self._number(_term(piece.decode("ascii")))
        else:
            code = self._several(piece.decode("utf-8", "surrogatepass"))
        if len(piece) <= _LONGEST_KEPT:
            self[piece] = code
        return code

    def _several(self, piece: str) -> int:
        numbers = [self._number(_term(word)) for word in words(piece)]
        numbers = [number for number in numbers if number != NOTHING]
        if not numbers:
            return NOTHING
        if len(numbers) == 1:
            return numbers[0]
        self._group_terms.extend(numbers)
        self._group_ends.append(len(self._group_terms))
        return _FIRST_GROUP - (len(self._group_ends) - 2)

    def _number(self, term: str | None) -> int:
        if term is None:
            return NOTHING
        number = self._numbers.get(term)
        if number is None:
            number = self._numbers[term] = len(self._hashes)
            self._hashes.append(term_hash(term))
        return number
