"""One query at a time: the time from a text to its vector, for the sizes of GTR.

Random weights of the released shapes, a text of exactly so many tokens, batches of one. The GTR
paper (arXiv 2112.07899) reports 17, 34, 96 and 349 ms for base, large, XL and XXL at 128 tokens, on
its hardware; here stands what this machine does; the smallest beside SentenceTransformer.encode.

    python benchmarks/latency.py [--sizes base,large] [--tokens 128] [--device cpu] [--dtype bf16]
        [--output results/latency.json]     for `gtr-beir claims`
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gtr_beir.checkpoints.convert import write_folder
from gtr_beir.checkpoints.layout import RELEASED
from gtr_beir.checkpoints.tokenizer import open_tokenizer
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.files import write_json
from measure import machine_line, table, version_line

PAPER_MS = {"base": 17, "large": 34, "xl": 96, "xxl": 349}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="base,large")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], action="append")
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--output", type=Path, help="also write our medians to this JSON file")
    options = parser.parse_args()
    ids = [3 + i % 1000 for i in range(options.tokens - 1)] + [1]
    print(machine_line(), version_line("sentence-transformers", "torch"), sep="; ", end="\n\n")
    rows: list[dict[str, Any]] = []
    timings: list[dict[str, Any]] = []
    for size in options.sizes.split(","):
        arrays = UntrainedArrays(RELEASED[f"gtr-{size}"].shape)
        for dtype in options.dtype or ["fp32", "bf16"]:
            model = T5Model(arrays, dtype=dtype, device=options.device)
            times = _times(lambda model=model: model.forward([ids]).cpu(), options.repeat)
            name = f"ours, GTR-{size} {dtype}"
            rows.append({"encoder": name, **times, "paper ms": PAPER_MS[size]})
            timings.append({"model": f"gtr-{size}", "dtype": dtype, "ms": times["median ms"]})
            del model
        if size == "base":
            rows.append(_library(arrays, options))
    columns = {"encoder": "s", "median ms": ".1f", "best ms": ".1f", "paper ms": "d"}
    print(table(rows, columns))
    if options.output:
        about = {"tokens": options.tokens, "repeats": options.repeat, "device": options.device}
        write_json(options.output, {**about, "machine": machine_line(), "timings": timings})
    return 0


def _library(arrays: UntrainedArrays, options: argparse.Namespace) -> dict[str, Any]:
    """SentenceTransformer.encode of a text that its tokenizer cuts at as many tokens."""
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "gtr"
        write_folder(arrays, open_tokenizer(CHECKPOINT_DIR), folder, own_length=options.tokens)
        model = SentenceTransformer(
            str(folder),
            device=options.device,
            local_files_only=True,
            model_kwargs={"dtype": torch.float32},
        )
        text = "word " * (4 * options.tokens)
        times = _times(lambda: model.encode([text], show_progress_bar=False), options.repeat)
    return {
        "encoder": "sentence-transformers, GTR-base fp32",
        **times,
        "paper ms": PAPER_MS["base"],
    }


def _times(act: Callable[[], Any], repeat: int) -> dict[str, float]:
    for _ in range(3):
        act()
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        act()
        taken.append(1000 * (time.perf_counter() - start))
    return {"median ms": statistics.median(taken), "best ms": min(taken)}


if __name__ == "__main__":
    raise SystemExit(main())
