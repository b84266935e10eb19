"""`gtr-beir demo`: from plan to leaderboard on the embedded dataset and checkpoints, as typed."""

from __future__ import annotations

import argparse
import shlex
import time
from dataclasses import replace
from pathlib import Path

from gtr_beir.cli import main
from gtr_beir.cli.options import Commands
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR

RESULTS = Path("results/demo")


def add_demo(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="a tour from plan to leaderboard on an embedded dataset and toy checkpoints, about "
        "a minute",
        description="Run the commands that a user would type, from a plan to a leaderboard, on an "
        "embedded dataset and toy checkpoints. Needs no network and no GPU.",
    )
    parser.add_argument(
        "--results-dir",
        type=Path,
        default=RESULTS,
        help=f"folder of the results (default: {RESULTS})",
    )
    parser.set_defaults(act=_demo)


def _demo(options: argparse.Namespace) -> int:
    return tour(options.results_dir)


def tour(results: Path = RESULTS) -> int:
    """Run the commands one after the other; returns the exit code of the first that fails."""
    start = time.perf_counter()
    folder = ["--results-dir", str(results)]
    # Another version may have left records here.
    run = ["-d", "demo", "--offline", "--again", *folder]
    commands = [
        ["plan", str(CHECKPOINT_DIR), "-d", "demo"],
        ["run", str(CHECKPOINT_DIR), "--label", "toy-gtr", *run],
        ["run", "bm25-flat", *run],
        ["run", f"colbert:{COLBERT_DIR}", "--label", "toy-colbert", *run],
        ["compare", str(results / "bm25-flat"), str(results / "toy-gtr")],
        ["inspect", "bm25-flat", "toy-gtr", "-d", "demo", "--worst", "1", *folder],
        ["leaderboard", "--format", "md,html,figures", *folder],
    ]
    for command in commands:
        print(f"\n$ gtr-beir {shlex.join(command)}", flush=True)
        code = main(command)
        if code:
            return code
    from gtr_beir.records import read_all
    from gtr_beir.report.formats.markdown import markdown
    from gtr_beir.report.leaderboard import leaderboard

    report = leaderboard(results, published=False)
    # The boards alone: what is folded on GitHub is long on a terminal.
    print(f"\n{markdown(replace(report, sections=(), pairs=(), overall=()))}")
    print("The checkpoints are toys trained on the very documents they search: their scores say")
    print(
        "nothing about GTR or ColBERT. The full leaderboard, with the published numbers, is among"
    )
    print("these files:\n")
    for record in read_all(results):
        folder_of = results / record.system / record.dataset
        print(f"  {folder_of}/  record.json, run.trec.gz, queries.csv")
    print(f"  {results / 'leaderboard.md'}")
    print(f"  {results / 'leaderboard.html'}  the page: open it in a browser")
    for figure in sorted((results / "figures").glob("*.png"))[:2]:
        print(f"  {figure}")
    print(f"\nTook {time.perf_counter() - start:.0f} s.")
    return 0
