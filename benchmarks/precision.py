"""What a precision changes, in vectors and in scores: the ground for the choice of `--dtype`.

First vectors beside float64 (the library's T5 in double precision): random weights of GTR-base and
GTR-large, rounded to fp16 as the hub has them, with a few channels whose states grow far beyond the
others', as in trained T5. The library's own fp16 is beside them. Then NDCG@10: all-MiniLM-L6-v2 on
SciFact (published 0.64508), the toy GTR on SciFact and on the demonstration.

tf32 and fp16 are emulated on a CPU: operands are rounded (tf32 to the nearest), products are in
single precision. What a GPU sums, it may sum in another order. Of all-MiniLM-L6-v2 the operands of
linear layers are rounded, those of the attention are not.

    python benchmarks/precision.py [--source FOLDER] [--only vectors|scores] [--layers N]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import T5Config, T5EncoderModel

from gtr_beir import benchmark, load_dataset, load_system
from gtr_beir.checkpoints.layout import (
    ATTENTION_NORM,
    DENSE,
    FINAL_NORM,
    MLP_NORM,
    MLP_OUT,
    RELEASED,
    GtrShape,
)
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.data.importing import import_beir
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.encoders import t5
from gtr_beir.encoders.linear import LaidOutLinear
from gtr_beir.encoders.precision import round_to
from measure import SCIFACT, machine_line, minilm, require_folder, table, version_line

PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
LENGTHS = (1, 4, 9, 16, 16, 33, 64, 120, 180, 250)
OUTLIERS, GROWN, LEFT = 4, 40_000.0, 1 / 640
"""Channels of the states that grow, how much, and what the norms leave of them."""
OF_VECTORS = {
    "shape": "s",
    "precision": "s",
    "largest error": ".1e",
    "mean error": ".1e",
    "of bf16's": ".3f",
    "vectors not finite": "d",
}
OF_SCORES = {
    "checkpoint": "s",
    "dataset": "s",
    "precision": "s",
    "NDCG@10": ".5f",
    "change": "+.5f",
    "Recall@100": ".5f",
    "seconds": ".0f",
}


class WithOutliers(UntrainedArrays):
    """Weights in fp16. A few channels of the states grow layer by layer, out of fp16's range, and
    the norms make them small again, as those of trained T5 do."""

    def tensor(self, name: str) -> torch.Tensor:
        values = super().tensor(name)
        channels = torch.linspace(7, self.shape.width - 9, OUTLIERS).long()
        layers = range(self.shape.layers)
        norms = [form.format(layer) for form in (ATTENTION_NORM, MLP_NORM) for layer in layers]
        if name in (*norms, FINAL_NORM):
            values[channels] *= LEFT
        elif name in [MLP_OUT.format(layer) for layer in layers]:
            values[channels] *= GROWN
        return values.half().float()


def library(arrays: UntrainedArrays, dtype: torch.dtype) -> Any:
    """The library's T5 and GTR's last layer: token ids -> a vector."""
    shape = arrays.shape
    config = T5Config(
        vocab_size=shape.vocabulary,
        d_model=shape.width,
        d_kv=shape.head_width,
        d_ff=shape.hidden,
        num_layers=shape.layers,
        num_heads=shape.heads,
        feed_forward_proj="relu",
    )
    model = T5EncoderModel(config).eval().to(dtype)
    names = [name for name in shape.arrays() if name != DENSE]
    model.load_state_dict({name: arrays.tensor(name).to(dtype) for name in names}, strict=False)
    if dtype == torch.float16:
        # The library leaves this layer in fp32 where it loads a checkpoint in fp16.
        for block in model.encoder.block:
            block.layer[1].DenseReluDense.wo.to(torch.float32)
    dense = arrays.tensor(DENSE)

    def encode(ids: list[int]) -> tuple[torch.Tensor, float]:
        found = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        vector = found.last_hidden_state[0].to(torch.float64).mean(dim=0) @ dense.double().T
        # The last of the hidden states is normed.
        largest = max(float(states.abs().max()) for states in found.hidden_states[:-1])
        return vector / vector.norm(), largest

    return encode


def vectors(size: str, shape: GtrShape) -> list[dict[str, Any]]:
    draw = random.Random(0)
    sequences = [[draw.randrange(3, shape.vocabulary) for _ in range(n)] + [1] for n in LENGTHS]
    arrays = WithOutliers(shape)
    with torch.inference_mode():
        exact = [library(arrays, torch.float64)(ids) for ids in sequences]
        expected = torch.stack([vector for vector, _ in exact])
        theirs = [library(arrays, torch.float16)(ids)[0] for ids in sequences[:5]]
    print(f"GTR-{size}: the largest state is {max(most for _, most in exact):,.0f}", flush=True)
    rows = []
    for precision in PRECISIONS:
        model = t5.T5Model(arrays, dtype=precision, device="cpu", products=precision)
        if model.products != precision:
            raise SystemExit(str(model.unproven))
        rows.append(_row(size, precision, model.forward(sequences).double(), expected))
    for row in rows:
        row["of bf16's"] = row["mean error"] / rows[-1]["mean error"]
    rows.append(_row(size, "fp16, the library", torch.stack(theirs), expected[:5]))
    return rows


def _row(size: str, name: str, found: torch.Tensor, expected: torch.Tensor) -> dict[str, Any]:
    finite = found.isfinite().all(dim=1)
    apart = (found - expected).abs()[finite]
    return {
        "shape": size,
        "precision": name,
        "largest error": float(apart.max()) if len(apart) else None,
        "mean error": float(apart.mean()) if len(apart) else None,
        "vectors not finite": int((~finite).sum()),
    }


def scores(source: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    # In the precision that is asked for, also where a processor has no arithmetic for it.
    t5.products_of = lambda dtype, _: dtype  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "datasets"
        import_beir(source, name="scifact", datasets_dir=store)
        toy = str(CHECKPOINT_DIR)
        for name, path, dataset_name, protocol, precisions in (
            ("all-MiniLM-L6-v2", minilm(), "scifact", "hub", ("fp32", "tf32", "bf16")),
            ("toy GTR", toy, "scifact", "paper", PRECISIONS),
            ("toy GTR", toy, "demo", "paper", PRECISIONS),
        ):
            dataset = load_dataset(dataset_name, datasets_dir=store)
            first = None
            for precision in precisions:
                start = time.perf_counter()
                system = load_system(
                    path, protocol=protocol, dtype=precision, device="cpu", offline=True
                )
                if precision == "tf32" and path != toy:
                    _round_operands(system.encoder.model)
                record = benchmark(
                    system,
                    dataset,
                    results_dir=Path(scratch) / "results",
                    label=f"{name.replace(' ', '-')}-{precision}",
                )
                value = record.measures["ndcg@10"]
                first = value if first is None else first
                rows.append(
                    {
                        "checkpoint": name,
                        "dataset": dataset_name,
                        "precision": precision,
                        "NDCG@10": value,
                        "change": value - first,
                        "Recall@100": record.measures["recall@100"],
                        "seconds": time.perf_counter() - start,
                    }
                )
    return rows


def _round_operands(model: Any) -> None:
    """Whose weights are rounded to tf32 already."""
    for layer in model._model.modules():
        if isinstance(layer, (torch.nn.Linear, LaidOutLinear)):
            layer.register_forward_pre_hook(lambda _, given: (round_to(given[0], "tf32"),))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    parser.add_argument("--only", choices=["vectors", "scores"])
    parser.add_argument("--layers", type=int, help="fewer layers, to try things out")
    options = parser.parse_args()
    print(machine_line(), version_line("transformers", "torch"), sep="; ", end="\n\n")
    if options.only != "scores":
        rows = []
        for size in ("base", "large"):
            shape = replace(RELEASED[f"gtr-{size}"].shape, vocabulary=4096)
            if options.layers:
                shape = replace(shape, layers=options.layers)
            rows += vectors(size, shape)
        print(f"\n{table(rows, OF_VECTORS)}\n", flush=True)
    if options.only != "vectors":
        require_folder(options.source)
        print(table(scores(options.source), OF_SCORES))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
