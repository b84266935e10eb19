"""Blocks are whole units, and their keys."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_beir.errors import UsageError
from gtr_beir.work.blocks import content_key, plan_blocks


def test_blocks_are_whole_units() -> None:
    blocks = plan_blocks(5183, 1500)
    assert [(b.start, b.stop) for b in blocks] == [(0, 2048), (2048, 4096), (4096, 5183)]
    assert list(blocks[-1].units()) == [(4096, 5120), (5120, 5183)]
    assert plan_blocks(0, 10) == []
    with pytest.raises(UsageError):
        plan_blocks(10, 0)


def test_key_depends_on_text_place_and_parts() -> None:
    digests = np.arange(48, dtype=np.uint8).reshape(3, 16)
    one, two, _ = plan_blocks(3000, 1024)
    keys = {
        content_key(digests, one, "a"),
        content_key(digests, one, "b"),
        content_key(digests, two, "a"),
        content_key(digests + 1, one, "a"),
    }
    assert len(keys) == 4
    changed_elsewhere = digests.copy()
    changed_elsewhere[2] = 0
    assert content_key(changed_elsewhere, one, "a") == content_key(digests, one, "a")
