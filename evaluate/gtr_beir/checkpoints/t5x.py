"""GTR's T5X checkpoints, read without JAX or TensorFlow.

A T5X checkpoint is a folder: `checkpoint` (msgpack: the tree of names, small arrays in place, and
for each large one where it is) and a zarr array for each large one. Optimizer state is not read.
"""

from __future__ import annotations

import itertools
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gtr_beir.checkpoints.layout import (
    ATTENTION_NORM,
    DENSE,
    EMBEDDING,
    FINAL_NORM,
    KEY,
    MLP_IN,
    MLP_NORM,
    MLP_OUT,
    OUT,
    POSITIONS,
    QUERY,
    VALUE,
    GtrShape,
    difference,
    require_usable,
)
from gtr_beir.errors import CheckpointError, UsageError
from gtr_beir.files import Digest, hash_file

PREFIX = "t5x:"
_WHOLE = {
    EMBEDDING: "token_embedder/embedding",
    POSITIONS: "encoder/relpos_bias/rel_embedding",
    FINAL_NORM: "encoder/encoder_norm/scale",
    DENSE: "projection_layer/kernel",
}
_LAYER = {
    ATTENTION_NORM: "pre_attention_layer_norm/scale",
    QUERY: "attention/query/kernel",
    KEY: "attention/key/kernel",
    VALUE: "attention/value/kernel",
    OUT: "attention/out/kernel",
    MLP_NORM: "pre_mlp_layer_norm/scale",
    MLP_IN: "mlp/wi/kernel",
    MLP_OUT: "mlp/wo/kernel",
}
_NDARRAY, _SCALAR = 1, 3
"""Flax's msgpack extension types that hold an array: (shape, type name, bytes)."""
_GIN = re.compile(r"^\s*(?:[\w./]+\.)?(num_heads|head_dim)\s*=\s*(\d+)\s*$", re.IGNORECASE | re.M)


class T5xArrays:
    """The arrays of a T5X dual encoder under the names of `layout`.

    `heads` is only compared: the count is told by the table of relative positions. Raises
    UsageError if there is no such folder, and CheckpointError, naming the arrays, if they are not
    those of GTR.
    """

    stored = ("float32",)

    def __init__(self, path: Path, *, heads: int | None = None):
        self.path = path
        self.source = str(path)
        self._leaves = _leaves(_tree(path), path)
        self._names = _names(self._leaves, path)
        self.shape = self._shape(heads)
        found = {
            ours: self._turned(ours, self._leaf_shape(theirs))
            for ours, theirs in self._names.items()
        }
        problem = difference(self.shape.arrays(), found)
        if problem:
            raise CheckpointError(f"{path} is no T5X checkpoint of GTR: it {problem}")

    def tensor(self, name: str) -> torch.Tensor:
        """One array as float32; T5X keeps matrices as [in, out], which is turned here."""
        theirs = self._names[name]
        leaf = self._leaves[theirs]
        array = leaf if isinstance(leaf, np.ndarray) else _read_zarr(self.path, theirs, leaf)
        if tuple(array.shape) != self._leaf_shape(theirs):
            raise CheckpointError(
                f"{self.path}: {theirs} has shape {list(array.shape)} on disk, but "
                f"{list(self._leaf_shape(theirs))} in the file `checkpoint`"
            )
        if array.dtype.kind != "f":
            raise CheckpointError(
                f"{self.path}: {theirs} is of type {array.dtype}, not of a floating one; get the "
                "checkpoint again"
            )
        tensor = torch.from_numpy(np.array(array, dtype=np.float32))
        if _is_turned(name):
            tensor = tensor.t().contiguous()
        return require_usable(theirs, tensor, self.source)

    def fingerprint(self) -> str:
        """SHA-256 over the names and bytes of what is read."""
        digest = Digest()
        for ours, theirs in sorted(self._names.items()):
            digest.add(ours)
            leaf = self._leaves[theirs]
            if isinstance(leaf, np.ndarray):
                digest.add(str(leaf.shape)).add(np.ascontiguousarray(leaf).tobytes())
            else:
                for file in sorted(_zarr_folder(self.path, leaf).iterdir()):
                    digest.add(file.name).add(hash_file(file))
        return digest.hex()

    def _leaf_shape(self, theirs: str) -> tuple[int, ...]:
        leaf = self._leaves[theirs]
        if isinstance(leaf, np.ndarray):
            return tuple(leaf.shape)
        return tuple(int(size) for size in leaf["metadata"]["shape"])

    @staticmethod
    def _turned(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[::-1] if _is_turned(name) else shape

    def _shape(self, heads: int | None) -> GtrShape:
        sizes = {ours: self._leaf_shape(theirs) for ours, theirs in self._names.items()}
        matrices = (POSITIONS, QUERY.format(0), MLP_IN.format(0), EMBEDDING, DENSE)
        for name in matrices:
            if len(sizes[name]) != 2:
                raise CheckpointError(
                    f"{self.path}: {self._names[name]} has shape {list(sizes[name])}; GTR has a "
                    "matrix there"
                )
        count, buckets = sizes[POSITIONS]
        width, inner = sizes[QUERY.format(0)]
        told = {"num_heads": heads} if heads is not None else {}
        for where, given in ((self.path, told), *_gin_files(self.path)):
            if given.get("num_heads") not in (None, count):
                what = "--heads" if where == self.path else str(where)
                raise CheckpointError(
                    f"{what} says {given['num_heads']} heads, but {self._names[POSITIONS]} in "
                    f"{self.path} has {count}"
                )
            if given.get("head_dim") not in (None, inner // count):
                raise CheckpointError(
                    f"{where} says heads of width {given['head_dim']}, but "
                    f"{self._names[QUERY.format(0)]} in {self.path} has {inner} columns for "
                    f"{count} heads"
                )
        if inner % count:
            raise CheckpointError(
                f"{self.path}: {self._names[QUERY.format(0)]} has {inner} columns, which "
                f"{count} heads cannot share"
            )
        return GtrShape(
            layers=len({name for name in self._names if name.endswith("SelfAttention.q.weight")}),
            width=width,
            heads=count,
            head_width=inner // count,
            hidden=sizes[MLP_IN.format(0)][1],
            dimension=sizes[DENSE][1],
            vocabulary=sizes[EMBEDDING][0],
            buckets=buckets,
        )


def _is_turned(name: str) -> bool:
    """Embeddings are stored as here, everything else that has two axes the other way round."""
    return name != EMBEDDING


def _tree(path: Path) -> Any:
    import msgpack

    file = path / "checkpoint"
    if not file.is_file():
        raise UsageError(
            f"there is no T5X checkpoint in {path}: it would hold a file `checkpoint` and a folder "
            "for each array"
        )
    try:
        tree = msgpack.unpackb(
            file.read_bytes(), ext_hook=_small_array, strict_map_key=False, raw=False
        )
    except CheckpointError:
        raise
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise CheckpointError(
            f"{file} cannot be read ({type(error).__name__}); get the checkpoint again"
        ) from error
    for place in (("optimizer", "target"), ("target",)):
        found = tree
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    raise CheckpointError(f"{file} holds no weights (`optimizer/target` or `target`)")


def _small_array(code: int, data: bytes) -> Any:
    import msgpack

    if code not in (_NDARRAY, _SCALAR):
        return None
    shape, dtype, content = msgpack.unpackb(data, raw=False)
    if dtype == "bfloat16":
        bits = np.frombuffer(content, dtype=np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32).reshape(shape)
    return np.frombuffer(content, dtype=np.dtype(str(dtype))).reshape(shape)


def _leaves(tree: Any, path: Path, above: str = "") -> dict[str, Any]:
    """Names joined by "/" -> an array, or the description of a zarr array."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        full = f"{above}{name}"
        if isinstance(value, np.ndarray):
            leaves[full] = value
        elif isinstance(value, dict) and value.get("driver") == "zarr":
            about, where = value.get("metadata"), value.get("kvstore")
            sizes = about.get("shape") if isinstance(about, dict) else None
            told = isinstance(sizes, list) and all(isinstance(size, int) for size in sizes)
            if not told or not isinstance(where, dict):
                raise CheckpointError(f"{path}/checkpoint does not say what and where {full} is")
            leaves[full] = value
        elif isinstance(value, dict) and value.get("__msgpack_chunked_array__"):
            leaves[full] = np.concatenate(
                [np.ravel(value["chunks"][key]) for key in sorted(value["chunks"], key=int)]
            ).reshape([value["shape"][key] for key in sorted(value["shape"], key=int)])
        elif isinstance(value, dict):
            leaves |= _leaves(value, path, f"{full}/")
    return leaves


def _names(leaves: dict[str, Any], path: Path) -> dict[str, str]:
    """Our name -> theirs, for a tree that has exactly GTR's arrays."""
    if any(re.search(r"/mlp/wi_\d", name) for name in leaves):
        raise CheckpointError(
            f"{path} holds mlp/wi_0 and mlp/wi_1, the gated MLP of T5 1.1; GTR is T5 1.0, with a "
            "plain ReLU"
        )
    layers = {
        int(match.group(1))
        for name in leaves
        if (match := re.match(r"encoder/layers_(\d+)/", name))
    }
    names = dict(_WHOLE)
    for layer in range(max(len(layers), 1)):
        names |= {
            ours.format(layer): f"encoder/layers_{layer}/{theirs}"
            for ours, theirs in _LAYER.items()
        }
    missing = sorted(set(names.values()) - leaves.keys())
    extra = sorted(leaves.keys() - set(names.values()))
    if missing or extra:
        told = [f"lacks {', '.join(missing[:3])}"] if missing else []
        told += [f"has arrays that GTR has not: {', '.join(extra[:3])}"] if extra else []
        more = f" ({len(missing)} and {len(extra)} in all)" if len(missing + extra) > 6 else ""
        raise CheckpointError(f"{path} is no T5X checkpoint of GTR: it {', and '.join(told)}{more}")
    return names


def _zarr_folder(path: Path, leaf: dict[str, Any]) -> Path:
    """The array's folder, which lies in the checkpoint's own."""
    told = str(leaf.get("kvstore", {}).get("path", "")).rstrip("/")
    folder = path / told.rpartition("/")[2]
    if folder.resolve().parent != path.resolve() or not (folder / ".zarray").is_file():
        raise CheckpointError(
            f"{path}: the folder of an array, {told}, is not there; get the checkpoint again"
        )
    return folder


def _read_zarr(path: Path, name: str, leaf: dict[str, Any]) -> npt.NDArray[Any]:
    """The whole array. zarr takes a chunk that is not there for zeros, so each is looked for."""
    import zarr

    folder = _zarr_folder(path, leaf)
    try:
        array = zarr.open_array(store=str(folder), mode="r", zarr_format=2)
        grid = [range(-(-n // size)) for n, size in zip(array.shape, array.chunks, strict=True)]
        for place in itertools.product(*grid):
            chunk = folder / ".".join(map(str, place))
            if not chunk.is_file():
                raise CheckpointError(
                    f"{chunk} is missing, a part of {name}; get the checkpoint again"
                )
        return np.asarray(array[...])
    except (ValueError, TypeError, KeyError, EOFError, OSError, RuntimeError, zlib.error) as error:
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(
            f"{folder}, which holds {name}, cannot be read ({reason}); get the checkpoint again"
        ) from error


def _gin_files(path: Path) -> list[tuple[Path, dict[str, int]]]:
    """What gin files in the folder, or in the one above it, say of the heads."""
    found = []
    for folder in (path, path.resolve().parent):
        for file in sorted(folder.glob("*.gin")):
            text = file.read_text(encoding="utf-8", errors="replace")
            found.append((file, {key.lower(): int(value) for key, value in _GIN.findall(text)}))
    return found
