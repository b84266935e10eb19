"""What fp32 and bf16 mean on a device.

fp32: weights and products in single precision. bf16: weights rounded to bf16, and products of bf16
values where the device has arithmetic for them; elsewhere of the rounded weights in fp32, since
software bf16 is several times slower than fp32 (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16")
"""What torch calls it on x86 and on ARM."""


def products_of(dtype: str, device: torch.device | str) -> str:
    """In which precision products run on the device if `dtype` is asked for: "fp32" or "bf16"."""
    return dtype if dtype == "fp32" or _has_bf16(torch.device(device)) else "fp32"


def why_other_products(dtype: str, products: str) -> str | None:
    """A sentence for whoever asked for `dtype`, if products run in another precision."""
    if products == dtype:
        return None
    return (
        f"no {dtype} arithmetic on this device: weights are rounded to {dtype} and multiplied in "
        f"{products}, which is not faster than --dtype {products}"
    )


def rounded(model: nn.Module, dtype: str, products: str) -> nn.Module:
    """The model in `dtype`, or its weights rounded to it where the products are others; what is not
    a weight (tables of positions) then stays as it is."""
    if products == dtype:
        return model.to(DTYPES[dtype])
    for weight in model.parameters():
        weight.data = weight.data.to(DTYPES[dtype]).to(DTYPES[products])
    return model


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        # From Ampere on; torch itself asks the current device only.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= 8
    # Older versions of torch do not tell, and not of every architecture: they get what is asked.
    ask: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()
    known = [bool(capabilities[name]) for name in _CPU_BF16 if name in capabilities]
    return any(known) or not known
