"""Published numbers as data: `published.csv`, each value with what it is of, and its source.

Sources: `gtr-paper` (arXiv 2112.07899, table 3), `t5x_retrieval-readme` (GTR's Recall@100),
`beir-paper` (Thakur et al. 2021), `anserini` (BM25, reproduction pages), `mteb-results` (public
result files), `colbertv2-paper` (arXiv 2112.01488, tables 4 and 5a).
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

DECIMALS = {
    "gtr-paper": 3,
    "t5x_retrieval-readme": 3,
    "beir-paper": 3,
    "anserini": 4,
    "mteb-results": 5,
    "colbertv2-paper": 3,
}
"""Digits that each source prints (the file drops trailing zeros)."""

TITLES = {
    "gtr-base": "the released GTR-Base",
    "gtr-large": "the released GTR-Large",
    "gtr-xl": "the released GTR-XL",
    "gtr-xxl": "the released GTR-XXL",
    "colbertv1": "ColBERT v1",
    "colbertv2": "ColBERTv2",
    "bm25-lucene-flat": "BM25 over one field",
    "bm25-lucene-multifield": "BM25 over two fields",
    "bm25s-mteb": "mteb's bm25s",
    "all-MiniLM-L6-v2": "the released all-MiniLM-L6-v2",
}
"""What a family is called in a sentence; others are called by their name."""

_TAKEN_FOR = {"colbertv1": "colbertv2"}
"""Families that a reader would hold against another, which they are not."""

FORUMS = 12


@dataclass(frozen=True)
class PublishedValue:
    """One published number, and what it is of; blank fields are what the source does not say.

    decimals: the precision that it was published with; family: the model or algorithm; lengths: the
    protocol ("paper" or "hub"), own_length: the checkpoint's own limit; precision; scoring: "whole"
    corpus or "reranked"; self_matches: "drop" or "keep"; version: of the dataset; tolerance: how
    far an own value may lie from it beside its rounding, where the source itself approximates;
    apart: in words, why nothing can be compared with it.
    """

    source: str
    system: str
    dataset: str
    metric: str
    value: float
    decimals: int
    family: str
    lengths: str
    own_length: int
    precision: str
    scoring: str
    self_matches: str
    version: str
    tolerance: float
    apart: str
    provenance: str

    @property
    def akin(self) -> str:
        """The family that this one could be taken for, "" if none."""
        return _TAKEN_FOR.get(self.family, "")

    def agrees(self, own: float) -> bool:
        """Whether an own value is this one, within its rounding and its tolerance."""
        rounding: float = 0.5 * 10.0**-self.decimals
        return abs(own - self.value) <= rounding + self.tolerance + 1e-9


@functools.cache
def published_values() -> tuple[PublishedValue, ...]:
    """Every published value, in the order of the file, and the means of CQADupStack's forums."""
    source = importlib.resources.files("gtr_beir.published").joinpath("published.csv")
    text = source.read_text(encoding="utf-8")
    values = tuple(_value(row) for row in csv.DictReader(text.splitlines()))
    return (*values, *forum_means(values))


def _value(row: dict[str, str]) -> PublishedValue:
    numbers = {
        "value": float(row["value"]),
        "decimals": DECIMALS[row["source"]],
        "own_length": int(row["own_length"] or 0),
        "tolerance": float(row["tolerance"] or 0),
    }
    return PublishedValue(**{**row, **numbers})  # type: ignore[arg-type]


def forum_means(values: Iterable[PublishedValue]) -> Iterator[PublishedValue]:
    """CQADupStack from a source that publishes its 12 forums only: their unweighted mean."""
    forums: dict[tuple[str, str, str], list[PublishedValue]] = {}
    for value in values:
        if value.dataset.startswith("cqadupstack/"):
            forums.setdefault((value.source, value.system, value.metric), []).append(value)
    for parts in forums.values():
        if len(parts) == FORUMS:
            yield replace(
                parts[0],
                dataset="cqadupstack",
                value=sum(part.value for part in parts) / FORUMS,
                provenance=f"unweighted mean of the {FORUMS} forums; {parts[0].provenance}",
            )
