"""One layer of T5: its products, in the precision that is asked for, and what is between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gtr_beir.encoders.linear import HalfMatrix, Matrix, Product, RoundingMatrix
from gtr_beir.encoders.precision import DTYPES, round_to
from gtr_beir.encoders.ranges import (
    require_normed,
    require_reach,
    require_weights,
    shrink,
)


@dataclass(frozen=True)
class Precision:
    """What weights are rounded to (`dtype`), what products run in, and where."""

    dtype: str
    products: str
    device: torch.device

    @property
    def folds(self) -> bool:
        """Whether the weights of norms are multiplied into the matrices behind them, which changes
        nothing but the last bits. The hub's matrices are stored in fp16: in fp16 and tf32 they are
        exact as they are."""
        return self.dtype in ("fp32", "bf16")

    def matrix(self, weight: torch.Tensor) -> Product:
        if self.products == "tf32" and self.device.type == "cpu":
            return RoundingMatrix(weight, "tf32")
        # A GPU rounds to tf32 itself.
        same = self.dtype == self.products == "tf32"
        return Matrix((weight if same else round_to(weight, self.dtype)).to(DTYPES[self.products]))


class Layer:
    """One layer's products, and what is between them: weights of norms (None: folded into the
    matrices), and powers of two that results are multiplied with (`encoders.ranges`)."""

    def __init__(
        self,
        attention_norm: torch.Tensor,
        joined: Sequence[torch.Tensor],
        out: torch.Tensor,
        mlp_norm: torch.Tensor,
        mlp_in: torch.Tensor,
        mlp_out: torch.Tensor,
        precision: Precision,
        name: str,
    ):
        self.out_grows = self.mlp_grows = 1.0
        self.attention_norm: torch.Tensor | None = None
        self.mlp_norm: torch.Tensor | None = None
        if precision.folds:
            joined = [torch.cat(list(joined)).mul_(attention_norm)]
            mlp_in = mlp_in * mlp_norm
        else:
            self.attention_norm, self.mlp_norm = attention_norm, mlp_norm
        self.joined: Product
        self.out: Product
        self.mlp_in: Product
        self.mlp_out: Product
        of_values = of_hidden = 1.0
        if precision.dtype == "fp16":
            # Also where the products are others: the weights are rounded to it.
            of_values, of_hidden = self._prove(joined, out, mlp_in, mlp_out, name)
        if precision.products == "fp16":
            self.out_grows, self.mlp_grows = 1 / of_values, 1 / of_hidden
            powers = [1.0, 1.0, of_values]
            self.joined = HalfMatrix(torch.cat(list(joined)), shrink=_powers(joined, powers))
            self.out = HalfMatrix(out, wide=True)
            self.mlp_in = HalfMatrix(mlp_in, shrink=_powers([mlp_in], [of_hidden]))
            self.mlp_out = HalfMatrix(mlp_out, wide=True)
        else:
            self.joined = precision.matrix(torch.cat(list(joined)))
            self.out, self.mlp_out = precision.matrix(out), precision.matrix(mlp_out)
            self.mlp_in = precision.matrix(mlp_in)
        self.matrices = (self.joined, self.out, self.mlp_in, self.mlp_out)

    def _prove(
        self,
        joined: Sequence[torch.Tensor],
        out: torch.Tensor,
        mlp_in: torch.Tensor,
        mlp_out: torch.Tensor,
        name: str,
    ) -> tuple[float, float]:
        """What values and hidden values are multiplied with to stay in range; OutOfRangeError where
        fp16 is not safe."""
        norm, mlp_norm = self.attention_norm, self.mlp_norm
        assert norm is not None
        assert mlp_norm is not None
        for weights in (*joined, out, mlp_in, mlp_out):
            require_weights(weights, name)
        require_normed(norm, f"the first norm of {name}")
        require_normed(mlp_norm, f"the second norm of {name}")
        queries, keys, values = joined
        require_reach(queries, norm, f"a query of {name}")
        require_reach(keys, norm, f"a key of {name}")
        of_hidden = shrink(mlp_in, mlp_norm, f"a hidden value of {name}")
        return shrink(values, norm, f"a value of {name}"), of_hidden


def _powers(weights: Sequence[torch.Tensor], powers: Sequence[float]) -> torch.Tensor | None:
    """float32[rows of all weights]: the power that belongs to each; None where all are 1."""
    if all(power == 1 for power in powers):
        return None
    each = zip(weights, powers, strict=True)
    return torch.cat([weight.new_full((len(weight),), power) for weight, power in each])
