"""What another order of equal scores can make of a measure.

Engines break ties by rules of their own: trec_eval by descending id, Anserini by ascending. A value
that somebody else published is the same ranking's if some order of its ties gives it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gtr_beir.data.store import Dataset
from gtr_beir.ranking.measures import Measure, mean, per_query
from gtr_beir.ranking.runs import Run


def tie_bounds(
    run: Run, dataset: Dataset, measures: Sequence[Measure]
) -> dict[str, tuple[float, float]]:
    """The lowest and the highest mean of each measure over all orders of equal scores, by its str.

    In one order of a query relevant documents stand last among their equals, the lowest grade
    first, in the other first, the highest grade first. Equals that were cut off at the run's depth
    are not seen.
    """
    grades: list[dict[int, int]] = [{} for _ in dataset.query_ids]
    qrels = dataset.qrels
    for query, row, grade in zip(
        *(c.tolist() for c in (qrels.query_rows, qrels.document_rows, qrels.grades)), strict=True
    ):
        if grade > 0:
            grades[query][row] = grade
    of_query = dict(zip(dataset.query_ids, grades, strict=True))
    ends = []
    for sign in (1, -1):
        rows = run.doc_rows.copy()
        for place, identifier in enumerate(run.query_ids):
            scores = run.scores[place]
            group = np.concatenate(([0], np.cumsum(scores[1:] != scores[:-1])))
            known = of_query.get(identifier, {})
            if not known or group[-1] == len(group) - 1:
                continue
            gains = np.array([known.get(row, 0) for row in rows[place].tolist()])
            rows[place] = rows[place][np.lexsort((sign * gains, group))]
        ends.append(mean(per_query(Run(run.query_ids, rows, run.scores), dataset, measures)))
    return {str(m): (ends[0][str(m)], ends[1][str(m)]) for m in measures}
