"""What fp32 and bf16 mean on a device.

fp32: weights and products in single precision. bf16: weights rounded to bf16, and products of bf16
values where the device has arithmetic for them; elsewhere of the rounded weights in fp32, since
software bf16 is several times slower than fp32 and no nearer to what other devices give.
"""

from __future__ import annotations

import platform

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_X86_BF16 = ("avx512_bf16", "amx_bf16")


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


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True  # where it is not known, torch may do as it is asked
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _X86_BF16)
