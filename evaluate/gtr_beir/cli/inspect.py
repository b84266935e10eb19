"""`gtr-beir inspect`."""

from __future__ import annotations

import argparse

from gtr_beir.cli.options import Commands, folders


def add_inspect(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "inspect",
        help="show single queries of results: which failed, on which documents, and why",
        description="Show the worst queries of A, or those that changed most from A to the other "
        "results: text, judged documents with grade and rank, first documents of each ranking, "
        "texts that were cut, unknown tokens, and terms shared with the query.",
    )
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULT",
        help="results A, B, ...: folders of a system or of one dataset, names of systems in the "
        "results folder, or run files",
    )
    parser.add_argument(
        "-d", "--dataset", required=True, metavar="NAME", help="dataset that was searched"
    )
    parser.add_argument(
        "--query",
        action="append",
        default=[],
        metavar="ID",
        help="a query to show; give --query again for each further one",
    )
    parser.add_argument(
        "--worst",
        type=int,
        default=5,
        metavar="N",
        help="queries to show where none is named (default: 5)",
    )
    parser.add_argument(
        "--measure", default="ndcg@10", help="measure that decides (default: ndcg@10)"
    )
    parser.add_argument(
        "--format",
        choices=["text", "md", "html"],
        default="text",
        help="text for a terminal, md or html (default: text)",
    )
    folders(parser, results=True)
    parser.set_defaults(act=_inspect)


def _inspect(options: argparse.Namespace) -> None:
    from gtr_beir.report.inspection.inspection import inspect_results
    from gtr_beir.report.inspection.text import FORMATS

    found = inspect_results(
        options.results,
        options.dataset,
        queries=options.query,
        worst=options.worst,
        measure=options.measure,
        results_dir=options.results_dir,
        datasets_dir=options.datasets_dir,
    )
    print(FORMATS[options.format](found), end="")
