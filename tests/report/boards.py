"""Results folders of several systems on several datasets, for boards and pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.report.results import record, write, write_queries

SYSTEMS = ("bm25-flat", "dense-a", "dense-b", "dense-c", "dense-c-again", "rerank")
QUERIES = {"scifact": 40, "own-set": 60}


def six_systems(folder: Path) -> dict[tuple[str, str], np.typing.NDArray[np.float64]]:
    """Six own systems on two datasets, two of them the same; returns their per-query values."""
    values = {}
    for place, (dataset, queries) in enumerate(QUERIES.items()):
        draw = np.random.default_rng(place)
        hard = draw.beta(0.8, 0.8, queries)
        for step, system in enumerate(SYSTEMS):
            if system == "dense-c-again":
                own = values["dense-c", dataset]
            else:
                own = np.clip(hard + draw.normal(0.03 * step, 0.12, queries), 0, 1)
            values[system, dataset] = own
            family = "bm25-lucene-flat" if system == "bm25-flat" else ""
            one = record(system, dataset, float(own.mean()), family=family, weights=system)
            write(folder, one)
            write_queries(folder, system, dataset, own.tolist())
    return values
