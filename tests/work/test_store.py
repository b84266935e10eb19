"""The store of finished blocks: whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gtr_beir.files import atomic_folder
from gtr_beir.work.store import BlockStore


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


def test_opening_a_store_removes_what_the_dead_left_only(tmp_path: Path) -> None:
    """Who is dead is told in tests/test_files.py."""
    dead = tmp_path / ".tmp-0123456789ab-k"
    dead.mkdir()
    with atomic_folder(tmp_path / "other") as at_work:
        BlockStore(tmp_path)
        assert not dead.exists()
        assert at_work.is_dir()


@pytest.mark.parametrize(
    "text", ["[]", "3", "null", "{}", '{"a": 1}', '{"../a": "x"}', '{"a": "x", "b": "y"}', "{"]
)
def test_a_damaged_list_of_arrays_is_told_and_computed_again(tmp_path: Path, text: str) -> None:
    told: list[str] = []
    store = BlockStore(tmp_path, told.append)
    store.put("k", {"a": np.arange(3), "c": np.arange(2)})
    (tmp_path / "k" / "block.json").write_text(text)
    assert store.get("k") is None
    assert "block.json is damaged" in told[0]
    again = store.get_or_compute("k", lambda: {"a": np.arange(3), "c": np.arange(2)})
    assert again["a"].tolist() == [0, 1, 2]
    assert store.get("k") is not None
