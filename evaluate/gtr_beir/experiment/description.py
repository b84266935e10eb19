"""What an experiment is: which systems, on which datasets, and what is written at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gtr_beir.data.registry import suite
from gtr_beir.identity import USUAL_DEPTH
from gtr_beir.systems.options import EncoderOptions, Options


@dataclass(frozen=True)
class SystemChoice:
    """One system of an experiment.

    name: as `load_system` takes it; options: its own; label: in folders and tables (None: the
    system's own name); depth: documents kept of a query; rerank: a run file, or the results folder
    of a system, whose first `depth` documents alone are ranked.
    """

    name: str
    options: Options
    label: str | None = None
    depth: int = USUAL_DEPTH
    rerank: Path | None = None


@dataclass(frozen=True)
class Experiment:
    """Systems, each of which is run on every dataset.

    systems: in the order in which they are run; datasets: by name; suite: the name of a set of
    further ones, "" for none; self_matches: whether documents with the query's own id are dropped
    before the cut; reports: formats of the leaderboard that is written at the end; baseline: the
    system, by label or name, that its tests are against ("none": no tests, None: an own BM25);
    results_dir, datasets_dir: None where the experiment does not say.
    """

    systems: tuple[SystemChoice, ...]
    datasets: tuple[str, ...] = ()
    suite: str = ""
    self_matches: Literal["drop", "keep"] = "drop"
    reports: tuple[str, ...] = ()
    baseline: str | None = None
    results_dir: Path | None = None
    datasets_dir: Path | None = None

    @property
    def dataset_names(self) -> list[str]:
        """The datasets by name, each once; UsageError for a suite that there is not."""
        return list(dict.fromkeys([*self.datasets, *(suite(self.suite) if self.suite else ())]))

    def offline(self) -> Experiment:
        """The same, with encoders that fetch nothing."""
        return replace(
            self,
            systems=tuple(
                replace(choice, options=replace(choice.options, offline=True))
                if isinstance(choice.options, EncoderOptions)
                else choice
                for choice in self.systems
            ),
        )
