"""The arrays of a GTR checkpoint in sentence-transformers' layout, read one at a time.

safetensors first; a `.bin` is read by torch's weights-only reader, which builds tensors and
nothing else: a file that wants anything executed is refused.
"""

from __future__ import annotations

import os
import pickle
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from gtr_beir.checkpoints.layout import (
    DENSE,
    EMBEDDING,
    READ_TYPES,
    GtrShape,
    difference,
    require_usable,
)
from gtr_beir.errors import CheckpointError, StoreError
from gtr_beir.files import read_json

_ALIASES = {"encoder.embed_tokens.weight": EMBEDDING}
_LARGEST_SIZE = 1 << 24
_UNUSED = ("decoder.", "lm_head.")
_COUNTERS = ("position_ids", "token_type_ids", "num_batches_tracked")
"""Arrays of whole numbers that are no weights."""


class FolderArrays:
    """A folder's T5 encoder and Dense layer; the shape is told by the configuration files.

    Raises CheckpointError if a file is missing or damaged, if names or shapes are not those of the
    configuration, or if the encoder is not T5 1.0's.
    """

    def __init__(self, path: Path, transformer: Path, dense: Path):
        self.source = str(path)
        self.shape = _shape(transformer, dense)
        self._readers: dict[str, tuple[_Reader, str]] = {}
        for folder in (transformer, dense):
            for file in weight_files(folder):
                reader = _Reader(file)
                for name in reader.shapes:
                    ours = DENSE if folder == dense else _ALIASES.get(name, name)
                    if folder == dense and name != "linear.weight":
                        raise CheckpointError(
                            f"{file} holds the array {name}; GTR's Dense has only linear.weight"
                        )
                    if not ours.startswith(_UNUSED):
                        self._readers.setdefault(ours, (reader, name))
        found = {ours: reader.shapes[name] for ours, (reader, name) in self._readers.items()}
        problem = difference(self.shape.arrays(), found)
        if problem:
            raise CheckpointError(
                f"{path} is not the checkpoint that its configuration describes: it {problem}; get "
                "the checkpoint again"
            )
        self.stored = tuple(
            sorted({str(r.dtype(n)).removeprefix("torch.") for r, n in self._readers.values()})
        )

    def tensor(self, name: str) -> torch.Tensor:
        reader, stored = self._readers[name]
        return require_usable(stored, reader.tensor(stored), str(reader.file))


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a module's weights: safetensors if there are any, in one file or in the
    shards that an index names, else `.bin`."""
    for single, index in (
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ):
        if (folder / single).is_file():
            return [folder / single]
        if (folder / index).is_file():
            return _shards(folder / index)
    raise CheckpointError(f"{folder} has no weights (model.safetensors); get the checkpoint again")


def files_if_any(folder: Path) -> list[Path]:
    """The files that hold a module's weights; none for a module that has none."""
    try:
        return weight_files(folder)
    except CheckpointError:
        return []


def _shards(index: Path) -> list[Path]:
    entries = configuration(index).get("weight_map")
    if not isinstance(entries, dict):
        raise CheckpointError(f"{index} names no shards; get the checkpoint again")
    files = []
    for name in sorted({str(value) for value in entries.values()}):
        file = index.parent / name
        if file.name != name or not file.is_file():
            raise CheckpointError(
                f"{index} names {name}, which is not beside it; get the checkpoint again"
            )
        files.append(file)
    return files


def require_all(names: Iterable[str], folder: Path) -> None:
    """CheckpointError if a loaded model has arrays that its files do not hold, which libraries fill
    with random values; if it leaves out layers that they do hold; or if they hold what is no
    floating-point number. Prefixes differ (`bert.`), and a pooler is not used."""
    names = list(names)
    known = set(names)
    stored: set[str] = set()
    for reader in map(_Reader, weight_files(folder)):
        for name in reader.shapes:
            kind = str(reader.dtype(name)).removeprefix("torch.")
            weighs = _is_of(name, known) and not name.endswith(_COUNTERS)
            if kind not in READ_TYPES and weighs:
                raise CheckpointError(
                    f"{reader.file}: the array {name} is of type {kind}, which is not read; use a "
                    "checkpoint in float32, bfloat16 or float16"
                )
        stored |= reader.shapes.keys()
    ends = {name[at + 1 :] for name in stored for at, sign in enumerate(name) if sign == "."}
    missing = [
        name
        for name in names
        if not (name in stored or name in ends or any(name.endswith(f".{s}") for s in stored))
        and not re.search(r"(^|\.)pooler\.|position_ids$|token_type_ids$", name)
    ]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise CheckpointError(
            f"{folder} lacks the arrays {', '.join(missing[:3])}{more}; get the checkpoint again"
        )
    for name in sorted(stored):
        if not _is_of(name, known) and any(_is_of(one, known) for one in _in_first_layer(name)):
            raise CheckpointError(
                f"{folder} holds the array {name}, of a layer that its config.json does not count; "
                "get the checkpoint again"
            )


def _is_of(name: str, known: set[str]) -> bool:
    """Whether an array is one of a model's, which may go without a prefix, or has another."""
    parts = name.split(".")
    return any(".".join(parts[at:]) in known for at in range(len(parts)))


def _in_first_layer(name: str) -> Iterator[str]:
    """The name with each of its numbers replaced by 0."""
    parts = name.split(".")
    for at, part in enumerate(parts):
        if part.isdecimal() and part != "0":
            yield ".".join([*parts[:at], "0", *parts[at + 1 :]])


class _Reader:
    """One file of weights: shapes at once, tensors when they are asked for."""

    def __init__(self, file: Path):
        self.file = file
        self._tensors: Mapping[str, torch.Tensor] | None = None
        self._open: Any = None
        if file.suffix == ".bin":
            self._tensors = _read_bin(file)
            self.shapes = {name: tuple(t.shape) for name, t in self._tensors.items()}
            return
        from safetensors import SafetensorError, safe_open

        try:
            self._open = safe_open(file, framework="pt")
            names = self._open.keys()
            self.shapes = {name: tuple(self._open.get_slice(name).get_shape()) for name in names}
        except (SafetensorError, OSError) as error:
            raise _damaged(file, error) from error

    def tensor(self, name: str) -> torch.Tensor:
        if self._tensors is not None:
            return self._tensors[name]
        try:
            tensor: torch.Tensor = self._open.get_tensor(name)
        except Exception as error:  # safetensors raises what it likes
            raise _damaged(self.file, error) from error
        return tensor

    def dtype(self, name: str) -> torch.dtype | str:
        if self._tensors is not None:
            return self._tensors[name].dtype
        stored = str(self._open.get_slice(name).get_dtype())
        return _SAFETENSORS_TYPES.get(stored, stored)


_SAFETENSORS_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}


def _read_bin(file: Path) -> Mapping[str, torch.Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the file is, which is found out here
            try:
                loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError:  # files of the old format cannot be mapped
                loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{file} holds more than weights, and none of it was executed; get the checkpoint as "
            "safetensors, or from someone you trust"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise _damaged(file, error) from error
    if not isinstance(loaded, dict) or not all(
        isinstance(value, torch.Tensor) for value in loaded.values()
    ):
        raise CheckpointError(f"{file} is not a table of arrays; get the checkpoint again")
    return {str(name): value for name, value in loaded.items()}


def _damaged(file: Path, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split())[:200]
    return CheckpointError(f"{file} cannot be read ({reason}); get the checkpoint again")


def json_file(path: Path) -> Any:
    """A JSON file of a checkpoint; CheckpointError if it is missing or damaged."""
    try:
        return read_json(path)
    except StoreError as error:
        what = str(error).partition(";")[0]
        raise CheckpointError(
            f"the checkpoint cannot be used: {what}; get the checkpoint again"
        ) from None


def module_entries(path: Path) -> list[tuple[str, Path]]:
    """(type, folder) of each module that a folder's modules.json names, in order."""
    file = path / "modules.json"
    entries = json_file(file)
    try:
        return [(str(entry["type"]), path / str(entry["path"])) for entry in entries]
    except (TypeError, KeyError, ValueError):
        raise CheckpointError(f"{file} is not a list of modules with type and path") from None


def configuration(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint; CheckpointError if it is missing or is not one."""
    value = json_file(path)
    if not isinstance(value, dict):
        raise CheckpointError(
            f"the checkpoint cannot be used: {path} is not a JSON object; get the checkpoint again"
        )
    return value


def configuration_if_any(path: Path) -> dict[str, Any]:
    """The same, and nothing where there is no such name; what has it and is no file, such as a
    device, is not taken for absent."""
    return configuration(path) if os.path.lexists(path) else {}


def _shape(transformer: Path, dense: Path) -> GtrShape:
    config = configuration(transformer / "config.json")
    gated = config.get("is_gated_act") or "gated" in str(config.get("feed_forward_proj", "relu"))
    activation = config.get("dense_act_fn") or config.get("feed_forward_proj") or "relu"
    if gated or activation != "relu":
        raise CheckpointError(
            f"{transformer}/config.json describes the encoder of T5 1.1 or another variant "
            f"(feed_forward_proj {config.get('feed_forward_proj', activation)}); GTR is T5 1.0, "
            "with a plain ReLU"
        )
    layer = configuration(dense / "config.json")
    try:
        shape = GtrShape(
            layers=int(config["num_layers"]),
            width=int(config["d_model"]),
            heads=int(config["num_heads"]),
            head_width=int(config["d_kv"]),
            hidden=int(config["d_ff"]),
            dimension=int(layer["out_features"]),
            vocabulary=int(config["vocab_size"]),
            buckets=int(config.get("relative_attention_num_buckets", 32)),
            max_distance=int(config.get("relative_attention_max_distance", 128)),
            epsilon=float(config.get("layer_norm_epsilon", 1e-6)),
        )
        inputs = int(layer["in_features"])
        sizes = {k: v for k, v in vars(shape).items() if k != "epsilon"} | {"inputs": inputs}
        wrong = [name for name, size in sizes.items() if not 0 < size <= _LARGEST_SIZE]
        if wrong or not 0 <= shape.epsilon < 1:
            raise ValueError(f"{', '.join(wrong) or 'layer_norm_epsilon'} out of range")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{transformer}/config.json or {dense}/config.json lacks a size ({error}); get the "
            "checkpoint again"
        ) from None
    if inputs != shape.width:
        raise CheckpointError(
            f"{dense}/config.json takes {inputs} values, but the encoder gives {shape.width}; this "
            "projection belongs to another checkpoint"
        )
    return shape
