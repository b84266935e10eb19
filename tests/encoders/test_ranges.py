"""fp16 that cannot overflow: the proof, and the forward pass that rests on it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from tests.encoders.test_t5 import SMALL
from transformers import T5Config, T5EncoderModel

from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.checkpoints.layout import (
    ATTENTION_NORM,
    DENSE,
    EMBEDDING,
    MLP_IN,
    MLP_NORM,
    MLP_OUT,
    POSITIONS,
    QUERY,
    VALUE,
)
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.encoders.linear import HalfMatrix
from gtr_beir.encoders.loading import load_encoder, load_token_encoder
from gtr_beir.encoders.ranges import LIMIT, OutOfRangeError, reach, require_reach, shrink
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.encoders.text import TextEncoder
from gtr_beir.errors import UsageError

SEQUENCES = [[*range(2, 2 + n), 1] for n in (1, 20, 20, 130)]


class Changed(UntrainedArrays):
    """Weights as the hub has them, in fp16; arrays of the first layer multiplied."""

    def __init__(self, **factors: float):
        super().__init__(SMALL)
        names = {"query": QUERY, "value": VALUE, "mlp_in": MLP_IN, "mlp_out": MLP_OUT}
        names |= {"attention_norm": ATTENTION_NORM, "mlp_norm": MLP_NORM, "positions": POSITIONS}
        self._factors = {names[key].format(0): factor for key, factor in factors.items()}

    def tensor(self, name: str) -> torch.Tensor:
        values = super().tensor(name)
        if values.dim() == 2 and name not in (DENSE, EMBEDDING):
            values = values.half().float()
        return values * self._factors.get(name, 1.0)


def in_double(arrays: UntrainedArrays) -> torch.Tensor:
    """Vectors of the library's model in float64."""
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
    model = T5EncoderModel(config).eval().double()
    names = set(shape.arrays()) - {DENSE}
    state = {name: arrays.tensor(name).double() for name in names}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert set(missing) <= {"encoder.embed_tokens.weight"}
    found = []
    with torch.inference_mode():
        for sequence in SEQUENCES:
            states = model(input_ids=torch.tensor([sequence])).last_hidden_state[0]
            vector = states.mean(dim=0) @ arrays.tensor(DENSE).double().T
            found.append(vector / vector.norm())
    return torch.stack(found)


def apart(arrays: UntrainedArrays, precision: str) -> float:
    """How far the vectors of a precision are from those in float64, at most."""
    model = T5Model(arrays, dtype=precision, device="cpu", products=precision)
    assert (model.products, model.unproven) == (precision, None)
    found = model.forward(SEQUENCES)
    assert bool(found.isfinite().all())
    return float((found.double() - in_double(arrays)).abs().max())


def test_fp16_is_eight_times_as_exact_as_bf16() -> None:
    arrays = Changed()
    errors = {name: apart(arrays, name) for name in ("fp32", "tf32", "fp16", "bf16")}
    assert errors["fp32"] < 2e-6
    assert errors["fp32"] < errors["fp16"] < errors["bf16"] / 5
    assert errors["fp32"] < errors["tf32"] < errors["bf16"] / 5


def test_weights_of_the_hub_are_exact_in_fp16_and_tf32() -> None:
    """Where the device has no such arithmetic, products are fp32 of the same weights."""
    fp32, tf32, fp16 = (
        T5Model(Changed(), dtype=dtype, device="cpu", products="fp32").forward(SEQUENCES)
        for dtype in ("fp32", "tf32", "fp16")
    )
    assert torch.equal(fp16, tf32)
    assert (fp16 - fp32).abs().max() < 1e-6


def test_results_beyond_the_range() -> None:
    """What an MLP gives leaves fp16's range, and so do the states: no harm."""
    largest = float(Changed().tensor(MLP_OUT.format(0)).abs().max())
    arrays = Changed(mlp_out=0.99 * LIMIT / largest)
    model = T5Model(arrays, dtype="fp16", device="cpu", products="fp16")
    hidden = torch.ones((1, SMALL.hidden), dtype=torch.float16)
    assert model._layers[0].mlp_out(hidden).abs().max() > 65_504
    assert apart(arrays, "fp16") < 2e-3


@pytest.mark.parametrize(
    "factors", [{"mlp_in": 3e4}, {"value": 3e4}, {"value": 6e4, "mlp_in": 6e4}]
)
def test_values_that_could_leave_the_range_are_halved(factors: dict[str, float]) -> None:
    arrays = Changed(**factors)
    model = T5Model(arrays, dtype="fp16", device="cpu", products="fp16")
    first, second = model._layers
    assert (first.out_grows > 1, first.mlp_grows > 1) == ("value" in factors, "mlp_in" in factors)
    assert (second.out_grows, second.mlp_grows) == (1, 1)
    assert apart(arrays, "fp16") < 2e-3


@pytest.mark.parametrize(
    ("factors", "why"),
    [
        ({"mlp_in": 1e8}, r"layer 1 holds weights up to \d"),
        ({"mlp_in": math.nan}, r"layer 1 holds weights up to nan"),
        ({"attention_norm": 1e5}, r"a state after the first norm of layer 1 may reach \S*e\+0?6"),
        ({"mlp_norm": 2e4}, r"a state after the second norm of layer 1 may reach"),
        ({"query": 1e5}, r"a query of layer 1 may reach"),
        ({"positions": 1e7}, r"the position bias holds weights up to"),
        ({"value": 2e4, "attention_norm": 1e3}, r"a query of layer 1 may reach|a value of layer 1"),
    ],
)
@pytest.mark.parametrize("products", ["fp16", None])
def test_what_cannot_be_proven_is_fp32_and_says_why(
    factors: dict[str, float], why: str, products: str | None
) -> None:
    """Also on a device that multiplies in fp32 anyway: weights are rounded to fp16 there."""
    model = T5Model(Changed(**factors), dtype="fp16", device="cpu", products=products)
    assert model.products == "fp32"
    assert model.unproven is not None
    assert re.search(why, model.unproven)
    expected = T5Model(Changed(**factors), dtype="fp32", device="cpu").forward(SEQUENCES)
    assert torch.equal(model.forward(SEQUENCES).nan_to_num(7), expected.nan_to_num(7))


def test_the_proof_holds_and_is_tight() -> None:
    """States that point along a row reach what is proven, and none goes beyond."""
    draw = torch.Generator().manual_seed(3)
    weight, norm = torch.randn((40, 64), generator=draw), torch.rand(64, generator=draw) + 0.5
    most = reach(weight, norm)
    width = 64**0.5
    along = torch.nn.functional.normalize(weight * norm, dim=1) * width
    drawn = torch.nn.functional.normalize(torch.randn((500, 64), generator=draw), dim=1) * width
    for states in (along, -along, drawn):
        values = ((states * norm).half().float() @ weight.half().float().T).abs().max()
        assert values < most * 1.002
    assert ((along * norm) @ weight.T).max() > most * 0.999


def test_shrinking_is_by_the_power_that_is_needed() -> None:
    norm = torch.ones(4)
    for largest, power in ((10.0, 1.0), (LIMIT / 2, 1.0), (LIMIT / 2 * 1.01, 0.5), (LIMIT, 0.5)):
        weight = torch.zeros((3, 4))
        weight[1, 2] = largest
        assert shrink(weight, norm, "it") == power
    with pytest.raises(OutOfRangeError, match="it may reach"):
        shrink(torch.full((3, 4), 1e8), norm, "it")
    with pytest.raises(OutOfRangeError, match="it may reach nan"):
        require_reach(torch.full((3, 4), math.nan), norm, "it")
    assert shrink(torch.zeros((3, 4)), norm, "it") == 1


def test_a_wide_result_does_not_overflow() -> None:
    weight = torch.full((2, 8), 1e4)
    values = torch.full((1, 8), 1e4, dtype=torch.float16)
    assert HalfMatrix(weight)(values).isinf().all()
    assert HalfMatrix(weight, wide=True)(values).tolist() == [[8e8, 8e8]]
    quarter = torch.tensor([2.0**-14, 1.0])
    assert HalfMatrix(weight, shrink=quarter)(values)[0, 0] == 8e8 * 2.0**-14
    assert HalfMatrix(-weight, wide=True)(values, relu=True).tolist() == [[0, 0]]


def test_other_encoders_are_refused(minilm: str) -> None:
    with pytest.raises(UsageError, match="fp16 is for GTR, whose ranges are proven"):
        load_encoder(open_checkpoint(minilm, offline=True), dtype="fp16", device="cpu")
    with pytest.raises(UsageError, match="fp16 is for GTR, whose ranges are proven"):
        load_token_encoder(open_checkpoint(f"colbert:{COLBERT_DIR}", offline=True), dtype="fp16")


def test_a_run_is_told() -> None:
    checkpoint = open_checkpoint(str(CHECKPOINT_DIR), offline=True)
    encoder = load_encoder(checkpoint, dtype="fp16", device="cpu")
    assert isinstance(encoder, TextEncoder)
    assert encoder.remarks == (
        "no fp16 arithmetic on this device: weights are rounded to fp16 and multiplied in fp32, "
        "which is not faster than --dtype fp32",
    )
    encoder.model.unproven = "fp16 is not safe"  # type: ignore[misc]
    assert encoder.remarks == ("fp16 is not safe",)
    vectors = encoder.encode(["a text"], kind="query", max_tokens=8).vectors
    assert np.isfinite(vectors).all()
