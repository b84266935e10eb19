"""What can be told to be wrong with an experiment before anything is fetched, loaded or written."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from gtr_beir.checkpoints.door import look_up
from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.registry import closest, gated_sentence, registered
from gtr_beir.data.store import Dataset, is_here
from gtr_beir.errors import CheckpointError, StoreError, UsageError
from gtr_beir.evaluation import cannot_rerank, run_tag
from gtr_beir.experiment.description import Experiment, SystemChoice
from gtr_beir.identity import Identity, Model
from gtr_beir.kept import STAGED, require_no_other
from gtr_beir.lengths import Lengths
from gtr_beir.records import RECORD
from gtr_beir.systems.base import load_system, system_class
from gtr_beir.systems.colbert import ColbertSystem
from gtr_beir.systems.dense import DenseOptions, DenseSystem, require_possible
from gtr_beir.systems.options import EncoderOptions

NO_BASELINE = "none"
_RECORDED_AS_ASKED = ("protocol", "dtype", "query_length", "document_length", "k1", "b")
"""Options that a record has among its settings as they were asked for."""


def datasets_in_order(
    experiment: Experiment, folder: Path, *, offline: bool, say: Callable[[str], None]
) -> list[str]:
    """The datasets that are here or can be fetched, the smallest first, so that the first results
    come early.

    A name that is neither is a UsageError, but a gated dataset that only a suite names is told
    (`say`) and left out. What is here but damaged stays: it fails when its turn comes.
    """
    kept = []
    for name in experiment.dataset_names:
        spec = registered(name)
        here = spec is not None and all(is_here(p, folder) for p in spec.parts or (name,))
        gated = spec is not None and spec.gated and not here
        if spec is not None and gated and not offline and name not in experiment.datasets:
            say(f"left out: {gated_sentence(spec)}")
            continue
        if spec is None or here or offline or gated or "/" in name:
            with contextlib.suppress(StoreError):
                load_dataset(name, datasets_dir=folder)
        kept.append(name)
    if not kept:
        raise UsageError(
            "none of these datasets is here, and all of them are gated; the lines "
            "above say how to make them"
        )
    return sorted(kept, key=lambda name: _documents(name, folder))


def _documents(name: str, folder: Path) -> float:
    """How many a dataset has, of its parts if it is made of parts; infinity if nobody knows."""
    spec = registered(name)
    if spec is not None and spec.parts:
        return sum(_documents(part, folder) for part in spec.parts)
    if is_here(name, folder):
        with contextlib.suppress(StoreError):
            return Dataset(folder / name).n_documents
    return spec.documents if spec is not None and spec.documents is not None else math.inf


def check_systems(experiment: Experiment, results_dir: Path, *, offline: bool) -> tuple[str, ...]:
    """The names that results will be kept under, as far as they can be told. UsageError for a
    system that cannot be run as it is asked for, for two whose results would be kept in one folder,
    and for a baseline or a run to rerank that there is not."""
    taken: dict[str, SystemChoice] = {}
    for choice in experiment.systems:
        home = system_class(choice.name)
        if choice.rerank is not None and not home.reranks:
            raise UsageError(cannot_rerank(choice.name))
        # Of one alone, loading tells as soon.
        expected = _expected_name(home, choice, offline, ask=len(experiment.systems) > 1)
        name = choice.label or expected
        if choice.rerank is not None:
            _require_run(choice.rerank, results_dir, taken)
            name += "" if choice.label else f"@rerank-{choice.depth}-{run_tag(choice.rerank)}"
        if name in taken:
            raise UsageError(
                f"{_both(taken[name].name, choice.name)} would be kept as '{name}'; each needs a "
                "label of its own, which an experiment file gives (docs/experiments.md)"
            )
        taken[name] = choice
    _check_baseline(experiment, results_dir, tuple(taken))
    return tuple(taken)


def check_record(folder: Path, choice: SystemChoice, self_matches: str) -> None:
    """UsageError for a record of other settings in the folder of a result, before anything is
    loaded: of what was asked for by name."""
    if (folder / STAGED / RECORD).is_file():
        return  # the next start finishes what was killed, and looks then
    options = vars(choice.options)
    asked = {name: options[name] for name in _RECORDED_AS_ASKED if options.get(name) is not None}
    require_no_other(folder, {**asked, "depth": choice.depth, "self_matches": self_matches})


def _both(one: str, other: str) -> str:
    return f"two systems '{one}'" if one == other else f"'{one}' and '{other}'"


def _expected_name(home: Any, choice: SystemChoice, offline: bool, *, ask: bool) -> str:
    """The name that the system will have, as far as it can be told without loading it."""
    options = choice.options
    if not issubclass(home, DenseSystem | ColbertSystem) or not isinstance(options, EncoderOptions):
        # Only checkpoints are heavy; whatever else there is says itself what it refuses.
        return load_system(choice.name, options).identity.name
    if options.device is not None:
        from gtr_beir.systems.sharing import for_each_device

        for_each_device(options)
    lengths = tokenizer = None
    if isinstance(options, DenseOptions):
        require_possible(choice.name, options)
        lengths, tokenizer = Lengths(options.protocol), options.tokenizer
    try:
        shown = look_up(
            choice.name,
            revision=options.revision,
            tokenizer=tokenizer,
            offline=offline,
            ask=ask,
        )
    except CheckpointError:
        # It is there, and damaged or of another kind: that fails this system alone, in its turn.
        shown = choice.name
    return Identity(
        Model(shown),
        lengths=lengths,
        precision=options.dtype or "",
        options=options.marks(),
    ).name


def _require_run(run: Path, results_dir: Path, before: Iterable[str]) -> None:
    """A run to rerank is there, or is what an earlier system of the experiment will leave."""
    if not run.exists() and run.resolve() not in [(results_dir / n).resolve() for n in before]:
        raise UsageError(
            f"there is no run to rerank in {run}; give a run file, or a folder such as "
            "results/bm25-flat that holds one for each dataset"
        )


def _check_baseline(experiment: Experiment, results_dir: Path, names: Sequence[str]) -> None:
    wanted = experiment.baseline
    if wanted is None or wanted == NO_BASELINE:
        return
    known = tuple(dict.fromkeys([*names, *(choice.name for choice in experiment.systems)]))
    if wanted not in known and not (results_dir / wanted).is_dir():
        raise UsageError(
            f"the baseline '{wanted}' is no system of this experiment, and {results_dir} has no "
            f"results of it{closest(wanted, known)}"
        )
