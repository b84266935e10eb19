"""Blocks: cut by whole units, stored whole or not at all, damage found."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from evaluate.blocks import BlockStore, beside, content_key, plan_blocks
from evaluate.errors import UsageError


def test_blocks_are_whole_units() -> None:
    blocks = plan_blocks(5183, 1500)
    assert [(b.start, b.stop) for b in blocks] == [(0, 2048), (2048, 4096), (4096, 5183)]
    assert list(blocks[-1].units()) == [(4096, 5120), (5120, 5183)]
    assert plan_blocks(0, 10) == []
    with pytest.raises(UsageError):
        plan_blocks(10, 0)


def test_stored_arrays_come_back_and_are_not_computed_again(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    arrays = {"a": np.arange(5, dtype=np.int32), "b": np.zeros((0, 3), np.float32)}
    store.get_or_compute("k", lambda: arrays)
    found = store.get_or_compute("k", lambda: pytest.fail("computed again"))
    assert all((found[name] == arrays[name]).all() for name in arrays)
    assert found["b"].shape == (0, 3)


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "manifest"])
def test_damage_is_told_and_computed_again(tmp_path: Path, damage: str) -> None:
    said: list[str] = []
    store = BlockStore(tmp_path, said.append)
    store.put("k", {"a": np.arange(1000)})
    file = tmp_path / "k" / "a.npy"
    if damage == "flip":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "missing":
        file.unlink()
    else:
        (tmp_path / "k" / "block.json").write_text("{")
    again = store.get_or_compute("k", lambda: {"a": np.arange(3)})
    assert again["a"].tolist() == [0, 1, 2]
    assert len(said) == 2
    assert "damaged" in said[0] or "not there" in said[0]
    assert store.get("k")["a"].tolist() == [0, 1, 2]


def test_a_failed_put_leaves_nothing(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    with pytest.raises(ValueError, match="Object arrays"):
        store.put("k", {"a": np.arange(3), "b": np.array([{}])})
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    dead = tmp_path / ".tmp-999999999-abc-k"
    dead.mkdir()
    BlockStore(tmp_path)
    assert not dead.exists()


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


def test_others_are_looked_at_while_they_are_waited_for() -> None:
    """A call that takes longer than the body: time passes, and somebody may want to show it."""
    looked = []
    with beside(time.sleep, [(1.6,)], processes=1, waiting_on=lambda: looked.append(1)):
        assert not looked
    assert len(looked) >= 2
