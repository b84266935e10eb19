"""SciFact from a BEIR folder to scores with all-MiniLM-L6-v2: ours beside beir and mteb.

Everyone runs in a process of its own with the same checkpoint (256 tokens), in fp32. Timed is
everything but the imports: loading the checkpoint, reading the data, encoding, search and measures;
for ours also the import into the store, the blocks on disk, the run file and the record.

    python benchmarks/end_to_end.py [--source FOLDER] [--documents N] [--peer NAME]
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import (
    SCIFACT,
    child,
    cut_folder,
    emit,
    machine_line,
    minilm,
    require_folder,
    table,
    version_line,
    with_ratio,
)

CUT = "cut"
PEERS = ["ours", "beir", "beir, batches of 32", "mteb"]
COLUMNS = {
    "system": "s",
    "seconds": ".1f",
    "times ours": ".2f",
    "CPU s": ".1f",
    "peak MB": ",.0f",
    "seconds with imports": ".1f",
    "nDCG@10": ".5f",
    "Recall@100": ".5f",
}


def ours(folder: Path, scratch: Path) -> dict[str, Any]:
    """What `gtr-beir datasets import` and `gtr-beir run --protocol hub` do, in fresh folders."""
    from gtr_beir import benchmark, load_system
    from gtr_beir.data.importing import import_beir
    from gtr_beir.data.store import Dataset

    name = "scifact-cut" if folder.name == CUT else "scifact"
    dataset = import_beir(folder, name=name, datasets_dir=scratch / "datasets")
    assert isinstance(dataset, Dataset)
    system = load_system(minilm(), protocol="hub", device="cpu", offline=True)
    record = benchmark(system, dataset, results_dir=scratch / "results")
    return {
        "ndcg@10": record.measures["ndcg@10"],
        "recall@100": record.measures["recall@100"],
        "parts": record.facts["seconds"],
    }


def run_one(peer: str, folder: Path) -> None:
    """In a child: import the libraries, then time one system."""
    import peers

    model = minilm()
    import sentence_transformers  # noqa: F401

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        work: Callable[[], dict[str, Any]]
        if peer == "ours":
            import gtr_beir.evaluation
            import gtr_beir.systems.dense  # noqa: F401

            work = lambda: ours(folder, scratch)  # noqa: E731
        elif peer == "mteb":
            import datasets  # noqa: F401
            import mteb  # noqa: F401

            work = lambda: peers.mteb_end_to_end(folder, model)  # noqa: E731
        else:
            import beir.retrieval.evaluation
            import beir.retrieval.models
            import beir.retrieval.search.dense  # noqa: F401

            batch_size = 32 if "32" in peer else None
            work = lambda: peers.beir_end_to_end(folder, model, batch_size)  # noqa: E731
        start, processor = time.perf_counter(), time.process_time()
        result = work()
        seconds = time.perf_counter() - start
        processor = time.process_time() - processor
    emit({**result, "seconds": seconds, "cpu_s": processor})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    parser.add_argument("--documents", type=int, help="only so many documents, for development")
    parser.add_argument("--peer", choices=PEERS, action="append", help="only these (repeatable)")
    parser.add_argument("--child", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.child:
        run_one(options.peer[0], options.child)
        return
    require_folder(options.source)
    print(
        f"{machine_line()}; {version_line('beir', 'mteb', 'sentence-transformers', 'torch')}\n"
        f"SciFact, {options.documents or 'all'} documents, all-MiniLM-L6-v2, 256 tokens\n"
    )
    rows: list[dict[str, Any]] = []
    parts: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = cut_folder(options.source, Path(scratch) / CUT, options.documents)
        for name in options.peer or PEERS:
            found = child("end_to_end.py", "--peer", name, "--child", str(folder))
            parts = found.get("parts", parts)
            rows.append(
                {
                    "system": name,
                    "seconds": found["seconds"],
                    "CPU s": found["cpu_s"],
                    "peak MB": found["peak_mb"],
                    "seconds with imports": found["process_s"],
                    "nDCG@10": found["ndcg@10"],
                    "Recall@100": found["recall@100"],
                }
            )
    print(table(with_ratio(rows, "seconds"), COLUMNS))
    if parts:
        print("\nours, seconds: " + ", ".join(f"{k} {v:.2f}" for k, v in parts.items()))


if __name__ == "__main__":
    main()
