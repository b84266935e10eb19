"""Weights in sentence-transformers' layout: every form that is read, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gtr_beir import cli
from gtr_beir.checkpoints import convert
from gtr_beir.checkpoints.convert import write_folder
from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.checkpoints.hub import inspect_folder, wanted_files
from gtr_beir.checkpoints.layout import GtrShape
from gtr_beir.checkpoints.tokenizer import open_tokenizer
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.encoders.loading import load_encoder
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.encoders.text import TextEncoder
from gtr_beir.errors import CheckpointError

SHAPE = GtrShape(2, 16, 2, 8, 24, dimension=12, vocabulary=4096)
SEQUENCES = [[5, 9, 1], [7] * 30 + [1]]
Mistake = Callable[[Path], None]


def loaded(path: Path) -> TextEncoder:
    encoder = load_encoder(open_checkpoint(str(path), offline=True), device="cpu")
    assert isinstance(encoder, TextEncoder)
    return encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "gtr"
    write_folder(UntrainedArrays(SHAPE), open_tokenizer(CHECKPOINT_DIR), out, own_length=512)
    return out


def vectors(folder: Path) -> torch.Tensor:
    return T5Model(inspect_folder(folder).arrays(), dtype="fp32", device="cpu").forward(SEQUENCES)


def to_bin(folder: Path, *, old_format: bool = False) -> None:
    """As the hub's older GTR files: `.bin`, with the embedding under two names."""
    for place in (folder, folder / "2_Dense"):
        file = place / "model.safetensors"
        weights: dict[str, Any] = load_file(file)
        if place == folder:
            weights["encoder.embed_tokens.weight"] = weights["shared.weight"]
        new = not old_format
        torch.save(weights, place / "pytorch_model.bin", _use_new_zipfile_serialization=new)
        file.unlink()


@pytest.mark.parametrize("old_format", [False, True])
def test_an_honest_bin_is_read(old_format: bool, folder: Path) -> None:
    expected = vectors(folder)
    to_bin(folder, old_format=old_format)
    assert torch.equal(vectors(folder), expected)


def test_safetensors_are_preferred(folder: Path, tmp_path: Path) -> None:
    expected = vectors(folder)
    before = inspect_folder(folder).fingerprint
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    assert torch.equal(vectors(folder), expected)
    assert inspect_folder(folder).fingerprint == before


def test_shards(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "_SHARD_BYTES", 100_000)
    out = tmp_path / "sharded"
    arrays = inspect_folder(folder).arrays()
    write_folder(arrays, open_tokenizer(CHECKPOINT_DIR), out, own_length=512)
    assert len(list(out.glob("model-*.safetensors"))) > 1
    assert torch.equal(vectors(out), vectors(folder))
    next(iter(out.glob("model-00002*"))).unlink()
    with pytest.raises(CheckpointError, match="which is not beside it"):
        inspect_folder(out)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_stored_in_another_precision(dtype: torch.dtype, folder: Path) -> None:
    """The hub's GTR are stored in fp16; they are computed in fp32 or bf16 all the same."""
    expected = vectors(folder)
    for file in (folder / "model.safetensors", folder / "2_Dense" / "model.safetensors"):
        weights = {name: value.to(dtype) for name, value in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})
    assert inspect_folder(folder).arrays().stored == (str(dtype).removeprefix("torch."),)
    assert (vectors(folder) - expected).abs().max() < 2e-2


def rewrite(file: str, change: Callable[[dict[str, Any]], object]) -> Mistake:
    def mistake(folder: Path) -> None:
        weights: dict[str, Any] = load_file(folder / file)
        change(weights)
        save_file(weights, folder / file, metadata={"format": "pt"})

    return mistake


def json_with(file: str, **values: Any) -> Mistake:
    def mistake(folder: Path) -> None:
        old = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**old, **values}))

    return mistake


def bin_with_code(folder: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(folder / "executed"),))

    to_bin(folder)
    torch.save({"linear.weight": Code()}, folder / "2_Dense" / "pytorch_model.bin")


def shrink_embedding(folder: Path, rows: int) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["shared.weight"] = weights["shared.weight"][:rows].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    json_with("config.json", vocab_size=rows)(folder)


def prompts_left_out(folder: Path) -> None:
    json_with("config_sentence_transformers.json", prompts={"query": "query: "})(folder)
    json_with("1_Pooling/config.json", include_prompt=False)(folder)


WEIGHTS, DENSE = "model.safetensors", "2_Dense/model.safetensors"
WI = "encoder.block.1.layer.1.DenseReluDense.wi.weight"
MISTAKES: dict[str, tuple[Mistake, str]] = {
    "a NaN": (
        rewrite(WEIGHTS, lambda w: w[WI][0].fill_(float("nan"))),
        rf"model.safetensors: the array {WI} has values that are not finite",
    ),
    "an infinity in the Dense": (
        rewrite(DENSE, lambda w: w["linear.weight"][0].fill_(float("inf"))),
        r"2_Dense/model.safetensors: the array linear.weight has values that are not finite",
    ),
    "integers": (
        rewrite(WEIGHTS, lambda w: w.update({WI: w[WI].to(torch.int8)})),
        r"is of type int8, which is not a floating-point type",
    ),
    "a missing array": (rewrite(WEIGHTS, lambda w: w.pop(WI)), f"it lacks {WI}"),
    "an array too many": (
        rewrite(WEIGHTS, lambda w: w.update({"encoder.extra": torch.zeros(2)})),
        r"has arrays that GTR does not have: encoder.extra",
    ),
    "another shape": (
        rewrite(WEIGHTS, lambda w: w.update({WI: torch.zeros(5, 16)})),
        r"wi.weight has shape \[5, 16\] instead of \[24, 16\]",
    ),
    "a bias in the Dense": (
        rewrite(DENSE, lambda w: w.update({"linear.bias": torch.zeros(12)})),
        r"holds the array linear.bias; GTR's Dense has only linear.weight",
    ),
    "a Dense of another width": (
        json_with("2_Dense/config.json", in_features=32),
        r"takes 32 values, but the encoder gives 16; this projection belongs to another",
    ),
    "a Dense of another size than it says": (
        json_with("2_Dense/config.json", out_features=32),
        r"dense.weight has shape \[12, 16\] instead of \[32, 16\]",
    ),
    "no Dense weights": (
        lambda folder: (folder / DENSE).unlink(),
        r"2_Dense has no weights \(model.safetensors\)",
    ),
    "T5 1.1": (
        json_with("config.json", feed_forward_proj="gated-gelu", is_gated_act=True),
        r"describes the encoder of T5 1.1 or another variant \(feed_forward_proj gated-gelu\)",
    ),
    "a file cut off": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:9000]),
        r"model.safetensors cannot be read",
    ),
    "a size missing": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "t5"}'),
        r"lacks a size \('num_layers'\)",
    ),
    "code in a .bin": (bin_with_code, r"2_Dense/pytorch_model.bin holds more than weights"),
    "a tokenizer that is too large": (
        lambda folder: shrink_embedding(folder, 500),
        r"tokens, but the embedding of .* has 500 rows; they do not belong together",
    ),
    "prompts left out of the pooling": (
        prompts_left_out,
        r"leaves its prompts out of the pooling",
    ),
    "prompts that are none": (
        json_with("config_sentence_transformers.json", prompts=["query: "]),
        r"prompts is not a table of names and texts",
    ),
    "a length that is none": (
        json_with("sentence_bert_config.json", max_seq_length="many"),
        r"says max_seq_length 'many', which is not a number of tokens",
    ),
    "lower case": (
        json_with("sentence_bert_config.json", do_lower_case=True),
        r"asks for lower-cased texts",
    ),
}


TEXT = (
    *("lower case", "prompts left out of the pooling"),
    *("prompts that are none", "a length that is none"),
)
"""About texts, not about the arrays that `models check` proves."""


@pytest.mark.parametrize("case", MISTAKES)
def test_refused_in_one_sentence(case: str, folder: Path) -> None:
    mistake, sentence = MISTAKES[case]
    mistake(folder)
    with pytest.raises(CheckpointError, match=sentence):
        loaded(folder)
    assert not (folder / "executed").exists()


@pytest.mark.parametrize("case", [c for c in MISTAKES if c not in TEXT])
def test_models_check_says_so(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    MISTAKES[case][0](folder)
    assert cli.main(["models", "check", str(folder)]) == 1
    told = capsys.readouterr()
    assert f"{folder}: not GTR" in told.out
    assert "  NO " in told.out
    assert told.err.count("\n") == 1


def test_models_check_of_what_is_gtr(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "check", str(folder), str(CHECKPOINT_DIR)]) == 0
    told = capsys.readouterr().out
    assert f"{folder}: GTR" in told
    assert "2 layers of 2 heads x 8, width 16, MLP 24" in told
    assert "NO" not in told


@pytest.mark.parametrize(
    "arguments",
    [["tfhub:x"], ["colbert:x"], ["FOLDER", "--heads", "9"], ["t5x:x", "--revision", "y"]],
)
def test_models_check_of_what_it_is_not_for(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.replace("FOLDER", str(folder)) for argument in arguments]
    assert cli.main(["models", "check", *given]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_models_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "list"]) == 0
    told = capsys.readouterr().out
    assert "sentence-transformers/gtr-t5-xxl" in told
    assert "4,865,577,984" in told


def test_convert_does_not_write_over_anything(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "there"
    out.mkdir()
    (out / "mine").write_text("")
    assert cli.main(["models", "convert", str(folder), str(out)]) == 2
    assert [path.name for path in out.iterdir()] == ["mine"]
    assert cli.main(["models", "convert", str(folder), str(tmp_path / "copy"), "-q"]) == 0
    assert torch.equal(vectors(tmp_path / "copy"), vectors(folder))


def test_wanted_files_of_a_repository() -> None:
    files = [
        *("README.md", ".gitattributes", "config.json", "modules.json", "tokenizer.json"),
        *("model.safetensors", "pytorch_model.bin", "spiece.model", "training_args.bin"),
        *("2_Dense/pytorch_model.bin", "2_Dense/config.json", "onnx/model.onnx", "tf_model.h5"),
        "onnx/config.json",
    ]
    assert wanted_files(files) == [
        *("config.json", "modules.json", "tokenizer.json", "model.safetensors", "spiece.model"),
        *("2_Dense/pytorch_model.bin", "2_Dense/config.json"),
    ]


def test_prompts_survive_a_conversion(folder: Path, tmp_path: Path) -> None:
    json_with("config_sentence_transformers.json", prompts={"query": "query: "})(folder)
    assert cli.main(["models", "convert", str(folder), str(tmp_path / "copy"), "-q"]) == 0
    one, two = (
        loaded(path).encode(["a b"], kind="query", max_tokens=64)
        for path in (folder, tmp_path / "copy")
    )
    assert one.vectors.tolist() == two.vectors.tolist()


def test_arrays_that_a_library_would_make_up(minilm: str, tmp_path: Path) -> None:
    """transformers fills missing arrays with random values and goes on."""
    copy = tmp_path / "copy"
    shutil.copytree(minilm, copy)
    weights = load_file(copy / "model.safetensors")
    lost = [name for name in weights if "layer.0.attention.self.query" in name]
    for name in lost:
        del weights[name]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks the arrays .*layer.0.attention.self.query"):
        loaded(copy)


def test_a_tokenizer_that_a_library_would_make_up(minilm: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(minilm, copy)
    for name in ("tokenizer.json", "vocab.txt"):
        (copy / name).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        loaded(copy)
