"""GTR's T5X checkpoints, read without JAX or TensorFlow.

A T5X checkpoint is a folder: `checkpoint` (msgpack: the tree of names, small arrays in place, and
for each large one where it is) and a zarr array for each large one. Optimizer state is not read.
Nothing is run that a checkpoint names, and what it may make grow has a bound.
"""

from __future__ import annotations

import re
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
from gtr_beir.checkpoints.zarr_array import (
    BFLOAT16,
    DESCRIPTION,
    NUMBERS,
    ArrayDescription,
    describe,
    floats,
    read,
)
from gtr_beir.digests import Digest, hash_file
from gtr_beir.errors import CheckpointError, UsageError

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
_LARGEST_TREE = 1 << 26
_LONGEST = 1 << 16
_DEEPEST = 16
"""Bytes of the file `checkpoint`, entries of a table or list in it, and tables within tables."""
_LARGEST_GIN = 1 << 20
_SMALL = frozenset(
    {
        *NUMBERS.values(),
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    }
)
"""The types of arrays in the file itself; integers count steps, and are no weights."""
_GIN = re.compile(r"^\s*(?:[\w./]+\.)?(num_heads|head_dim)\s*=\s*(\d+)\s*$", re.IGNORECASE | re.M)


class T5xArrays:
    """The arrays of a T5X dual encoder under the names of `layout`.

    `heads` is only compared: the count is told by the table of relative positions. Raises
    UsageError if there is no such folder, and CheckpointError, naming the arrays, if they are not
    those of GTR.
    """

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
            raise CheckpointError(f"{path} is not a T5X checkpoint of GTR: it {problem}")

    @property
    def stored(self) -> tuple[str, ...]:
        """The number types in which the arrays are stored."""
        leaves = [(name, self._leaves[name]) for name in self._names.values()]
        return tuple(
            sorted(
                {
                    str(leaf.dtype)
                    if isinstance(leaf, np.ndarray)
                    else _description(self.path, name, leaf).type
                    for name, leaf in leaves
                }
            )
        )

    def tensor(self, name: str) -> torch.Tensor:
        """One array as float32; T5X keeps matrices as [in, out], which is turned here."""
        theirs = self._names[name]
        leaf = self._leaves[theirs]
        small = isinstance(leaf, np.ndarray)
        array = leaf if small else read(_description(self.path, theirs, leaf))
        if array.dtype.kind != "f":
            raise CheckpointError(
                f"{self.path}: {theirs} is of type {array.dtype}, which is not a floating-point "
                "type; get the checkpoint again"
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
                folder = _zarr_folder(self.path, leaf)
                for file in sorted(file for file in folder.iterdir() if file.is_file()):
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


def require_there(path: Path) -> None:
    """UsageError unless a T5X checkpoint lies in the folder."""
    if not (path / "checkpoint").is_file():
        raise UsageError(
            f"there is no T5X checkpoint in {path}; give the folder that holds the file "
            "`checkpoint` and a folder for each array"
        )


def _tree(path: Path) -> Any:
    import msgpack

    require_there(path)
    file = path / "checkpoint"
    if file.stat().st_size > _LARGEST_TREE:
        raise CheckpointError(
            f"{file} is larger than {_LARGEST_TREE:,} bytes; large arrays of T5X lie in folders of "
            "their own; get the checkpoint again"
        )
    try:
        tree = msgpack.unpackb(
            file.read_bytes(),
            ext_hook=_small_array,
            object_pairs_hook=_once,
            strict_map_key=False,
            raw=False,
            max_array_len=_LONGEST,
            max_map_len=_LONGEST,
        )
    except (RecursionError, ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
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


def _once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A table; ValueError if it gives a name twice, for then it is not clear what is meant."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name is given twice")
    return table


def _small_array(code: int, data: bytes) -> Any:
    import msgpack

    if code not in (_NDARRAY, _SCALAR):
        return None
    shape, dtype, content = msgpack.unpackb(data, raw=False)
    known = dtype in _SMALL and isinstance(content, bytes)
    if not known or not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"an array of type {str(dtype)[:40]} and shape {str(shape)[:40]}")
    if dtype == BFLOAT16:
        return floats(content, BFLOAT16).reshape(shape)
    return np.frombuffer(content, dtype=np.dtype(dtype)).reshape(shape)


def _leaves(tree: Any, path: Path, above: str = "") -> dict[str, Any]:
    """Names joined by "/" -> an array, or the description of a zarr array."""
    leaves: dict[str, Any] = {}
    if above.count("/") > _DEEPEST:
        raise CheckpointError(
            f"{path}/checkpoint is nested more than {_DEEPEST} levels deep; get the checkpoint "
            "again"
        )
    for name, value in tree.items():
        full = f"{above}{name}"
        if not isinstance(name, str) or "/" in name:
            raise CheckpointError(
                f"{path}/checkpoint holds {above}{str(name)[:40]!r}, which is not the name of an "
                "array; get the checkpoint again"
            )
        if isinstance(value, np.ndarray):
            leaves[full] = value
        elif isinstance(value, dict) and value.get("driver") == "zarr":
            about, where = value.get("metadata"), value.get("kvstore")
            sizes = about.get("shape") if isinstance(about, dict) else None
            told = isinstance(sizes, list) and all(isinstance(size, int) for size in sizes)
            if not told or not isinstance(where, dict):
                raise CheckpointError(
                    f"{path}/checkpoint does not give the shape and the place "
                    f"of {full}; get the checkpoint again"
                )
            leaves[full] = value
        elif isinstance(value, dict) and value.get("__msgpack_chunked_array__"):
            leaves[full] = _joined(value, full, path)
        elif isinstance(value, dict) and not isinstance(value.get("driver"), str):
            leaves |= _leaves(value, path, f"{full}/")
        elif value is not None:
            raise CheckpointError(
                f"{path}/checkpoint holds {full}, which is not an array that is known; get the "
                "checkpoint again"
            )
    return leaves


def _joined(value: dict[str, Any], name: str, path: Path) -> npt.NDArray[Any]:
    """An array that was too large for one entry, of its pieces: both tables count from "0"."""
    try:
        pieces = [value["chunks"][str(place)] for place in range(len(value["chunks"]))]
        shape = [value["shape"][str(place)] for place in range(len(value["shape"]))]
        if not all(isinstance(piece, np.ndarray) for piece in pieces) or not all(
            type(size) is int and size > 0 for size in shape
        ):
            raise TypeError
        return np.concatenate([np.ravel(piece) for piece in pieces]).reshape(shape)
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{path}/checkpoint holds {name} in pieces that do not fit together; get the "
            "checkpoint again"
        ) from None


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
        told += [f"has arrays that GTR does not have: {', '.join(extra[:3])}"] if extra else []
        more = f" ({len(missing)} and {len(extra)} in all)" if len(missing + extra) > 6 else ""
        raise CheckpointError(
            f"{path} is not a T5X checkpoint of GTR: it {', and '.join(told)}{more}"
        )
    return names


def _zarr_folder(path: Path, leaf: dict[str, Any]) -> Path:
    """The array's folder, which lies in the checkpoint's own."""
    told = str(leaf.get("kvstore", {}).get("path", "")).rstrip("/")
    folder = path / told.rpartition("/")[2]
    if folder.resolve().parent != path.resolve() or not (folder / ".zarray").is_file():
        raise CheckpointError(
            f"{path} lacks {told}, the folder of an array; get the checkpoint again"
        )
    return folder


def _description(path: Path, name: str, leaf: dict[str, Any]) -> ArrayDescription:
    """What the array's folder says of it, which must be what the file `checkpoint` says."""
    description = describe(_zarr_folder(path, leaf))
    told = {
        "shape": list(description.shape),
        "chunks": list(description.chunks),
        "dtype": description.numbers,
        "compressor": description.codec,
    }
    for what, value in leaf["metadata"].items():
        given = value.get("id") if what == "compressor" and isinstance(value, dict) else value
        if what in told and given != told[what]:
            raise CheckpointError(
                f"{path}: {name} has {what} {told[what]} in {description.folder.name}/"
                f"{DESCRIPTION}, but {given} in the file `checkpoint`; get the checkpoint again"
            )
    return description


def _gin_files(path: Path) -> list[tuple[Path, dict[str, int]]]:
    """What gin files in the folder, or in the one above it, say of the heads."""
    found = []
    for folder in (path, path.resolve().parent):
        for file in sorted(file for file in folder.glob("*.gin") if file.is_file()):
            if file.stat().st_size > _LARGEST_GIN:
                raise CheckpointError(
                    f"{file} is larger than {_LARGEST_GIN:,} bytes, which no gin file is; remove it"
                )
            text = file.read_text(encoding="utf-8", errors="replace")
            found.append((file, {key.lower(): int(value) for key, value in _GIN.findall(text)}))
    return found
