"""`gtr-beir compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from gtr_beir.cli.options import Commands
from gtr_beir.files import results_folder


def add_compare(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare results by paired significance tests",
        description="Compare results with A by paired tests over the same queries. Results are "
        "folders of a system (every dataset that both have is compared), folders of one dataset, "
        "queries.csv files, or names of systems in the results folder.",
    )
    parser.add_argument(
        "a", metavar="A", type=Path, help="the first result: a folder, a file or a name"
    )
    parser.add_argument(
        "b",
        metavar="B",
        type=Path,
        nargs="+",
        help="what is compared with it: a folder, a file or a name",
    )
    parser.add_argument(
        "--measure", default="ndcg@10", help="measure to compare (default: ndcg@10)"
    )
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="EXPRESSION",
        help="exit with code 1 unless the mean difference B - A is so on every dataset, such as "
        "'ndcg@10 >= -0.005'; give --require again for each further one",
    )
    parser.add_argument(
        "--format",
        choices=["text", "md", "json"],
        default="text",
        help="text for a terminal, md for a pull request, json for a program (default: text)",
    )
    parser.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="json",
        help="as --format json",
    )
    parser.set_defaults(act=_compare)


def _compare(options: argparse.Namespace) -> None:
    from gtr_beir.report.comparison.outcome import compare
    from gtr_beir.report.comparison.text import FORMATS

    outcome = compare(
        options.a,
        *options.b,
        measure=options.measure,
        require=options.require,
        results_dir=results_folder(),
    )
    print(FORMATS[options.format](outcome), end="", flush=True)
    outcome.require()
