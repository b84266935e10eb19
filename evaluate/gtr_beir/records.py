"""Record: a score and everything that produced it, as JSON.

A record is written last, after the run file and the per-query file that it names: if it is there,
they are whole. It has a digest of itself and the hash of the run file, and its measures are means
of the per-query file: whoever reads it sees what was changed afterwards.
"""

from __future__ import annotations

import dataclasses
import html
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gtr_beir.digests import fingerprint_of
from gtr_beir.errors import StoreError
from gtr_beir.files import read_json, write_json
from gtr_beir.identity import Identity
from gtr_beir.old_records import identity_of_format_1
from gtr_beir.ranking.measures import MEASURES, Measure

FORMAT = 2
NEEDED = ("ndcg@10", "recall@100")
RECORD = "record.json"
RUN = "run.trec.gz"
PER_QUERY = "queries.csv"

_PACKAGES = (
    "gtr-beir",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "numpy",
    "pytrec-eval-terrier",
)


@dataclass(frozen=True)
class Record:
    """One system on one dataset.

    system: the name in folders and tables; identity: what the scores are of; measures: means in
    [0, 1], unrounded; n_queries: queries that the means run over; parts: the measures of each part
    of a dataset that is a mean of parts, else empty; fingerprints: of the dataset, the system and
    the bytes of the run file (run) and of the per-query file (queries); self_matches: the policy
    and how many queries have a document of their own id; facts: tokens, device, seconds and bytes
    as the system gave them.
    """

    dataset: str
    split: str
    system: str
    identity: Identity
    settings: Mapping[str, Any]
    measures: Mapping[str, float]
    n_queries: int
    n_documents: int
    depth: int
    self_matches: Mapping[str, Any]
    fingerprints: Mapping[str, str]
    parts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    finished: str = ""
    format: int = FORMAT

    @property
    def key(self) -> str:
        """What decides the scores: dataset, system with its settings, depth, self-match policy."""
        return record_key(
            self.fingerprints["dataset"],
            self.fingerprints["system"],
            self.depth,
            str(self.self_matches["policy"]),
        )

    @property
    def lacks(self) -> tuple[str, ...]:
        """Measures that this version of the program computes and the record does not have."""
        return tuple(str(name) for name in MEASURES if str(name) not in self.measures)

    @property
    def signature(self) -> str:
        """One line to print beside a score, in the manner of sacrebleu."""
        settings = self.settings
        parts = [
            f"data:{self.dataset}/{self.split}",
            f"sys:{self.system}",
            *(
                f"{key}:{settings[key]}"
                for key in ("protocol", "dtype", "k1", "b")
                if key in settings
            ),
            f"depth:{self.depth}",
            f"own:{self.self_matches['policy']}",
            f"v:{self.versions.get('gtr-beir', '?')}",
            f"key:{self.key[:8]}",
        ]
        return "|".join(parts)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={self.measures[name]!r}" for name in NEEDED)
        return f"Record({values}, signature={self.signature!r})"

    def _repr_html_(self) -> str:
        """For a notebook: the two measures, with as many decimals as pandas shows there, and the
        signature."""
        import pandas as pd

        values = {Measure.parse(name).title: self.measures[name] for name in NEEDED}
        line = {"system": self.system, "dataset": self.dataset, **values, "queries": self.n_queries}
        return (
            '<div class="tex2jax_ignore mathjax_ignore">'
            + str(pd.DataFrame([line]).to_html(index=False, escape=True, border=0))
            + f"<p><code>{html.escape(self.signature)}</code></p></div>"
        )

    def as_json(self) -> dict[str, Any]:
        """What is written, but for its digest."""
        return {"signature": self.signature, **dataclasses.asdict(self)}

    def write(self, folder: Path) -> None:
        value = self.as_json()
        write_json(folder / RECORD, {**value, "digest": _digest(value)})

    @staticmethod
    def read(folder: Path) -> Record:
        """The record in a folder, of this format or of 0.1's; StoreError if it is not there,
        damaged or of another version."""
        path = folder / RECORD
        value = read_json(path)
        if not isinstance(value, dict) or value.get("format") not in (1, FORMAT):
            raise StoreError(f"{path} was written by another version; run again with --again")
        digest = value.pop("digest", None)
        if digest is not None and digest != _digest(value):
            raise StoreError(f"{path} has changed since it was written; run again with --again")
        value.pop("signature", None)
        try:
            if value["format"] == 1:
                value["identity"] = identity_of_format_1(value)
            else:
                value["identity"] = Identity.of_json(value["identity"])
            record = Record(**value)
            if not record.key or not all(0 <= record.measures[name] <= 1 for name in NEEDED):
                raise ValueError("its measures are not between 0 and 1")
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise StoreError(f"{path} is damaged ({error}); run again with --again") from None
        return record


def _digest(value: Mapping[str, Any]) -> str:
    """Of a record as it is read: JSON knows no tuples and no numbers as names."""
    return fingerprint_of(json.loads(json.dumps(value)))


def record_key(dataset: str, system: str, depth: int, self_matches: str) -> str:
    return fingerprint_of([dataset, system, depth, self_matches])


def read_all(results: Path) -> Iterator[Record]:
    """Every record under a results folder, by system and dataset; forums are not listed apart."""
    if results.is_dir():
        for path in sorted(results.glob(f"*/*/{RECORD}")):
            yield Record.read(path.parent)


def versions() -> dict[str, str]:
    """Versions of this program and of the packages that scores depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
