"""The registry: every BEIR dataset is a row of `datasets.json`; this module only reads it."""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gtr_beir.errors import UsageError

DEMO = "demo"
NANO = "nano-"
"""What the names of NanoBEIR's datasets begin with."""


@dataclass(frozen=True)
class Judgements:
    """One released state of a dataset's judgements: where from, lines, and lines per grade."""

    source: str
    lines: int
    grades: Mapping[int, int]


@dataclass(frozen=True)
class DatasetSpec:
    """What is known of a dataset before it is there.

    `documents`, `queries` and `judgements` are None or empty for a user's own dataset, whose counts
    nobody knows beforehand; `other_documents` are further counts that are accepted, each with why.
    `short`: a name for a narrow column; `suites`: the sets of datasets that it belongs to;
    `version`: which of several released states this is, "" where there is one; `trained_on`:
    whether GTR was fine-tuned on it: "yes", "perhaps" (its pre-training data holds the same sites),
    or "".
    `parts` names the datasets that this one is the unweighted mean of (CQADupStack's forums);
    `public_parts` says where a gated dataset's topics and qrels lie (url and md5 of each).
    """

    name: str
    title: str
    split: str
    task: str = "user"
    documents: int | None = None
    other_documents: Mapping[str, str] | None = None
    queries: int | None = None
    judgements: tuple[Judgements, ...] = ()
    blank_documents: int | None = None
    has_titles: bool = True
    gated: bool = False
    md5: str | None = None
    zip_url: str | None = None
    zip_bytes: int | None = None
    hub: Mapping[str, str | None] | None = None
    licence: str | None = None
    homepage: str | None = None
    bm25_terms: Mapping[str, int] | None = None
    parts: tuple[str, ...] = ()
    public_parts: Mapping[str, Mapping[str, str]] | None = None
    short: str = ""
    suites: tuple[str, ...] = ()
    version: str = ""
    trained_on: str = ""


def _spec(row: Mapping[str, Any]) -> DatasetSpec:
    judgements = tuple(
        Judgements(entry["source"], entry["lines"], {int(g): n for g, n in entry["grades"].items()})
        for entry in row["judgements"]
    )
    tuples = {name: tuple(row.get(name, ())) for name in ("parts", "suites")}
    return DatasetSpec(**{**row, **tuples, "judgements": judgements})


@functools.cache
def _rows() -> dict[str, DatasetSpec]:
    source = importlib.resources.files("gtr_beir.data").joinpath("datasets.json")
    tables = json.loads(source.read_text(encoding="utf-8"))
    rows = [row for kind in ("datasets", "parts", "nano") for row in tables[kind]]
    return {row["name"]: _spec(row) for row in rows}


def registered(name: str) -> DatasetSpec | None:
    """The registry's row for `name`, a dataset or a CQADupStack forum; None if it has none."""
    return _rows().get(name)


def benchmark_names() -> tuple[str, ...]:
    """The 19 datasets in the order of the GTR paper's table: MS MARCO, then the 18 zero-shot."""
    return tuple(name for name in _rows() if "/" not in name and not name.startswith(NANO))


def nano_names() -> tuple[str, ...]:
    """NanoBEIR's 13 samples: some thousand documents and 50 queries each of these datasets. Never
    averaged with whole ones."""
    return tuple(name for name in _rows() if name.startswith(NANO))


def suites() -> dict[str, tuple[str, ...]]:
    """Suite -> its datasets, as the registry's rows say: a dataset joins no suite by being there.

    all: the 19; zero-shot: the 18 without MS MARCO; public: those of them that can be downloaded;
    unseen: the zero-shot ones without those that GTR was, or may have been, trained on and that the
    average is moved by (NQ and CQADupStack); nano: NanoBEIR's 13 samples; demo: the embedded
    dataset.
    """
    found: dict[str, list[str]] = {}
    for name in (*benchmark_names(), *nano_names()):
        for suite_name in _rows()[name].suites:
            found.setdefault(suite_name, []).append(name)
    return {name: tuple(names) for name, names in found.items()} | {"demo": (DEMO,)}


def suite(name: str) -> tuple[str, ...]:
    """The dataset names of a suite; UsageError if there is no such suite."""
    known = suites()
    if name not in known:
        raise UsageError(f"there is no suite '{name}'; the suites are {', '.join(known)}")
    return known[name]


def closest(name: str, names: tuple[str, ...], *, cutoff: float = 0.6) -> str:
    """`; did you mean 'X'?`, or nothing where no name is near, in whatever case."""
    lowered = {known.lower(): known for known in reversed(names)}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=cutoff)
    return f"; did you mean '{lowered[near[0]]}'?" if near else ""


def gated_sentence(spec: DatasetSpec) -> str:
    return (
        f"{spec.name} cannot be downloaded ({spec.licence}); when you have the original, "
        f"`gtr-beir datasets convert {spec.name} --source DIR` makes the dataset from it, and "
        f"`gtr-beir datasets import PATH --name {spec.name}` imports one in BEIR's layout"
    )
