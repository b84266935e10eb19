"""Linear layers on a CPU through oneDNN with weights packed once.

torch sends single-precision products to MKL, which is slow on some processors; oneDNN with packed
weights is about twice as fast there (`benchmarks/encode.py` shows what it gives). The operators
are private to torch, so each layer is tried once when it is packed and goes through torch's public
one if they are missing or give other values.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Matrix:
    """x -> x W^T, with a ReLU after it on request: weight [out, in], packed where that works."""

    def __init__(self, weight: torch.Tensor):
        self._packed = pack(weight, None) if weight.device.type == "cpu" else None
        self._weight = None if self._packed is not None else weight
        self.shape = tuple(weight.shape)

    @property
    def is_packed(self) -> bool:
        return self._packed is not None

    def __call__(self, values: torch.Tensor, *, relu: bool = False) -> torch.Tensor:
        if self._packed is not None:
            return _product(values, self._packed, None, relu)
        assert self._weight is not None
        product = functional.linear(values, self._weight)
        return product.relu_() if relu else product


class PackedLinear(nn.Module):
    """nn.Linear with its weight in oneDNN's own layout."""

    def __init__(self, linear: nn.Linear, packed: torch.Tensor):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        # Models read the dtype of a layer's weight; the values are kept only once, packed.
        self.weight = nn.Parameter(linear.weight.new_empty(0), requires_grad=False)
        self.bias = linear.bias
        self._packed = packed

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return _product(values, self._packed, self.bias, relu=False)


@torch.inference_mode()
def pack_linear_layers(module: nn.Module) -> int:
    """Replace every nn.Linear below `module` that can be packed; returns how many were."""
    count = 0
    for name, layer in module.named_children():
        if type(layer) is nn.Linear:
            packed = pack(layer.weight.detach(), layer.bias)
            if packed is not None:
                setattr(module, name, PackedLinear(layer, packed))
                count += 1
        else:
            count += pack_linear_layers(layer)
    return count


@torch.inference_mode()
def pack(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor | None:
    """The weight in oneDNN's layout, if that works here and gives the same values; else None."""
    tolerance = 1e-5 if weight.dtype == torch.float32 else 2e-2
    probe = torch.linspace(-1, 1, 3 * weight.shape[1]).reshape(3, -1).to(weight.dtype)
    try:
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
        given = _product(probe, packed, bias, relu=False)
    except (AttributeError, RuntimeError):
        return None
    expected = functional.linear(probe, weight, bias)
    scale = expected.abs().max().clamp(min=1e-6)
    return packed if bool((given - expected).abs().max() <= tolerance * scale) else None


def _product(
    values: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None, relu: bool
) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
        values, packed, bias, "relu" if relu else "none", [], ""
    )
    return product
