"""The devices of this machine, by name."""

from __future__ import annotations

import re

import torch

from gtr_beir.errors import UsageError


def resolve_device(device: str | None) -> str:
    """`device`, or a GPU where there is one, else the CPU."""
    chosen = device
    if chosen is None:
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", chosen):
        raise UsageError(f"there is no device '{chosen}'; use cpu or cuda")
    if chosen.startswith("cuda"):
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(chosen.partition(":")[2] or 0) >= there:
            others = f"cuda:0 to cuda:{there - 1} or cpu" if there else "cpu"
            raise UsageError(f"there is no {chosen} on this machine; use --device {others}")
    return chosen


def kind_of(device: str) -> str:
    """What a device is: `cpu`, or a GPU's name."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On the device, without waiting for it where that can be."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
