"""Published numbers as data: `published.csv`, each value with its source and provenance.

Sources: `gtr-paper` (arXiv 2112.07899, table 3), `t5x_retrieval-readme` (GTR's Recall@100),
`beir-paper` (Thakur et al. 2021), `anserini` (BM25, reproduction pages), `mteb-results` (runs under
the 512-token protocol).
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass

DECIMALS = {
    "gtr-paper": 3,
    "t5x_retrieval-readme": 3,
    "beir-paper": 3,
    "anserini": 4,
    "mteb-results": 5,
}
"""Digits that each source prints (the file drops trailing zeros)."""

FORUMS = 12


@dataclass(frozen=True)
class PublishedValue:
    """One published number; `decimals` is the precision that it was published with."""

    source: str
    system: str
    dataset: str
    metric: str
    value: float
    decimals: int
    provenance: str


@functools.cache
def published_values() -> tuple[PublishedValue, ...]:
    """Every published value, in the order of the file, and the means of CQADupStack's forums."""
    source = importlib.resources.files("gtr_beir.published").joinpath("published.csv")
    text = source.read_text(encoding="utf-8")
    values = tuple(
        PublishedValue(
            source=row["source"],
            system=row["system"],
            dataset=row["dataset"],
            metric=row["metric"],
            value=float(row["value"]),
            decimals=DECIMALS[row["source"]],
            provenance=row["provenance"],
        )
        for row in csv.DictReader(text.splitlines())
    )
    return (*values, *_forum_means(values))


def _forum_means(values: tuple[PublishedValue, ...]) -> Iterator[PublishedValue]:
    """CQADupStack from a source that publishes its 12 forums only: their unweighted mean."""
    forums: dict[tuple[str, str, str], list[PublishedValue]] = {}
    for value in values:
        if value.dataset.startswith("cqadupstack/"):
            forums.setdefault((value.source, value.system, value.metric), []).append(value)
    for (source, system, metric), parts in forums.items():
        if len(parts) == FORUMS:
            yield PublishedValue(
                source,
                system,
                "cqadupstack",
                metric,
                sum(part.value for part in parts) / FORUMS,
                parts[0].decimals,
                f"unweighted mean of the {FORUMS} forums; {parts[0].provenance}",
            )
