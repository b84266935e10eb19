"""Which published model are these weights? A name proves nothing, bytes and values do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from gtr_beir import benchmark, load_dataset, load_system
from gtr_beir.checkpoints import recognition
from gtr_beir.checkpoints.door import Checkpoint, FolderCheckpoint, open_checkpoint
from gtr_beir.checkpoints.hub import hash_of, inspect_folder
from gtr_beir.checkpoints.layout import PROBE, RELEASED, Released
from gtr_beir.checkpoints.multi_vector import inspect_multi_vector
from gtr_beir.checkpoints.recognition import Recognition, recognise
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.published import published_values
from gtr_beir.report.findings import Verdict
from gtr_beir.report.naming import names_of
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.verdicts import verdicts_on

COMMIT = "a" * 40
ENCODER, DENSE = "model.safetensors", "2_Dense/model.safetensors"


def opened(path: Path, **choices: str) -> Checkpoint:
    return open_checkpoint(str(path), offline=True, **choices)


@pytest.fixture
def toy_is_gtr_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """For once the released gtr-base is the toy; nothing of it is in the cache of the hub."""
    shape = opened(CHECKPOINT_DIR).arrays().shape
    released = Released(
        "org/gtr-base",
        COMMIT,
        shape.parameters,
        shape,
        frozenset({hash_of(CHECKPOINT_DIR / ENCODER)}),
        frozenset({hash_of(CHECKPOINT_DIR / DENSE)}),
        tuple(opened(CHECKPOINT_DIR).face().tokenizer.encode(PROBE).ids),
    )
    monkeypatch.setitem(RELEASED, "gtr-base", released)  # type: ignore[arg-type]
    monkeypatch.setattr(recognition, "whole_in_cache", lambda *_: None)


@pytest.fixture
def in_cache(toy_is_gtr_base: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The released one lies in the cache, and its hashes are not known."""
    monkeypatch.setitem(
        RELEASED,  # type: ignore[arg-type]
        "gtr-base",
        replace(RELEASED["gtr-base"], encoder=frozenset(), dense=frozenset()),
    )
    folder = inspect_folder(CHECKPOINT_DIR, hub="org/gtr-base")
    monkeypatch.setattr(recognition, "whole_in_cache", lambda *_: folder)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(CHECKPOINT_DIR, tmp_path / "x")
    return tmp_path / "x"


def changed(file: Path, change: Callable[[dict], object]) -> None:
    """Change the arrays of a file of weights."""
    arrays = load_file(file)
    change(arrays)
    save_file(arrays, file, metadata={"format": "pt"})


def one_value(file: Path) -> None:
    def add(arrays: dict) -> None:
        arrays[min(arrays)].view(-1)[0] += 0.01

    changed(file, add)


def in_half_precision(file: Path) -> None:
    def halve(arrays: dict) -> None:
        arrays.update({name: array.half() for name, array in arrays.items()})

    changed(file, halve)


def test_the_hubs_commit(toy_is_gtr_base: None) -> None:
    folder = inspect_folder(CHECKPOINT_DIR, hub="org/gtr-base")
    asked = FolderCheckpoint("n", "n", folder.path, "org/gtr-base", COMMIT, True, folder)
    assert recognise(asked) == Recognition("gtr-base")


def test_the_same_bytes_in_any_folder(toy_is_gtr_base: None, copy: Path) -> None:
    assert recognise(opened(copy)) == Recognition("gtr-base")


@pytest.mark.parametrize("file", [ENCODER, DENSE])
def test_other_bytes_that_cannot_be_compared(toy_is_gtr_base: None, copy: Path, file: str) -> None:
    one_value(copy / file)
    found = recognise(opened(copy))
    assert (found.family, found.akin) == ("", "gtr-base")
    assert "is not known here: `gtr-beir models fetch gtr-base`" in found.why_not


def test_the_same_values_in_other_files(in_cache: None, copy: Path) -> None:
    assert recognise(opened(copy)) == Recognition("gtr-base")
    changed(copy / ENCODER, lambda arrays: None)
    assert recognise(opened(copy)) == Recognition("gtr-base")


def test_values_from_before_the_hubs_rounding(
    in_cache: None, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's are fp16; a checkpoint from before that rounding is the same model."""
    for file in (ENCODER, DENSE):
        in_half_precision(copy / file)
    rounded = inspect_folder(copy, hub="org/gtr-base")
    monkeypatch.setattr(recognition, "whole_in_cache", lambda *_: rounded)
    assert recognise(opened(CHECKPOINT_DIR)) == Recognition("gtr-base")


@pytest.mark.parametrize("file", [ENCODER, DENSE])
def test_one_other_value_is_another_model(in_cache: None, copy: Path, file: str) -> None:
    one_value(copy / file)
    found = recognise(opened(copy))
    assert found == Recognition(
        "", "gtr-base", "its weights or its tokenizer are not those of the released GTR-Base"
    )


def test_the_same_weights_with_another_tokenizer(toy_is_gtr_base: None, copy: Path) -> None:
    """Hashes tell the weights; what a sentence becomes tells the tokenizer."""
    file = copy / "tokenizer.json"
    rules = json.loads(file.read_text(encoding="utf-8"))
    rules["model"]["vocab"][200:1200] = [[f"zebra{n}", -9.0] for n in range(1000)]
    file.write_text(json.dumps(rules), encoding="utf-8")
    assert recognise(opened(copy)).family == ""


def test_another_tokenizer_is_another_model(in_cache: None, copy: Path) -> None:
    file = copy / "tokenizer.json"
    rules = json.loads(file.read_text(encoding="utf-8"))
    rules["model"]["vocab"][1000][0] = "zebra"
    file.write_text(json.dumps(rules), encoding="utf-8")
    assert recognise(opened(copy)).family == ""


def test_prompts_are_another_model(toy_is_gtr_base: None, copy: Path) -> None:
    file = copy / "config_sentence_transformers.json"
    own = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps({**own, "prompts": {"query": "search: "}}), encoding="utf-8")
    found = recognise(opened(copy))
    assert found.family == ""
    assert "puts prompts before texts" in found.why_not


def test_another_shape_is_nobody() -> None:
    assert recognise(opened(CHECKPOINT_DIR)) == Recognition()


def test_minilm_by_its_bytes(minilm: str) -> None:
    assert recognise(opened(Path(minilm))) == Recognition("all-MiniLM-L6-v2")


def test_minilm_with_prompts_is_another_model(minilm: str, tmp_path: Path) -> None:
    shutil.copytree(minilm, tmp_path / "m")
    file = tmp_path / "m" / "config_sentence_transformers.json"
    file.chmod(0o644)
    file.write_text(json.dumps({"prompts": {"query": "search: "}}), encoding="utf-8")
    found = recognise(opened(tmp_path / "m"))
    assert (found.family, found.akin) == ("", "all-MiniLM-L6-v2")


def test_the_cut_and_padding_of_a_tokenizer_do_not_count(in_cache: None, copy: Path) -> None:
    """Whoever used a tokenizer last has left a length on it; a file may hold one as well."""
    file = copy / "tokenizer.json"
    rules = json.loads(file.read_text(encoding="utf-8"))
    rules["truncation"] = {
        "direction": "Right",
        "max_length": 17,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    file.write_text(json.dumps(rules), encoding="utf-8")
    assert recognise(opened(copy)) == Recognition("gtr-base")


def test_a_colbert_of_somebody_else() -> None:
    found = recognise(open_checkpoint(f"colbert:{COLBERT_DIR}", offline=True))
    assert (found.family, found.akin) == ("", "colbertv2")
    assert "`gtr-beir models fetch colbert`" in found.why_not


def test_colbert_v2_in_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All of a folder counts: what moves scores lies beside the weights."""
    released = inspect_multi_vector(COLBERT_DIR)
    monkeypatch.setattr(recognition, "multi_vector_in_cache", lambda *_: released)
    shutil.copytree(COLBERT_DIR, tmp_path / "c")
    name = f"colbert:{tmp_path / 'c'}"
    assert recognise(open_checkpoint(name, offline=True)) == Recognition("colbertv2")
    file = tmp_path / "c" / "config_sentence_transformers.json"
    own = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**own, "query_length": 8}), encoding="utf-8")
    found = recognise(open_checkpoint(name, offline=True))
    assert found.family == ""
    assert "are not those of ColBERTv2" in found.why_not


def test_a_fetched_checkpoint_mends_the_record(
    toy_is_gtr_base: None, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of the weights by now stands in the record after the same command."""
    unknown = replace(RELEASED["gtr-base"], encoder=frozenset(), dense=frozenset())
    monkeypatch.setitem(RELEASED, "gtr-base", unknown)  # type: ignore[arg-type]
    demo = load_dataset("demo", datasets_dir=tmp_path / "datasets")

    def run() -> str:
        system = load_system(str(copy), device="cpu", offline=True)
        return benchmark(system, demo, results_dir=tmp_path / "r", label="x").identity.model.family

    assert run() == ""
    folder = inspect_folder(CHECKPOINT_DIR, hub="org/gtr-base")
    monkeypatch.setattr(recognition, "whole_in_cache", lambda *_: folder)
    assert run() == "gtr-base"


def held_against_gtr_base(path: Path, label: str, tmp_path: Path) -> list[Verdict]:
    """What the report says of a run beside GTR's published value, as if it were of the demo."""
    (value,) = (
        v
        for v in published_values()
        if (v.source, v.system, v.dataset) == ("gtr-paper", "gtr-base", "scifact")
    )
    system = load_system(str(path), device="cpu", offline=True)
    demo = load_dataset("demo", datasets_dir=tmp_path / "datasets")
    record = benchmark(system, demo, results_dir=tmp_path / "results", label=label)
    published = [replace(value, dataset="demo")]
    return verdicts_on(names_of([record]), published, PerQuery(None, [record]))


def test_the_true_weights_are_compared_under_any_label(
    toy_is_gtr_base: None, copy: Path, tmp_path: Path
) -> None:
    (found,) = held_against_gtr_base(copy, "x", tmp_path)
    assert found.why_not == ""


def test_a_fine_tune_is_not_compared_under_the_name_of_gtr(
    in_cache: None, copy: Path, tmp_path: Path
) -> None:
    one_value(copy / ENCODER)
    (found,) = held_against_gtr_base(copy, "gtr-base", tmp_path)
    assert found.why_not == ("its weights or its tokenizer are not those of the released GTR-Base")
    assert not found.agrees
