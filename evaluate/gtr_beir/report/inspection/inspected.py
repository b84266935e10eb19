"""What an inspection finds, as values: queries, their documents, and how systems ranked them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from gtr_beir.identity import Identity
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.texts.token_counts import TokenCount


@dataclass(frozen=True)
class InspectedSystem:
    """label: A, B, ..., by which the tables name it; depth: documents of a ranking; identity: None
    for a run file that no record belongs to; tokens_unknown: why tokens are not counted, "" where
    they are or where nothing is cut."""

    label: str
    name: str
    depth: int
    identity: Identity | None
    tokens_unknown: str = ""


@dataclass(frozen=True)
class InspectedDocument:
    """A document beside a query. in_corpus: False for one that is judged and not there; grade: None
    if nobody judged it; ranks: from 1, by system, None where it was not found; shared: words of the
    query whose terms it has, by BM25's analyzer; tokens: by system, None where not known; own_id:
    it has the query's id, and is dropped from rankings unless they keep it."""

    id: str
    title: str
    text: str
    in_corpus: bool
    grade: int | None
    ranks: tuple[int | None, ...]
    shared: tuple[str, ...]
    tokens: tuple[TokenCount | None, ...]
    own_id: bool


@dataclass(frozen=True)
class InspectedQuery:
    """values: the measure by system; relevant: judged documents that count as such; found: of these
    within the measure's cut, by system; judged: all of them, best grade first, then those of which
    most was cut; top: the first documents of every ranking, best rank first; own_document: whether
    the corpus has a document of the query's own id."""

    id: str
    text: str
    words: tuple[str, ...]
    values: tuple[float, ...]
    tokens: tuple[TokenCount | None, ...]
    relevant: int
    found: tuple[int, ...]
    judged: tuple[InspectedDocument, ...]
    top: tuple[InspectedDocument, ...]
    own_document: bool


@dataclass(frozen=True)
class Inspected:
    """What `gtr-beir inspect` shows. chosen: how the queries were, in words."""

    dataset: str
    title: str
    measure: Measure
    chosen: str
    systems: tuple[InspectedSystem, ...]
    queries: tuple[InspectedQuery, ...]

    def frame(self) -> pd.DataFrame:
        """A line for each query, document and system, unrounded: dataset, query_id, query, label,
        system, measure, value, document_id, title, grade (missing: unjudged), rank (missing: not
        found), own_id, in_corpus, shared, tokens, limit, cut, unknown (missing: not known)."""
        lines = []
        for query in self.queries:
            documents = {d.id: d for d in (*query.judged, *query.top)}
            for document in documents.values():
                for place, system in enumerate(self.systems):
                    count = document.tokens[place]
                    lines.append(
                        {
                            "dataset": self.dataset,
                            "query_id": query.id,
                            "query": query.text,
                            "label": system.label,
                            "system": system.name,
                            "measure": str(self.measure),
                            "value": query.values[place],
                            "document_id": document.id,
                            "title": document.title,
                            "grade": document.grade,
                            "rank": document.ranks[place],
                            "own_id": document.own_id,
                            "in_corpus": document.in_corpus,
                            "shared": " ".join(document.shared),
                            "tokens": None if count is None else count.tokens,
                            "limit": None if count is None else count.limit,
                            "cut": None if count is None else count.cut,
                            "unknown": None if count is None else " ".join(count.unknown),
                        }
                    )
        frame = pd.DataFrame(lines)
        counts = ["grade", "rank", "tokens", "limit", "cut"]
        return frame.astype(dict.fromkeys(counts, "Int64")) if len(frame) else frame
