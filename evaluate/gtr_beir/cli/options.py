"""Options that several commands have."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

Commands = argparse._SubParsersAction
"""What `add_subparsers` gives."""


def folders(parser: argparse.ArgumentParser, *, results: bool = False) -> None:
    parser.add_argument(
        "--datasets-dir", type=Path, help="default: $GTR_BEIR_DATASETS or datasets_cache"
    )
    if results:
        results_folder(parser)


def results_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results-dir",
        type=Path,
        default=Path(os.environ.get("GTR_BEIR_RESULTS") or "results"),
        help="default: $GTR_BEIR_RESULTS or results",
    )


def quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only results")
