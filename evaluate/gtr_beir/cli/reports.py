"""`gtr-beir leaderboard`, `score` and `compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from gtr_beir.cli.options import Commands, folders, results_folder
from gtr_beir.errors import UsageError


def add_leaderboard(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "leaderboard",
        help="own records beside the published numbers, as tables",
        description="Write leaderboard.* into the results folder: NDCG@10 and Recall@100, own "
        "records beside the published numbers.",
    )
    parser.add_argument("--format", default="md,csv", help="of md, csv, html, latex (md,csv)")
    parser.add_argument("--print", action="store_true", help="also print the markdown")
    results_folder(parser)
    parser.set_defaults(act=_leaderboard)


def _leaderboard(options: argparse.Namespace) -> None:
    from gtr_beir.files import atomic_write
    from gtr_beir.records import read_all
    from gtr_beir.report import render
    from gtr_beir.report.table import differences, leaderboard

    formats = [name.strip() for name in options.format.split(",") if name.strip()]
    if not formats:
        raise UsageError(f"no format was named; choose of {', '.join(render.FORMATS)}")
    for name in formats:
        if name not in render.FORMATS:
            raise UsageError(f"there is no format '{name}'; choose of {', '.join(render.FORMATS)}")
    tables = leaderboard(options.results_dir)
    compared = differences(read_all(options.results_dir))
    for name in formats:
        path = options.results_dir / f"leaderboard.{render.SUFFIXES[name]}"
        with atomic_write(path, "w") as handle:
            handle.write(render.FORMATS[name](tables, compared))
        print(path)
    if options.print:
        print(render.markdown(tables, compared))


def add_score(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "score",
        help="score anyone's TREC run file",
        description="Score a TREC run file (.gz as well). Nothing is dropped from it; queries that "
        "it lacks score 0.",
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("-d", "--dataset", required=True, metavar="NAME")
    parser.add_argument("--per-query", type=Path, metavar="CSV", help="write per-query values too")
    folders(parser)
    parser.set_defaults(act=_score)


def _score(options: argparse.Namespace) -> None:
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.data.store import Dataset
    from gtr_beir.evaluation import score_run, write_per_query
    from gtr_beir.report.rounding import shown

    dataset = load_dataset(options.dataset, datasets_dir=options.datasets_dir)
    if not isinstance(dataset, Dataset):
        raise UsageError(f"{options.dataset} is a mean of forums; score each forum's run alone")
    means, values = score_run(options.run, dataset)
    for name, value in means.items():
        print(f"{name:15} {shown(value)}")
    print(f"{'queries':15} {len(values)}")
    if options.per_query:
        write_per_query(options.per_query, values)


def add_compare(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "compare",
        help="paired significance tests of two results",
        description="Compare two results by paired tests over the same queries. A and B are "
        "folders of a system (every dataset that both have is compared), folders of one dataset, "
        "or queries.csv files.",
    )
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--measure", default="ndcg@10")
    parser.set_defaults(act=_compare)


def _compare(options: argparse.Namespace) -> None:
    from gtr_beir.ranking.measures import Measure
    from gtr_beir.report.comparison import compare_results, comparison_table

    measure = str(Measure.parse(options.measure))
    print(comparison_table(compare_results(options.a, options.b, measure)))
