"""Damage to a stored dataset is a sentence, and never another score."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from doubles import write_beir
from gtr_beir import benchmark, load_system
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.errors import GtrBeirError, StoreError

FILES = (
    *("ids.arrow", "texts.arrow", "id_rank.npy", "unit_digests.npy"),
    *("queries.arrow", "qrels.arrow", "manifest.json"),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two units of documents; every word counts."""
    folder = tmp_path_factory.mktemp("sound")
    chance = random.Random(0)
    words = [f"w{n}" for n in range(60)]
    documents = [
        {"_id": f"d{n}", "title": f"t{n % 9}", "text": " ".join(chance.choices(words, k=12))}
        for n in range(1500)
    ]
    queries = {f"q{n}": " ".join(chance.choices(words, k=3)) for n in range(20)}
    judged = [(f"q{n}", f"d{(n * 71 + m) % 1500}", 1 + m % 2) for n in range(20) for m in range(9)]
    source = write_beir(folder / "source", documents, queries, judged)
    import_beir(source, name="small", datasets_dir=folder / "datasets")
    return folder / "datasets" / "small"


def flipped(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def zeroed(data: bytearray, chance: random.Random) -> None:
    """A page, as a power cut leaves it."""
    start = chance.randrange(0, len(data), 4096)
    data[start : start + 4096] = bytes(len(data[start : start + 4096]))


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def scores(dataset: Path, results: Path) -> dict[str, float]:
    """The index is made anew: it is kept beside the dataset."""
    for index in dataset.glob("bm25*"):
        shutil.rmtree(index)
    system = load_system("bm25-flat")
    return dict(benchmark(system, Dataset(dataset), results_dir=results).measures)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flipped, zeroed, cut])
def test_damage_is_told_or_changes_nothing(
    name: str, damage: Callable[[bytearray, random.Random], None], sound: Path, tmp_path: Path
) -> None:
    expected = scores(sound, tmp_path / "expected")
    chance = random.Random(f"{name} {damage.__name__}")
    told: list[str] = []
    for turn in range(12):
        copy = tmp_path / str(turn) / "small"
        shutil.copytree(sound, copy)
        data = bytearray((copy / name).read_bytes())
        damage(data, chance)
        (copy / name).write_bytes(data)
        try:
            assert scores(copy, tmp_path / f"results-{turn}") == expected
        except GtrBeirError as error:
            told.append(str(error))
        shutil.rmtree(copy)
    assert told or name == "manifest.json"
    assert all("`gtr-beir datasets check`" in said or "again" in said for said in told)


@pytest.mark.parametrize("count", ["documents", "queries", "judgements"])
def test_a_count_that_is_not_so(count: str, sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "small"
    shutil.copytree(sound, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest[count] -= 1
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=f"counts .* {count}, and .* are there"):
        scores(copy, tmp_path / "results")


def test_the_index_of_damaged_texts_is_not_kept(sound: Path, tmp_path: Path) -> None:
    """A page of texts is lost, the run is refused, the texts are mended: the scores are right."""
    expected = scores(sound, tmp_path / "expected")
    copy = tmp_path / "small"
    shutil.copytree(sound, copy)
    data = bytearray((copy / "texts.arrow").read_bytes())
    data[40_960:45_056] = bytes(4096)
    (copy / "texts.arrow").write_bytes(data)
    with pytest.raises(StoreError, match=r"texts.arrow has changed in documents 1 to 1,024"):
        scores(copy, tmp_path / "results")
    shutil.copy(sound / "texts.arrow", copy / "texts.arrow")
    assert scores(copy, tmp_path / "results") == expected
