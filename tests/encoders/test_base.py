"""Token vectors of texts: where each text's are."""

from __future__ import annotations

import numpy as np

from gtr_beir.encoders.base import TokenVectors


def test_starts_are_right_and_computed_once() -> None:
    held = TokenVectors(np.arange(12, dtype=np.float32).reshape(6, 2), np.array([2, 0, 3, 1]))
    assert held.starts.tolist() == [0, 2, 2, 5, 6]
    assert held.starts is held.starts
    some = held.of(np.array([3, 0]))
    assert some.starts.tolist() == [0, 1, 3]
    assert some.vectors.tolist() == held.vectors[[5, 0, 1]].tolist()


def test_no_texts_start_nowhere() -> None:
    empty = TokenVectors(np.empty((0, 2), np.float32), np.zeros(0, np.int64))
    assert empty.starts.tolist() == [0]
