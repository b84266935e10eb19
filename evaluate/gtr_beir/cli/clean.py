"""`gtr-beir clean`."""

from __future__ import annotations

import argparse

from gtr_beir.cli.options import Commands, folders


def add_clean(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "clean",
        help="remove what no record needs",
        description="Remove blocks (vectors and rankings) of results whose record is whole, and "
        "parts of BM25 indexes that no text here has any more. Records, runs and per-query files "
        "stay, and so do the blocks of runs that are not finished.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be removed, and remove nothing"
    )
    folders(parser, results=True)
    parser.set_defaults(act=_clean)


def _clean(options: argparse.Namespace) -> None:
    from gtr_beir.cleaning import unneeded
    from gtr_beir.cli.plan import size
    from gtr_beir.data.store import datasets_folder

    freed = 0
    for found in unneeded(options.results_dir, datasets_folder(options.datasets_dir)):
        held = found.size
        if not options.dry_run and not found.remove():
            print(f"left:     {found.path} (a run is at work there)")
            continue
        freed += held
        word = "would go:" if options.dry_run else "removed: "
        print(f"{word} {found.path}  {size(held)}  {found.why}")
    print(f"{size(freed)} {'could be' if options.dry_run else 'were'} freed")
