"""The only place where scores, differences and p-values are rounded: when they are shown.

Whatever is computed, compared or stored is not.
"""

from __future__ import annotations

DECIMALS = 4
"""As trec_eval and most papers' appendices print them."""


def shown(value: float, decimals: int = DECIMALS) -> str:
    """`0.7051`"""
    return f"{value:.{decimals}f}"


def signed(value: float, decimals: int = DECIMALS) -> str:
    """A difference: `+0.0123`, `-0.0040`."""
    return f"{value:+.{decimals}f}"
