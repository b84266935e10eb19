"""How much of a dataset's judgements a run speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.data.store import Dataset
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT

TOP = 10


@dataclass(frozen=True)
class Coverage:
    """queries: judged, answered: of them with a document in the run; relevant: documents with a
    grade above 0, ranked: of them in the run, whatever their rank; top: places among the first ten
    that hold a document, judged: of them with any grade."""

    queries: int
    answered: int
    relevant: int
    ranked: int
    top: int
    judged: int

    @staticmethod
    def of(run: Run, dataset: Dataset) -> Coverage:
        qrels = dataset.qrels
        queries = np.unique(qrels.query_rows)
        rows = run.for_queries(dataset.query_ids).doc_rows
        held = rows != NO_DOCUMENT
        in_run = _pairs(np.nonzero(held)[0], rows[held], dataset.n_documents)
        known = qrels.document_rows >= 0
        judged = _pairs(qrels.query_rows, qrels.document_rows, dataset.n_documents)
        relevant = qrels.grades > 0
        first = rows[queries, :TOP]
        places = np.nonzero(first != NO_DOCUMENT)
        top = _pairs(queries[places[0]], first[places], dataset.n_documents)
        return Coverage(
            queries=len(queries),
            answered=int(held[queries].any(axis=1).sum()),
            relevant=int(relevant.sum()),
            ranked=int(np.isin(judged[relevant & known], in_run).sum()),
            top=len(top),
            judged=int(np.isin(top, judged[known]).sum()),
        )

    @property
    def lines(self) -> list[str]:
        """For people, one thing a line."""
        lines = [
            f"the run ranks documents for {self.answered:,} of {self.queries:,} judged queries"
            + ("" if self.answered == self.queries else "; the others score 0"),
            f"and {self.ranked:,} of {self.relevant:,} relevant documents",
        ]
        if self.top:
            lines.append(
                f"of {self.top:,} documents among its first ten {self.judged:,} are judged"
            )
        return lines


def _pairs(
    queries: npt.NDArray[np.integer[Any]], documents: npt.NDArray[np.int32], count: int
) -> npt.NDArray[np.int64]:
    """One number for each query and document."""
    found: npt.NDArray[np.int64] = queries.astype(np.int64) * count + documents
    return found
