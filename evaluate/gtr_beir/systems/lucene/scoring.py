"""BM25 as Lucene computes it: pure functions, each with its formula.

Single precision stands wherever Lucene has a Java float, because rankings of near ties depend on
it. Source of all formulas: org.apache.lucene.search.similarities.BM25Similarity of Lucene 9, after
Robertson et al., "Okapi at TREC-3", 1994.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gtr_beir.systems.lucene.segment import Segment
from gtr_beir.systems.lucene.smallfloat import DECODED_LENGTHS


@dataclass(frozen=True)
class Parameters:
    """k1, how soon repeated terms stop to count; b, how much the length counts (0 to 1).

    The defaults are Anserini's; Lucene's own are 1.2 and 0.75.
    """

    k1: float = 0.9
    b: float = 0.4

    def __post_init__(self) -> None:
        if not (0 <= self.k1 < np.inf and 0 <= self.b <= 1):
            raise ValueError(f"k1 must be 0 or more, b in [0, 1]; not {self.k1} and {self.b}")


@dataclass(frozen=True)
class FieldStatistics:
    """One field over the whole corpus: documents with at least one term; terms in all."""

    documents: int
    terms: int

    @property
    def average_length(self) -> np.float32:
        """terms / documents, divided in float64, then float32; 0 for a field without terms."""
        return np.float32(self.terms / self.documents if self.documents else 0.0)


def field_statistics(segments: Iterable[Segment]) -> FieldStatistics:
    """Sums over the segments of one field."""
    documents = terms = 0
    for segment in segments:
        documents += int(segment.totals[0])
        terms += int(segment.totals[1])
    return FieldStatistics(documents, terms)


def term_statistics(
    segments: Iterable[Segment], hashes: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int64]:
    """int64[H]: in how many documents of one field each term occurs, summed over its segments."""
    frequencies = np.zeros(len(hashes), dtype=np.int64)
    for segment in segments:
        places = segment.find(hashes)
        held = np.flatnonzero(places >= 0)
        frequencies[held] += segment.sizes(places[held])
    return frequencies


def inverse_document_frequency(
    document_frequencies: npt.NDArray[np.int64], documents: int
) -> npt.NDArray[np.float32]:
    """float32[T]: ln(1 + (N - df + 0.5) / (df + 0.5)), computed in float64 (`idfExplain`)."""
    df = document_frequencies.astype(np.float64)
    idf: npt.NDArray[np.float64] = np.log(1 + (documents - df + 0.5) / (df + 0.5))
    return idf.astype(np.float32)


def norm_inverses(parameters: Parameters, average_length: np.float32) -> npt.NDArray[np.float32]:
    """float32[256]: 1 / (k1 * ((1 - b) + b * length / average)) for each norm byte (`scorer`)."""
    k1, b, one = np.float32(parameters.k1), np.float32(parameters.b), np.float32(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = b * DECODED_LENGTHS.astype(np.float32) / average_length
        inverses: npt.NDArray[np.float32] = one / (k1 * ((one - b) + shares))
    return inverses


def clause_weights(
    counts: npt.NDArray[np.int32], inverse_frequencies: npt.NDArray[np.float32], field_weight: float
) -> npt.NDArray[np.float32]:
    """float32[C]: field weight * how often the query has the term * its idf."""
    boosts = counts.astype(np.float32) * np.float32(field_weight)
    boosts *= inverse_frequencies
    return boosts


def term_scores(
    weights: npt.NDArray[np.float32],
    frequencies: npt.NDArray[np.float32],
    inverses: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """float32[p]: w - w / (1 + tf * inverse), every step in single precision (`BM25Scorer.score`).

    A document's score is the float64 sum of these over terms and fields, rounded to float32; the
    sum of a field with a weight other than 1 is rounded first.
    """
    scores = frequencies * inverses
    scores += np.float32(1)
    np.divide(weights, scores, out=scores)
    np.subtract(weights, scores, out=scores)
    return scores
