"""What a number is of: model, lengths, precision, scoring, dataset version, own-id policy.

Names for people are derived from an Identity; nothing is ever parsed back out of a name. An own
value is compared with a published one only where `why_not_compared` has nothing to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gtr_beir.lengths import Lengths
from gtr_beir.published import TITLES, PublishedValue

USUAL_DEPTH = 1000
"""Documents that are kept of a query."""
_USUAL_LENGTHS = ("paper", "checkpoint")
_USUAL_PRECISION = ("", "fp32")


@dataclass(frozen=True)
class Model:
    """What ranked.

    name: what people call it; hub, commit: where it is on the Hugging Face hub, None elsewhere;
    weights: SHA-256 over weights, tokenizer and configuration, None where there are none;
    family: the published model that these very weights (or this very algorithm) are, as in
    `published.csv`, "" if none; akin: the family that it could be taken for, and why_not: in words,
    why it is not counted as that.
    """

    name: str
    hub: str | None = None
    commit: str | None = None
    weights: str | None = None
    family: str = ""
    akin: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class Scoring:
    """Which documents were scored: the whole corpus, or the first `depth` of a run (its name and
    the SHA-256 of its file)."""

    reranked: str = ""
    depth: int = 0
    sha256: str = ""

    def __str__(self) -> str:
        if not self.reranked:
            return "whole corpus"
        return f"reranked the first {self.depth:,} of {self.reranked}"


WHOLE_CORPUS = Scoring()


@dataclass(frozen=True)
class Identity:
    """Everything that a score depends on, as values.

    lengths: None where texts are not cut; precision: "" where there is no encoder; options: what
    differs from the system's defaults, name -> how it is shown; depth: documents kept of a query;
    self_matches: "drop", "keep", or "none" where no query has a document of its own id; dataset:
    its name; version: which state of it, "" for the one that BEIR released.
    """

    model: Model
    lengths: Lengths | None = None
    precision: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    scoring: Scoring = WHOLE_CORPUS
    depth: int = USUAL_DEPTH
    self_matches: str = "drop"
    dataset: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        """For folders and tables: the model, and what is not as usual."""
        parts = [self.model.name.replace("/", "--")]
        if self.lengths is not None and self.lengths.protocol not in _USUAL_LENGTHS:
            parts.append(self.lengths.protocol)
        parts += self.options.values()
        if self.precision not in _USUAL_PRECISION:
            parts.append(self.precision)
        if self.scoring.reranked:
            parts.append(f"rerank-{self.scoring.depth}-{self.scoring.reranked}")
        return "@".join(parts)

    def on(
        self, dataset: str, *, version: str, scoring: Scoring, depth: int, self_matches: str
    ) -> Identity:
        """Of a run of this system on a dataset."""
        return replace(
            self,
            dataset=dataset,
            version=version,
            scoring=scoring,
            depth=depth,
            self_matches=self_matches,
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of_json(value: Mapping[str, Any]) -> Identity:
        """What `as_json` gave; TypeError or KeyError for anything else."""
        lengths = value["lengths"]
        if not isinstance(value["options"], dict) or not isinstance(value["depth"], int):
            raise TypeError("its identity is damaged")
        return Identity(
            **{
                **value,
                "model": Model(**value["model"]),
                "lengths": None if lengths is None else Lengths(**lengths),
                "scoring": Scoring(**value["scoring"]),
            }
        )


def related(own: Identity, shown_as: str, value: PublishedValue) -> bool:
    """Whether a reader would hold this published row against the own one: of the same dataset, and
    of the same model, or of one that it could be taken for, by its kind or by the name it has."""
    if value.dataset != own.dataset:
        return False
    mine = {own.model.family, own.model.akin} - {""}
    return value.family in mine or value.akin in mine or value.system == shown_as


def why_not_compared(own: Identity, value: PublishedValue, cut: int) -> str:
    """Why an own value is not compared with a published one, in words; "" where it is.

    cut: that of the measure. They are compared only where they agree in everything that moves a
    score; what a publication does not say (blank in `published.csv`) is taken to agree.
    """
    reasons = [value.apart] if value.apart else []
    if own.model.family != value.family:
        reasons.append(_other_model(own.model, value))
    if own.scoring.reranked and value.scoring == "whole":
        reasons.append(f"{own.scoring} here, the whole corpus there")
    if not own.scoring.reranked and value.scoring == "reranked":
        reasons.append("the whole corpus here, another run reranked there")
    if own.options:
        reasons.append(f"{', '.join(own.options.values())} here, the defaults there")
    reasons += [_lengths(own, value)]
    if value.version != own.version:
        reasons.append(
            f"dataset {own.version or 'as BEIR released it'} here, "
            f"{value.version or 'as BEIR released it'} there"
        )
    if value.self_matches and own.self_matches not in (value.self_matches, "none"):
        reasons.append(
            f"documents with the query's own id are {_KEPT[own.self_matches]} here, "
            f"{_KEPT[value.self_matches]} there"
        )
    if value.precision and own.precision and value.precision != own.precision:
        reasons.append(f"{own.precision} here, {value.precision} there")
    if own.depth < cut:
        reasons.append(f"ranked to depth {own.depth:,} here, which is less than the cut")
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


_KEPT = {"drop": "dropped", "keep": "kept"}


def _other_model(own: Model, value: PublishedValue) -> str:
    there = TITLES.get(value.family, value.system)
    if own.why_not and own.akin == value.family:
        return own.why_not
    if own.family:
        return f"{TITLES.get(own.family, own.family)} here, {there} there"
    return f"{own.name} is not {there}"


def _lengths(own: Identity, value: PublishedValue) -> str:
    """Lengths are compared by what they are on this dataset, not by the protocol's name."""
    if not value.lengths or own.lengths is None:
        return ""
    theirs = Lengths(value.lengths, value.own_length, value.own_length)
    here, there = own.lengths.limits(own.dataset), theirs.limits(own.dataset)
    if here == there:
        return ""
    return (
        f"{own.lengths.protocol} lengths ({here['query']} and {here['document']} tokens) here, "
        f"{theirs.protocol} lengths ({there['query']} and {there['document']}) there"
    )
