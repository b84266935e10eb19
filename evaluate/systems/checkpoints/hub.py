"""A Hugging Face id or a sentence-transformers folder -> a folder that has been looked at.

Nothing is executed on the way: only files of known kinds are read, weights are safetensors (or a
`.bin`, read by torch's weights-only reader), and a folder that wants code of its own is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.errors import CheckpointError, FetchError, StoreError, UsageError
from evaluate.files import Digest, hash_file, read_json

_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.bin"]
_UNWANTED = ["onnx/*", "openvino/*", "*.onnx", "training_args.bin", "optimizer.bin", "*/README.md"]
_KNOWN_TYPES = ("sentence_transformers.",)
_WEIGHTS = (".safetensors", ".bin")
_HASHED = (*_WEIGHTS, ".json", ".model", ".txt")
GTR_PARTS = "T5 encoder, mean pooling, Dense without bias, L2 normalisation"


@dataclass(frozen=True)
class CheckpointFolder:
    """A checkpoint on this machine.

    modules: the class names of its sentence-transformers modules in order; gtr: True if it has
    GTR's layout; fingerprint: SHA-256 over weights, configuration and tokenizer files; revision:
    the hub's commit, None for a local folder.
    """

    path: Path
    modules: tuple[str, ...]
    gtr: bool
    fingerprint: str
    revision: str | None


def open_checkpoint(name: str, *, revision: str | None, offline: bool) -> CheckpointFolder:
    """Find (and, for a hub id, fetch) the checkpoint, and look at its layout.

    Raises UsageError if there is no such thing, FetchError if the hub could not give it, and
    CheckpointError, naming the part, if it is not a usable dual encoder.
    """
    try:
        local = Path(name).expanduser()
    except RuntimeError:  # nobody has this home
        local = Path(name)
    if local.is_dir():
        if revision is not None:
            raise UsageError(
                f"{name} is a folder, which has no revisions; leave --revision {revision} out"
            )
        return inspect_folder(local)
    if local.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UsageError(f"there is no checkpoint folder {name}")
    return inspect_folder(_fetch(name, revision, offline), from_hub=True)


def _fetch(name: str, revision: str | None, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                local_files_only=offline,
                allow_patterns=_WANTED,
                ignore_patterns=_UNWANTED,
            )
        )
    except HFValidationError:
        raise UsageError(
            f"'{name}' is neither a system, a folder nor a Hugging Face id; "
            "`gtr-beir run --help` lists the systems"
        ) from None
    except LocalEntryNotFoundError:
        if offline:
            raise UsageError(
                f"'{name}' is not a folder here and not in the Hugging Face cache, and --offline "
                "forbids to fetch it; run once without --offline"
            ) from None
        raise FetchError(
            f"the Hugging Face hub could not be reached for '{name}', and it is not in the cache; "
            "check the name and the network, or give the path of a folder"
        ) from None
    except RepositoryNotFoundError:
        raise UsageError(
            f"the Hugging Face hub has no model '{name}' that you may read; check the name"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise FetchError(f"the Hugging Face hub did not give '{name}' ({error})") from error


def inspect_folder(path: Path, *, from_hub: bool = False) -> CheckpointFolder:
    """Look at a sentence-transformers folder without loading weights."""
    modules_file = path / "modules.json"
    if not modules_file.is_file():
        raise CheckpointError(
            f"{path} has no modules.json, so its pooling is unknown; a GTR checkpoint is a "
            f"sentence-transformers folder with {GTR_PARTS}"
        )
    entries = _json(modules_file)
    try:
        types = [str(entry["type"]) for entry in entries]
        folders = [path / str(entry["path"]) for entry in entries]
    except (TypeError, KeyError):
        raise CheckpointError(
            f"{modules_file} is not a list of modules with type and path"
        ) from None
    for folder in folders:
        if not folder.resolve().is_relative_to(path.resolve()):
            raise CheckpointError(f"{modules_file} names a module outside of the folder: {folder}")
    for module_type in types:
        if not module_type.startswith(_KNOWN_TYPES):
            raise CheckpointError(
                f"{modules_file} wants code of its own ({module_type}), which is not run; only "
                "sentence-transformers' own modules are"
            )
    names = tuple(module_type.rpartition(".")[2] for module_type in types)
    if not names or names[0] != "Transformer":
        raise CheckpointError(
            f"{path} begins with {names[0] if names else 'nothing'} instead of a Transformer module"
        )
    config = _object(folders[0] / "config.json")
    if config.get("auto_map"):
        raise CheckpointError(
            f"{folders[0]}/config.json wants code of its own (auto_map), which is not run"
        )
    is_t5 = str(config.get("model_type")) in ("t5", "mt5")
    if is_t5:
        _require_gtr(path, names, folders)
    _require_weights(folders[0])
    commit = path.name if from_hub else None
    return CheckpointFolder(path, names, is_t5, _fingerprint(path), commit)


def _require_gtr(path: Path, names: tuple[str, ...], folders: list[Path]) -> None:
    """A T5 dual encoder must have all of GTR's parts; CheckpointError names what is missing."""
    by_name = dict(zip(names, folders, strict=True))
    wanted = ("Transformer", "Pooling", "Dense", "Normalize")
    if names != wanted:
        missing = [name for name in wanted if name not in names]
        what = f"lacks {' and '.join(missing)}" if missing else f"has {' > '.join(names)}"
        raise CheckpointError(f"{path} is no GTR checkpoint: it {what}; GTR is {GTR_PARTS}")
    pooling = _object(by_name["Pooling"] / "config.json")
    modes = {
        key for key, value in pooling.items() if key.startswith("pooling_mode_") and value is True
    }
    if "pooling_mode" in pooling:
        modes = {f"pooling_mode_{pooling['pooling_mode']}_tokens"}
    if modes != {"pooling_mode_mean_tokens"}:
        raise CheckpointError(
            f"{path} is no GTR checkpoint: it pools with {', '.join(sorted(modes)) or 'nothing'}; "
            f"GTR is {GTR_PARTS}"
        )
    dense = _object(by_name["Dense"] / "config.json")
    if dense.get("bias") is not False:
        raise CheckpointError(
            f"{path} is no GTR checkpoint: its Dense has a bias; GTR is {GTR_PARTS}"
        )
    if not str(dense.get("activation_function", "Identity")).endswith("Identity"):
        raise CheckpointError(
            f"{path} is no GTR checkpoint: its Dense has the activation "
            f"{dense['activation_function']}; GTR's has none"
        )


def _require_weights(path: Path) -> None:
    if not any(file.suffix in _WEIGHTS for file in path.iterdir()):
        raise CheckpointError(
            f"{path} has no weights (model.safetensors); get the checkpoint again"
        )


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except StoreError as error:
        what = str(error).partition(";")[0]
        raise CheckpointError(
            f"the checkpoint cannot be used: {what}; get the checkpoint again"
        ) from None


def _object(path: Path) -> dict[str, Any]:
    value = _json(path)
    if not isinstance(value, dict):
        raise CheckpointError(
            f"the checkpoint cannot be used: {path} is not a JSON object; get the checkpoint again"
        )
    return value


def _fingerprint(path: Path) -> str:
    digest = Digest()
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if (
            file.suffix in _HASHED
            and file.is_file()
            and inside.parts[0] not in ("onnx", "openvino")
        ):
            digest.add(str(inside)).add(hash_file(file))
    return digest.hex()
