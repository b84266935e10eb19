"""Encoding on a CPU: our forward pass beside SentenceTransformer.encode, on one checkpoint.

A checkpoint of GTR-base's shape with random weights, saved in GTR's sentence-transformers layout
with the demonstration's tokenizer; texts of SciFact, whole and cut to 20 to 80 words. Before
anything is timed, vectors are compared. Contestants take turns, round by round, on the same texts;
tokens are those that were really encoded. The matrix rate is the best of torch's and oneDNN's
products at the sizes of the model.

    python benchmarks/encode.py [--source FOLDER] [--texts N] [--rounds N] [--only fp32|bf16]
    python benchmarks/encode.py [--size base|large] [--profile]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtr_beir.checkpoints.convert import write_folder
from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.checkpoints.layout import RELEASED, GtrShape
from gtr_beir.checkpoints.tokenizer import open_tokenizer
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.encoders.loading import load_encoder
from gtr_beir.onednn import lay_out
from measure import SCIFACT, documents_of, machine_line, require_folder, table, version_line

MAX_TOKENS = 512
Encode = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class Contestant:
    """encode: texts -> vectors; dtype: what it was asked for; products: what it multiplies in."""

    encode: Encode
    dtype: str
    products: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    parser.add_argument("--texts", type=int, default=160, help="in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", choices=["base", "large"], default="base")
    parser.add_argument("--layers", type=int, help="fewer layers, to try things out")
    parser.add_argument(
        "--only",
        choices=list(_DTYPES),
        help="one precision: the library's bf16 takes minutes on a CPU without bf16 arithmetic",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="where ours in bf16 spends its time, and nothing else",
    )
    options = parser.parse_args()
    require_folder(options.source)
    shape = RELEASED[f"gtr-{options.size}"].shape
    if options.layers:
        shape = replace(shape, layers=options.layers)
    whole = documents_of(options.source, options.texts * options.rounds, seed=1)
    draw = random.Random(2)
    short = [" ".join(text.split()[: draw.randint(20, 80)]) for text in whole]
    print(machine_line(), version_line("sentence-transformers", "transformers", "torch"), sep="; ")
    asked = [options.only] if options.only else list(_DTYPES)
    rates = {name: matrix_rate(shape, dtype) for name, dtype in _DTYPES.items()}
    for name, rate in rates.items():
        print(f"matrix rate, {name}: {rate / 1e9:,.0f} GFLOP/s")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "gtr"
        write_folder(
            UntrainedArrays(shape), open_tokenizer(CHECKPOINT_DIR), folder, own_length=MAX_TOKENS
        )
        if options.profile:
            _profile(folder, whole[: options.texts])
            return 0
        contestants, count = everyone(folder, asked)
        _agree(contestants, whole[:12] + short[:12])
        for title, texts in (("whole documents", whole), ("20 to 80 words", short)):
            _race(title, texts, count(texts), contestants, options, shape, rates)
    return 0


_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def everyone(folder: Path, asked: list[str]) -> tuple[dict[str, Contestant], Encode]:
    """Contestants by name, and what counts the tokens of texts."""
    from sentence_transformers import SentenceTransformer

    found: dict[str, Contestant] = {}
    for name in asked:
        ours = load_encoder(open_checkpoint(str(folder), offline=True), device="cpu", dtype=name)
        products = ours.model.products
        note = "" if products == name else f" (products in {products})"
        found[f"ours, {name}{note}"] = Contestant(_ours(ours), name, products)
    # fp32 is always there: the others are compared with it.
    for name in dict.fromkeys(["fp32", *asked]):
        model = SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": _DTYPES[name]}
        )
        for batch in (32,) if name == "fp32" else (4, 8, 16, 32):

            def encode(texts: list[str], model: Any = model, batch: int = batch) -> np.ndarray:
                vectors = model.encode(
                    texts, batch_size=batch, show_progress_bar=False, convert_to_tensor=True
                )
                return vectors.float().numpy()

            found[f"sentence-transformers, {name}, batch {batch}"] = Contestant(encode, name, name)

    def count(texts: list[str]) -> np.ndarray:
        return ours.encode(texts, kind="document", max_tokens=MAX_TOKENS).tokens

    return found, count


def _ours(encoder: Any) -> Encode:
    return lambda texts: encoder.encode(texts, kind="document", max_tokens=MAX_TOKENS).vectors


def _profile(folder: Path, texts: list[str]) -> None:
    """Shares of the processor's time by torch's operators, on whole documents."""
    from torch.profiler import ProfilerActivity, profile

    bf16 = load_encoder(open_checkpoint(str(folder), offline=True), device="cpu", dtype="bf16")
    encode = _ours(bf16)
    encode(texts[:16])
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        encode(texts)
    entries = sorted(seen.key_averages(), key=lambda entry: -entry.self_cpu_time_total)
    print(f"products in {bf16.model.products}")
    total = sum(entry.self_cpu_time_total for entry in entries)
    rows = [
        {"operator": entry.key, "share": entry.self_cpu_time_total / total} for entry in entries[:8]
    ]
    print(table(rows, {"operator": "s", "share": ".1%"}))


def _agree(contestants: dict[str, Contestant], texts: list[str]) -> None:
    """fp32 must be the same; bf16 is told."""
    reference = contestants["sentence-transformers, fp32, batch 32"].encode(texts)
    for name, contestant in contestants.items():
        apart = float(np.abs(contestant.encode(texts) - reference).max())
        print(f"largest difference from sentence-transformers fp32: {name}: {apart:.1e}")
        if contestant.dtype == "fp32" and apart > 2e-5:
            raise SystemExit(f"{name} gives other vectors")


def _race(
    title: str,
    texts: list[str],
    lengths: np.ndarray,
    contestants: dict[str, Contestant],
    options: argparse.Namespace,
    shape: GtrShape,
    rates: dict[str, float],
) -> None:
    seconds = dict.fromkeys(contestants, 0.0)
    for number in range(options.rounds):
        part = texts[number * options.texts : (number + 1) * options.texts]
        for name in seconds:
            encode = contestants[name].encode
            if number == 0:
                encode(part[:16])
            start = time.perf_counter()
            encode(part)
            seconds[name] += time.perf_counter() - start
    work = shape.operations(int(n) for n in lengths)
    default = seconds["sentence-transformers, fp32, batch 32"]
    theirs = [s for name, s in seconds.items() if name.startswith("sentence-transformers, bf16")]
    best = min(theirs, default=float("nan"))
    rows = [
        {
            "encoder": name,
            "tokens/s": lengths.sum() / spent,
            "times default": default / spent,
            "times best bf16": best / spent,
            "GFLOP/s": work / spent / 1e9,
            "of matrix rate": work / spent / rates[contestants[name].products],
        }
        for name, spent in seconds.items()
    ]
    print(f"\n{title}: {len(texts)} texts, {lengths.mean():.0f} tokens on average\n")
    columns = {
        "encoder": "s",
        "tokens/s": ",.0f",
        "times default": ".2f",
        "times best bf16": ".2f",
        "GFLOP/s": ",.0f",
        "of matrix rate": ".0%",
    }
    if not theirs:
        del columns["times best bf16"]
    print(table(rows, columns))


def matrix_rate(shape: GtrShape, dtype: torch.dtype) -> float:
    """Operations a second of the best product at the model's own sizes, the linear layers of one
    encoder layer on 2,048 tokens, one after the other, as the model has them."""
    sizes = [
        (shape.width, 3 * shape.inner),
        (shape.inner, shape.width),
        (shape.width, shape.hidden),
        (shape.hidden, shape.width),
    ]
    spent = 0.0
    with torch.inference_mode():
        for inputs, outputs in sizes:
            values = torch.randn(2048, inputs).to(dtype)
            weight = torch.randn(outputs, inputs).to(dtype)
            ways: list[Callable[[], torch.Tensor]] = [
                lambda v=values, w=weight: torch.nn.functional.linear(v, w)
            ]
            laid_out = lay_out(weight)
            if laid_out is not None:
                ways.append(lambda v=values, w=laid_out: w.product(v))
            spent += min(_best_time(way) for way in ways)
    return sum(2 * 2048 * a * b for a, b in sizes) / spent


def _best_time(way: Callable[[], torch.Tensor], repeats: int = 12) -> float:
    way()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    raise SystemExit(main())
