"""What bf16 changes in the scores, beside fp32: the ground for the default precision.

all-MiniLM-L6-v2 on SciFact (published NDCG@10 0.64508), and the toy GTR on the demonstration.

    python benchmarks/precision.py [--source FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from gtr_beir import benchmark, load_dataset, load_system
from gtr_beir.data.importing import import_beir
from gtr_beir.demo import CHECKPOINT_DIR
from measure import SCIFACT, machine_line, minilm, require_folder, table, version_line

COLUMNS = {
    "checkpoint": "s",
    "dataset": "s",
    "precision": "s",
    "NDCG@10": ".5f",
    "change": "+.5f",
    "Recall@100": ".5f",
    "seconds": ".0f",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    options = parser.parse_args()
    require_folder(options.source)
    print(machine_line(), version_line("sentence-transformers", "torch"), sep="; ", end="\n\n")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "datasets"
        import_beir(options.source, name="scifact", datasets_dir=store)
        for name, path, dataset_name, protocol in (
            ("all-MiniLM-L6-v2", minilm(), "scifact", "hub"),
            ("toy GTR", str(CHECKPOINT_DIR), "demo", "paper"),
        ):
            dataset = load_dataset(dataset_name, datasets_dir=store)
            first = None
            for dtype in ("fp32", "bf16"):
                start = time.perf_counter()
                system = load_system(path, protocol=protocol, dtype=dtype, offline=True)
                record = benchmark(
                    system, dataset, results_dir=Path(scratch) / "results", label=f"{name}-{dtype}"
                )
                value = record.measures["ndcg@10"]
                first = value if first is None else first
                rows.append(
                    {
                        "checkpoint": name,
                        "dataset": dataset_name,
                        "precision": f"{dtype} on {system.encoder.device}",
                        "NDCG@10": value,
                        "change": value - first,
                        "Recall@100": record.measures["recall@100"],
                        "seconds": time.perf_counter() - start,
                    }
                )
    print(table(rows, COLUMNS))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
