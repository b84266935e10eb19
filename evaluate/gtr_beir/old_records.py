"""Records that version 0.1 wrote (format 1): what they are of, as far as their settings tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtr_beir.checkpoints.layout import COLBERT, RELEASED
from gtr_beir.data.registry import registered
from gtr_beir.identity import WHOLE_CORPUS, Identity, Model, Scoring
from gtr_beir.lengths import Lengths
from gtr_beir.published import TITLES

MINILM = "all-MiniLM-L6-v2"
MINILM_HUB = f"sentence-transformers/{MINILM}"
_AGAIN = "its record is of version 0.1, which does not say {}; the same `gtr-beir run` adds it"


def identity_of_format_1(value: Mapping[str, Any]) -> Identity:
    """What a record of format 1 is of; KeyError or TypeError if it is none.

    A system's name was free text there, so nothing is read out of it.
    """
    settings = value["settings"]
    spec = registered(value["dataset"])
    rerank = settings.get("rerank")
    policy = value["self_matches"]
    return Identity(
        model=_model(value["system"], settings),
        lengths=_lengths(settings),
        precision=str(settings.get("dtype", "")),
        options=_options(settings),
        scoring=WHOLE_CORPUS
        if rerank is None
        else Scoring(rerank["run"], int(rerank["depth"]), rerank["sha256"]),
        depth=int(value["depth"]),
        self_matches=str(policy["policy"]) if policy["queries"] else "none",
        dataset=str(value["dataset"]),
        version="" if spec is None else spec.version,
    )


def _model(system: str, settings: Mapping[str, Any]) -> Model:
    if "analyzer" in settings:
        mode = "multifield" if "title" in settings["fields"] else "flat"
        return Model(f"bm25-{mode}", family=f"bm25-lucene-{mode}")
    if "weights" not in settings:
        return Model(system)
    checkpoint, commit = str(settings["checkpoint"]), settings["revision"]
    hub = checkpoint if commit else None
    weights = str(settings["weights"])
    if "format" in settings:
        why = _AGAIN.format("whether it ran as the checkpoint has it")
        akin = "colbertv2" if checkpoint == COLBERT else ""
        return Model(checkpoint, hub, commit, weights, akin=akin, why_not=why if akin else "")
    for family, entry in RELEASED.items():
        if checkpoint in (family, entry.hub) and commit == entry.revision:
            return Model(family, entry.hub, commit, weights, family)
    known = {**{name: name for name in RELEASED}, MINILM_HUB: MINILM}
    akin = known.get(system) or known.get(checkpoint, "")
    why = _AGAIN.format(f"whether its weights are those of {TITLES[akin]}") if akin else ""
    return Model(checkpoint, hub, commit, weights, akin=akin, why_not=why)


def _lengths(settings: Mapping[str, Any]) -> Lengths | None:
    if "protocol" in settings:
        own = int(settings["own_length"])
        return Lengths(str(settings["protocol"]), own, own)
    if "query_length" in settings:
        return Lengths(
            "checkpoint", int(settings["query_length"]), int(settings["document_length"])
        )
    return None


def _options(settings: Mapping[str, Any]) -> dict[str, str]:
    """BM25's, which are the only ones whose defaults are known without the checkpoint."""
    usual = {"k1": 0.9, "b": 0.4}
    found = {
        key: f"{key}={settings[key]}"
        for key in usual
        if settings.get(key, usual[key]) != usual[key]
    }
    fields = settings.get("fields", {})
    if any(weight != 1.0 for weight in fields.values()):
        found["field_weights"] = ",".join(f"{name}={weight:g}" for name, weight in fields.items())
    return found
