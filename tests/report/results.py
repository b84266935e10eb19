"""Results made by hand: records, and per-query values beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gtr_beir.identity import Identity, Model
from gtr_beir.lengths import Lengths
from gtr_beir.ranking.measures import MEASURES
from gtr_beir.records import PER_QUERY, RECORD, Record


def record(
    system: str,
    dataset: str,
    ndcg: float,
    *,
    protocol: str = "paper",
    family: str = "",
    version: str = "",
    fingerprint: str = "a",
    weights: str = "w",
) -> Record:
    """A record in which every measure but NDCG@10 is 0.5."""
    return Record(
        dataset=dataset,
        split="test",
        system=system,
        identity=Identity(
            Model(system, weights=weights, family=family),
            lengths=Lengths(protocol, 512, 512),
            precision="fp32",
            self_matches="none",
            dataset=dataset,
            version=version,
        ),
        settings={"protocol": protocol},
        measures={**dict.fromkeys(map(str, MEASURES), 0.5), "ndcg@10": ndcg},
        n_queries=10,
        n_documents=20,
        depth=1000,
        self_matches={"policy": "drop", "queries": 0},
        fingerprints={"dataset": fingerprint, "system": "b", "run": "c"},
    )


def write(results: Path, *records: Record) -> Path:
    for one in records:
        one.write(results / one.system / one.dataset)
    return results


def write_queries(
    results: Path, system: str, dataset: str, values: Sequence[float]
) -> Record | None:
    """A per-query file with these values of NDCG@10 and Recall@100, whose means the record has;
    returns the record, if there is one."""
    lines = [
        f"q{place},{value!r},{value!r}" for place, value in enumerate(np.asarray(values).tolist())
    ]
    text = "\n".join(["query_id,ndcg@10,recall@100", *lines, ""])
    folder = results / system / dataset
    (folder / PER_QUERY).write_text(text)
    if not (folder / RECORD).is_file():
        return None
    one, mean = Record.read(folder), float(np.mean(values))
    measures = {**one.measures, "ndcg@10": mean, "recall@100": mean}
    replace(one, n_queries=len(lines), measures=measures).write(folder)
    return Record.read(folder)


def edit(path: Path, old: str, new: str) -> None:
    """Change a record as its writer would: it has no digest then, as those of earlier versions."""
    value = json.loads(path.read_text().replace(old, new))
    del value["digest"]
    path.write_text(json.dumps(value))
