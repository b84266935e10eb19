"""Search on a GPU: ours beside torch's product and topk, and beside faiss where it has a GPU.

Self-contained: unit vectors are drawn on the device, block by block, and lie in the host's memory
before the clock starts, as those of an encoder do. By default as many as HotpotQA has: 5,233,329
documents, 7,405 queries, depth 1,000. Before anything is timed, rankings of a small set are
compared with float64 and with a CPU's, byte for byte, and at the end those of some queries of the
large set with a CPU's. The matrix rate is that of the device's single-precision product.

    python benchmarks/gpu_search.py [--documents N] [--queries N] [--dimension 768] [--depth 1000]

Without a GPU it says so and ends with 2; `--device cpu --documents 20000` tries the script out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from gtr_beir.ranking.topk import Floor, TopK, dense_top_k, merge
from measure import machine_line, peak_mb, reset_peak, table, version_line

BLOCK, CHECKED = 65_536, 16
WITHOUT = "cpu:0"
"""Searched as a GPU searches, which plain "cpu" is not."""
COLUMNS = {
    "system": "s",
    "seconds": ".2f",
    "times ours": ".2f",
    "TFLOP/s": ".1f",
    "of matrix rate": ".0%",
    "extra MB": ",.0f",
    "GPU MB": ",.0f",
}


class Vectors:
    """Unit vectors in blocks of the corpus; queries; the order of ids."""

    def __init__(self, documents: int, queries: int, dimension: int, device: str):
        draw = torch.Generator(device).manual_seed(0)

        def drawn(count: int) -> np.ndarray[Any, Any]:
            values = torch.randn((count, dimension), generator=draw, device=device)
            return torch.nn.functional.normalize(values, dim=1).cpu().numpy()

        self.count, self.dimension = documents, dimension
        starts = range(0, documents, BLOCK)
        self.blocks = [drawn(min(BLOCK, documents - start)) for start in starts]
        self.queries = drawn(queries)
        self.id_ranks = np.random.default_rng(0).permutation(documents).astype(np.int32)

    def each(self) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """The first row of each block, and its vectors."""
        for number, block in enumerate(self.blocks):
            yield number * BLOCK, block


def ours(vectors: Vectors, depth: int, device: str, queries: np.ndarray[Any, Any]) -> TopK:
    best: TopK | None = None
    for start, block in vectors.each():
        found = dense_top_k(
            queries,
            block,
            id_ranks=vectors.id_ranks[start : start + len(block)],
            first_row=start,
            k=depth,
            device=device,
            floor=Floor.of(best, depth),
        )
        best = merge(best, found, depth)
    assert best is not None
    return best


def with_torch(vectors: Vectors, depth: int, device: str) -> torch.Tensor:
    """Rows by product and topk, the best so far beside each block's; ties as they come."""
    queries = torch.from_numpy(vectors.queries).to(device)
    found = []
    for part in queries.split(2048):
        best: tuple[torch.Tensor, torch.Tensor] | None = None
        for start, block in vectors.each():
            scores = part @ torch.from_numpy(block).to(device).T
            values, rows = scores.topk(min(depth, len(block)))
            rows += start
            if best is not None:
                values, rows = torch.cat((best[0], values), 1), torch.cat((best[1], rows), 1)
                values, kept = values.topk(min(depth, values.shape[1]))
                rows = rows.gather(1, kept)
            best = values, rows
        assert best is not None
        found.append(best[1])
    return torch.cat(found).cpu()


def with_faiss(vectors: Vectors, depth: int) -> Callable[[], Any] | None:
    """faiss's flat index on the GPU, filled before the clock starts; None where there is none."""
    try:
        import faiss
    except ImportError:
        return None
    if not getattr(faiss, "get_num_gpus", lambda: 0)() or depth > 2048:
        return None
    index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), vectors.dimension)
    for _, block in vectors.each():
        index.add(block)
    return lambda: index.search(vectors.queries, depth)


def check(device: str) -> None:
    """Of a small set: the bytes of a CPU, and the ranking of float64."""
    small = Vectors(3000, 40, 96, "cpu")
    found, here = (ours(small, 100, where, small.queries) for where in (device, "cpu"))
    for one, other in zip(vars(found).values(), vars(here).values(), strict=True):
        if not np.array_equal(one, other):
            raise SystemExit("the device's rankings are not the CPU's; nothing is timed")
    exact = small.queries.astype(np.float64) @ np.concatenate(small.blocks).astype(np.float64).T
    best = np.sort(exact.astype(np.float32), axis=1)[:, ::-1][:, :100]
    if not np.array_equal(best, found.scores):
        raise SystemExit("the rankings are not those of float64; nothing is timed")
    print("3,000 x 96: the device's rankings are a CPU's, byte for byte, and float64's\n")


def matrix_rate(dimension: int, device: str) -> float:
    """Operations a second of a product in single precision, best of five."""
    rows = 16_384 if device != WITHOUT else 1024
    one, other = (torch.randn(rows, dimension, device=device) for _ in range(2))
    taken = []
    for _ in range(6):
        wait(device)
        start = time.perf_counter()
        one @ other.T
        wait(device)
        taken.append(time.perf_counter() - start)
    return 2 * rows * rows * dimension / min(taken)


def wait(device: str) -> None:
    if device != WITHOUT:
        torch.cuda.synchronize()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=5_233_329)
    parser.add_argument("--queries", type=int, default=7_405)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--depth", type=int, default=1000)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    device, depth = WITHOUT if options.device == "cpu" else options.device, options.depth
    if device != WITHOUT and not torch.cuda.is_available():
        print("there is no GPU on this machine; nothing was measured", file=sys.stderr)
        return 2
    torch.set_float32_matmul_precision("highest")
    name = torch.cuda.get_device_name() if device != WITHOUT else machine_line()
    print(name, version_line("torch"), sep="; ")
    check(device)
    vectors = Vectors(options.documents, options.queries, options.dimension, device)
    work = 2 * options.documents * options.dimension * options.queries
    rate = matrix_rate(options.dimension, device)
    rows: list[dict[str, Any]] = []

    def add(system: str, act: Callable[[], Any]) -> Any:
        held = reset_peak()
        if device != WITHOUT:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        wait(device)
        start = time.perf_counter()
        found = act()
        wait(device)
        spent = time.perf_counter() - start
        first = rows[0]["seconds"] if rows else spent
        rows.append(
            {
                "system": system,
                "seconds": spent,
                "times ours": spent / first,
                "TFLOP/s": work / spent / 1e12,
                "of matrix rate": work / spent / rate,
                "extra MB": peak_mb() - held,
                "GPU MB": torch.cuda.max_memory_allocated() / 2**20 if device != WITHOUT else None,
            }
        )
        return found

    best = add("ours", lambda: ours(vectors, depth, device, vectors.queries))
    theirs = add("torch", lambda: with_torch(vectors, depth, device))
    faiss = with_faiss(vectors, depth)
    if faiss is None:
        print("faiss has no GPU here, or is not installed; it was left out")
    else:
        add("faiss, flat", faiss)
    print(
        f"{options.documents:,} x {options.dimension} vectors, {options.queries:,} queries, depth "
        f"{depth}; matrix rate {rate / 1e12:,.1f} TFLOP/s\n"
    )
    print(table(rows, COLUMNS))
    some = vectors.queries[:CHECKED]
    here = ours(vectors, depth, "cpu", some)
    same = np.array_equal(here.rows, best.rows[:CHECKED])
    print(f"\n{CHECKED} queries: the rows are {'' if same else 'NOT '}those of a CPU")
    shared = np.mean(
        [
            len(np.intersect1d(one, other)) / depth
            for one, other in zip(best.rows, theirs.numpy(), strict=True)
        ]
    )
    print(f"torch has {shared:.4%} of ours")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
