"""The one door to oneDNN's own products on a CPU, whose operators are private to torch.

torch sends single-precision products to MKL, which is slow on some processors; oneDNN with a weight
laid out once in its own layout is about twice as fast there (`benchmarks/encode.py` shows what it
gives). Operators that are private may be missing or change, so nobody gets through this door before
they gave the same values as torch's public product.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch.nn import functional


class LaidOut:
    """A weight [out, in] in oneDNN's own layout, for products x W^T; the weight is not kept.

    Nothing is probed here: `lay_out` does it for the weight that it gets, `works` once for all.
    Raises AttributeError or RuntimeError where torch has no such operators.
    """

    def __init__(self, weight: torch.Tensor):
        self._weight: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(
            weight.contiguous(), None
        )

    def product(
        self, values: torch.Tensor, bias: torch.Tensor | None = None, *, relu: bool = False
    ) -> torch.Tensor:
        """[..., in] -> [..., out]: x W^T + bias, with a ReLU after it on request."""
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            values, self._weight, bias, "relu" if relu else "none", [], ""
        )
        return product


@torch.inference_mode()
def lay_out(weight: torch.Tensor, bias: torch.Tensor | None = None) -> LaidOut | None:
    """The weight laid out, if that works here and gives the values of torch's own product with this
    weight and bias; else None."""
    tolerance = 1e-5 if weight.dtype == torch.float32 else 2e-2
    probe = torch.linspace(-1, 1, 3 * weight.shape[1]).reshape(3, -1).to(weight.dtype)
    try:
        laid_out = LaidOut(weight)
        given = laid_out.product(probe, bias)
    except (AttributeError, RuntimeError):
        return None
    expected = functional.linear(probe, weight, bias)
    scale = expected.abs().max().clamp(min=1e-6)
    return laid_out if bool((given - expected).abs().max() <= tolerance * scale) else None


@functools.cache
def works() -> bool:
    """Whether a weight in single precision can be laid out here and gives the right values: probed
    once a process, for those who lay out many that are used only briefly."""
    weight = torch.linspace(-2, 2, 24 * 96).sin().reshape(24, 96)
    return lay_out(weight) is not None


@functools.cache
def multiplies_bf16() -> bool:
    """Whether the processor multiplies bf16 in hardware, and torch does it right."""
    try:
        found = torch.cpu.get_capabilities()
    except (AttributeError, RuntimeError):
        return False
    return bool(found.get("amx_bf16") or found.get("avx512_bf16")) and sums_bf16_in_single()


@functools.cache
def sums_bf16_in_single() -> bool:
    """Whether torch's public product of bf16 is summed in single precision and rounded once: probed
    once a process."""
    return summed_in_single(torch.matmul)


def summed_in_single(product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> bool:
    """Whether a product of two matrices of bf16 is."""
    values = torch.randn((17, 4096), generator=torch.Generator().manual_seed(0)).bfloat16()
    wide = values.double()
    # Of random values a sum in single precision is off by far less than this part of its bound,
    # and one of which a part was kept in bf16 by more.
    lengths = wide.norm(dim=1)
    off = 4096 * 2.0**-24 / 32 * lengths[:, None] * lengths
    for rows in (1, 16):
        expected = wide[:rows] @ wide.T
        found = product(values[:rows], values.T).double()
        if bool(((found - expected).abs() > off[:rows] + 2.0**-8 * expected.abs()).any()):
            return False
    return True
