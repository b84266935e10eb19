"""Checkpoint folders that are no GTR are refused by name, and nothing in them is executed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gtr_beir.checkpoints.hub import GTR_PARTS, inspect_folder
from gtr_beir.errors import CheckpointError
from mistakes import Trap, removed
from refusal import Refused, files_in, leftovers

pytestmark = pytest.mark.usefixtures("no_network")


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {
        "idx": 3,
        "name": "3",
        "path": "3_Normalize",
        "type": "sentence_transformers.models.Normalize",
    },
]
POOLING = "1_Pooling/config.json"
DENSE = "2_Dense/config.json"
T5 = {"model_type": "t5", "architectures": ["T5EncoderModel"]}
IDENTITY = "torch.nn.modules.linear.Identity"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder in GTR's layout, with configuration files and weights that are none."""
    folder = tmp_path / "gtr-toy"
    write_json(folder / "modules.json", MODULES)
    write_json(folder / "config.json", T5)
    write_json(
        folder / POOLING,
        {
            "word_embedding_dimension": 8,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
        },
    )
    write_json(
        folder / DENSE,
        {"in_features": 8, "out_features": 8, "bias": False, "activation_function": IDENTITY},
    )
    (folder / "3_Normalize").mkdir()
    (folder / "model.safetensors").write_bytes(b"cut off")
    (folder / "2_Dense" / "model.safetensors").write_bytes(b"cut off")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def json_with(file: str, **values: Any) -> Callable[[Path], None]:
    def mistake(folder: Path) -> None:
        value = json.loads((folder / file).read_text(encoding="utf-8"))
        write_json(folder / file, {**value, **values})

    return mistake


def modules(*names: str, **other: str) -> Callable[[Path], None]:
    """Only these modules (by class name); `other` are fields of the last one."""

    def mistake(folder: Path) -> None:
        kept = [dict(entry) for entry in MODULES if entry["type"].rpartition(".")[2] in names]
        kept[-1].update(other)
        write_json(folder / "modules.json", kept)

    return mistake


def file_with(file: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text(text) and None


def together(*mistakes: Callable[[Path], None]) -> Callable[[Path], None]:
    def mistake(folder: Path) -> None:
        for part in mistakes:
            part(folder)

    return mistake


def code_of_its_own(folder: Path) -> None:
    """A module of the folder's own, which leaves a mark when it is imported."""
    (folder / "pooling_of_mine.py").write_text(
        f"from pathlib import Path\nPath({str(folder / 'executed')!r}).touch()\n"
    )
    modules("Transformer", "Pooling", type="pooling_of_mine.Pooling")(folder)


def inner_t5(folder: Path) -> None:
    """The real transformer lies in a folder of its own, below a harmless configuration."""
    write_json(folder / "config.json", {"model_type": "bert"})
    write_json(folder / "0_Transformer" / "config.json", T5)
    kept = [{**MODULES[0], "path": "0_Transformer"}, MODULES[1]]
    write_json(folder / "modules.json", kept)


@dataclass(frozen=True)
class BadCheckpoint:
    id: str
    mistake: Callable[[Path], None]
    sentence: str


NO_GTR = "{folder} is not a GTR checkpoint: it"
AGAIN = "get the checkpoint again"
CHECKPOINTS = (
    BadCheckpoint(
        "no modules.json",
        removed("modules.json"),
        "{folder} has no modules.json, so its pooling is unknown; a GTR checkpoint is a "
        f"sentence-transformers folder with {GTR_PARTS}",
    ),
    BadCheckpoint(
        "modules.json broken",
        file_with("modules.json", "[{"),
        f"the checkpoint cannot be used: {{folder}}/modules.json is damaged (…); {AGAIN}",
    ),
    BadCheckpoint(
        "modules.json without types",
        file_with("modules.json", '[{"path": ""}]'),
        "{folder}/modules.json is not a list of modules with type and path",
    ),
    BadCheckpoint(
        "modules.json a number",
        file_with("modules.json", "7"),
        "{folder}/modules.json is not a list of modules with type and path",
    ),
    BadCheckpoint(
        "modules.json empty",
        file_with("modules.json", "[]"),
        "{folder} begins with nothing instead of a Transformer module",
    ),
    BadCheckpoint(
        "code of its own",
        code_of_its_own,
        "{folder}/modules.json asks for code of its own (pooling_of_mine.Pooling), which is not "
        "run; only sentence-transformers' own modules are",
    ),
    BadCheckpoint(
        "auto_map",
        json_with("config.json", auto_map={"AutoModel": "modeling.Model"}),
        "{folder}/config.json asks for code of its own (auto_map), which is not run",
    ),
    BadCheckpoint(
        "module outside of the folder",
        modules("Transformer", "Pooling", path="../1_Pooling"),
        "{folder}/modules.json names a module outside the folder: {folder}/../1_Pooling",
    ),
    BadCheckpoint(
        "no config.json",
        removed("config.json"),
        f"the checkpoint cannot be used: {{folder}}/config.json is missing; {AGAIN}",
    ),
    BadCheckpoint(
        "config.json a list",
        file_with("config.json", "[]"),
        f"the checkpoint cannot be used: {{folder}}/config.json …; {AGAIN}",
    ),
    BadCheckpoint(
        "pooling configuration a list",
        file_with(POOLING, "[]"),
        f"the checkpoint cannot be used: {{folder}}/{POOLING} …; {AGAIN}",
    ),
    BadCheckpoint(
        "Pooling first",
        modules("Pooling", "Dense"),
        "{folder} begins with Pooling instead of a Transformer module",
    ),
    BadCheckpoint(
        "T5 without Dense",
        modules("Transformer", "Pooling", "Normalize"),
        f"{NO_GTR} lacks Dense; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 without Dense and Normalize",
        modules("Transformer", "Pooling"),
        f"{NO_GTR} lacks Dense and Normalize; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with its parts in another order",
        lambda folder: write_json(
            folder / "modules.json", [MODULES[0], MODULES[2], MODULES[1], MODULES[3]]
        ),
        f"{NO_GTR} has Transformer > Dense > Pooling > Normalize; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 without Dense in a folder of its own",
        inner_t5,
        f"{NO_GTR} lacks Dense and Normalize; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with a bias",
        json_with(DENSE, bias=True),
        f"{NO_GTR}s Dense has a bias; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with CLS pooling",
        json_with(POOLING, pooling_mode_cls_token=True, pooling_mode_mean_tokens=False),
        f"{NO_GTR} pools with pooling_mode_cls_token; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with CLS pooling, new spelling",
        lambda folder: write_json(folder / POOLING, {"pooling_mode": "cls"}),
        f"{NO_GTR} pools with pooling_mode_cls…; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with mean and max pooling",
        json_with(POOLING, pooling_mode_max_tokens=True),
        f"{NO_GTR} pools with pooling_mode_max_tokens, pooling_mode_mean_tokens; GTR is "
        f"{GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with an activation",
        json_with(DENSE, activation_function="torch.nn.modules.activation.Tanh"),
        f"{NO_GTR}s Dense has the activation torch.nn.modules.activation.Tanh; GTR's has none",
    ),
    BadCheckpoint(
        "T5 with an activation that is not known",
        json_with(DENSE, activation_function="my.own.NotIdentity"),
        f"{NO_GTR}s Dense has the activation my.own.NotIdentity; GTR's has none",
    ),
    BadCheckpoint(
        "T5 with a list for an activation",
        json_with(DENSE, activation_function=[IDENTITY]),
        f"{NO_GTR}s Dense has the activation …; GTR's has none",
    ),
    BadCheckpoint(
        "deep modules.json",
        file_with("modules.json", "[" * 100_000),
        f"the checkpoint cannot be used: {{folder}}/modules.json is damaged (…); {AGAIN}",
    ),
    BadCheckpoint(
        "no tokenizer",
        removed("tokenizer.json"),
        "{folder} has no tokenizer (tokenizer.json or spiece.model); get the checkpoint again",
    ),
    BadCheckpoint(
        "no weights",
        removed("model.safetensors"),
        "{folder} has no weights (model.safetensors); get the checkpoint again",
    ),
)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("case", CHECKPOINTS, ids=lambda case: case.id)
def test_a_checkpoint_that_is_no_gtr_is_refused_by_name(
    case: BadCheckpoint, checkpoint: Path, results: Path, refused: Refused
) -> None:
    case.mistake(checkpoint)
    sentence = case.sentence.replace("{folder}", str(checkpoint))
    refused(sentence, "run", checkpoint, "-d", "mine", "-q", "--offline")
    assert files_in(results) == {}
    assert leftovers(results) == []
    assert not (checkpoint / "executed").exists()


def test_the_good_layout_passes(checkpoint: Path) -> None:
    """So that every case above is refused for its own mistake."""
    assert inspect_folder(checkpoint).gtr


def test_a_bad_checkpoint_is_a_checkpoint_error(checkpoint: Path) -> None:
    json_with(DENSE, bias=True)(checkpoint)
    with pytest.raises(CheckpointError, match=r"its Dense has a bias; GTR is T5 encoder"):
        inspect_folder(checkpoint)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("cuda", "there is no cuda on this machine; use --device cpu"),
        ("cuda:1", "there is no cuda:1 on this machine; use --device cpu"),
        ("tpu", "there is no device 'tpu'; use cpu or cuda"),
        ("cpux", "there is no device 'cpux'; use cpu or cuda"),
        ("cuda:x", "there is no device 'cuda:x'; use cpu or cuda"),
    ],
)
def test_a_device_that_is_not_there_is_wrong_use(
    device: str,
    sentence: str,
    checkpoint: Path,
    results: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(sentence, "run", checkpoint, "-d", "mine", "-q", "--device", device, code=2)
    assert files_in(results) == {}


@pytest.mark.usefixtures("mine")
def test_a_revision_of_a_folder_is_wrong_use(
    checkpoint: Path, results: Path, refused: Refused
) -> None:
    """It would be recorded nowhere and change nothing."""
    refused("…revision…", "run", checkpoint, "-d", "mine", "-q", "--revision", "main", code=2)
    assert files_in(results) == {}


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("weights", ["safetensors cut off", "pickle that executes"])
def test_weights_that_are_none_are_refused_and_not_executed(
    weights: str, checkpoint: Path, results: Path, refused: Refused
) -> None:
    write_json(
        checkpoint / "config.json",
        {
            **T5,
            **{"d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2, "num_layers": 1},
            **{"vocab_size": 8, "feed_forward_proj": "relu", "pad_token_id": 0},
        },
    )
    if weights == "pickle that executes":
        (checkpoint / "model.safetensors").unlink()
        (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(checkpoint / "executed")))
    sentence = {
        "safetensors cut off": f"{checkpoint}/model.safetensors cannot be read (…); {AGAIN}",
        "pickle that executes": f"{checkpoint}/pytorch_model.bin holds more than weights, and "
        "none of it was executed; get the checkpoint as safetensors, or from someone you "
        "trust",
    }[weights]
    refused(sentence, "run", checkpoint, "-d", "mine", "-q")
    assert files_in(results) == {}
    assert not (checkpoint / "executed").exists()


@pytest.mark.parametrize("value", [-2, 0, "x", [8], None, 1e400, 1 << 40])
@pytest.mark.parametrize("name", ["num_heads", "d_model", "num_layers", "vocab_size"])
def test_sizes_that_are_none(name: str, value: Any, checkpoint: Path) -> None:
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2, "num_layers": 1, "vocab_size": 8}
    write_json(checkpoint / "config.json", {**T5, **sizes, name: value})
    with pytest.raises(CheckpointError, match=r"config.json lacks a size .*; get the checkpoint"):
        inspect_folder(checkpoint).arrays()


@pytest.mark.parametrize("shard", ["../a.bin", "1_Pooling/../a.safetensors", "./a.safetensors", ""])
def test_shards_lie_beside_their_index(shard: str, checkpoint: Path) -> None:
    """Another spelling of a file's name would leave its weights out of the fingerprint."""
    (checkpoint / "model.safetensors").rename(checkpoint / "a.safetensors")
    write_json(checkpoint / "model.safetensors.index.json", {"weight_map": {"x": shard}})
    with pytest.raises(CheckpointError, match=r"index.json names .*, which is not beside it"):
        inspect_folder(checkpoint)
