"""T5X checkpoints: a real one beside a float64 reference, and what is refused."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import T5EncoderModel

from doubles import SHARED
from gtr_beir import cli
from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.checkpoints.hub import inspect_folder
from gtr_beir.checkpoints.layout import GtrShape
from gtr_beir.checkpoints.t5x import T5xArrays
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.encoders.base import encode
from gtr_beir.encoders.loading import load_encoder
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.errors import CheckpointError, UsageError

REAL = SHARED / "t5x" / "test_de_t5_tiny.checkpoint_1000"
SEQUENCES = [[5, 900, 1], [1], [*list(range(100, 400)), 1], [7] * 40 + [1], [31_999, 3, 3, 1]]


@pytest.fixture(scope="module")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip(f"the T5X checkpoint is not in {REAL}")
    return REAL


def stored(path: Path) -> dict[str, np.ndarray]:
    """Every array of the checkpoint in float64, straight from its bytes."""

    def small(code: int, data: bytes) -> Any:
        shape, dtype, content = msgpack.unpackb(data)
        return np.frombuffer(content, dtype).reshape(shape).astype(np.float64)

    tree = msgpack.unpackb((path / "checkpoint").read_bytes(), ext_hook=small)
    found: dict[str, np.ndarray] = {}

    def walk(node: dict[str, Any], above: str) -> None:
        for name, value in node.items():
            if isinstance(value, np.ndarray):
                found[above + name] = value
            elif "driver" in value:
                found[above + name] = chunks(path / value["kvstore"]["path"])
            else:
                walk(value, f"{above}{name}/")

    walk(tree["optimizer"]["target"], "")
    return found


def chunks(folder: Path) -> np.ndarray:
    about = json.loads((folder / ".zarray").read_text())
    whole = np.zeros(about["shape"])
    counts = [range(math.ceil(n / c)) for n, c in zip(about["shape"], about["chunks"], strict=True)]
    for place in itertools.product(*counts):
        content = gzip.decompress((folder / ".".join(map(str, place))).read_bytes())
        block = np.frombuffer(content, about["dtype"]).reshape(about["chunks"])
        corner = [p * c for p, c in zip(place, about["chunks"], strict=True)]
        rows, columns = (
            min(c, n - at) for at, c, n in zip(corner, about["chunks"], about["shape"], strict=True)
        )
        whole[corner[0] : corner[0] + rows, corner[1] : corner[1] + columns] = block[
            :rows, :columns
        ]
    return whole


def reference(arrays: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """GTR's embedding of token ids in float64: T5 1.0 as its paper has it, in NumPy alone."""

    def norm(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale

    table = arrays["encoder/relpos_bias/rel_embedding"]
    heads, buckets = table.shape
    half, exact = buckets // 2, buckets // 4
    n = len(ids)
    bias = np.zeros((heads, n, n))
    for q in range(n):
        for k in range(n):
            apart = abs(k - q)
            bucket = apart
            if apart >= exact:
                grown = math.log(apart / exact) / math.log(128 / exact) * (half - exact)
                bucket = min(exact + int(grown), half - 1)
            bias[:, q, k] = table[:, bucket + (half if k > q else 0)]
    x = arrays["token_embedder/embedding"][ids]
    for layer in itertools.count():
        at = f"encoder/layers_{layer}"
        if f"{at}/mlp/wi/kernel" not in arrays:
            break
        h = norm(x, arrays[f"{at}/pre_attention_layer_norm/scale"])
        q, k, v = (
            (h @ arrays[f"{at}/attention/{part}/kernel"]).reshape(n, heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        logits = q @ k.transpose(0, 2, 1) + bias
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed = (weights @ v).transpose(1, 0, 2).reshape(n, -1)
        x = x + mixed @ arrays[f"{at}/attention/out/kernel"]
        h = norm(x, arrays[f"{at}/pre_mlp_layer_norm/scale"])
        hidden = np.maximum(h @ arrays[f"{at}/mlp/wi/kernel"], 0)
        x = x + hidden @ arrays[f"{at}/mlp/wo/kernel"]
    mean = norm(x, arrays["encoder/encoder_norm/scale"]).mean(0)
    vector = mean @ arrays["projection_layer/kernel"]
    return vector / np.linalg.norm(vector)


def test_every_array_is_placed(real: Path) -> None:
    arrays = T5xArrays(real)
    assert arrays.shape == GtrShape(
        layers=2, width=4, heads=2, head_width=2, hidden=8, dimension=768, buckets=4
    )
    theirs = stored(real)
    assert len(arrays.shape.arrays()) == len(theirs)
    placed = [arrays.tensor(name) for name in arrays.shape.arrays()]
    assert sum(t.numel() for t in placed) == sum(a.size for a in theirs.values())
    assert sorted(float(t.double().sum()) for t in placed) == pytest.approx(
        sorted(float(a.sum()) for a in theirs.values())
    )


def test_equal_to_a_float64_reference(real: Path) -> None:
    arrays = stored(real)
    expected = np.stack([reference(arrays, ids) for ids in SEQUENCES])
    model = T5Model(T5xArrays(real), dtype="fp32", device="cpu")
    assert np.abs(model.forward(SEQUENCES).numpy() - expected).max() < 1e-5


def test_converted_saved_and_loaded_again(real: Path, tmp_path: Path) -> None:
    """The folder is GTR for us, for transformers and for sentence-transformers, with one result."""
    out = tmp_path / "converted"
    command = ["models", "convert", f"t5x:{real}", str(out), "--tokenizer", str(CHECKPOINT_DIR)]
    assert cli.main([*command, "-q"]) == 0
    assert cli.main(["models", "check", str(out)]) == 0
    expected = np.stack([reference(stored(real), ids) for ids in SEQUENCES])
    ours = T5Model(inspect_folder(out).arrays(), dtype="fp32", device="cpu")
    assert np.abs(ours.forward(SEQUENCES).numpy() - expected).max() < 1e-5
    encoder = T5EncoderModel.from_pretrained(out, dtype=torch.float32)
    with torch.inference_mode():
        states = encoder(torch.tensor([SEQUENCES[2]])).last_hidden_state
    theirs = states[0].mean(0).numpy() @ stored(real)["projection_layer/kernel"]
    assert np.abs(theirs / np.linalg.norm(theirs) - expected[2]).max() < 1e-5
    texts = ["one text", "", "another, longer text about bicycles and rain"]
    loaded = SentenceTransformer(str(out), device="cpu", local_files_only=True)
    checkpoint = open_checkpoint(f"t5x:{real}", tokenizer=str(CHECKPOINT_DIR), offline=True)
    direct = load_encoder(checkpoint, device="cpu")
    vectors = encode(direct, texts, kind="document", max_tokens=64).vectors
    assert np.abs(vectors - loaded.encode(texts)).max() < 2e-5


def copy_of(real: Path, tmp_path: Path) -> Path:
    target = tmp_path / "checkpoint_1000"
    shutil.copytree(real, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def changed_tree(path: Path, change: Any) -> None:
    """Rewrite `checkpoint` with its weights changed."""
    tree = msgpack.unpackb((path / "checkpoint").read_bytes())
    change(tree["optimizer"]["target"])
    (path / "checkpoint").write_bytes(msgpack.packb(tree))


def test_what_is_read_is_fingerprinted(real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    before = T5xArrays(path).fingerprint()
    assert before == T5xArrays(real).fingerprint()
    folder = path / "target.encoder.layers_1.mlp.wi.kernel"
    values = bytearray(gzip.decompress((folder / "0.0").read_bytes()))
    values[0] ^= 1
    (folder / "0.0").write_bytes(gzip.compress(bytes(values)))
    assert T5xArrays(path).fingerprint() != before


@pytest.mark.parametrize("damage", ["cut", "missing", "no folder"])
def test_a_damaged_array_is_named(damage: str, real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    folder = path / "target.token_embedder.embedding"
    chunk = folder / "3.0"
    if damage == "cut":
        chunk.write_bytes(chunk.read_bytes()[:5000])
    elif damage == "missing":
        chunk.unlink()
    else:
        shutil.rmtree(folder)
    with pytest.raises(CheckpointError, match=r"token_embedder.embedding"):
        T5Model(T5xArrays(path), dtype="fp32", device="cpu")


def test_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no T5X checkpoint in"):
        T5xArrays(tmp_path)
    (tmp_path / "checkpoint").write_bytes(b"\xc1 not msgpack")
    with pytest.raises(CheckpointError, match="cannot be read"):
        T5xArrays(tmp_path)
    (tmp_path / "checkpoint").write_bytes(msgpack.packb({"version": 1}))
    with pytest.raises(CheckpointError, match="holds no weights"):
        T5xArrays(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t["encoder"].pop("encoder_norm"), r"lacks encoder/encoder_norm/scale"),
        (lambda t: t.pop("projection_layer"), r"lacks projection_layer/kernel"),
        (
            lambda t: t.update(decoder=t["encoder"]),
            r"has arrays that GTR has not: decoder/encoder_norm/scale",
        ),
        (
            lambda t: t["encoder"]["layers_0"]["mlp"].update(
                wi_0=t["encoder"]["layers_0"]["mlp"]["wi"],
                wi_1=t["encoder"]["layers_0"]["mlp"].pop("wi"),
            ),
            r"gated MLP of T5 1.1",
        ),
        (
            lambda t: t["encoder"]["layers_0"]["attention"]["query"]["kernel"]["kvstore"].update(
                path="../elsewhere"
            ),
            r"the folder of an array, \.\./elsewhere, is not there",
        ),
        (
            lambda t: t["encoder"]["layers_1"]["mlp"]["wi"]["kernel"]["metadata"].update(
                shape=[4, 9]
            ),
            r"layer.1.DenseReluDense.wi.weight has shape \[9, 4\] instead of \[8, 4\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(change: Any, sentence: str, real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    changed_tree(path, change)
    with pytest.raises(CheckpointError, match=sentence):
        T5Model(T5xArrays(path), dtype="fp32", device="cpu")


def test_integers_are_no_weights(real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    about = path / "target.encoder.layers_0.mlp.wo.kernel" / ".zarray"
    about.write_text(about.read_text().replace("<f4", "<i4"))
    with pytest.raises(CheckpointError, match=r"mlp/wo/kernel is of type int32, not of a floating"):
        T5Model(T5xArrays(path), dtype="fp32", device="cpu")


@pytest.mark.parametrize(
    "change", [{"kvstore": "x"}, {"metadata": "x"}, {"metadata": {"shape": ["a"]}}]
)
def test_descriptions_that_are_none(change: Any, real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    changed_tree(path, lambda t: t["encoder"]["layers_0"]["mlp"]["wi"]["kernel"].update(change))
    with pytest.raises(CheckpointError, match="does not say what and where encoder/layers_0/ml"):
        T5xArrays(path)


def test_nan_is_named(real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    folder = path / "target.encoder.layers_0.mlp.wo.kernel"
    (folder / "0.0").write_bytes(gzip.compress(np.full((8, 4), np.nan, "<f4").tobytes()))
    with pytest.raises(
        CheckpointError, match=r"layers_0/mlp/wo/kernel has values that are not fin"
    ):
        T5Model(T5xArrays(path), dtype="fp32", device="cpu")


def test_heads_are_compared(real: Path, tmp_path: Path) -> None:
    assert T5xArrays(real, heads=2).shape.heads == 2
    with pytest.raises(CheckpointError, match=r"--heads says 4 heads, but encoder/relpos_bias"):
        T5xArrays(real, heads=4)
    path = copy_of(real, tmp_path)
    gin = "network.T5Config:\n  num_heads = 2\n  head_dim = 2\n"
    (path.parent / "config.gin").write_text(gin)
    assert T5xArrays(path).shape.head_width == 2
    (path.parent / "config.gin").write_text(gin.replace("head_dim = 2", "head_dim = 64"))
    with pytest.raises(CheckpointError, match=r"config.gin says heads of width 64"):
        T5xArrays(path)


def test_a_tokenizer_must_be_named(real: Path) -> None:
    with pytest.raises(UsageError, match="give --tokenizer"):
        load_encoder(open_checkpoint(f"t5x:{real}", offline=True), device="cpu")
