"""The `gtr-beir inspect` command that shows some queries, as a reader would type it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.plain_text import clean


def inspect_command(
    systems: Sequence[str], dataset: str, queries: Sequence[str], measure: Measure
) -> str:
    """systems: names in the results folder, or folders; "" where something cannot be typed."""
    arguments = ["inspect", *systems, "-d", dataset]
    if measure != Measure("ndcg", 10):
        arguments += ["--measure", str(measure)]
    for query in queries:
        arguments += [f"--query={query}"] if query.startswith("-") else ["--query", query]
    if any(clean(argument) != argument for argument in arguments):
        return ""
    return f"gtr-beir {shlex.join(arguments)}"
