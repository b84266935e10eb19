"""`gtr-beir compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from gtr_beir.cli.options import Commands
from gtr_beir.errors import UsageError


def add_compare(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare results by paired significance tests",
        description="Compare results with A by paired tests over the same queries. Results are "
        "folders of a system (every dataset that both have is compared), folders of one dataset, "
        "or queries.csv files.",
    )
    parser.add_argument("a", type=Path, help="the first result: a folder or a queries.csv file")
    parser.add_argument(
        "b", type=Path, nargs="+", help="what is compared with it: a folder or a queries.csv file"
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
        choices=["text", "md"],
        default="text",
        help="text for a terminal, md for a pull request (default: text)",
    )
    parser.set_defaults(act=_compare)


def _compare(options: argparse.Namespace) -> None:
    from gtr_beir.ranking.measures import Measure
    from gtr_beir.report.comparison.outcome import MOST, Requirement, outcome_of
    from gtr_beir.report.comparison.text import FORMATS

    if len(options.b) > MOST:
        raise UsageError(f"{len(options.b)} results are too many to compare with A; give {MOST}")
    requirements = [Requirement.parse(text) for text in options.require]
    measure = Measure.parse(options.measure)
    outcome = outcome_of(options.a, options.b, measure, requirements)
    print(FORMATS[options.format](outcome), end="", flush=True)
    outcome.require()
