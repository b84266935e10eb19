"""Scores in exact rational arithmetic, and what single precision makes of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt


def exact_score(query: npt.NDArray[np.float32], document: npt.NDArray[np.float32]) -> Fraction:
    pairs = zip(query.tolist(), document.tolist(), strict=True)
    return sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))


def nearest(value: Fraction) -> np.float32:
    """The float32 nearest to a fraction, the even one of two; found by trying."""
    about = np.float32(float(value))
    near = [np.nextafter(about, np.float32(side)) for side in (-np.inf, np.inf)]
    finite = [number for number in [about, *near] if np.isfinite(number)]
    return min(
        finite,
        key=lambda number: (
            abs(Fraction(float(number)) - value),
            int(number.view(np.int32)) & 1,
        ),
    ) + np.float32(0.0)
