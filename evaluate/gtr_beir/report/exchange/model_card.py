"""A system's records in the two forms that the Hugging Face hub shows on a model's page.

    <folder>/.eval_results/<Task>.yaml   a file a task
    <folder>/model-index.md              a card with the older model-index, and a table

Only files: nothing is sent anywhere, and no README.md is touched. Values are times 100, as on
MTEB's cards. The mean of CQADupStack's forums is in the table alone, since no dataset on the hub
is it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tabulate
import yaml

from gtr_beir.report.exchange.fitness import (
    MAIN_KEY,
    WRITTEN_BY,
    SystemValues,
    TaskValues,
    signed,
    write_files,
)
from gtr_beir.report.rounding import shown

_SHOWN = {MAIN_KEY: "NDCG@10", "recall_at_100": "Recall@100"}
"""Measures of a card, and their titles."""
_LAST_LINE = re.compile(
    r"\nValues times 100, measured with gtr-beir [0-9]\S* at revision `[^`\n]*`\.\n\Z"
)


def export_model_card(values: SystemValues, folder: Path) -> Path:
    """Write the files; returns the folder. Raises UsageError where one would replace what gtr-beir
    did not write."""
    files = {
        folder / ".eval_results" / f"{one.task.name}.yaml": _yaml(eval_results(one))
        for one in values.tasks
        if one.task.path
    }
    write_files({**files, folder / "model-index.md": card(values)}, _is_ours)
    return folder


def _is_ours(text: str) -> bool:
    """A card begins and ends as ours do; of results, every entry has our note."""
    if text.startswith("---\n"):
        return text.startswith("---\nmodel-index:\n") and _LAST_LINE.search(text) is not None
    try:
        entries = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return (
        isinstance(entries, list)
        and bool(entries)
        and all(isinstance(one, dict) and signed(one.get("notes")) for one in entries)
    )


def eval_results(one: TaskValues) -> list[dict[str, Any]]:
    """A task's main score, once for its subset and split and once for the task."""
    task = one.task
    about: dict[str, Any] = {"value": _percent(one, MAIN_KEY)}
    if one.finished is not None:
        about["date"] = one.finished.date().isoformat()
    about["notes"] = f"{WRITTEN_BY}: {one.signature}"
    return [
        {"dataset": {"id": task.path, "task_id": name, "revision": task.revision}, **about}
        for name in (f"{task.name}_default_{task.split}", task.name)
    ]


def card(values: SystemValues) -> str:
    """Markdown with the model-index as its metadata."""
    results = [_model_index(one) for one in values.tasks if one.task.path]
    metadata = {
        "model-index": [{"name": values.model.rpartition("/")[2], "results": results}],
    }
    rows = [[one.task.name, *(_shown(one, name) for name in _SHOWN)] for one in values.tasks]
    table = tabulate.tabulate(
        rows,
        ["MTEB task", *_SHOWN.values()],
        "github",
        disable_numparse=True,
        colalign=("left", *("right" for _ in _SHOWN)),
    )
    about = f"Values times 100, measured with {WRITTEN_BY} at revision `{values.revision}`."
    return f"---\n{_yaml(metadata)}---\n# {values.model}\n\n{table}\n\n{about}\n"


def _model_index(one: TaskValues) -> dict[str, Any]:
    task = one.task
    return {
        "task": {"type": "Retrieval"},
        "dataset": {
            "type": task.path,
            "name": f"MTEB {task.name}",
            "config": "default",
            "split": task.split,
            "revision": task.revision,
        },
        "metrics": [
            {"type": name, "value": _percent(one, name)} for name in _SHOWN if name in one.values
        ],
    }


def _shown(one: TaskValues, name: str) -> str:
    """As it stands in the metadata; "" where the ranking is not deep enough."""
    if name not in one.values:
        return ""
    return shown(one.values[name], one.decimals, percent=True)


def _percent(one: TaskValues, name: str) -> float:
    return float(_shown(one, name))


def _yaml(value: list[dict[str, Any]] | Mapping[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
