"""A checkpoint of any shape that knows nothing: random weights, for plans, benchmarks and tests."""

from __future__ import annotations

import zlib

import torch

from gtr_beir.checkpoints.layout import EMBEDDING, POSITIONS, GtrShape


class UntrainedArrays:
    """Arrays drawn as T5 draws them before training, the same for the same seed; norm weights lie
    around 1, so that leaving one out would be seen."""

    source = "random weights"
    stored = ("float32",)

    def __init__(self, shape: GtrShape, seed: int = 0):
        self.shape = shape
        self._sizes = shape.arrays()
        self._seed = seed

    def tensor(self, name: str) -> torch.Tensor:
        sizes = self._sizes[name]
        draw = torch.Generator().manual_seed(zlib.crc32(name.encode()) + self._seed)
        values = torch.randn(sizes, generator=draw)
        if len(sizes) == 1:
            return values.mul_(0.1).add_(1.0)
        if name == EMBEDDING:
            return values
        if name == POSITIONS:
            return values.mul_(self.shape.width**-0.5)
        values.mul_(sizes[1] ** -0.5)
        if name.endswith(".q.weight"):
            values.mul_(self.shape.head_width**-0.5)
        return values
