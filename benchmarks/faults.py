"""Campaigns against the program: what it does when everything goes wrong, as a table.

Each is drawn from a seed. Wanted of all: no wrong result without a word, no traceback, nothing that
hangs for a minute, no file that has its name and is not whole, and the same bytes after every kill
and every full disk.

    python benchmarks/faults.py [--only kills --only disks ...] [--seed 0] [--short]
    python benchmarks/faults.py --only damages --trials 500

Kills: 100 moments over import, index, dense search, ColBERT, a run anew and the board, also of two
processes. Disks: 30 file systems (root). Damages: 500. Inputs: 500 datasets, archives, run files
and checkpoints. Servers: 80, half of them hubs. Crowds: 4 processes on one store, each in a
namespace of its own (root). Memory: 300,000 documents in 2 GB. Resume: SciFact killed at half of
its work.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from measure import OFFLINE, machine_line, table

FULL = {
    "kills": 100,
    "disks": 30,
    "damages": 500,
    "inputs": 500,
    "servers": 80,
    "crowds": 12,
    "memory": 1,
    "resume": 1,
}
SHORT = {
    "kills": 4,
    "disks": 3,
    "damages": 15,
    "inputs": 30,
    "servers": 6,
    "crowds": 2,
    "memory": 1,
    "resume": 1,
}
COLUMNS = ("trials", "right", "told", "silent", "tracebacks", "hangs", "halves", "other bytes")


def warm() -> None:
    """Import what trials need: they are forks of this process."""
    os.environ.update(OFFLINE)
    logging.disable(logging.CRITICAL)
    for name in ("gtr_beir.__main__", "gtr_beir.cli", "torch", "sentence_transformers", "pyarrow"):
        importlib.import_module(name)
    for name in ("dense_search", "colbert_search", "bm25_index", "sharing"):
        importlib.import_module(f"gtr_beir.systems.{name}")
    importlib.import_module("transformers.models.t5.modeling_t5")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=list(FULL), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, help="of each campaign, instead of its own number")
    parser.add_argument("--short", action="store_true", help="few trials, as the tests run them")
    parser.add_argument("--verbose", action="store_true", help="notes and every fault")
    options = parser.parse_args()
    warm()
    rows, faults = [], []
    for name in options.only or FULL:
        module = importlib.import_module(f"campaigns.{_home(name)}")
        act = getattr(module, "run" if _home(name) == name else name)
        count = options.trials or (SHORT if options.short else FULL)[name]
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="gtr-beir-faults-") as place:
            # A campaign's draws do not depend on those before it.
            tally = act(count, random.Random(f"{options.seed} {name}"), Path(place))
        took = time.perf_counter() - start
        faults += [f"{name}: {fault}" for fault in tally.faults]
        found = (tally.wrong, tally.tracebacks, tally.hangs, tally.halves, tally.other)
        counts = (tally.trials, tally.right, tally.told, *map(len, found))
        row = {"campaign": name, **dict(zip(COLUMNS, counts, strict=True))}
        rows.append({**row, "slowest s": f"{tally.slowest:.1f}", "took s": f"{took:.0f}"})
        for note in tally.notes if options.verbose or options.only else ():
            print(f"{name}: {note}", file=sys.stderr)
        for fault in tally.faults:
            print(f"{name}: {fault}", file=sys.stderr, flush=True)
    print(f"{machine_line()}; seed {options.seed}\n")
    print(table(rows, dict.fromkeys(rows[0], "")))
    print(f"\n{len(faults)} faults")
    return 1 if faults else 0


def _home(name: str) -> str:
    return {"memory": "crowds", "resume": "crowds"}.get(name, name)


if __name__ == "__main__":
    raise SystemExit(main())
