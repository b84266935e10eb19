"""What a system is, and how its name becomes one.

A name is looked up in SYSTEMS, whose values are `"module:Class"` strings, so that nothing heavy is
imported before it is used; `colbert:` before a name makes it a ColBERT checkpoint, and every other
name is a dense one (a Hugging Face id, a folder, t5x:, tfhub:). The modules named there are light:
what a search needs is imported when it begins.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from gtr_beir.checkpoints.layout import RELEASED
from gtr_beir.data.registry import closest
from gtr_beir.errors import UsageError
from gtr_beir.identity import USUAL_DEPTH, Identity
from gtr_beir.systems.options import Options, choices, flag

if TYPE_CHECKING:
    from gtr_beir.data.store import Dataset
    from gtr_beir.ranking.runs import Run
    from gtr_beir.work.executors.base import Executor

COLBERT = "gtr_beir.systems.colbert:ColbertSystem"
BM25 = "gtr_beir.systems.bm25:Bm25"
DENSE = "gtr_beir.systems.dense:DenseSystem"
GIVEN = "gtr_beir.systems.given:GivenSystem"

SYSTEMS = {"bm25-flat": BM25, "bm25-multifield": BM25, "colbert": COLBERT}
"""Names with a home of their own; the class is called with (name, options)."""

_PREFIXES = {"colbert:": COLBERT}
_ONE_WORD = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of a search: the blocks number, number + count, ..., from 0."""

    number: int
    count: int

    @staticmethod
    def parse(text: str) -> Shard:
        """`2/8`; UsageError for anything else."""
        number, slash, count = text.partition("/")
        if not slash or not number.isdecimal() or not count.isdecimal():
            raise UsageError(f"--shard {text} is not possible; give i/n, such as 0/8")
        shard = Shard(int(number), int(count))
        if shard.number >= shard.count:
            raise UsageError(
                f"--shard {text} is not possible; shards are counted from 0, so that the last of "
                f"{max(shard.count, 1)} is {max(shard.count, 1) - 1}/{max(shard.count, 1)}"
            )
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class ShardDone:
    """What a shard has: so many blocks, of which so many were done now."""

    blocks: int
    done: int


@dataclass(frozen=True)
class SearchOptions:
    """How a search is carried out; of these only `k`, `self_matches` and `rerank` decide what is
    found.

    work_dir holds finished blocks; k: documents kept of a query; block_documents: in a block (None:
    as usual); rerank: a run whose documents alone are ranked, for systems that can (None: the whole
    corpus); executor: who does it (None: the devices of this machine that the system names); shown:
    the name that progress has for it ("": the system's own); again: blocks of other settings, whose
    record is about to be replaced, are removed when all is found.
    """

    work_dir: Path
    k: int = USUAL_DEPTH
    self_matches: Literal["drop", "keep"] = "drop"
    block_documents: int | None = None
    rerank: Run | None = None
    executor: Executor | None = None
    shown: str = ""
    again: bool = False
    quiet: bool = True


@dataclass(frozen=True)
class Found:
    """What a search gives: the run, and facts for the record (tokens, seconds, bytes, device)."""

    run: Run
    facts: Mapping[str, Any] = field(default_factory=dict)


class System(Protocol):
    """A retrieval system.

    title: what kind it is, in the help of the command line; options_type: what can be chosen about
    it; reranks: whether it can rank the documents of another run alone; identity: what its scores
    are of; settings: what was chosen or defaulted, JSON; fingerprint: SHA-256 of everything that
    decides its scores (weights, tokenizer, settings).
    """

    title: ClassVar[str]
    options_type: ClassVar[type[Options]]
    reranks: ClassVar[bool]

    @property
    def identity(self) -> Identity: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def fingerprint(self) -> str: ...

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Rank every document of the corpus for every query, exactly, to depth options.k."""
        ...


@runtime_checkable
class SharesWork(Protocol):
    """A system whose search can be done in shards, on several machines with one folder."""

    def do_shard(self, dataset: Dataset, options: SearchOptions, shard: Shard) -> ShardDone:
        """Do and keep the blocks of a shard; a later `search` finds them."""
        ...


def load_system(
    asked: str | Path | object, /, options: Options | None = None, **choices: Any
) -> System:
    """The system that a name stands for: a key of SYSTEMS, a Hugging Face id, or a folder; or a
    system around an object with `encode`, such as a SentenceTransformer.

    `choices` are the system's options by name, if `options` are not given; of an object they are
    its `name`, for folders and tables, and `weights`, a word for the state that it is in. Raises
    UsageError for a name or an option that cannot be used and CheckpointError for a checkpoint that
    is not what it should be.
    """
    if not isinstance(asked, str | Path):
        return _given(asked, options, choices)
    name = str(asked)
    home = system_class(name)
    if options is None:
        options = make_options(name, choices)
    elif choices or not isinstance(options, home.options_type):
        raise UsageError(
            f"{name} takes options as {home.options_type.__name__} or by name, not "
            f"{type(options).__name__}{' and names as well' if choices else ''}"
        )
    system: System = home(name, options)
    return system


def _given(model: object, options: Options | None, choices: Mapping[str, Any]) -> System:
    unknown = choices.keys() - {"name", "weights"}
    if options is not None or unknown:
        what = ", ".join(sorted(unknown)) or "options"
        raise UsageError(f"an encoder given as an object has no {what}; it has name and weights")
    system: System = _imported(GIVEN)(model, **choices)
    return system


def make_options(name: str, given: Mapping[str, Any]) -> Options:
    """The options of the system that `name` stands for; UsageError for one that it does not have,
    which says whose it is."""
    home = system_class(name)
    kind: type[Options] = home.options_type
    try:
        return kind.of(name, given)
    except UsageError as error:
        whose = belonging(given.keys() - choices(kind).keys())
        if not whose:
            raise
        raise UsageError(f"{error} ({whose})") from None


def owners(options: Iterable[str]) -> dict[str, str]:
    """Option -> the title of the first kind of system that has it; what none has is left out."""
    found: dict[str, str] = {}
    for home in system_classes():
        had = choices(home.options_type)
        found |= {name: home.title for name in options if name in had and name not in found}
    return found


def belonging(options: Iterable[str]) -> str:
    """`--k1 belongs to BM25`, for each that some kind of system has."""
    return ", ".join(f"{flag(o)} belongs to {owner}" for o, owner in owners(options).items())


def system_class(name: str) -> Any:
    """The class that a name stands for; called with (name, options) it gives a System. UsageError
    for a name that is nearly that of a system."""
    home = next((h for prefix, h in _PREFIXES.items() if name.startswith(prefix)), None)
    if home is None and name not in SYSTEMS:
        _refuse_nearly(name)
    return _imported(home or SYSTEMS.get(name, DENSE))


def _refuse_nearly(name: str) -> None:
    """Before anybody asks the hub for it: what lies there under one word has other names."""
    if name in RELEASED or not _ONE_WORD.fullmatch(name) or Path(name).is_dir():
        return
    known = (*RELEASED, *SYSTEMS)
    begun = [other for other in known if len(name) > 2 and other.startswith(name.lower())]
    near = f"; did you mean '{begun[0]}'?" if begun else closest(name, known, cutoff=0.85)
    if near:
        raise UsageError(f"there is no system and no folder '{name}'{near}")


def system_classes() -> list[Any]:
    """Every class of systems, once each: dense encoders, then those with names of their own."""
    return [_imported(home) for home in dict.fromkeys([DENSE, *SYSTEMS.values()])]


def _imported(home: str) -> Any:
    module, _, class_name = home.partition(":")
    return getattr(importlib.import_module(module), class_name)
