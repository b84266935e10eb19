"""MTEB's retrieval tasks: a row of `published/mteb_tasks.csv` each, and the dataset's registry row.

BioASQ, Signal-1M, TREC-News and Robust04 have no task. `Touche2020Retrieval.v3` is another one than
the row's, on other judgements.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass

from gtr_beir.data.registry import registered

MAIN = "ndcg@10"
"""The measure that is the main score of each of these tasks."""
CQADUPSTACK = "cqadupstack"
"""The dataset whose task is the mean of others."""
_REVISION_OF_A_MEAN = "1"


@dataclass(frozen=True)
class MtebTask:
    """One task, and what its scores are of.

    dataset: its name here; name: MTEB's; path, revision: where its dataset lies on the Hugging Face
    hub ("" and "1" for the mean of CQADupStack's forums, which has none); split: the judgements
    that count; self_matches: whether documents with the query's own id are dropped or kept;
    version: which state of the dataset, "" where there is one.
    """

    dataset: str
    name: str
    path: str
    revision: str
    split: str
    self_matches: str
    version: str


@functools.cache
def mteb_tasks() -> Mapping[str, MtebTask]:
    """Every task by its dataset's name here, in the order of the file."""
    source = importlib.resources.files("gtr_beir.published").joinpath("mteb_tasks.csv")
    rows = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    return {row["dataset"]: _task(**row) for row in rows}


def _task(dataset: str, name: str, self_matches: str) -> MtebTask:
    spec = registered(dataset)
    if spec is None:
        raise KeyError(dataset)
    hub = spec.hub or {}
    return MtebTask(
        dataset=dataset,
        name=name,
        path=hub.get("mteb") or "",
        revision=hub.get("mteb_revision") or _REVISION_OF_A_MEAN,
        split=spec.split,
        self_matches=self_matches,
        version=spec.version,
    )
