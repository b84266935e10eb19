"""Linear layers on a CPU through oneDNN, with weights laid out once.

Each is tried when its weight is laid out, and goes through torch's public product where oneDNN's is
missing or gives other values (`gtr_beir.onednn`).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from gtr_beir.onednn import LaidOut, lay_out


class Matrix:
    """x -> x W^T, with a ReLU after it on request: weight [out, in], laid out where that works."""

    def __init__(self, weight: torch.Tensor):
        self._laid_out = lay_out(weight) if weight.device.type == "cpu" else None
        self._weight = None if self._laid_out is not None else weight
        self.shape = tuple(weight.shape)

    @property
    def is_laid_out(self) -> bool:
        return self._laid_out is not None

    def __call__(self, values: torch.Tensor, *, relu: bool = False) -> torch.Tensor:
        if self._laid_out is not None:
            return self._laid_out.product(values, relu=relu)
        assert self._weight is not None
        product = functional.linear(values, self._weight)
        return product.relu_() if relu else product


class LaidOutLinear(nn.Module):
    """nn.Linear with its weight in oneDNN's own layout."""

    def __init__(self, linear: nn.Linear, laid_out: LaidOut):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        # Models read the dtype of a layer's weight; the values are kept only once, laid out.
        self.weight = nn.Parameter(linear.weight.new_empty(0), requires_grad=False)
        self.bias = linear.bias
        self._laid_out = laid_out

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self._laid_out.product(values, self.bias)


@torch.inference_mode()
def lay_out_linear_layers(module: nn.Module) -> int:
    """Lay out every nn.Linear below `module` where that works; returns how many were."""
    count = 0
    for name, layer in module.named_children():
        if type(layer) is nn.Linear:
            laid_out = lay_out(layer.weight.detach(), layer.bias)
            if laid_out is not None:
                setattr(module, name, LaidOutLinear(layer, laid_out))
                count += 1
        else:
            count += lay_out_linear_layers(layer)
    return count
