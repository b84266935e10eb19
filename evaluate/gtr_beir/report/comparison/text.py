"""An Outcome for a terminal and as markdown, for a pull request's comment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from gtr_beir.report.comparison.outcome import Lost, Outcome, most_lost, verdicts
from gtr_beir.report.comparison.paired import comparison_table
from gtr_beir.report.plain_text import clean, markdown_text, wrapped
from gtr_beir.report.rounding import shown

WIDTH = 80


def terminal(outcome: Outcome) -> str:
    """Tables, then sentences of at most 80 columns; a command stays one line."""
    lines = [outcome.title]
    for one in outcome.compared:
        rows = [replace(result, dataset=clean(result.dataset)) for result in one.results]
        lines += ["", comparison_table(rows, one.label), ""]
        for sentence in verdicts(one, outcome):
            lines += wrapped(sentence, WIDTH)
        for lost in most_lost(one, outcome.measure):
            lines += ["", *wrapped(_lost(lost, one.label), WIDTH)]
            lines += [f"  {lost.command}"] if lost.command else []
    if outcome.required:
        lines.append("")
    for required in outcome.required:
        lines += wrapped(required.sentence, WIDTH)
    return "\n".join(lines) + "\n"


def markdown(outcome: Outcome) -> str:
    """GitHub markdown, in which no name is markup."""
    lines = [f"## {outcome.measure.title}", "", f"- A: {markdown_text(outcome.given)}"]
    lines += [f"- {one.label}: {markdown_text(one.given)}" for one in outcome.compared]
    lines += [f"- **{markdown_text(required.sentence)}**" for required in outcome.required]
    for one in outcome.compared:
        rows = [replace(result, dataset=markdown_text(result.dataset)) for result in one.results]
        lines += ["", comparison_table(rows, one.label, style="github"), ""]
        lines += map(markdown_text, verdicts(one, outcome))
        for lost in most_lost(one, outcome.measure):
            lines += ["", markdown_text(_lost(lost, one.label))]
            lines += ["", "```", lost.command, "```"] if lost.command else []
    return "\n".join(lines) + "\n"


def _lost(lost: Lost, b: str) -> str:
    named = ", ".join(
        f"{clean(query)} ({shown(before)} to {shown(after)})"
        for query, before, after in lost.queries
    )
    return f"Lost most on {clean(lost.dataset)} from A to {b}: {named}."


def as_json(outcome: Outcome) -> str:
    """A line of JSON: the numbers, unrounded, and the sentences."""
    held = {
        "measure": str(outcome.measure),
        "a": outcome.given,
        "compared": [
            {
                "label": one.label,
                "given": one.given,
                "datasets": [asdict(result) for result in one.results],
                "only_a": one.only_a,
                "only_b": one.only_b,
                "verdicts": list(verdicts(one, outcome)),
            }
            for one in outcome.compared
        ],
        "required": [
            {"asked": one.requirement.asked, "failures": one.failures} for one in outcome.required
        ],
    }
    return json.dumps(held, default=str) + "\n"


FORMATS: dict[str, Callable[[Outcome], str]] = {
    "text": terminal,
    "md": markdown,
    "json": as_json,
}
"""Format name -> renderer."""
