"""`gtr-beir run`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.cli.options import (
    Commands,
    at_least_one,
    dataset_names,
    folders,
    quiet,
    system_and_datasets,
    system_flags,
    system_options,
)
from gtr_beir.errors import UsageError
from gtr_beir.identity import USUAL_DEPTH

if TYPE_CHECKING:
    from gtr_beir.records import Record
    from gtr_beir.systems.base import System


def add_run(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="run a system on datasets: rank, score and record",
        description="Run one system on datasets: rank the documents, score the rankings, write a "
        "record of each. What is already done is not done again; an interrupted run "
        "continues where it stopped.",
    )
    system_and_datasets(parser)
    parser.add_argument(
        "--label", help="name of the system in folders and tables (default: its own)"
    )
    parser.add_argument(
        "--depth",
        type=int,
        default=USUAL_DEPTH,
        help="documents kept for each query (default: 1000)",
    )
    parser.add_argument(
        "--self-matches",
        choices=["drop", "keep"],
        default="drop",
        help="whether documents with the query's own id are dropped before the cut (default) or "
        "kept",
    )
    parser.add_argument(
        "--rerank",
        type=Path,
        metavar="RUN",
        help="rank only the first --depth documents of this run file, or of the runs in this "
        "folder, such as results/bm25-flat (colbert only)",
    )
    parser.add_argument(
        "--block-documents", type=int, metavar="N", help="documents in a block (default: 65,536)"
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="number of threads to compute with"
    )
    parser.add_argument(
        "--again", action="store_true", help="replace a record that is already there"
    )
    parser.add_argument("--offline", action="store_true", help="fetch nothing")
    folders(parser, results=True)
    quiet(parser)
    system_flags(parser, shared={"offline"})
    parser.set_defaults(act=_run)


def _run(options: argparse.Namespace) -> None:
    names = dataset_names(options)
    at_least_one(options, ("depth", "block_documents", "threads"))
    chosen = system_options(options)
    names = _obtainable(names, options)
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)

    from gtr_beir.systems.base import load_system

    _run_datasets(load_system(options.system, chosen), names, options)


def _run_datasets(system: System, names: Sequence[str], options: argparse.Namespace) -> None:
    """Benchmark the datasets one after the other, a line for each."""
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.evaluation import RunOptions, benchmark

    how = RunOptions(
        results_dir=options.results_dir,
        label=options.label,
        depth=options.depth,
        self_matches=options.self_matches,
        block_documents=options.block_documents,
        rerank=options.rerank,
        again=options.again,
        quiet=options.quiet,
    )
    done = None
    for name in names:
        dataset = load_dataset(
            name,
            datasets_dir=options.datasets_dir,
            fetch=not options.offline,
            quiet=options.quiet,
        )
        done = benchmark(system, dataset, how)
        print(_record_line(done), flush=True)
    if done is not None and not options.quiet:
        print(
            f"records and runs: {options.results_dir / done.system}\n"
            "leaderboard:      gtr-beir leaderboard",
            file=sys.stderr,
        )


def _obtainable(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Names of datasets that are here or can be fetched, before anything is: a name that is neither
    is an error, but a gated dataset that only a suite names is told and left out."""
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.data.registry import gated_sentence, registered
    from gtr_beir.data.store import datasets_folder, is_here

    folder = datasets_folder(options.datasets_dir)
    kept = []
    for name in dict.fromkeys(names):
        spec = registered(name)
        here = spec is not None and all(is_here(p, folder) for p in spec.parts or (name,))
        if spec is None or here or options.offline or (spec.gated and name in options.dataset):
            load_dataset(name, datasets_dir=folder)
        elif spec.gated:
            print(f"left out: {gated_sentence(spec)}", file=sys.stderr)
            continue
        elif "/" in name:
            load_dataset(name, datasets_dir=folder)
        kept.append(name)
    if not kept:
        raise UsageError(
            "none of these datasets is here, and all of them are gated; the lines "
            "above say how to make them"
        )
    return kept


def _record_line(record: Record) -> str:
    from gtr_beir.report.rounding import shown

    values = "  ".join(
        f"{title} {shown(record.measures[name])}"
        for title, name in (
            ("NDCG@10", "ndcg@10"),
            ("Recall@100", "recall@100"),
            ("Recall@1000", "recall@1000"),
        )
    )
    return (
        f"{record.dataset}  {record.system}  {values}  {record.n_queries:,} queries  "
        f"{record.signature}"
    )
