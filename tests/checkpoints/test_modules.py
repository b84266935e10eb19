"""Descriptions that libraries pass over: a checkpoint that is not what it says is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gtr_beir import load_system
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.errors import CheckpointError

Hurt = Callable[[Path], object]


def changed(name: str, **values: Any) -> Hurt:
    def act(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return act


def removed(name: str) -> Hurt:
    return lambda folder: (folder / name).unlink()


def device(name: str) -> Hurt:
    def act(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")

    return act


def arrays_as(kind: torch.dtype, name: str = "model.safetensors") -> Hurt:
    def act(folder: Path) -> None:
        arrays = {key: values.to(kind) for key, values in load_file(folder / name).items()}
        save_file(arrays, folder / name, metadata={"format": "pt"})

    return act


def without(name: str, key: str) -> Hurt:
    def act(folder: Path) -> None:
        path = folder / name
        about = json.loads(path.read_text())
        del about[key]
        path.write_text(json.dumps(about))

    return act


LATE: dict[str, tuple[Hurt, str]] = {
    "an activation that is none": (
        changed("1_Dense/config.json", activation_function="my.own.Swish"),
        "1_Dense/config.json asks for the activation function my.own.Swish, which is not known",
    ),
    "an activation that is no module": (
        changed("1_Dense/config.json", activation_function="torch.nn.functional"),
        "asks for the activation function torch.nn.functional, which is not known",
    ),
    "no Dense": (removed("1_Dense/config.json"), "1_Dense/config.json, which describes it, is"),
    "no mask": (
        removed("2_MultiVectorMask/config.json"),
        "names the module MultiVectorMask, and .*, which describes it, is missing",
    ),
    "no normalisation": (
        removed("3_Normalize/config.json"),
        "names the module Normalize, and .*, which describes it, is missing",
    ),
    "no lengths": (
        removed("sentence_bert_config.json"),
        "has the lengths of queries and documents, is missing",
    ),
    "lengths in a list": (
        lambda folder: (folder / "sentence_bert_config.json").write_text("[{}]"),
        "sentence_bert_config.json is not a JSON object",
    ),
    "a layer that is not counted": (
        changed("config.json", num_hidden_layers=1),
        r"holds the array encoder\.layer\.1\.\S+, of a layer that its config.json does not count",
    ),
    "a layer that is not there": (
        changed("config.json", num_hidden_layers=3),
        r"lacks the arrays",
    ),
    "tokens that are none": (
        changed("2_MultiVectorMask/config.json", keep_only_token_ids="x"),
        "was loaded and cannot encode .ValueError",
    ),
    "quantised": (
        changed("config.json", quantization_config={"quant_method": "fp8"}),
        "describes quantised weights, which are not read",
    ),
    "in eight bits": (
        arrays_as(torch.float8_e4m3fn),
        "is of type F8_E4M3, which is not read; use a checkpoint in float32",
    ),
}
GTR: dict[str, tuple[Hurt, str]] = {
    "no activation named": (
        without("2_Dense/config.json", "activation_function"),
        "its Dense has the activation Tanh; GTR's has none",
    ),
    "a device for lengths": (
        device("sentence_bert_config.json"),
        "sentence_bert_config.json is not a file",
    ),
    "a device for prompts": (
        device("config_sentence_transformers.json"),
        "config_sentence_transformers.json is not a file",
    ),
    "a pooling that is no yes or no": (
        changed("1_Pooling/config.json", pooling_mode_max_tokens="x"),
        "it pools with pooling_mode_max_tokens, pooling_mode_mean_tokens",
    ),
    "no pooling": (removed("1_Pooling/config.json"), "1_Pooling/config.json"),
    "quantised": (
        changed("config.json", quantization_config={"quant_method": "bitsandbytes"}),
        "describes quantised weights, which are not read",
    ),
    "in eight bits": (
        arrays_as(torch.float8_e4m3fn),
        "is of type float8_e4m3fn, which is not a floating-point type that is read",
    ),
    "a layer that is not counted": (
        changed("config.json", num_layers=1, num_decoder_layers=1),
        "it has arrays that GTR does not have: encoder.block.1",
    ),
}


@pytest.mark.parametrize("case", LATE)
def test_late_interaction(case: str, tmp_path: Path) -> None:
    hurt, sentence = LATE[case]
    folder = tmp_path / "late"
    shutil.copytree(COLBERT_DIR, folder)
    load_system(f"colbert:{folder}", device="cpu")
    hurt(folder)
    with pytest.raises(CheckpointError, match=sentence):
        load_system(f"colbert:{folder}", device="cpu")


@pytest.mark.parametrize("case", GTR)
def test_gtr(case: str, tmp_path: Path) -> None:
    hurt, sentence = GTR[case]
    folder = tmp_path / "gtr"
    shutil.copytree(CHECKPOINT_DIR, folder)
    load_system(str(folder), device="cpu")
    hurt(folder)
    with pytest.raises(CheckpointError, match=sentence):
        load_system(str(folder), device="cpu")
