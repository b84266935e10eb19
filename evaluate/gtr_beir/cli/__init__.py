"""The command line: a module a group of commands; errors become one sentence here.

Exit codes: 0 done, 1 the work failed, 2 wrong use, 128 + its number after a signal (130: Ctrl-C).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import gtr_beir
from gtr_beir.cli.claims import add_claims
from gtr_beir.cli.clean import add_clean
from gtr_beir.cli.compare import add_compare
from gtr_beir.cli.completion import add_completion
from gtr_beir.cli.data import add_datasets
from gtr_beir.cli.export import add_export
from gtr_beir.cli.inspect import add_inspect
from gtr_beir.cli.models import add_models
from gtr_beir.cli.options import Commands
from gtr_beir.cli.plan import add_plan
from gtr_beir.cli.reports import add_leaderboard, add_score
from gtr_beir.cli.run import add_run
from gtr_beir.data.registry import closest
from gtr_beir.errors import GtrBeirError, UsageError, sentence
from gtr_beir.process import STOPPED, Stopped
from gtr_beir.report.plain_text import printable

AddCommand = Callable[["Commands[argparse.ArgumentParser]"], None]


def main(arguments: Sequence[str] | None = None, *, further: Sequence[AddCommand] = ()) -> int:
    """Run one command; returns the exit code. further: commands of those who use this module."""
    try:
        _require_utf8(sys.argv[1:] if arguments is None else arguments)
        parser = _parser(further)
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            _refuse(unknown, options.command_parser if "act" in options else parser)
        if "act" not in options:
            parser.print_help()
            return 2
        code = options.act(options)
        sys.stdout.flush()
    except GtrBeirError as error:
        print(f"gtr-beir: {sentence(error)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        print(f"\n{STOPPED}", file=sys.stderr)
        return stopped.code if isinstance(stopped, Stopped) else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"gtr-beir: {sentence(error)}", file=sys.stderr)
        return 1
    return code or 0


def _require_utf8(arguments: Sequence[str]) -> None:
    """UsageError for a name in other bytes: libraries that open files here take UTF-8 alone."""
    folders = (os.environ.get(f"GTR_BEIR_{what}", "") for what in ("DATASETS", "RESULTS"))
    for given in (*map(str, arguments), *folders):
        if not given.isascii() and given != given.encode(errors="replace").decode():
            raise UsageError(
                f"the name '{printable(given)}' is not UTF-8, so not everything here can open it; "
                "rename the folder, or give a link to it that is"
            )


def _parser(further: Sequence[AddCommand]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gtr-beir",
        description="How well does a GTR checkpoint retrieve on all of BEIR, against BM25, ColBERT "
        "and the published numbers?",
        epilog="Every command explains itself: gtr-beir run --help",
    )
    parser.add_argument("--version", action="version", version=f"gtr-beir {gtr_beir.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_run(commands)
    add_plan(commands)
    add_datasets(commands)
    add_models(commands)
    add_leaderboard(commands)
    add_score(commands)
    add_compare(commands)
    add_export(commands)
    add_inspect(commands)
    add_claims(commands)
    add_clean(commands)
    add_completion(commands, parser)
    for add in further:
        add(commands)
    _know_themselves(commands)
    return parser


def _know_themselves(commands: Commands[argparse.ArgumentParser]) -> None:
    """Each command's options say whose they are, for whoever has to show its usage."""
    for parser in commands.choices.values():
        parser.set_defaults(command_parser=parser)
        for action in parser._actions:
            if isinstance(action, Commands):
                _know_themselves(action)


def _refuse(unknown: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
    """Exit code 2 with the usage of the command itself."""
    first = unknown[0]
    known = tuple(option for action in parser._actions for option in action.option_strings)
    near = closest(first.partition("=")[0], known) if first.startswith("-") else ""
    what = "option" if first.startswith("-") else "further argument"
    parser.error(f"there is no {what} {first}{near}")
