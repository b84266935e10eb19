"""Linear layers that are laid out give the layer's own values, in any thread count."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gtr_beir.encoders.linear import LaidOutLinear, lay_out_linear_layers


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("bias", [True, False])
def test_same_values(dtype: torch.dtype, tolerance: float, bias: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(24, 40, bias=bias), nn.ReLU(), nn.Sequential(nn.Linear(40, 8)))
    net.to(dtype)
    values = torch.randn(5, 7, 24, dtype=dtype)
    with torch.inference_mode():
        expected = net(values)
        laid_out = lay_out_linear_layers(net)
        assert (net(values) - expected).abs().max() <= tolerance * expected.abs().max()
    there = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    if there and (dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        assert laid_out == 2
        assert isinstance(net[0], LaidOutLinear)


def test_without_the_operators_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gtr_beir.encoders.linear.lay_out", lambda weight, bias: None)
    net = nn.Sequential(nn.Linear(3, 4))
    assert lay_out_linear_layers(net) == 0
    assert type(net[0]) is nn.Linear
