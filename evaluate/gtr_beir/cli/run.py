"""`gtr-beir run`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.cli.closing import closing_table
from gtr_beir.cli.cluster import cluster_flags, cluster_of
from gtr_beir.cli.experiments import experiment_of, systems_and_datasets
from gtr_beir.cli.options import (
    Commands,
    at_least_one,
    folders,
    quiet,
    system_flags,
)
from gtr_beir.cli.reports import report_for, write_leaderboard
from gtr_beir.errors import GtrBeirError, sentence
from gtr_beir.files import results_folder
from gtr_beir.report.plain_text import printable

if TYPE_CHECKING:
    from gtr_beir.experiment.running import Outcome, Work
    from gtr_beir.records import Record


def add_run(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="run systems on datasets: rank, score and record",
        description="Run systems on datasets: rank the documents, score the rankings, write a "
        "record of each. Systems come in the order in which they are named, the smallest dataset "
        "first. A flag holds for every system that has it. What fails is told and the rest goes "
        "on; what is already done is not done again; an interrupted run continues where it "
        "stopped.",
    )
    systems_and_datasets(parser)
    parser.add_argument(
        "--label", help="name of the system in folders and tables (default: its own)"
    )
    parser.add_argument(
        "--self-matches",
        choices=["drop", "keep"],
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
        "--block-documents",
        type=int,
        metavar="N",
        help="documents in a block, rounded up to a multiple of 1,024 (default: a sixteenth of the "
        "corpus, at most 65,536)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="number of threads to compute with"
    )
    parser.add_argument(
        "--again", action="store_true", help="replace a record that is already there"
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="do only the blocks I, I+N, ... (I from 0), as a task of a job array does, and write "
        "no record; a run without it merges (docs/cluster.md)",
    )
    parser.add_argument("--offline", action="store_true", help="fetch nothing")
    cluster_flags(parser)
    folders(parser, results=True)
    quiet(parser)
    parser.add_argument(
        "--json",
        action="store_true",
        help="print each record as one line of JSON in place of the line for people",
    )
    system_flags(parser, shared={"offline"})
    # None: an experiment file's own folder comes before the usual one.
    parser.set_defaults(act=_run, results_dir=None)


def _run(options: argparse.Namespace) -> int:
    from gtr_beir.experiment.running import carry_out, prepare
    from gtr_beir.systems.base import Shard

    experiment = experiment_of(options)
    at_least_one(options, ("block_documents", "threads"))
    cluster = cluster_of(options)
    work = prepare(
        experiment,
        results_dir=options.results_dir,
        datasets_dir=options.datasets_dir,
        offline=options.offline,
        block_documents=options.block_documents,
        again=options.again,
        shard=None if options.shard is None else Shard.parse(options.shard),
        executor=cluster,
        quiet=options.quiet,
        say=_say,
    )
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    outcomes: list[Outcome] = []
    try:
        for outcome in carry_out(work):
            # A system that cannot be loaded is told once, not for every dataset.
            if outcome.loaded or all(other.place != outcome.place for other in outcomes):
                _tell(outcome, options.shard, as_json=options.json, quiet=options.quiet)
                if outcome.found and work.pairs == 1 and not options.quiet:
                    _say("  it was there already; --again does it anew")
            outcomes.append(outcome)
    finally:
        if cluster is not None:
            cluster.close()
        # Also of a run that is stopped: what is left is worth knowing then.
        table = not options.quiet and not options.json
        if work.pairs > 1 and table and work.shard is None:
            print(f"\n{closing_table(work, outcomes)}", flush=True)
    written = not work.experiment.reports or _reported(work, outcomes, quiet=options.quiet)
    if not options.quiet:
        _say_where(work, outcomes)
    return 0 if written and all(o.record or o.shard for o in outcomes) else 1


def _tell(outcome: Outcome, shard: str | None, *, as_json: bool, quiet: bool) -> None:
    if outcome.record is not None:
        line = json.dumps(outcome.record.as_json()) if as_json else _record_line(outcome.record)
        print(line, flush=True)
        if not outcome.found and not quiet:
            for sign in outcome.record.facts.get("signs", ()):
                _say(printable(f"  note: {sign}"))
    elif outcome.shard is not None:
        done, blocks = outcome.shard.done, outcome.shard.blocks
        word = "block" if blocks == 1 else "blocks"
        there = f", {blocks - done:,} of them there already" if blocks > done else ""
        print(f"{outcome.dataset}  {outcome.system}  {blocks:,} {word} of shard {shard}{there}")
    else:
        what = f"failed on {outcome.dataset}" if outcome.loaded else "cannot be run"
        _say(printable(f"gtr-beir: {outcome.system} {what}: {outcome.why}"))


def _reported(work: Work, outcomes: Sequence[Outcome], *, quiet: bool) -> bool:
    """Write the leaderboard; a failure is told, and is no reason to hide what was done."""
    say: Callable[[str], None] = (lambda _: None) if quiet else _say
    formats, baseline = work.experiment.reports, _baseline(work, outcomes)
    try:
        report = report_for(
            formats, work.results_dir, work.datasets_dir, baseline=baseline, say=say
        )
        for path in write_leaderboard(report, formats, work.results_dir):
            say(f"written: {path}")
    except (GtrBeirError, OSError) as error:
        _say(f"gtr-beir: no leaderboard was written: {sentence(error)}")
        return False
    return True


def _baseline(work: Work, outcomes: Sequence[Outcome]) -> str | None:
    """The baseline by the name that its records have: an experiment may name the system."""
    from gtr_beir.experiment.checking import NO_BASELINE

    wanted = work.experiment.baseline
    if wanted == NO_BASELINE:
        return ""
    choices = work.experiment.systems
    labels = {choice.label for choice in choices}
    for outcome in outcomes:
        if wanted not in labels and choices[outcome.place].name == wanted and outcome.record:
            return outcome.system
    return wanted


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _say_where(work: Work, outcomes: Sequence[Outcome]) -> None:
    systems = {outcome.system for outcome in outcomes if outcome.record is not None}
    if any(outcome.shard is not None for outcome in outcomes):
        _say("to merge, once all shards are done: the same command without --shard")
    if systems:
        folder = work.results_dir / systems.pop() if len(systems) == 1 else work.results_dir
        _say(f"records and runs: {folder}")
        if not work.experiment.reports:
            usual = work.results_dir == results_folder()
            where = "" if usual else f" --results-dir {shlex.quote(str(work.results_dir))}"
            _say(f"leaderboard:      gtr-beir leaderboard{where}")


def _record_line(record: Record) -> str:
    from gtr_beir.ranking.measures import Measure
    from gtr_beir.report.rounding import shown

    values = "  ".join(
        f"{title} {shown(record.measures[name])}"
        for title, name in (
            ("NDCG@10", "ndcg@10"),
            ("Recall@100", "recall@100"),
            ("Recall@1000", "recall@1000"),
        )
        # A ranking that ends before a measure does says nothing by it.
        if Measure.parse(name).cut <= record.depth
    )
    return (
        f"{record.dataset}  {record.system}  {values}  {record.n_queries:,} queries  "
        f"{record.signature}"
    )
