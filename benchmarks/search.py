"""Search and measures alone, on given vectors: ours beside beir, mteb and sentence-transformers.

Random unit vectors of 384 dimensions, ten relevant documents a query, depth 1,000. Everyone runs
in a process of its own and is given the vectors and the ids (peers through an encoder that looks
vectors up, whose time is left out). Timed are the search, the collecting of results and the
measures; memory is what the process grew by while it did that.

    python benchmarks/search.py [--documents 100000] [--queries 1000] [--repeat 1]
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from measure import child, emit, machine_line, peak_mb, reset_peak, table, version_line, with_ratio

DIMENSION, DEPTH, RELEVANT = 384, 1000, 10
PEERS = ["ours", "beir", "sentence-transformers", "mteb"]
COLUMNS = {
    "system": "s",
    "seconds": ".2f",
    "times ours": ".2f",
    "CPU s": ".2f",
    "search s": ".2f",
    "measures s": ".2f",
    "extra MB": ",.0f",
    "peak MB": ",.0f",
    "texts s": ".2f",
    "nDCG@10": ".5f",
    "Recall@100": ".5f",
}


def vectors(documents: int, queries: int) -> dict[str, np.ndarray[Any, Any]]:
    """Unit vectors; a query points to the middle of its ten relevant documents, with noise."""
    generator = np.random.default_rng(0)
    d = generator.standard_normal((documents, DIMENSION), dtype=np.float32)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    relevant = np.stack(
        [generator.choice(documents, RELEVANT, replace=False) for _ in range(queries)]
    )
    noise = generator.standard_normal((queries, DIMENSION), dtype=np.float32)
    q = d[relevant].sum(axis=1) + noise * np.float32(3.5 / DIMENSION**0.5)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    return {"d": d, "q": q, "relevant": relevant}


class Ours:
    """The search of blocks, the merge and every measure, as `benchmark` does them."""

    lookup = None

    def __init__(self, documents: Any, queries: Any, relevant: Any):
        from gtr_beir.data.store import Qrels

        self.documents, self.queries = documents, queries
        ids = [f"d{row}" for row in range(len(documents))]
        self.id_ranks = np.empty(len(ids), dtype=np.int32)
        self.id_ranks[np.argsort(np.array(ids))] = np.arange(len(ids), dtype=np.int32)
        # What the measures need of a dataset, which an import leaves behind.
        self.query_ids = [f"q{row}" for row in range(len(queries))]
        self.self_rows = np.full(len(queries), -1, dtype=np.int32)
        self.qrels = Qrels(
            np.repeat(np.arange(len(queries), dtype=np.int32), relevant.shape[1]),
            relevant.reshape(-1).astype(np.int32),
            np.ones(relevant.size, dtype=np.int32),
            [ids[row] for row in relevant.reshape(-1)],
        )

    def run(self) -> dict[str, float]:
        from gtr_beir.ranking import measures, topk
        from gtr_beir.ranking.runs import Run
        from gtr_beir.work.blocks import plan_blocks

        start = time.perf_counter()
        best = None
        for block in plan_blocks(len(self.documents)):
            rows = slice(block.start, block.stop)
            found = topk.dense_top_k(
                self.queries,
                self.documents[rows],
                id_ranks=self.id_ranks[rows],
                first_row=block.start,
                k=DEPTH,
                excluded=self.self_rows,
            )
            best = topk.merge(best, found, DEPTH)
        assert best is not None
        searched = time.perf_counter()
        means = measures.mean(measures.per_query(Run.of(self.query_ids, best), self))  # type: ignore[arg-type]
        return {
            "ndcg@10": means["ndcg@10"],
            "recall@100": means["recall@100"],
            "search_s": searched - start,
            "measures_s": time.perf_counter() - searched,
        }


def run_one(peer: str, folder: Path) -> None:
    """In a child: prepare, then time and weigh one system."""
    import peers
    from gtr_beir.ranking import measures, topk  # noqa: F401  (imports are not what is timed)

    warnings.simplefilter("ignore")
    classes: dict[str, Any] = {
        "ours": Ours,
        "beir": peers.BeirSearch,
        "sentence-transformers": peers.SentenceTransformersSearch,
        "mteb": peers.MtebSearch,
    }
    given = [np.load(folder / f"{name}.npy") for name in ("d", "q", "relevant")]
    # A small search first: libraries load parts of themselves when they are first used.
    few = vectors(1100, 3)
    classes[peer](few["d"], few["q"], few["relevant"]).run()
    system = classes[peer](*given)
    held = reset_peak()
    start, processor = time.perf_counter(), time.process_time()
    result = system.run()
    seconds = time.perf_counter() - start
    processor = time.process_time() - processor
    lookup = system.lookup
    encoder_s = lookup.seconds if lookup else 0.0
    emit(
        {
            **result,
            "seconds": seconds - encoder_s,
            "cpu_s": processor - (lookup.processor_seconds if lookup else 0.0),
            "texts_s": encoder_s,
            "extra_mb": peak_mb() - held,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the median is shown")
    parser.add_argument("--peer", choices=PEERS, action="append", help="only these (repeatable)")
    parser.add_argument("--child", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.child:
        run_one(options.peer[0], options.child)
        return
    print(f"{machine_line()}; {version_line('beir', 'mteb', 'sentence-transformers')}")
    print(
        f"{options.documents:,} x {DIMENSION} vectors, {options.queries:,} queries, depth {DEPTH}, "
        f"median of {options.repeat}\n"
    )
    names = options.peer or PEERS
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        for name, array in vectors(options.documents, options.queries).items():
            np.save(Path(scratch) / f"{name}.npy", array)
        for _ in range(options.repeat):
            for name in names:
                results[name].append(child("search.py", "--peer", name, "--child", scratch))
    rows = []
    for name, found in results.items():
        middle = sorted(found, key=lambda one: one["seconds"])[len(found) // 2]
        rows.append(
            {
                "system": name,
                "seconds": middle["seconds"],
                "CPU s": middle["cpu_s"],
                "search s": middle.get("search_s"),
                "measures s": middle.get("measures_s"),
                "extra MB": middle["extra_mb"],
                "peak MB": middle["peak_mb"],
                "texts s": middle["texts_s"],
                "nDCG@10": middle["ndcg@10"],
                "Recall@100": middle["recall@100"],
            }
        )
    print(table(with_ratio(rows, "seconds"), COLUMNS))
    same = {(round(row["nDCG@10"], 4), round(row["Recall@100"], 4)) for row in rows}
    print(f"\nthe scores are {'the same' if len(same) == 1 else 'NOT THE SAME'} to 4 decimals")


if __name__ == "__main__":
    main()
