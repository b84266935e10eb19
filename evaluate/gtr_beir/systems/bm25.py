"""BM25 as Lucene computes it for Anserini's BEIR baselines: `bm25-flat` and `bm25-multifield`.

flat: title, newline and text in one field; multifield: text and title as two fields whose scores
are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gtr_beir.digests import fingerprint_of
from gtr_beir.errors import UsageError
from gtr_beir.identity import Identity, Model
from gtr_beir.systems.base import Found, SearchOptions
from gtr_beir.systems.options import Options, option

if TYPE_CHECKING:
    from gtr_beir.data.store import Dataset


def _field_weights(text: str) -> dict[str, float]:
    """`contents=1.0,title=0.5` -> field: weight"""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        raise UsageError(
            f"--field-weights '{text}' is not of the form contents=1.0,title=0.5"
        ) from None


def _equal(weights: Mapping[str, float]) -> bool:
    return all(weight == 1.0 for weight in weights.values())


@dataclass(frozen=True)
class Bm25Options(Options):
    """What can be chosen about BM25."""

    k1: float = option(
        0.9,
        "BM25's k1: how soon repeated terms stop counting (default: 0.9)",
        parse=float,
        metavar="X",
        decides=True,
    )
    b: float = option(
        0.4,
        "BM25's b: how much a document's length counts (default: 0.4)",
        parse=float,
        metavar="X",
        decides=True,
    )
    field_weights: Mapping[str, float] | None = option(
        None,
        "weights of the fields of bm25-multifield (default: 1 each)",
        parse=_field_weights,
        metavar="contents=1,title=1",
        decides=True,
        shown=lambda weights: ",".join(f"{name}={value:g}" for name, value in weights.items()),
    )
    processes: int | None = option(
        None,
        "number of processes that build an index, and of threads that search it with numba "
        "(default: one for each core)",
        parse=int,
        metavar="N",
        least=1,
    )
    index_dir: str | None = option(
        None,
        "folder where indexes are kept (default: beside the dataset, or, where that cannot be "
        "written to, with the result)",
        metavar="FOLDER",
    )


class Bm25:
    """A BM25 baseline; `name` is bm25-flat or bm25-multifield."""

    title: ClassVar[str] = "BM25"
    options_type: ClassVar[type[Bm25Options]] = Bm25Options
    reranks: ClassVar[bool] = False

    def __init__(self, name: str, options: Bm25Options):
        from gtr_beir.systems.bm25_index import FIELDS
        from gtr_beir.systems.lucene.analysis import ANALYZER_VERSION
        from gtr_beir.systems.lucene.scoring import Parameters
        from gtr_beir.systems.lucene.search import MAXIMUM_WEIGHT

        self._mode = name.removeprefix("bm25-")
        self._processes = options.processes
        self._index_dir = None if options.index_dir is None else Path(options.index_dir)
        weights = dict.fromkeys(FIELDS[self._mode], 1.0)
        unknown = (options.field_weights or {}).keys() - weights.keys()
        if unknown:
            raise UsageError(
                f"{name} has no field {', '.join(sorted(unknown))}; it has {', '.join(weights)}"
            )
        weights |= options.field_weights or {}
        if not all(0 < weight < MAXIMUM_WEIGHT for weight in weights.values()):
            raise UsageError(
                f"the weights of {name}'s fields must be above 0 and below {MAXIMUM_WEIGHT:g}"
            )
        try:
            self._parameters = Parameters(
                k1=options.k1,
                b=options.b,
            )
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
        self._weights = weights
        self.identity = Identity(
            Model(name, family=f"bm25-lucene-{self._mode}"),
            options=options.marks(as_usual={"field_weights"} if _equal(weights) else set()),
        )
        self.settings: Mapping[str, Any] = {
            "k1": self._parameters.k1,
            "b": self._parameters.b,
            "fields": weights,
            "analyzer": ANALYZER_VERSION,
        }
        # Before 0.2 the sums of weighted fields were not rounded.
        rounding = () if _equal(weights) else ("each field rounded",)
        self.fingerprint = fingerprint_of([name, self.settings, *rounding])

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Build what is missing of the index, then score all queries against every segment."""
        from gtr_beir.systems.bm25_index import search_index

        return search_index(
            dataset,
            options,
            mode=self._mode,
            name=self.identity.name,
            parameters=self._parameters,
            weights=self._weights,
            processes=self._processes,
            index_dir=self._index_dir,
        )
