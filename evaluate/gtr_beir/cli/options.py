"""Options that several commands have."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from gtr_beir.errors import UsageError
from gtr_beir.systems.base import make_options, system_class, system_classes
from gtr_beir.systems.options import Options, add_flags, choices, flag

Commands = argparse._SubParsersAction
"""What `add_subparsers` gives."""


def folders(parser: argparse.ArgumentParser, *, results: bool = False) -> None:
    parser.add_argument(
        "--datasets-dir",
        type=Path,
        help="folder of the datasets (default: $GTR_BEIR_DATASETS or datasets_cache)",
    )
    if results:
        results_folder(parser)


def results_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results-dir",
        type=Path,
        default=Path(os.environ.get("GTR_BEIR_RESULTS") or "results"),
        help="folder of the results (default: $GTR_BEIR_RESULTS or results)",
    )


def quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print only results, no progress"
    )


def system_and_datasets(parser: argparse.ArgumentParser) -> None:
    """What `run` and `plan` are about."""
    parser.add_argument(
        "system",
        help="bm25-flat, bm25-multifield, colbert, gtr-base|large|xl|xxl, a Hugging Face id, a "
        "sentence-transformers folder, t5x:PATH, tfhub:PATH, or colbert:FOLDER|ID",
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
        "--suite", metavar="NAME", help="a set of datasets: all, zero-shot, public, unseen or demo"
    )


def dataset_names(options: argparse.Namespace) -> list[str]:
    """The datasets that were named, each once; UsageError if none was."""
    from gtr_beir.data.registry import suite

    names = [*options.dataset, *(suite(options.suite) if options.suite else ())]
    if not names:
        raise UsageError(
            "no dataset was named; give -d NAME (as often as you like) or --suite NAME"
        )
    return list(dict.fromkeys(names))


def system_flags(parser: argparse.ArgumentParser, shared: set[str]) -> None:
    """The flags of every system, in a group for each; `shared` are flags of the command that
    systems may have too. ValueError for a system that takes another flag of the command."""
    taken = {action.dest for action in parser._actions} - shared
    known, said = set(shared), set(shared)
    for home in system_classes():
        also = [flag(name) for name in choices(home.options_type) if name in known - said]
        besides = f", besides {', '.join(also)}" if also else ""
        group = parser.add_argument_group(f"options of {home.title}{besides}")
        if clash := taken & choices(home.options_type).keys():
            raise ValueError(f"{home.title}: the command itself has {', '.join(sorted(clash))}")
        add_flags(group, home.options_type, known)


def system_options(options: argparse.Namespace) -> Options:
    """The options of the system that was named, from the flags that were given; UsageError for a
    flag of another system."""
    named = {name for home in system_classes() for name in choices(home.options_type)}
    # --offline holds for datasets too, so that it is never another system's.
    given = {name: value for name, value in vars(options).items() if name in named - {"offline"}}
    if "offline" in choices(system_class(options.system).options_type):
        given["offline"] = options.offline
    return make_options(options.system, given)


def at_least_one(options: argparse.Namespace, names: Iterable[str]) -> None:
    """UsageError for a number below 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value} is not possible; give 1 or more")
