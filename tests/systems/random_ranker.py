"""A system of somebody's own: one class with its options, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gtr_beir.data.store import Dataset
from gtr_beir.digests import fingerprint_of
from gtr_beir.errors import UsageError
from gtr_beir.identity import Identity, Model
from gtr_beir.ranking.runs import Run
from gtr_beir.systems.base import Found, SearchOptions
from gtr_beir.systems.options import Options, option


@dataclass(frozen=True)
class RandomOptions(Options):
    """What can be chosen about a random order."""

    seed: int = option(0, "of the random order", parse=int, metavar="N", least=0, decides=True)
    loud: bool = option(False, "say what is done", parse=bool)


class RandomRanker:
    """Ranks documents in a random order, the same for every query."""

    title = "random order"
    options_type = RandomOptions
    reranks = False

    def __init__(self, name: str, options: RandomOptions):
        if options.seed == 13:
            raise UsageError(f"{name} has no luck with --seed 13; give another")
        self._seed = options.seed
        self.identity = Identity(Model(name), options=options.marks())
        self.settings: Mapping[str, Any] = {"seed": options.seed}
        self.fingerprint = fingerprint_of([name, self.settings])

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        order = np.random.default_rng(self._seed).permutation(dataset.n_documents)
        rows = np.tile(order[: options.k].astype(np.int32), (len(dataset.query_ids), 1))
        return Found(
            Run(
                dataset.query_ids,
                rows,
                -np.arange(rows.shape[1], dtype=np.float32)[None].repeat(len(rows), 0),
            )
        )
