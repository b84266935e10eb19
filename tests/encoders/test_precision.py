"""Precisions on devices with and without arithmetic for them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from tests.encoders.test_t5 import SMALL
from torch import nn

from gtr_beir.checkpoints.layout import POSITIONS
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.encoders.precision import (
    DTYPES,
    _widens_fp16,
    arithmetic,
    products_of,
    round_to,
    rounded,
)
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.errors import UsageError
from gtr_beir.systems.base import SearchOptions, load_system
from gtr_beir.systems.options import PRECISIONS, EncoderOptions
from gtr_beir.systems.sharing import for_each_device

WITHOUT = {"architecture": "x86_64", "avx2": True, "avx512_f": True, "avx512_bf16": False}


def on_processor(monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object]) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities, raising=False)


@pytest.mark.parametrize(
    ("capabilities", "products"),
    [
        (WITHOUT, "fp32"),
        ({**WITHOUT, "avx512_bf16": True}, "bf16"),
        ({**WITHOUT, "amx_bf16": True}, "bf16"),
        ({"architecture": "arm64", "neon": True, "bf16": False}, "fp32"),
        ({"architecture": "arm64", "neon": True, "bf16": True}, "bf16"),
        ({"architecture": "another"}, "bf16"),
    ],
)
def test_of_a_processor(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], products: str
) -> None:
    on_processor(monkeypatch, capabilities)
    assert products_of("bf16", "cpu") == products
    assert products_of("fp32", "cpu") == "fp32"


def test_of_a_torch_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch.cpu.get_capabilities", raising=False)
    assert products_of("bf16", "cpu") == "bf16"


def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """One like A100, one like T4."""
    generation = {0: (8, 0), 1: (7, 5)}
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(
        "torch.cuda.get_device_capability", lambda device: generation[torch.device(device).index]
    )


def test_of_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    two_gpus(monkeypatch)
    monkeypatch.setattr("gtr_beir.encoders.precision._widens_fp16", lambda _: True)
    assert [products_of("bf16", f"cuda:{n}") for n in (0, 1)] == ["bf16", "fp32"]
    assert [products_of("tf32", f"cuda:{n}") for n in (0, 1)] == ["tf32", "fp32"]
    assert [products_of("fp16", f"cuda:{n}") for n in (0, 1)] == ["fp16", "fp16"]


def test_the_command_line_and_the_encoders_know_the_same() -> None:
    assert set(PRECISIONS) == set(DTYPES)


def test_rounding_to_tf32() -> None:
    """To 11 bits, to the nearest, of two equally near away from zero; beside exact arithmetic."""
    drawn = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 1e3
    middle = torch.tensor([1 + 2.0**-11, -1 - 2.0**-11, 1 + 3 * 2.0**-11, 2.0**-140, 0.0])
    values = torch.cat((drawn, middle))
    for value, found in zip(values.tolist(), round_to(values, "tf32").tolist(), strict=True):
        exponent = max(math.frexp(value)[1] - 1, -126)
        step = Fraction(2) ** (exponent - 10)
        whole = math.floor(abs(Fraction(value)) / step + Fraction(1, 2))
        assert Fraction(found) == (whole if value >= 0 else -whole) * step
    beyond = round_to(torch.tensor([math.inf, -math.inf, math.nan]), "tf32")
    assert beyond[:2].tolist() == [math.inf, -math.inf]
    assert beyond[2].isnan()


def test_settings_of_the_process_are_put_back() -> None:
    matmul, gpu = torch.backends.cuda.matmul, torch.device("cuda:0")

    def settings() -> tuple[str, bool]:
        reduced = matmul.allow_fp16_reduced_precision_reduction
        return torch.get_float32_matmul_precision(), bool(reduced)

    before = settings()
    with arithmetic("tf32", gpu):
        assert settings() == ("high", False)
    assert settings() == before
    with pytest.raises(ZeroDivisionError), arithmetic("fp16", gpu):
        assert settings() == (before[0], False)
        raise ZeroDivisionError
    assert settings() == before
    with arithmetic("fp32", gpu), arithmetic("tf32", torch.device("cpu")):
        assert settings() == before


def test_fp16_needs_results_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """This processor's torch has no such product, as an older torch has none on a GPU."""
    two_gpus(monkeypatch)
    assert not _widens_fp16(torch.device("cpu"))
    monkeypatch.setattr("gtr_beir.encoders.precision._widens_fp16", lambda _: False)
    assert [products_of("fp16", f"cuda:{n}") for n in (0, 1)] == ["fp32", "fp32"]


def test_gpus_with_and_without_are_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    two_gpus(monkeypatch)
    with pytest.raises(
        UsageError, match="not all devices of --device cuda:0,cuda:1 have bf16 arithmetic"
    ):
        for_each_device(EncoderOptions(device="cuda:0,cuda:1", dtype="bf16"))
    assert len(for_each_device(EncoderOptions(device="cuda:0,cuda:1"))) == 2


def test_what_is_no_weight_is_not_rounded() -> None:
    net = nn.Linear(3, 2)
    net.register_buffer("places", torch.tensor([1 / 3]))
    weight, places = net.weight.detach().clone(), torch.tensor([1 / 3])
    rounded(net, "bf16", "fp32")
    assert torch.equal(net.weight, weight.bfloat16().float())
    assert torch.equal(net.places, places)
    assert rounded(net, "bf16", "bf16").weight.dtype == torch.bfloat16


class PlainNorms(UntrainedArrays):
    """Norm weights of 1, so that nothing is multiplied into the matrices; those of the layers are
    rounded to bf16 if `rounded`."""

    def __init__(self, *, rounded: bool):
        super().__init__(SMALL)
        self._rounded = rounded

    def tensor(self, name: str) -> torch.Tensor:
        values = super().tensor(name)
        if values.dim() == 1:
            return torch.ones_like(values)
        in_layers = name.startswith("encoder.block.") and name != POSITIONS
        return values.bfloat16().float() if self._rounded and in_layers else values


def test_without_arithmetic_weights_are_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [[*list(range(2, 2 + n)), 1] for n in (1, 20, 20, 200)]
    exact = T5Model(PlainNorms(rounded=False), dtype="fp32", device="cpu").forward(sequences)
    expected = T5Model(PlainNorms(rounded=True), dtype="fp32", device="cpu")
    on_processor(monkeypatch, WITHOUT)
    model = T5Model(PlainNorms(rounded=False), dtype="bf16", device="cpu")
    assert model.products == "fp32"
    found = model.forward(sequences)
    assert torch.equal(found, expected.forward(sequences))
    assert 0 < (found - exact).abs().max() < 5e-3


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", [str(CHECKPOINT_DIR), f"colbert:{COLBERT_DIR}"])
def test_a_run_says_so(
    name: str,
    dtype: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    on_processor(monkeypatch, WITHOUT)
    system = load_system(name, device="cpu", offline=True, dtype=dtype)
    demo = load_dataset("demo", datasets_dir=tmp_path / "datasets")
    assert isinstance(demo, Dataset)
    found = system.search(demo, SearchOptions(work_dir=tmp_path / "work", quiet=False))
    said = "no bf16 arithmetic on this device" in capsys.readouterr().err
    assert said == (dtype == "bf16")
    assert (found.facts["dtype"], found.facts["products"]) == (dtype, "fp32")
