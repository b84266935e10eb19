"""gtr-beir: how well does a GTR checkpoint retrieve on all of BEIR?

Seven names are the Python interface; each is loaded when it is first used, so that
`import gtr_beir` stays light:

    load_dataset(name)            -> Dataset
    load_system(name, ...)        -> System
    benchmark(system, dataset)    -> Record
    leaderboard(results, ...)     -> Report
    compare(a, b, ...)            -> Outcome: paired tests over the same queries
    inspect(results, dataset)     -> Inspection: single queries, and their documents
    Run                           the one ranking type; Run.read("my.trec", dataset)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtr_beir.data.catalogue import load_dataset as load_dataset
    from gtr_beir.evaluation import benchmark as benchmark
    from gtr_beir.ranking.runs import Run as Run
    from gtr_beir.report.comparison.outcome import compare as compare
    from gtr_beir.report.inspection.inspection import inspect_results as inspect
    from gtr_beir.report.leaderboard import leaderboard as leaderboard
    from gtr_beir.systems.base import load_system as load_system

__version__ = "0.2.0"

_HOMES = {
    "load_dataset": "gtr_beir.data.catalogue:load_dataset",
    "load_system": "gtr_beir.systems.base:load_system",
    "benchmark": "gtr_beir.evaluation:benchmark",
    "leaderboard": "gtr_beir.report.leaderboard:leaderboard",
    "compare": "gtr_beir.report.comparison.outcome:compare",
    "inspect": "gtr_beir.report.inspection.inspection:inspect_results",
    "Run": "gtr_beir.ranking.runs:Run",
}
"""Public name -> "module:name"."""
__all__ = [
    "Run",
    "benchmark",
    "compare",
    "inspect",
    "leaderboard",
    "load_dataset",
    "load_system",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gtr_beir' has no attribute {name!r}")
    import importlib

    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
