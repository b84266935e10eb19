"""bf16 on devices with and without arithmetic for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluate.data.catalogue import load_dataset
from evaluate.data.store import Dataset
from evaluate.demo import CHECKPOINT_DIR, COLBERT_DIR
from evaluate.systems.base import SearchOptions, load_system
from evaluate.systems.checkpoints.layout import POSITIONS
from evaluate.systems.checkpoints.untrained import UntrainedArrays
from evaluate.systems.precision import products_of, why_other_products
from evaluate.systems.t5 import T5Model
from tests.systems.test_t5 import SMALL

WITHOUT = {"architecture": "x86_64", "avx2": True, "avx512_f": True, "avx512_bf16": False}


def on_processor(monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object]) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities)


@pytest.mark.parametrize(
    ("capabilities", "products"),
    [
        (WITHOUT, "fp32"),
        ({**WITHOUT, "avx512_bf16": True}, "bf16"),
        ({**WITHOUT, "amx_bf16": True}, "bf16"),
        ({}, "fp32"),
    ],
)
def test_of_a_processor(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], products: str
) -> None:
    on_processor(monkeypatch, capabilities)
    assert products_of("bf16", "cpu") == products
    assert products_of("fp32", "cpu") == "fp32"


def test_of_a_processor_that_torch_knows_less_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    assert products_of("bf16", "cpu") == "bf16"


@pytest.mark.parametrize(("native", "products"), [(True, "bf16"), (False, "fp32")])
def test_of_a_gpu(monkeypatch: pytest.MonkeyPatch, native: bool, products: str) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr("torch.cuda.is_bf16_supported", supported)
    assert products_of("bf16", "cuda:1") == products


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


@pytest.mark.parametrize("name", [str(CHECKPOINT_DIR), f"colbert:{COLBERT_DIR}"])
def test_a_run_says_so(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    on_processor(monkeypatch, WITHOUT)
    system = load_system(name, device="cpu", offline=True, dtype="bf16")
    demo = load_dataset("demo", datasets_dir=tmp_path / "datasets")
    assert isinstance(demo, Dataset)
    found = system.search(demo, SearchOptions(work_dir=tmp_path / "work", quiet=False))
    assert "no bf16 arithmetic on this device" in capsys.readouterr().err
    assert (found.facts["dtype"], found.facts["products"]) == ("bf16", "fp32")


def test_nothing_is_said_where_there_is() -> None:
    assert why_other_products("bf16", "bf16") is None
    assert why_other_products("fp32", "fp32") is None
