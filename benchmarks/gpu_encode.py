"""Encoding on a GPU: our forward pass beside SentenceTransformer.encode, for all four sizes of GTR.

Self-contained: random weights of the released shapes, the demonstration's tokenizer, texts of
SciFact or, without them, made-up ones of the same lengths. Before a precision is timed, its vectors
are compared with sentence-transformers' in fp32. The matrix rate is what this card does on the
model's own products in bf16.

    python benchmarks/gpu_encode.py [--sizes base,large,xl,xxl] [--source FOLDER] [--texts N]

Without a GPU it says so and ends with 2; `--device cpu --layers 1` tries the script out.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
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
from measure import SCIFACT, documents_of, table, version_line

MAX_TOKENS = 512
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
COLUMNS = {
    "encoder": "s",
    "tokens/s": ",.0f",
    "times default": ".2f",
    "TFLOP/s": ",.1f",
    "of matrix rate": ".0%",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="base,large,xl,xxl")
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    parser.add_argument("--texts", type=int, default=4096)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, help="fewer layers, to try things out")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        print("there is no GPU on this machine; nothing was measured", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name() if options.device != "cpu" else "CPU"
    print(name, version_line("sentence-transformers", "transformers", "torch"), sep="; ")
    texts = _texts(options)
    for size in options.sizes.split(","):
        shape = RELEASED[f"gtr-{size}"].shape
        if options.layers:
            shape = replace(shape, layers=options.layers)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "gtr"
            write_folder(
                UntrainedArrays(shape),
                open_tokenizer(CHECKPOINT_DIR),
                folder,
                own_length=MAX_TOKENS,
            )
            _size(size, shape, folder, texts, options.device)
    return 0


def _texts(options: argparse.Namespace) -> list[str]:
    if (options.source / "corpus.jsonl").is_file():
        found = documents_of(options.source, options.texts, seed=1)
        return (found * (options.texts // len(found) + 1))[: options.texts]
    draw = random.Random(1)
    words = (CHECKPOINT_DIR.parent / "README.md").read_text(encoding="utf-8").split()
    return [
        " ".join(draw.choices(words, k=max(5, int(draw.lognormvariate(5.2, 0.4)))))
        for _ in range(options.texts)
    ]


def _size(size: str, shape: GtrShape, folder: Path, texts: list[str], device: str) -> None:
    few = texts[:64]
    reference = _library(folder, device, "fp32", 32)(few)
    checkpoint = open_checkpoint(str(folder), offline=True)
    tokenizer = checkpoint.face().tokenizer
    tokenizer.enable_truncation(MAX_TOKENS)
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
    work, tokens = shape.operations(lengths), sum(lengths)
    rate = _matrix_rate(shape, device)
    print(f"\nGTR-{size}")
    rows: list[dict[str, Any]] = []

    def add(name: str, act: Callable[[], Any]) -> None:
        try:
            act()
            _wait(device)
            start = time.perf_counter()
            act()
            _wait(device)
            spent = time.perf_counter() - start
        except torch.OutOfMemoryError:
            rows.append({"encoder": f"{name}: out of memory"})
            return
        rows.append(
            {
                "encoder": name,
                "tokens/s": tokens / spent,
                "TFLOP/s": work / spent / 1e12,
                "of matrix rate": work / spent / rate,
            }
        )

    groups = [texts[at : at + 1024] for at in range(0, len(texts), 1024)]
    for dtype, most in (("bf16", 2e-2), ("fp16", 5e-3), ("tf32", 5e-3), ("fp32", 5e-5)):
        torch._dynamo.reset()
        _free()
        try:
            encoder = load_encoder(checkpoint, device=device, dtype=dtype)
        except torch.OutOfMemoryError:
            rows.append({"encoder": f"ours, {dtype}: out of memory"})
            continue
        vectors = encoder.encode(few, kind="document", max_tokens=MAX_TOKENS).vectors
        apart = float(np.abs(vectors - reference).max())
        print(
            f"  {dtype}: products {encoder.products}, attention {encoder.model.attention}, "
            f"{apart:.1e} from fp32 in the library"
        )
        if not apart < most:
            raise SystemExit("the packed path gives other vectors; nothing is timed")

        def ours(encoder: Any = encoder) -> None:
            list(encoder.encode_each(groups, kind="document", max_tokens=MAX_TOKENS))

        add(f"ours, {dtype}", ours)
        del encoder, ours  # the memory is for the others
    for dtype, batch in (("fp32", 32), ("bf16", 32), ("bf16", 128), ("fp16", 128)):
        _free()
        encode = _library(folder, device, dtype, batch)
        add(f"sentence-transformers, {dtype}, batch {batch}", lambda e=encode: e(texts))
        del encode
    default = next(
        (r["tokens/s"] for r in rows if "fp32, batch 32" in r["encoder"] and "tokens/s" in r), None
    )
    for row in rows:
        if default and "tokens/s" in row:
            row["times default"] = row["tokens/s"] / default
    print(f"matrix rate in bf16: {rate / 1e12:,.1f} TFLOP/s\n")
    print(table(rows, COLUMNS))


def _library(folder: Path, device: str, dtype: str, batch: int) -> Callable[[list[str]], Any]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(folder), device=device, local_files_only=True, model_kwargs={"dtype": DTYPES[dtype]}
    )

    def encode(texts: list[str]) -> np.ndarray:
        found = model.encode(
            texts, batch_size=batch, show_progress_bar=False, convert_to_tensor=True
        )
        return found.float().cpu().numpy()

    return encode


def _matrix_rate(shape: GtrShape, device: str) -> float:
    rows = 32_768 if device != "cpu" else 2048
    sizes = [
        (shape.width, 3 * shape.inner),
        (shape.inner, shape.width),
        (shape.width, shape.hidden),
        (shape.hidden, shape.width),
    ]
    spent = 0.0
    for inputs, outputs in sizes:
        values = torch.randn(rows, inputs, device=device, dtype=torch.bfloat16)
        weight = torch.randn(outputs, inputs, device=device, dtype=torch.bfloat16)
        times = []
        for _ in range(12):
            _wait(device)
            start = time.perf_counter()
            torch.nn.functional.linear(values, weight)
            _wait(device)
            times.append(time.perf_counter() - start)
        spent += min(times)
    return sum(2 * rows * a * b for a, b in sizes) / spent


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    raise SystemExit(main())
