"""Which systems on which datasets: what `run` and `plan` are about, from arguments or a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.cli.options import at_least_one, dataset_names
from gtr_beir.errors import UsageError
from gtr_beir.identity import USUAL_DEPTH
from gtr_beir.systems.base import belonging, make_options, system_class, system_classes
from gtr_beir.systems.options import Options, choices, flag

if TYPE_CHECKING:
    from gtr_beir.experiment.description import Experiment

_SAID_BY_A_FILE = {
    "dataset": "-d",
    **{n: flag(n) for n in ("suite", "label", "depth", "self_matches", "rerank")},
}


def systems_and_datasets(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run` and `plan`; what is not given is None."""
    parser.add_argument(
        "systems",
        nargs="+",
        metavar="SYSTEM",
        help="bm25-flat, bm25-multifield, colbert, gtr-base|large|xl|xxl, a Hugging Face id, a "
        "sentence-transformers folder, t5x:PATH, tfhub:PATH, or colbert:FOLDER|ID; as many as you "
        "like; or one experiment file, such as experiment.toml (docs/experiments.md)",
    )
    parser.add_argument(
        "-d",
        "--dataset",
        action="append",
        default=[],
        metavar="NAME",
        help="a dataset; give -d again for each further one",
    )
    parser.add_argument(
        "--suite",
        metavar="NAME",
        help="a set of datasets: all, zero-shot, public, unseen, nano or demo",
    )
    parser.add_argument(
        "--depth",
        type=int,
        help=f"documents kept for each query (default: {USUAL_DEPTH})",
    )


def experiment_of(options: argparse.Namespace) -> Experiment:
    """What the arguments ask for; UsageError for arguments that cannot be meant together."""
    from gtr_beir.experiment.reading import read_experiment

    files = [n for n in options.systems if n.endswith(".toml") and not Path(n).is_dir()]
    if not files:
        return _of_arguments(options)
    if len(options.systems) > 1:
        raise UsageError(
            f"{files[0]} is an experiment file, which names its systems itself; give it alone"
        )
    given = vars(options)
    said = [word for name, word in _SAID_BY_A_FILE.items() if given.get(name)]
    said += [flag(name) for name in _given_of_systems(options)]
    if said:
        raise UsageError(
            f"{', '.join(said)} cannot be given beside {files[0]}; write it into the file"
        )
    return read_experiment(files[0])


def _of_arguments(options: argparse.Namespace) -> Experiment:
    from gtr_beir.experiment.description import Experiment, SystemChoice

    dataset_names(options)
    at_least_one(options, ("depth",))
    label, rerank = (vars(options).get(name) for name in ("label", "rerank"))
    several = len(options.systems) > 1
    if label is not None and several:
        raise UsageError(
            f"--label names one system, and {len(options.systems)} were given; an experiment file "
            "has a label for each (docs/experiments.md)"
        )
    reranking = [name for name in options.systems if system_class(name).reranks]
    # Where none can, each is asked to, and refuses.
    asked = reranking or options.systems
    return Experiment(
        systems=tuple(
            SystemChoice(
                name,
                own,
                label=label,
                depth=USUAL_DEPTH if options.depth is None else options.depth,
                rerank=rerank if name in asked else None,
            )
            for name, own in zip(options.systems, _system_options(options), strict=True)
        ),
        datasets=tuple(options.dataset),
        suite=options.suite or "",
        self_matches=vars(options).get("self_matches") or "drop",
    )


def _given_of_systems(options: argparse.Namespace) -> dict[str, object]:
    """The flags of systems that were given. --offline is not one: it holds for datasets too."""
    named = {name for home in system_classes() for name in choices(home.options_type)}
    return {n: value for n, value in vars(options).items() if n in named - {"offline"}}


def _system_options(options: argparse.Namespace) -> list[Options]:
    """The options of each system: of the flags that were given those that it has. UsageError for a
    flag that none of the systems has."""
    given = _given_of_systems(options)
    names = options.systems
    had = {name: choices(system_class(name).options_type).keys() for name in names}
    strange = given.keys() - set().union(*had.values())
    if strange and len(names) > 1:
        flags = ", ".join(flag(name) for name in given if name in strange)
        raise UsageError(f"none of {', '.join(names)} has {flags} ({belonging(sorted(strange))})")
    return [
        make_options(name, {n: v for n, v in given.items() if n in had[name] or n in strange})
        for name in names
    ]
