"""Timings of one text at a time, as `benchmarks/latency.py --output` leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gtr_beir.errors import StoreError
from gtr_beir.files import read_json

LATENCY = "latency.json"
"""Its name in a results folder."""
TOKENS = 128
"""Of the text, as in section 8 of the GTR paper."""
REPEATS = 100
"""Least number of times that a text is encoded for a median that counts."""


@dataclass(frozen=True)
class Latency:
    """medians: published model -> milliseconds, of one precision; remarks: why timings that are
    there do not count."""

    medians: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_latency(path: Path) -> Latency:
    """The timings in a file, none if it is not there; StoreError if it is damaged.

    Of several precisions the one with most models is taken, the first where they are equal.
    """
    if not path.exists():
        return Latency()
    value = read_json(path)
    try:
        tokens, repeats = int(value["tokens"]), int(value["repeats"])
        timings = [(str(t["model"]), str(t["dtype"]), float(t["ms"])) for t in value["timings"]]
        if not all(0 < ms < float("inf") for _, _, ms in timings):
            raise ValueError("a time is not above 0")
    except (TypeError, KeyError, ValueError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete it and time again") from None
    if tokens != TOKENS:
        return Latency(remarks=(f"{path.name} does not count: {tokens} tokens, not {TOKENS}",))
    if repeats < REPEATS:
        why = f"{path.name} does not count: medians of {repeats}, of {REPEATS} or more are needed"
        return Latency(remarks=(why,))
    by_dtype: dict[str, dict[str, float]] = {}
    for model, dtype, ms in timings:
        by_dtype.setdefault(dtype, {})[model] = ms
    return Latency(max(by_dtype.values(), key=len, default={}))
