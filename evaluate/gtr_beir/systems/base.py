"""What a system is, and how its name becomes one.

A name is looked up in SYSTEMS, whose values are `"module:Class"` strings, so that nothing heavy is
imported before it is used; `colbert:` before a name makes it a ColBERT checkpoint, and every other
name is a dense one (a Hugging Face id, a folder, t5x:, tfhub:).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from gtr_beir.data.store import Dataset
from gtr_beir.encoders.base import Settings
from gtr_beir.errors import UsageError
from gtr_beir.ranking.runs import Run
from gtr_beir.work.blocks import DEFAULT_BLOCK

COLBERT = "gtr_beir.systems.colbert:ColbertSystem"

SYSTEMS = {
    "bm25-flat": "gtr_beir.systems.bm25:Bm25",
    "bm25-multifield": "gtr_beir.systems.bm25:Bm25",
    "colbert": COLBERT,
}
"""Names with a home of their own; the class is called with (name, settings)."""

DENSE = "gtr_beir.systems.dense:DenseSystem"


@dataclass(frozen=True)
class SearchOptions:
    """How a search is carried out; of these only `k`, `self_matches` and `candidates` decide what
    is found.

    work_dir holds finished blocks; candidates: a run whose documents alone are ranked, for systems
    that can (None: the whole corpus); keep_embeddings keeps vectors for later runs; processes: how
    many build an index (None: as many as cores).
    """

    work_dir: Path
    k: int = 1000
    self_matches: Literal["drop", "keep"] = "drop"
    block_documents: int = DEFAULT_BLOCK
    keep_embeddings: bool = True
    processes: int | None = None
    candidates: Run | None = None
    quiet: bool = True


@dataclass(frozen=True)
class Found:
    """What a search gives: the run, and facts for the record (tokens, seconds, bytes, device)."""

    run: Run
    facts: Mapping[str, Any] = field(default_factory=dict)


class System(Protocol):
    """A retrieval system.

    name: for folders and tables; settings: what was chosen or defaulted, JSON; fingerprint:
    SHA-256 of everything that decides its scores (weights, tokenizer, settings).
    """

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def fingerprint(self) -> str: ...

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Rank every document of the corpus for every query, exactly, to depth options.k."""
        ...


def load_system(name: str, settings: Settings | None = None, **choices: Any) -> System:
    """The system that `name` stands for: a key of SYSTEMS, a Hugging Face id, or a folder.

    `choices` are fields of Settings. Raises UsageError for a name or an option that cannot be used
    and CheckpointError for a checkpoint that is not what it should be.
    """
    if settings is None:
        try:
            settings = Settings(**choices)
        except TypeError as error:
            raise UsageError(f"{error}; the choices are {', '.join(_choices())}") from None
    require_settings(settings)
    home = COLBERT if name.startswith("colbert:") else SYSTEMS.get(name, DENSE)
    module, _, class_name = home.partition(":")
    system: System = getattr(importlib.import_module(module), class_name)(name, settings)
    return system


def require_settings(settings: Settings) -> None:
    """UsageError for a protocol or a precision that there is not."""
    if settings.protocol not in ("paper", "hub"):
        raise UsageError(f"there is no protocol '{settings.protocol}'; choose 'paper' or 'hub'")
    if settings.dtype == "fp16":
        raise UsageError("fp16 is refused, T5 overflows in it; choose 'fp32' or 'bf16'")
    if settings.dtype not in (None, "fp32", "bf16"):
        raise UsageError(f"there is no dtype '{settings.dtype}'; choose 'fp32' or 'bf16'")


def refuse_candidates(name: str, candidates: object) -> None:
    """UsageError if a system that always searches the whole corpus is given candidates."""
    if candidates is not None:
        raise UsageError(f"--rerank is for colbert; {name} searches the whole corpus")


def _choices() -> list[str]:
    return list(Settings.__dataclass_fields__)
