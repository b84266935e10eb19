"""Length protocols as a table: how many tokens a text may have, by protocol, dataset and kind.

paper       GTR paper, section 4.2: 64 for queries, 512 for documents, but for three datasets
hub         the checkpoint's own `max_seq_length` for both, which is what MTEB ran
checkpoint  the checkpoint's own lengths, which may differ for queries and documents (ColBERT)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["query", "document"]
"""What a text is."""

_USUAL: Mapping[Kind, int] = {"query": 64, "document": 512}
_PAPER: Mapping[tuple[str, Kind], int] = {
    ("trec-news", "document"): 768,
    ("robust04", "document"): 768,
    ("arguana", "query"): 512,
}
"""Where the paper's limits differ from the usual ones."""

OWN = ("hub", "checkpoint")
"""Protocols that take the checkpoint's own lengths."""


@dataclass(frozen=True)
class Lengths:
    """A protocol for one checkpoint.

    query, document: the checkpoint's own limits in tokens (0: not known); most: the longest input
    that its position embeddings allow, None where there is no limit.
    """

    protocol: str
    query: int = 0
    document: int = 0
    most: int | None = None

    def limit(self, dataset: str, kind: Kind) -> int:
        """Tokens that a query or a document of `dataset` may have."""
        own = self.query if kind == "query" else self.document
        wanted = own if self.protocol in OWN else paper_limit(dataset, kind)
        return wanted if self.most is None else min(wanted, self.most)

    def limits(self, dataset: str) -> dict[Kind, int]:
        """Both limits for `dataset`."""
        return {"query": self.limit(dataset, "query"), "document": self.limit(dataset, "document")}


def paper_limit(dataset: str, kind: Kind) -> int:
    """Tokens of the GTR paper; a dataset that is not in it gets the usual ones, and NanoBEIR's
    samples those of the whole."""
    return _PAPER.get((dataset.removeprefix("nano-"), kind), _USUAL[kind])
