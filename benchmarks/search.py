"""Search and measures alone, on given vectors: ours beside beir, mteb and sentence-transformers,
and the search alone beside faiss (flat) and torch (product and topk in blocks).

Random unit vectors, ten relevant documents a query, depth 1,000. Everyone runs in a process of its
own, in turns, and is given the vectors and the ids (the first three peers through an encoder that
looks vectors up, whose time is left out). Timed are the search, the collecting of results and the
measures, which are ours for faiss and torch; memory is what the process grew by while it did that.
The matrix rate is that of oneDNN's single-precision product in the shape that the search has. faiss
copies the vectors into its index before the clock starts. With `--mapped` the vectors are a mapped
file, and the extra memory is what is no mapped file. `--threads` are those of torch and faiss.

    python benchmarks/search.py [--size 100000x384] [--queries 1000] [--repeat 1] [--peer ours ...]
        [--mapped] [--threads N]
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

from measure import (
    AnonymousPeak,
    child,
    emit,
    machine_line,
    peak_mb,
    reset_peak,
    table,
    version_line,
    with_ratio,
)

DEPTH, RELEVANT, BLOCK = 1000, 10, 65_536
PEERS = ["ours", "faiss", "torch", "beir", "sentence-transformers", "mteb"]
OURS_OTHERWISE = ["ours-in-single", "ours-without-numba"]
COLUMNS = {
    "system": "s",
    "seconds": ".2f",
    "times ours": ".2f",
    "CPU s": ".2f",
    "search s": ".2f",
    "search, times ours": ".2f",
    "GFLOP/s": ",.0f",
    "of matrix rate": ".0%",
    "measures s": ".2f",
    "extra MB": ",.0f",
    "peak MB": ",.0f",
    "texts s": ".2f",
    "nDCG@10": ".5f",
    "Recall@100": ".5f",
}


def vectors(documents: int, dimension: int, queries: int) -> dict[str, np.ndarray[Any, Any]]:
    """Unit vectors; a query points to the middle of its ten relevant documents, with noise."""
    generator = np.random.default_rng(0)
    d = generator.standard_normal((documents, dimension), dtype=np.float32)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    relevant = np.stack(
        [generator.choice(documents, RELEVANT, replace=False) for _ in range(queries)]
    )
    noise = generator.standard_normal((queries, dimension), dtype=np.float32)
    q = d[relevant].sum(axis=1) + noise * np.float32(3.5 / dimension**0.5)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    return {"d": d, "q": q, "relevant": relevant}


class Ours:
    """The search of blocks, one after another, and every measure, as `benchmark` does them."""

    lookup = None
    stored = 0
    """Bytes of the blocks' rankings."""

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
        from gtr_beir.ranking import measures
        from gtr_beir.ranking.runs import Run

        start = time.perf_counter()
        best = self.search()
        searched = time.perf_counter()
        means = measures.mean(measures.per_query(Run.of(self.query_ids, best), self))  # type: ignore[arg-type]
        return {
            "ndcg@10": means["ndcg@10"],
            "recall@100": means["recall@100"],
            "search_s": searched - start,
            "measures_s": time.perf_counter() - searched,
            "stored": self.stored,
        }

    def search(self) -> Any:
        from gtr_beir.memory import give_back
        from gtr_beir.ranking import topk
        from gtr_beir.ranking.packing import pack
        from gtr_beir.work.blocks import plan_blocks

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
                floor=topk.Floor.of(best, DEPTH),
            )
            best = topk.merge(best, found, DEPTH)
            # What a run keeps of a block.
            self.stored += sum(array.nbytes for array in pack(found, block.start).values())
            give_back()
        assert best is not None
        return best

    def ranking(self, rows: Any, scores: Any) -> Any:
        """What a peer found, as our measures want it."""
        from gtr_beir.ranking.topk import TopK

        rows = np.asarray(rows).astype(np.int32)
        return TopK(rows, np.asarray(scores), self.id_ranks[rows])


class OursInSingle(Ours):
    """As on a processor without bf16."""

    def search(self) -> Any:
        from gtr_beir.ranking import topk

        topk.worth_halving = lambda _: False
        return super().search()


class OursWithoutNumba(Ours):
    """As without the extra `fast`."""

    def search(self) -> Any:
        from gtr_beir.ranking import exact

        exact.dot_products = lambda: None  # type: ignore[attr-defined]
        return super().search()


class Faiss(Ours):
    """faiss's exact index of inner products, all queries at once."""

    def __init__(self, documents: Any, queries: Any, relevant: Any):
        import faiss

        super().__init__(documents, queries, relevant)
        self.index = faiss.IndexFlatIP(documents.shape[1])
        self.index.add(documents)

    def search(self) -> Any:
        scores, rows = self.index.search(self.queries, DEPTH)
        return self.ranking(rows, scores)


class Torch(Ours):
    """Product and topk of blocks in torch, the best so far beside each block's."""

    def search(self) -> Any:
        import torch

        queries, documents = torch.from_numpy(self.queries), torch.from_numpy(self.documents)
        best: tuple[torch.Tensor, torch.Tensor] | None = None
        with torch.inference_mode():
            for start in range(0, len(documents), BLOCK):
                part = documents[start : start + BLOCK]
                scores, rows = (queries @ part.T).topk(min(DEPTH, len(part)))
                rows += start
                if best is not None:
                    scores, rows = torch.cat((best[0], scores), 1), torch.cat((best[1], rows), 1)
                    scores, kept = scores.topk(min(DEPTH, scores.shape[1]))
                    rows = rows.gather(1, kept)
                best = scores, rows
        assert best is not None
        return self.ranking(best[1].numpy(), best[0].numpy())


def matrix_rate(dimension: int, queries: int) -> float:
    """Operations a second of oneDNN's product in single precision, all threads, best of five."""
    import torch

    from gtr_beir import onednn

    documents, weight = torch.randn(4096, dimension), torch.randn(queries, dimension)
    laid_out = onednn.lay_out(weight)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(4):
            documents @ weight.T if laid_out is None else laid_out.product(documents)
        taken.append(time.perf_counter() - start)
    return 4 * 2 * len(documents) * dimension * queries / min(taken)


def run_one(peer: str, folder: Path, *, mapped: bool, threads: int | None) -> None:
    """In a child: prepare, then time and weigh one system."""
    import torch

    import peers
    from gtr_beir.ranking import measures, topk  # noqa: F401  (imports are not what is timed)

    warnings.simplefilter("ignore")
    classes: dict[str, Any] = {
        "ours": Ours,
        "ours-in-single": OursInSingle,
        "ours-without-numba": OursWithoutNumba,
        "faiss": Faiss,
        "torch": Torch,
        "beir": peers.BeirSearch,
        "sentence-transformers": peers.SentenceTransformersSearch,
        "mteb": peers.MtebSearch,
    }
    if threads is not None:
        torch.set_num_threads(threads)
        if peer == "faiss":
            import faiss

            faiss.omp_set_num_threads(threads)
    mode: Any = "r" if mapped else None
    given = [np.load(folder / f"{name}.npy", mmap_mode=mode) for name in ("d", "q", "relevant")]
    # A small search first: libraries load or compile parts of themselves when they are first used.
    few = vectors(1100, given[0].shape[1], 600)
    classes[peer](few["d"], few["q"], few["relevant"]).run()
    system = classes[peer](*given)
    held = reset_peak()
    with AnonymousPeak() as grown:
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
            "extra_mb": grown.extra_mb if mapped else peak_mb() - held,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", default="100000x384", help="documents x dimensions")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the median is shown")
    parser.add_argument(
        "--peer", choices=PEERS + OURS_OTHERWISE, action="append", help="only these (repeatable)"
    )
    parser.add_argument("--mapped", action="store_true", help="the vectors are a mapped file")
    parser.add_argument("--threads", type=int, help="of torch and faiss (default: all cores)")
    parser.add_argument("--child", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.child:
        run_one(options.peer[0], options.child, mapped=options.mapped, threads=options.threads)
        return
    documents, dimension = (int(part) for part in options.size.split("x"))
    names = options.peer or PEERS
    packages = {"faiss": "faiss-cpu", **dict.fromkeys(["ours", *OURS_OTHERWISE], "torch")}
    versions = version_line(*dict.fromkeys(packages.get(name, name) for name in names))
    print(f"{machine_line()}; {versions}")
    print(
        f"{documents:,} x {dimension} vectors, {options.queries:,} queries, depth {DEPTH}, "
        f"median of {options.repeat}{', mapped' if options.mapped else ''}"
        f"{f', {options.threads} threads' if options.threads else ''}"
    )
    given = ["--mapped"] if options.mapped else []
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
        given += ["--threads", str(options.threads)]
    rates = []
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        for name, array in vectors(documents, dimension, options.queries).items():
            np.save(Path(scratch) / f"{name}.npy", array)
        for _ in range(options.repeat):
            rates.append(matrix_rate(dimension, options.queries))
            for name in names:
                results[name].append(child("search.py", "--peer", name, "--child", scratch, *given))
    rate = sorted(rates)[len(rates) // 2]
    print(f"matrix rate: {rate / 1e9:,.0f} GFLOP/s\n")
    work = 2 * documents * dimension * options.queries
    rows: list[dict[str, Any]] = []
    for name, found in results.items():
        middle = sorted(found, key=lambda one: one["seconds"])[len(found) // 2]
        search = middle.get("search_s")
        own = rows[0]["search s"] if rows else search
        rows.append(
            {
                "system": name,
                "seconds": middle["seconds"],
                "CPU s": middle["cpu_s"],
                "search s": search,
                "search, times ours": search and own and search / own,
                "GFLOP/s": search and work / search / 1e9,
                "of matrix rate": search and work / search / rate,
                "measures s": middle.get("measures_s"),
                "extra MB": middle["extra_mb"],
                "peak MB": middle["peak_mb"],
                "texts s": middle["texts_s"],
                "nDCG@10": middle["ndcg@10"],
                "Recall@100": middle["recall@100"],
            }
        )
    print(table(with_ratio(rows, "seconds"), COLUMNS))
    if names[0] == "ours":
        blocks = -(-documents // BLOCK)
        stored, once = results["ours"][0]["stored"], 12 * options.queries * DEPTH * blocks
        print(
            f"\nrankings of ours' {blocks} blocks: {stored / 1e6:,.1f} MB, {stored / once:.3f} of "
            f"twelve bytes for each document of each query and block ({once / 1e6:,.0f} MB)"
        )
    same = {(round(row["nDCG@10"], 4), round(row["Recall@100"], 4)) for row in rows}
    print(f"\nthe scores are {'the same' if len(same) == 1 else 'NOT THE SAME'} to 4 decimals")


if __name__ == "__main__":
    main()
