"""A system's records as a folder of results that mteb reads.

    <folder>/results/<org>__<model>/<revision>/<Task>.json and model_meta.json

`mteb.ResultCache(<folder>).load_results()` gives the values. `mteb_version` is null, since mteb
did not run; `signature` says what did.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gtr_beir.records import Record
from gtr_beir.report.exchange.fitness import (
    MAIN_KEY,
    WRITTEN_BY,
    SystemValues,
    TaskValues,
    signed,
    write_files,
)
from gtr_beir.report.rounding import as_shown

MODEL_META = "model_meta.json"


def export_mteb(values: SystemValues, folder: Path) -> Path:
    """Write a file a task, and what is known of the model, unless that is there; returns the
    model's folder. Raises UsageError where a file would replace one that gtr-beir did not write."""
    home = folder / "results" / values.model.replace("/", "__") / values.revision
    files = {home / f"{one.task.name}.json": _json(result_of(one)) for one in values.tasks}
    # mteb reads no folder without it, so it comes last; a fuller one of mteb's own stays.
    if not (home / MODEL_META).exists():
        files[home / MODEL_META] = _json(model_meta(values))
    write_files(files, _is_result_of_ours)
    return home


def _is_result_of_ours(text: str) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and signed(found.get("signature"))


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def result_of(one: TaskValues) -> dict[str, Any]:
    """A task's file, as mteb's TaskResult has it; fractions, rounded as mteb rounds them."""
    scores: dict[str, Any] = {
        name: as_shown(value, one.decimals) for name, value in one.values.items()
    }
    if "recall_at_1" in scores:
        scores["accuracy"] = scores["recall_at_1"]
    scores["main_score"] = scores[MAIN_KEY]
    scores |= {"hf_subset": "default", "languages": ["eng-Latn"]}
    return {
        "dataset_revision": one.task.revision,
        "task_name": one.task.name,
        "mteb_version": None,
        "scores": {one.task.split: [scores]},
        "evaluation_time": one.seconds,
        "kg_co2_emissions": None,
        "date": None if one.finished is None else one.finished.timestamp(),
        "evaluation_phases": None,
        "signature": f"{WRITTEN_BY}: {one.signature}",
    }


def model_meta(values: SystemValues) -> dict[str, Any]:
    """What a record knows of its model, as mteb's ModelMeta has it; null is what it does not."""
    record = values.record
    lengths = record.identity.lengths
    dimension = record.facts.get("dimension")
    return {
        "loader": None,
        "name": values.model,
        "revision": values.revision,
        "release_date": None,
        "languages": None,
        "n_parameters": None,
        "memory_usage_mb": None,
        "max_tokens": None if lengths is None else lengths.document or None,
        "embed_dim": dimension if isinstance(dimension, int) else None,
        "license": None,
        "open_weights": None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": [],
        "similarity_fn_name": _similarity(record),
        "use_instructions": _has_prompts(record),
        "training_datasets": None,
        "modalities": ["text"],
        "model_type": ["sparse" if lengths is None else "dense"],
    }


def _similarity(record: Record) -> str | None:
    """Vectors that are not normalised are compared by dot product."""
    found = record.settings.get("similarity")
    return found if found in ("cosine", "dot") else None


def _has_prompts(record: Record) -> bool | None:
    prompts = record.settings.get("prompts")
    return any(prompts.values()) if isinstance(prompts, dict) else None
