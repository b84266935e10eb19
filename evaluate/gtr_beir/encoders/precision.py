"""What fp32, tf32, bf16 and fp16 mean on a device.

fp32: weights and products in single precision. The others: weights rounded to that precision, and
products of values in it, summed in single precision, where the device has arithmetic for them;
elsewhere of the rounded weights in fp32, since software bf16 is several times slower than fp32
(docs/benchmarks.md). tf32 has the range of fp32 and 11 significant bits, fp16 the same bits and a
range that ends at 65,504 (`encoders.ranges`), bf16 the range of fp32 and 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
"""How operands lie in memory."""
_CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16")
"""What torch calls it on x86 and on ARM."""
_TF32_CUT = 13
"""Bits of a single-precision number that tf32 does not have."""


def products_of(dtype: str, device: torch.device | str) -> str:
    """In which precision products run on the device if `dtype` is asked for: that, or "fp32"."""
    return dtype if dtype == "fp32" or _has(dtype, torch.device(device)) else "fp32"


def why_other_products(dtype: str, products: str) -> str | None:
    """A sentence for whoever asked for `dtype`, if products run in another precision."""
    if products == dtype:
        return None
    return (
        f"no {dtype} arithmetic on this device: weights are rounded to {dtype} and multiplied in "
        f"{products}, which is not faster than --dtype {products}"
    )


def round_to(values: torch.Tensor, dtype: str) -> torch.Tensor:
    """float32 values rounded to a precision, to the nearest, and kept in single precision.

    Of tf32 two that are equally near go away from zero, as the conversion of the cards does.
    """
    if dtype == "tf32":
        half = 1 << (_TF32_CUT - 1)
        bits = values.contiguous().view(torch.int32) + half
        cut = (bits & ~((1 << _TF32_CUT) - 1)).view(torch.float32)
        return torch.where(values.isfinite(), cut, values)
    return values if dtype == "fp32" else values.to(DTYPES[dtype]).to(torch.float32)


def rounded(model: nn.Module, dtype: str, products: str) -> nn.Module:
    """The model in `dtype`, or its weights rounded to it where the products are others; what is not
    a weight (tables of positions) then stays as it is."""
    if products == dtype:
        return model.to(DTYPES[dtype])
    for weight in model.parameters():
        weight.data = round_to(weight.data, dtype).to(DTYPES[products])
    return model


@contextmanager
def arithmetic(products: str, device: torch.device) -> Iterator[None]:
    """torch set to products in a precision while something runs on a device.

    A GPU takes tf32 only where it is told to, and may add parts of an fp16 sum in fp16 where it is
    not told otherwise. These are settings of the whole process, so they are put back.
    """
    if device.type != "cuda" or products not in ("tf32", "fp16"):
        yield
        return
    matmul = torch.backends.cuda.matmul
    before = torch.get_float32_matmul_precision()
    reduced = matmul.allow_fp16_reduced_precision_reduction
    if products == "tf32":
        torch.set_float32_matmul_precision("high")
    matmul.allow_fp16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        matmul.allow_fp16_reduced_precision_reduction = reduced


def _has(dtype: str, device: torch.device) -> bool:
    """Whether the device multiplies in this precision, which is not fp32, in hardware."""
    if device.type == "cuda":
        if dtype == "fp16" and not _widens_fp16(device):
            return False
        if torch.version.hip is not None:
            return dtype != "tf32"
        # bf16 and tf32 from Ampere on, fp16 from Volta on; torch itself asks the current device.
        least = 7 if dtype == "fp16" else 8
        return torch.cuda.get_device_capability(device)[0] >= least
    if dtype != "bf16":
        return False
    # Older versions of torch do not tell, and not of every architecture: they get what is asked.
    ask: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()
    known = [bool(capabilities[name]) for name in _CPU_BF16 if name in capabilities]
    return any(known) or not known


def _widens_fp16(device: torch.device) -> bool:
    """Whether products of fp16 can be had as they are summed, in single precision: what is added to
    the token states does not fit into fp16."""
    try:
        one = torch.full((16, 16), 1024.0, dtype=torch.float16, device=device)
        product = torch.mm(one, one, out_dtype=torch.float32)
    except (RuntimeError, TypeError):  # an older torch, or a device that has no such product
        return False
    return product.dtype == torch.float32 and bool((product == 16 * 1024.0**2).all())
