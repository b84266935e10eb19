"""Converters: licensed originals of BEIR's four gated datasets to documents, queries, judgements.

Nothing licensed is fetched. A user who has an original points to it, and the converter reads it as
it was delivered. `CONVERTERS` names the function that gives a dataset's documents; the module it
lives in has `queries` and `judgements` beside it and says where each rule comes from.

    found = Tally()
    robust04 = converter("robust04")
    judged = robust04.judgements(Path("qrels.robust2004.txt"))
    queries = robust04.queries(Path("04.testset.gz"), judged={j.query_id for j in judged})
    for document in robust04.documents(Path("disks45"), tally=found): ...
    differences("robust04", found)     # ["2,294 files where robust04 has 2,295", ...]
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.registry import closest, registered
from gtr_beir.errors import UsageError

CONVERTERS: dict[str, str] = {
    "robust04": "gtr_beir.data.converters.robust04:documents",
    "trec-news": "gtr_beir.data.converters.trec_news:documents",
    "bioasq": "gtr_beir.data.converters.bioasq:documents",
    "signal1m": "gtr_beir.data.converters.signal1m:documents",
}
"""Dataset name -> "module:function" that yields its documents."""

Tally = Counter[str]
"""What a conversion met, under plain names: "files", "documents", "tweets left empty"."""


class Converter(Protocol):
    """What a converter's module offers."""

    EXPECTED: Mapping[str, int]
    """Counts of the original beyond those of the registry, by the names of the tally."""

    def documents(self, source: Path, *, tally: Tally | None = None) -> Iterator[Document]:
        """The documents of the original in its own order, as a stream.

        `tally` is filled on the way. Raises InputError with file and line for a malformed record,
        UsageError where `source` does not hold the original or a package is missing.
        """

    def queries(
        self, topics: Path, *, source: Path | None = None, judged: Collection[str] | None = None
    ) -> dict[str, str]:
        """Query id -> text, in file order; only those in `judged`, where that is given.

        `topics` is the public original or the two-column form of `trec_forms`; `source` is read
        only where the text of a query lies in the corpus.
        """

    def judgements(self, qrels: Path, *, tally: Tally | None = None) -> list[Judgement]:
        """The judgements as BEIR grades them, from the public original or a TREC qrels file."""


def converter(name: str) -> Converter:
    """The module that converts `name`; UsageError where there is none."""
    if name not in CONVERTERS:
        raise UsageError(
            f"there is no converter for '{name}'; the datasets that are converted from originals "
            f"are {', '.join(CONVERTERS)}{closest(name, tuple(CONVERTERS))}"
        )
    module = CONVERTERS[name].partition(":")[0]
    return cast(Converter, importlib.import_module(module))


def expected(name: str) -> dict[str, int]:
    """The counts that a whole original gives, by the names of the tally."""
    counts = dict(converter(name).EXPECTED)
    spec = registered(name)
    if spec is not None and spec.documents is not None:
        counts["documents"] = spec.documents
    return counts


def differences(name: str, tally: Mapping[str, int]) -> list[str]:
    """Each count that is not the expected one, as "2,294 files where robust04 has 2,295".

    Empty where the number of documents is right: what they were put together from is told only to
    find out what is missing, and for bioasq it is known roughly.
    """
    counts = expected(name)
    if "documents" in counts and tally.get("documents", 0) == counts["documents"]:
        return []
    return [
        f"{tally.get(what, 0):,} {what} where {name} has {count:,}"
        for what, count in counts.items()
        if tally.get(what, 0) != count
    ]
