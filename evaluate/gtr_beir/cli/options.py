"""Options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from gtr_beir.errors import UsageError
from gtr_beir.files import results_folder
from gtr_beir.systems.base import system_classes
from gtr_beir.systems.options import add_flags, choices, flag

Commands = argparse._SubParsersAction
"""What `add_subparsers` gives."""


def folders(parser: argparse.ArgumentParser, *, results: bool = False) -> None:
    parser.add_argument(
        "--datasets-dir",
        type=Path,
        help="folder of the datasets (default: $GTR_BEIR_DATASETS or datasets_cache)",
    )
    if results:
        parser.add_argument(
            "--results-dir",
            type=Path,
            default=results_folder(),
            help="folder of the results (default: $GTR_BEIR_RESULTS or results)",
        )


def quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print only results, no progress"
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


def at_least_one(options: argparse.Namespace, names: Iterable[str]) -> None:
    """UsageError for a number below 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value} is not possible; give 1 or more")
