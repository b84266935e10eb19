"""gtr-beir: how well does a GTR checkpoint retrieve on all of BEIR?

Five names are the Python interface; each is loaded when it is first used, so that `import gtr_beir`
stays light:

    load_dataset(name)            -> Dataset
    load_system(name, ...)        -> System
    benchmark(system, dataset)    -> Record
    leaderboard(results, ...)     -> Report
    Run                           the one ranking type; Run.read("my.trec", dataset)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gtr_beir.data.catalogue import load_dataset as load_dataset
    from gtr_beir.evaluation import benchmark as benchmark
    from gtr_beir.ranking.runs import Run as Run
    from gtr_beir.report.leaderboard import leaderboard as leaderboard
    from gtr_beir.systems.base import load_system as load_system

__version__ = "0.2.0"

_HOMES = {
    "load_dataset": "gtr_beir.data.catalogue",
    "load_system": "gtr_beir.systems.base",
    "benchmark": "gtr_beir.evaluation",
    "leaderboard": "gtr_beir.report.leaderboard",
    "Run": "gtr_beir.ranking.runs",
}
__all__ = ["Run", "benchmark", "leaderboard", "load_dataset", "load_system"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gtr_beir' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
