"""The store: what was imported comes back, by any rows, from a folder or a zip."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from doubles import write_beir
from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.columns import UNIT
from gtr_beir.data.importing import import_beir
from gtr_beir.data.registry import benchmark_names, registered, suite
from gtr_beir.data.store import Dataset, DatasetGroup, check_files, names_here
from gtr_beir.errors import UsageError


def test_what_a_killed_import_moved_away_is_found_again(tmp_path: Path) -> None:
    """Killed between its two names: the old dataset is there for whoever asks for any."""
    source = write_beir(tmp_path / "own", [{"_id": "d", "text": "x"}], {"q": "x"}, [("q", "d", 1)])
    store = tmp_path / "store"
    dataset = import_beir(source, datasets_dir=store)
    moved = dataset.path.with_name(".old-0123456789ab-own")
    dataset.path.rename(moved)
    found = load_dataset("own", datasets_dir=store)
    assert isinstance(found, Dataset)
    assert found.fingerprint == dataset.fingerprint
    dataset.path.rename(moved)
    assert names_here(store) == ("own",)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """Three units of documents, ids in no order."""
    folder = tmp_path_factory.mktemp("many")
    count = 2 * UNIT + 100
    documents = [
        {
            "_id": f"é{(row * 7919) % count}",
            "title": f"t{row}" if row % 3 else None,
            "text": f"x{row}",
        }
        for row in range(count)
    ]
    source = write_beir(folder / "many", documents, {"q": "x1"}, [("q", "é0", 1)])
    dataset = import_beir(source, datasets_dir=folder / "store")
    assert isinstance(dataset, Dataset)
    return folder, dataset


def test_texts_and_ids_come_back(many: tuple[Path, Dataset]) -> None:
    _, dataset = many
    count = dataset.n_documents
    assert dataset.texts(UNIT - 1, UNIT + 2) == ["x1023", "t1024 x1024", "t1025 x1025"]
    rows = np.array([count - 1, 0, UNIT, 0, UNIT - 1])
    ids = [f"é{(int(row) * 7919) % count}" for row in rows]
    assert dataset.document_ids(rows) == ids
    assert dataset.rows_of([*ids, "absent"]).tolist() == [*rows.tolist(), -1]
    columns = [(f"t{row}" if row % 3 else "", f"x{row}") for row in rows]
    assert list(zip(*dataset.titles_and_texts_of(rows), strict=True)) == columns
    every = dataset.document_ids(np.arange(count))
    assert [every[row] for row in np.argsort(dataset.id_rank)] == sorted(every, key=str.encode)


def test_zip_and_folder_give_the_same(many: tuple[Path, Dataset]) -> None:
    folder, dataset = many
    archive = folder / "many.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in (folder / "many").rglob("*"):
            packed.write(file, Path("many") / file.relative_to(folder / "many"))
    again = import_beir(archive, datasets_dir=folder / "store2")
    assert again.fingerprint == dataset.fingerprint
    assert again.manifest["files"] == dataset.manifest["files"]


def test_fingerprint_changes_with_a_letter(small: Dataset, tmp_path: Path) -> None:
    source = tmp_path / "source" / "small"
    corpus = (source / "corpus.jsonl").read_text()
    (source / "corpus.jsonl").write_text(corpus.replace("plum plum", "plum plun"))
    again = import_beir(source, datasets_dir=tmp_path / "other")
    assert isinstance(again, Dataset)
    assert again.fingerprint != small.fingerprint
    assert again.manifest["fingerprints"]["queries"] == small.manifest["fingerprints"]["queries"]


def test_counts_are_reported(small: Dataset) -> None:
    assert small.manifest["judged_documents_missing"] == 1
    assert small.manifest["blank_titles"] == 2
    assert small.manifest["blank_texts"] == 1
    assert small.manifest["blank_documents"] == 0
    assert small.self_rows.tolist() == [-1, -1, 4]
    assert small.qrels.document_rows.tolist() == [0, 3, 1, 0, -1]


def test_as_beir(small: Dataset) -> None:
    corpus, queries, qrels = small.as_beir()
    assert corpus["d4"] == {"title": "apple", "text": ""}
    assert queries["q2"] == "plum"
    assert qrels["q3"] == {"d1": 1, "gone": 1}


def test_check_finds_a_flipped_byte(small: Dataset) -> None:
    assert list(check_files(small.path)) == []
    file = small.path / "texts.arrow"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert list(check_files(small.path)) == [f"{file} has changed since it was written"]


def test_a_group_needs_all_its_parts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cqadupstack/android is not in"):
        load_dataset("cqadupstack", datasets_dir=tmp_path)


def test_registry_rows() -> None:
    assert len(benchmark_names()) == 19
    assert len(suite("zero-shot")) == 18
    assert len(suite("public")) == 14
    spec = registered("scifact")
    assert spec is not None
    assert (spec.documents, spec.queries) == (5183, 300)
    assert set(suite("zero-shot")) - set(suite("unseen")) == {"nq", "cqadupstack"}
    assert registered("msmarco").split == "dev"
    forums = registered("cqadupstack").parts
    assert len(forums) == 12
    assert sum(registered(f).documents for f in forums) == registered("cqadupstack").documents
    assert DatasetGroup(registered("cqadupstack"), []).name == "cqadupstack"


def test_another_dataset_is_not_replaced_unasked(tmp_path: Path) -> None:
    """Records of the one would be compared with records of the other."""
    queries, judged = {"q": "rain"}, [("q", "d0", 1)]
    sources = [
        write_beir(
            tmp_path / f"source-{n}", [{"_id": "d0", "title": "", "text": text}], queries, judged
        )
        for n, text in enumerate(("rain", "snow"))
    ]
    folder = tmp_path / "datasets"
    first = import_beir(sources[0], name="mine", datasets_dir=folder)
    assert import_beir(sources[0], name="mine", datasets_dir=folder).fingerprint == (
        first.fingerprint
    ), "the same may come again"
    with pytest.raises(UsageError, match=r"holds another dataset .*1 documents.* than .*source-1"):
        import_beir(sources[1], name="mine", datasets_dir=folder)
    assert load_dataset("mine", datasets_dir=folder).texts(0, 1) == ["rain"]
    assert [path.name for path in folder.iterdir() if path.name != ".locks"] == ["mine"]
    import_beir(sources[1], name="mine", datasets_dir=folder, again=True)
    assert load_dataset("mine", datasets_dir=folder).texts(0, 1) == ["snow"]


def test_what_is_damaged_may_be_replaced_by_anything(tmp_path: Path) -> None:
    source = write_beir(
        tmp_path / "source",
        [{"_id": "d0", "title": "", "text": "rain"}],
        {"q": "rain"},
        [("q", "d0", 1)],
    )
    folder = tmp_path / "datasets"
    import_beir(source, name="mine", datasets_dir=folder)
    (folder / "mine" / "manifest.json").write_text("{")
    import_beir(source, name="mine", datasets_dir=folder)
    assert load_dataset("mine", datasets_dir=folder).n_documents == 1
