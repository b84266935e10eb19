"""`gtr-beir leaderboard` and `score`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.cli.options import Commands, folders
from gtr_beir.errors import UsageError

if TYPE_CHECKING:
    from gtr_beir.report.whole import Report

_MEASURES = "NDCG@10,Recall@100"


def add_leaderboard(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "leaderboard",
        help="write tables of your own records beside the published numbers",
        description="Write leaderboard.* into the results folder: NDCG@10 and Recall@100, with "
        "your own records beside the published numbers. Where the datasets are on this machine, "
        "html and figures also tell what the lengths of texts do.",
    )
    parser.add_argument(
        "--format",
        default="md,csv",
        metavar="FORMATS",
        help="what to write: md, csv, html, latex, figures (default: md,csv)",
    )
    parser.add_argument(
        "--measures",
        default=_MEASURES,
        metavar="NAMES",
        help=f"measures, with a board for each (default: {_MEASURES})",
    )
    parser.add_argument(
        "--baseline",
        metavar="SYSTEM",
        help="own system that the other own systems are tested against, or 'none' (default: an own "
        "BM25 if there is one)",
    )
    parser.add_argument(
        "--systems", default="", metavar="NAMES", help="own systems to show (default: all)"
    )
    parser.add_argument(
        "--datasets", default="", metavar="NAMES", help="datasets to show (default: all)"
    )
    parser.add_argument(
        "--sort",
        choices=["mean", "name"],
        default="mean",
        help="order of own systems: by their mean over the shown datasets, or by name "
        "(default: mean)",
    )
    parser.add_argument(
        "--with",
        dest="beside",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="also show MTEB's result files in this folder, such as mteb's cache; give --with "
        "again for each further one",
    )
    parser.add_argument("--percent", action="store_true", help="show scores times 100")
    parser.add_argument("--print", action="store_true", help="also print the markdown")
    folders(parser, results=True)
    parser.set_defaults(act=_leaderboard)


def _leaderboard(options: argparse.Namespace) -> None:
    from gtr_beir.report.formats import render
    from gtr_beir.report.formats.markdown import markdown

    formats = _named(options.format)
    if not formats:
        raise UsageError(f"no format was named; choose from {', '.join(render.WRITTEN)}")
    formats = list(dict.fromkeys(map(render.format_named, formats)))
    report = report_for(
        formats,
        options.results_dir,
        options.datasets_dir,
        baseline="" if options.baseline == "none" else options.baseline,
        say=lambda sentence: print(sentence, file=sys.stderr),
        measures=_named(options.measures),
        systems=_named(options.systems),
        datasets=_named(options.datasets),
        sort=options.sort,
        beside=options.beside,
    )
    for path in write_leaderboard(report, formats, options.results_dir, percent=options.percent):
        print(path)
    if options.print:
        print(markdown(report, options.percent))


def report_for(
    formats: Sequence[str],
    results_dir: Path,
    datasets_dir: Path | None,
    *,
    baseline: str | None,
    say: Callable[[str], None],
    measures: Sequence[str] = tuple(_MEASURES.split(",")),
    systems: Sequence[str] = (),
    datasets: Sequence[str] = (),
    sort: str = "mean",
    beside: Sequence[Path] = (),
) -> Report:
    """The report of a results folder with all that these formats show: texts of queries, and texts
    are counted where a figure tells of lengths. The choices are those of `leaderboard`."""
    from gtr_beir.data.store import datasets_folder
    from gtr_beir.report.leaderboard import leaderboard

    return leaderboard(
        results_dir,
        measures=measures,
        baseline=baseline,
        systems=systems,
        datasets=datasets,
        sort=sort,
        beside=beside,
        datasets_dir=datasets_folder(datasets_dir),
        lengths=bool({"html", "figures"} & set(formats)),
        say=say,
    )


def write_leaderboard(
    report: Report, formats: Sequence[str], folder: Path, *, percent: bool = False
) -> Iterator[Path]:
    """Write leaderboard.* of the formats, and figures/*, into a folder; yields each path when it is
    written."""
    from gtr_beir.files import atomic_write, remove_leftovers
    from gtr_beir.report.formats import render

    for place in (folder, folder / "figures"):
        with contextlib.suppress(OSError):
            remove_leftovers(place)
    for name in formats:
        if name == "figures":
            yield from _write_figures(report, folder / "figures")
            continue
        path = folder / f"leaderboard.{render.SUFFIXES[name]}"
        with atomic_write(path, "w") as handle:
            handle.write(render.FORMATS[name](report, percent))
        yield path


def _write_figures(report: Report, folder: Path) -> Iterator[Path]:
    from gtr_beir.files import atomic_write
    from gtr_beir.report.figures.collection import figures_of

    for figure in figures_of(report):
        for suffix, content in (("svg", figure.svg), ("png", figure.png)):
            path = folder / f"{figure.name}.{suffix}"
            with atomic_write(path) as handle:
                handle.write(content)
            yield path


def _named(text: str) -> list[str]:
    """`a, b` -> a and b"""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_score(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "score",
        help="score any TREC run file",
        description="Score a TREC run file, plain or .gz. Nothing is dropped from it; queries "
        "that are not in it score 0.",
    )
    parser.add_argument("run", type=Path, help="TREC run file")
    parser.add_argument(
        "-d", "--dataset", required=True, metavar="NAME", help="dataset that was searched"
    )
    parser.add_argument(
        "--per-query",
        type=Path,
        metavar="CSV",
        help="also write the values of every query to this CSV file",
    )
    parser.add_argument(
        "--label",
        help="also keep the result in the results folder, as LABEL@given, so that leaderboard and "
        "compare show it beside your own",
    )
    parser.add_argument(
        "--again", action="store_true", help="replace a result of this label that is there"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    folders(parser, results=True)
    parser.set_defaults(act=_score)


def _score(options: argparse.Namespace) -> None:
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.data.store import Dataset
    from gtr_beir.given_runs import keep_given_run
    from gtr_beir.query_values import write_per_query
    from gtr_beir.ranking import measures
    from gtr_beir.ranking.coverage import Coverage
    from gtr_beir.ranking.runs import Run
    from gtr_beir.report.rounding import shown

    dataset = load_dataset(options.dataset, datasets_dir=options.datasets_dir)
    if not isinstance(dataset, Dataset):
        raise UsageError(
            f"{options.dataset} is the mean of its forums; score each forum's run separately"
        )
    run = Run.read(options.run, dataset)
    values = measures.per_query(run, dataset)
    means = measures.mean(values)
    covered = Coverage.of(run, dataset)
    if options.json:
        print(json.dumps({"dataset": dataset.name, "measures": means, **asdict(covered)}))
    else:
        for name, value in means.items():
            print(f"{name:15} {shown(value)}")
        print(f"{'queries':15} {len(values)}")
        for line in covered.lines:
            print(line)
    if options.per_query:
        write_per_query(options.per_query, values)
    if options.label is not None:
        folder = keep_given_run(
            run,
            values,
            dataset,
            path=options.run,
            label=options.label,
            results_dir=options.results_dir,
            again=options.again,
        )
        print(f"kept: {folder}", file=sys.stderr)
