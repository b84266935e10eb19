"""The only place where scores, differences and p-values are rounded: when they are shown.

Whatever is computed, compared or stored is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # heavy, and others who round need it not
    import pandas as pd

DECIMALS = 4
"""As trec_eval and most papers' appendices print them."""
_OF_ENDS = 9
"""Processors differ in the last bits of a product, and resamples in far more than this."""


def shown(value: float, decimals: int = DECIMALS, *, percent: bool = False) -> str:
    """`0.7051`, or `70.51` in percent"""
    return f"{100 * value:.{decimals - 2}f}" if percent else f"{value:.{decimals}f}"


def as_shown(value: float, decimals: int) -> float:
    """The value that is read where `value` is shown."""
    return float(shown(value, decimals))


def ends(values: pd.Series[float]) -> pd.Series[float]:
    """Ends of intervals where all digits of values are given: the same on every processor."""
    return values.astype(float).round(_OF_ENDS)


def signed(value: float, decimals: int = DECIMALS, *, percent: bool = False) -> str:
    """A difference: `+0.0123`, `-0.0040`; or `+1.23` in percent."""
    text = f"{100 * value:+.{decimals - 2}f}" if percent else f"{value:+.{decimals}f}"
    return text.replace("-", "+") if float(text) == 0 else text


def p_value(value: float) -> str:
    """`0.0432`, or `< 0.0001`: no number of samples shows that p is 0."""
    least = 10.0**-DECIMALS
    return f"< {shown(least)}" if value < least else shown(value)
