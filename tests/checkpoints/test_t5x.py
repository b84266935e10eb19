"""T5X checkpoints: a real one beside a float64 reference, and what is refused."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import os
import pickle
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import numcodecs
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
from mistakes import Trap

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
            r"has arrays that GTR does not have: decoder/encoder_norm/scale",
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
            r"lacks \.\./elsewhere, the folder of an array",
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


WO = "target.encoder.layers_0.mlp.wo.kernel"
WO_NAME = "encoder.block.0.layer.1.DenseReluDense.wo.weight"


def described(path: Path, **values: Any) -> Path:
    """Change what is said of one array, in its folder and in `checkpoint`."""
    about = path / WO / ".zarray"
    about.write_text(json.dumps({**json.loads(about.read_text()), **values}))
    told = {key: values[key] for key in ("dtype", "compressor", "chunks") if key in values}
    changed_tree(
        path, lambda t: t["encoder"]["layers_0"]["mlp"]["wo"]["kernel"]["metadata"].update(told)
    )
    return about.parent


@pytest.mark.parametrize("numbers", ["<i4", "|O", "<M8[s]", "|S8", "|V4", "<c8", ["<f4"], None])
def test_only_floating_numbers_are_weights(numbers: Any, real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    described(path, dtype=numbers)
    with pytest.raises(CheckpointError, match=r"mlp.wo.kernel/.zarray .* not a floating-point"):
        T5Model(T5xArrays(path), dtype="fp32", device="cpu")


@pytest.fixture
def unpickling(monkeypatch: pytest.MonkeyPatch) -> None:
    """numcodecs as it was before its pickle codec was switched off."""

    def decode(self: Any, buffer: Any, out: Any = None) -> Any:
        return np.array(pickle.loads(bytes(buffer)), dtype=object)  # noqa: S301

    numcodecs.registry.register_codec(numcodecs.pickles.Pickle)
    monkeypatch.setattr(numcodecs.pickles.Pickle, "decode", decode)


@pytest.mark.usefixtures("unpickling")
@pytest.mark.parametrize(
    "values",
    [
        {"compressor": {"id": "pickle", "protocol": 5}},
        {"filters": [{"id": "pickle", "protocol": 5}], "compressor": None},
        {"filters": [{"id": "pickle", "protocol": 5}], "compressor": None, "dtype": "|O"},
        {"filters": [{"id": "json2"}], "dtype": "|O"},
        {"filters": [{"id": "delta", "dtype": "<f4"}]},
        {"compressor": {"id": "lz4"}},
        {"compressor": {"id": ["gzip"]}},
        {"compressor": "gzip5"},
    ],
)
def test_no_other_codec_or_filter_is_run(values: Any, real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    mark = tmp_path / "executed"
    (described(path, **values) / "0.0").write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(CheckpointError, match=r"\.zarray (asks for the|describes an array of)"):
        T5Model(T5xArrays(path), dtype="fp32", device="cpu")
    assert not mark.exists()


CODECS = [
    None,
    numcodecs.GZip(1),
    numcodecs.Zlib(9),
    numcodecs.Blosc("lz4", 5, 1),
    numcodecs.Blosc("zstd", 3, 2),
    numcodecs.Blosc("zlib", 3, 0),
    numcodecs.Zstd(3),
]


@pytest.mark.parametrize("codec", CODECS, ids=str)
@pytest.mark.parametrize("numbers", ["<f4", ">f8", "<f2", "bfloat16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_every_form(
    codec: Any, numbers: str, order: str, real: Path, tmp_path: Path
) -> None:
    """The same values in any codec, type and cut; bfloat16 has its own rounding."""
    path = copy_of(real, tmp_path)
    values = torch.randn(8, 4, generator=torch.Generator().manual_seed(1)).bfloat16()
    compressor = codec and codec.get_config()
    folder = described(path, dtype=numbers, compressor=compressor, chunks=[3, 3], order=order)
    padded = torch.full((9, 6), 7.0, dtype=torch.bfloat16)
    padded[:8, :4] = values.half().bfloat16() if numbers == "<f2" else values
    for row, column in itertools.product(range(3), range(2)):
        block = padded[row * 3 : row * 3 + 3, column * 3 : column * 3 + 3]
        if numbers == "bfloat16":
            array = block.contiguous().view(torch.int16).numpy()
        else:
            array = block.float().numpy().astype(numbers)
        content = array.tobytes(order)
        packed = content if codec is None else bytes(codec.encode(content))
        (folder / f"{row}.{column}").write_bytes(packed)
    arrays = T5xArrays(path)
    assert torch.equal(arrays.tensor(WO_NAME), padded[:8, :4].float().t())
    kinds = {"<f4": "float32", ">f8": "float64", "<f2": "float16"}
    assert kinds.get(numbers, numbers) in arrays.stored


@pytest.mark.parametrize("codec", CODECS[1:], ids=str)
@pytest.mark.parametrize("damage", ["bomb", "short", "cut", "noise"])
def test_a_chunk_is_as_large_as_it_should_be(
    codec: Any, damage: str, real: Path, tmp_path: Path
) -> None:
    """A chunk that would grow further is named, and is not let grow."""
    path = copy_of(real, tmp_path)
    chunk = described(path, compressor=codec.get_config()) / "0.0"
    sizes = {"bomb": 1 << 26, "short": 64}
    packed = bytes(codec.encode(bytes(sizes.get(damage, 128))))
    chunk.write_bytes({"cut": packed[:-5], "noise": b"\x13" * 40}.get(damage, packed))
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"wo.kernel/0.0 cannot be read .*get the checkpoi"):
        T5xArrays(path).tensor(WO_NAME)
    assert tracemalloc.get_traced_memory()[1] < 1 << 25
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"chunks": [4, 8]}, "cuts an array of shape"),
        ({"chunks": [0, 4]}, "is not the description of an array"),
        ({"chunks": [True, 4]}, "is not the description of an array"),
        ({"chunks": [-8, 4]}, "is not the description of an array"),
        ({"chunks": [4]}, "cuts an array of shape"),
        ({"shape": 8}, "is not the description of an array"),
        ({"shape": [1 << 31, 1 << 31]}, "too large for GTR"),
        ({"shape": [4, 8], "chunks": [4, 4]}, r"has shape \[4, 8\] in .*but \[8, 4\] in the file"),
        ({"zarr_format": 3}, "is not the description of an array"),
        ({"order": "K"}, "has an order"),
        ({"dimension_separator": "/"}, "has an order or a dimension separator"),
    ],
)
def test_descriptions_of_arrays_that_are_wrong(
    values: Any, sentence: str, real: Path, tmp_path: Path
) -> None:
    path = copy_of(real, tmp_path)
    described(path, **values)
    with pytest.raises(CheckpointError, match=rf"mlp.wo.kernel.*{sentence}"):
        T5xArrays(path).tensor(WO_NAME)


@pytest.mark.parametrize("text", ["", "[]", "[" * 60_000, "[" * 100_000, "{}", "x"])
def test_descriptions_that_are_no_objects(text: str, real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    (path / WO / ".zarray").write_text(text)
    with pytest.raises(CheckpointError, match=r"mlp.wo.kernel/.zarray is not .* cannot be used"):
        T5xArrays(path).tensor(WO_NAME)


def test_the_two_descriptions_must_agree(real: Path, tmp_path: Path) -> None:
    """Chunks of another cut of the same size would give the same numbers at other places."""
    path = copy_of(real, tmp_path)
    about = path / WO / ".zarray"
    about.write_text(about.read_text().replace('"chunks":[8,4]', '"chunks":[4,4]'))
    with pytest.raises(CheckpointError, match=r"has chunks \[4, 4\] in .* but \[8, 4\] in"):
        T5xArrays(path).tensor(WO_NAME)


@pytest.mark.parametrize(
    "change", [{"kvstore": "x"}, {"metadata": "x"}, {"metadata": {"shape": ["a"]}}]
)
def test_descriptions_that_are_none(change: Any, real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    changed_tree(path, lambda t: t["encoder"]["layers_0"]["mlp"]["wi"]["kernel"].update(change))
    with pytest.raises(
        CheckpointError, match="does not give the shape and the place of encoder/layers_0/ml"
    ):
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


def deep(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(levels):
        tree = {"a": tree}
    return tree


SMALL = msgpack.ExtType(1, msgpack.packb(([1], "float32", bytes(4))))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (deep(40), "nested more than 16 levels deep"),
        (deep(900), "nested more than 16 levels deep"),
        ({"a/b": 1}, "which is not the name of an array"),
        ({7: 1}, "which is not the name of an array"),
        (3, "holds odd, which is not an array that is known"),
        ({"driver": "n5", "metadata": {}}, "holds odd, which is not an array that is known"),
        ({"__msgpack_chunked_array__": True}, "in pieces that do not fit"),
        ({"__msgpack_chunked_array__": True, "shape": {"0": 2}, "chunks": {"0": 1}}, "in pieces"),
        ({"__msgpack_chunked_array__": True, "shape": {"0": -1}, "chunks": {"0": SMALL}}, "pieces"),
        ({"__msgpack_chunked_array__": True, "shape": {"0": 2}, "chunks": {"x": SMALL}}, "pieces"),
        ({"__msgpack_chunked_array__": True, "shape": [2], "chunks": [1]}, "in pieces"),
        (msgpack.ExtType(1, msgpack.packb(([1], "O", bytes(8)))), "cannot be read"),
        (msgpack.ExtType(1, msgpack.packb(([-1], "float32", bytes(8)))), "cannot be read"),
        (msgpack.ExtType(1, msgpack.packb(([1 << 40], "float32", bytes(8)))), "cannot be read"),
        (msgpack.ExtType(1, b"\xc1"), "cannot be read"),
    ],
)
def test_trees_that_are_not_understood(
    value: Any, sentence: str, real: Path, tmp_path: Path
) -> None:
    path = copy_of(real, tmp_path)
    tree = {"target": {"odd": value}}
    (path / "checkpoint").write_bytes(msgpack.packb(tree))
    with pytest.raises(CheckpointError, match=rf"checkpoint .*{sentence}"):
        T5xArrays(path)


@pytest.mark.parametrize(
    "content", [b"\x81\xa1a" * 5000 + b"\x80", b"\x91" * 5000 + b"\x90", b"\xdd\xff\xff\xff\xff"]
)
def test_files_that_are_deeper_or_longer_than_any(
    content: bytes, real: Path, tmp_path: Path
) -> None:
    path = copy_of(real, tmp_path)
    (path / "checkpoint").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint cannot be read"):
        T5xArrays(path)


def test_a_name_given_twice(real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    (path / "checkpoint").write_bytes(b"\x82\xa6target\x80\xa6target\x80")
    with pytest.raises(CheckpointError, match=r"checkpoint cannot be read"):
        T5xArrays(path)


def test_sizes_are_looked_at_before_reading(real: Path, tmp_path: Path) -> None:
    path = copy_of(real, tmp_path)
    gin = path / "a.gin"
    gin.write_text("x" * ((1 << 20) + 1))
    with pytest.raises(CheckpointError, match=r"a.gin is larger than"):
        T5xArrays(path)
    gin.unlink()
    os.mkfifo(gin)
    assert T5xArrays(path).shape.heads == 2
    with (path / "checkpoint").open("r+b") as file:
        file.truncate(1 << 33)
    with pytest.raises(CheckpointError, match=r"checkpoint is larger than"):
        T5xArrays(path)
