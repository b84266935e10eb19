"""fp16 without overflow: how large what goes into a product can be, proven from the weights.

T5 overflows in fp16 because the sum of its layers (the token states) and what an MLP gives leave
fp16's range, which ends at 65,504. Here the states and the results that are added to them are in
single precision, so only operands of products are in fp16: normed states, queries, keys, values,
mixtures of values, what is between the two products of an MLP, and the weights.

A state after T5's norm and before its weight g has a length of at most sqrt(width). So, by
Cauchy-Schwarz, no query, key, value or hidden value exceeds sqrt(width) |w g|, where w is its row
of the matrix and w g is multiplied number by number; a mixture of values is no larger than the
largest value. Where values or hidden values could leave the range they are halved often enough,
which changes no bit of a number that stays normal and goes through ReLU and mixtures as it is, and
the result of the next product is doubled as often. Nothing depends on the texts.
"""

from __future__ import annotations

import math

import torch

LIMIT = 60_000.0
"""Less than 65,504: what is rounded on the way (operands by 2^-11, sums by less) has room."""
_LEAST = 2.0**-8
"""More would be lost of small values than fp16 is chosen for."""


class OutOfRangeError(Exception):
    """fp16 cannot be proven to be safe for some weights; the message names them."""


def require_weights(weight: torch.Tensor, what: str) -> None:
    """OutOfRangeError unless all weights are in fp16's range."""
    largest = float(weight.abs().max())
    if not largest <= LIMIT:
        raise OutOfRangeError(f"{what} holds weights up to {largest:.3g}")


def require_normed(norm: torch.Tensor, what: str) -> None:
    """OutOfRangeError unless no normed state, multiplied by the norm's weight, leaves the range."""
    _require(math.sqrt(len(norm)) * float(norm.abs().max()), f"a state after {what}")


def require_reach(weight: torch.Tensor, norm: torch.Tensor, what: str) -> None:
    """OutOfRangeError unless no value of a product leaves the range."""
    _require(reach(weight, norm), what)


def shrink(weight: torch.Tensor, norm: torch.Tensor, what: str) -> float:
    """The power of two, at most 1, that brings every value of a product into the range.

    OutOfRangeError where that would be very small.
    """
    most = reach(weight, norm)
    power = 2.0 ** min(0, math.floor(math.log2(LIMIT / most))) if 0 < most < math.inf else 1.0
    if power < _LEAST:
        _require(most, what)
    _require(most * power, what)
    return power


def reach(weight: torch.Tensor, norm: torch.Tensor) -> float:
    """How large a value of the product of normed states with a weight [out, in] can be."""
    rows = torch.linalg.vector_norm((weight * norm).double(), dim=1)
    return math.sqrt(weight.shape[1]) * float(rows.max())


def _require(most: float, what: str) -> None:
    if not most <= LIMIT:
        raise OutOfRangeError(f"{what} may reach {most:.3g}")
