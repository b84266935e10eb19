"""Linear layers on a CPU through oneDNN with weights packed once.

torch sends single-precision products to MKL, which is slow on some processors; oneDNN with packed
weights is about twice as fast there (`benchmarks/end_to_end.py` shows what it gives). The operators
are private to torch, so each layer is tried once when it is packed and stays as it was if they are
missing or give other values.
"""

from __future__ import annotations

import torch
from torch import nn


class PackedLinear(nn.Module):
    """nn.Linear with its weight in oneDNN's own layout."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        # T5 reads the dtype of a layer's weight; the values themselves are kept only once, packed.
        self.weight = nn.Parameter(linear.weight.new_empty(0), requires_grad=False)
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(
            linear.weight.detach().contiguous(), None
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            values, self._packed, self.bias, "none", [], ""
        )
        return product


@torch.inference_mode()
def pack_linear_layers(module: nn.Module) -> int:
    """Replace every nn.Linear below `module` that can be packed; returns how many were."""
    packed = 0
    for name, layer in module.named_children():
        if type(layer) is nn.Linear:
            better = _packed(layer)
            if better is not None:
                setattr(module, name, better)
                packed += 1
        else:
            packed += pack_linear_layers(layer)
    return packed


def _packed(layer: nn.Linear) -> PackedLinear | None:
    """The layer packed, if that works here and gives the same values."""
    tolerance = 1e-5 if layer.weight.dtype == torch.float32 else 2e-2
    probe = torch.linspace(-1, 1, 3 * layer.in_features).reshape(1, 3, -1).to(layer.weight.dtype)
    try:
        better = PackedLinear(layer)
        given, expected = better(probe), layer(probe)
    except (AttributeError, RuntimeError):
        return None
    scale = expected.abs().max().clamp(min=1e-6)
    return better if bool((given - expected).abs().max() <= tolerance * scale) else None
