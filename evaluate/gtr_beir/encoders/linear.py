"""Linear layers: on a CPU through oneDNN, with weights laid out once, and in other precisions.

A weight is tried when it is laid out, and goes through torch's public product where oneDNN's is
missing or gives other values (`gtr_beir.onednn`).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from gtr_beir.encoders.precision import round_to
from gtr_beir.onednn import LaidOut, lay_out


class Product(Protocol):
    """x -> x W^T, with a ReLU after it on request: [n, in] -> [n, out]."""

    shape: tuple[int, ...]

    @property
    def is_laid_out(self) -> bool: ...

    def __call__(self, values: torch.Tensor, *, relu: bool = False) -> torch.Tensor: ...


class Matrix:
    """A weight [out, in], laid out where that works; operands and results have its precision."""

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


class RoundingMatrix:
    """A weight whose operands are rounded to a precision and multiplied in single precision, in
    which they stay: how a CPU does what only GPUs have arithmetic for."""

    def __init__(self, weight: torch.Tensor, precision: str):
        self._precision = precision
        self._matrix = Matrix(round_to(weight, precision))
        self.shape = self._matrix.shape

    @property
    def is_laid_out(self) -> bool:
        return self._matrix.is_laid_out

    def __call__(self, values: torch.Tensor, *, relu: bool = False) -> torch.Tensor:
        return self._matrix(round_to(values, self._precision), relu=relu)


class HalfMatrix:
    """A weight in fp16 for operands in fp16, summed in single precision.

    Results are in fp16, each multiplied by its number of `shrink` (float32[out], powers of two)
    before it is rounded, if that is given; or in single precision if `wide`.
    """

    def __init__(
        self, weight: torch.Tensor, *, wide: bool = False, shrink: torch.Tensor | None = None
    ):
        """weight: float32[out, in]."""
        self.shape = tuple(weight.shape)
        self._wide, self._shrink = wide, shrink
        half = weight.to(torch.float16)
        # A CPU has no such product: it widens the operands, and takes the same in fp32.
        self._on_cpu = Matrix(half.float()) if weight.device.type == "cpu" else None
        self._weight = None if self._on_cpu is not None else half

    @property
    def is_laid_out(self) -> bool:
        return self._on_cpu is not None and self._on_cpu.is_laid_out

    def __call__(self, values: torch.Tensor, *, relu: bool = False) -> torch.Tensor:
        if self._on_cpu is not None:
            product = self._on_cpu(values.float(), relu=relu)
        else:
            assert self._weight is not None
            if self._wide or self._shrink is not None:
                product = torch.mm(values, self._weight.t(), out_dtype=torch.float32)
            else:
                product = functional.linear(values, self._weight)
            if relu:
                product.relu_()
        if self._wide:
            return product
        return (product if self._shrink is None else product * self._shrink).to(torch.float16)


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
