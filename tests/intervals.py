"""One interval, for tests that look at one column."""

from __future__ import annotations

import numpy as np

from gtr_beir.ranking.significance import mean_intervals


def mean_interval(values: np.typing.NDArray[np.float64]) -> tuple[float, float]:
    low, high = mean_intervals(np.asarray(values)[:, None])
    return float(low[0]), float(high[0])
