"""A Hugging Face id or a sentence-transformers folder -> a folder that has been looked at.

Nothing is executed on the way: only files of known kinds are read, weights are safetensors (or a
`.bin`, read by torch's weights-only reader), and a folder that asks for code of its own is refused.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gtr_beir.checkpoints.layout import GTR_PARTS, RELEASED
from gtr_beir.checkpoints.modules import require_plain, require_understood
from gtr_beir.checkpoints.weights import (
    FolderArrays,
    configuration,
    files_if_any,
    module_entries,
    weight_files,
)
from gtr_beir.digests import Digest, hash_file
from gtr_beir.errors import CheckpointError, FetchError, GtrBeirError, UsageError
from gtr_beir.hub_client import digests_on_hub, hub_is_reachable, patient_hub, require_as_on_hub

_CONFIGURATION = (".json", ".txt", ".model", ".metadata")
_ELSEWHERE = ("onnx", "openvino")
_NOT_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin")
_KNOWN_TYPES = ("sentence_transformers.",)
_TOKENIZERS = (
    *("tokenizer.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
    *("vocab.txt", "vocab.json"),
)
_NO_ACTIVATION = (
    *("Identity", "torch.nn.Identity", "torch.nn.modules.linear.Identity"),
    "torch.nn.modules.Identity",
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class CheckpointFolder:
    """A checkpoint on this machine.

    modules: the class names of its sentence-transformers modules in order, folders: where each
    lies; gtr: True if it has GTR's layout; fingerprint: SHA-256 over weights, configuration and
    tokenizer files; hub, revision: the hub's id and commit, None for a local folder.
    """

    path: Path
    modules: tuple[str, ...]
    folders: tuple[Path, ...]
    gtr: bool
    hub: str | None
    revision: str | None

    @functools.cached_property
    def fingerprint(self) -> str:
        """Reads every byte that counts, once."""
        return fingerprint_of_files(self.path, self.folders)

    @property
    def transformer(self) -> Path:
        """Where the encoder and its tokenizer lie."""
        return self.folders[0]

    def arrays(self) -> FolderArrays:
        """The weights of a GTR checkpoint."""
        return FolderArrays(self.path, self.transformer, self.folders[2])


def open_folder(name: str, *, revision: str | None, offline: bool) -> CheckpointFolder:
    """Find (and, for a hub id, fetch) the checkpoint, and look at its layout.

    A short name of a released checkpoint stands for one commit of the hub. Raises UsageError if
    there is no such thing, FetchError if the hub could not give it, and CheckpointError, naming the
    part, if it is not a usable dual encoder.
    """
    if not name.strip():
        raise UsageError("no checkpoint was named; give a folder, a Hugging Face id or gtr-base")
    local = as_path(name)
    released = RELEASED.get(name)
    if local.is_dir():
        if revision is not None:
            raise UsageError(
                f"{name} is a folder, which has no revisions; leave out --revision {revision}"
            )
        return inspect_folder(local)
    if not may_be_on_the_hub(name):
        raise UsageError(f"there is no checkpoint folder {name}")
    if released is not None:
        name, revision = released.hub, revision or released.revision
    if revision is not None and _COMMIT.fullmatch(revision) and not offline:
        # A commit that is in the cache, whole, needs no network.
        whole = whole_in_cache(name, revision)
        if whole is not None:
            return whole
    return inspect_folder(fetch_checkpoint(name, revision, offline), hub=name)


def may_be_on_the_hub(name: str) -> bool:
    """Whether a name that is no folder here has the form of a Hugging Face id."""
    outside = as_path(name).is_absolute() or name.startswith((".", "~"))
    return not outside and name.count("/") <= 1


def require_hub_id(name: str, revision: str | None, *, ask: bool) -> None:
    """UsageError for a name that no model of the hub can have and, where the hub is to be asked and
    answers, for a model or a revision that it does not have. Nothing is fetched."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    with _explained(name, revision):
        validate_repo_id(name)
    try:
        with _explained(name, revision):
            if ask and hub_is_reachable():
                with patient_hub():
                    HfApi().model_info(name, revision=revision, timeout=20.0)
    except UsageError:
        raise
    except Exception:  # the hub is ill, in the client's own words; what is in the cache may do
        return


@contextlib.contextmanager
def _explained(name: str, revision: str | None) -> Iterator[None]:
    """What the hub says that it does not have, as one sentence."""
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except HFValidationError:
        raise UsageError(
            f"'{name}' is neither a system, a folder nor a Hugging Face id; "
            "`gtr-beir run --help` lists the systems"
        ) from None
    except RepositoryNotFoundError:
        raise UsageError(
            f"the Hugging Face hub has no model '{name}' that you may read; check the name"
        ) from None
    except RevisionNotFoundError:
        raise UsageError(
            f"the Hugging Face hub has no revision '{revision}' of '{name}'; give a commit, a tag "
            "or a branch"
        ) from None


def as_path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # nobody has this home
        return Path(name)


def _cached(name: str, revision: str | None) -> Path:
    """A snapshot in the cache, whole or not; the hub's LocalEntryNotFoundError if there is none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        # Ours lack a README, say: whether what is needed is there is found by looking at it.
        known = getattr(error, "snapshot_path", None)
        if known is None:
            raise
        return Path(known)


def snapshot_in_cache(name: str, revision: str) -> Path | None:
    """The folder of a commit in the Hugging Face cache, whole or not; None if there is none."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _cached(name, revision)
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def whole_in_cache(name: str, revision: str) -> CheckpointFolder | None:
    """A commit of a hub checkpoint in the Hugging Face cache; None if it is not there whole."""
    path = snapshot_in_cache(name, revision)
    if path is None:
        return None
    try:
        return inspect_folder(path, hub=name)
    except CheckpointError:
        return None


def wanted_files(files: Iterable[str]) -> list[str]:
    """Of a repository's files those that a checkpoint is made of: configuration and tokenizer, and
    of the weights safetensors, or `.bin` in folders that have no safetensors."""
    paths = [PurePosixPath(file) for file in files]
    safe = {path.parent for path in paths if path.suffix == ".safetensors"}
    return [
        str(path)
        for path in paths
        if path.parts[0] not in _ELSEWHERE
        and path.name not in _NOT_WEIGHTS
        and (
            path.suffix in (*_CONFIGURATION, ".safetensors")
            or (path.suffix == ".bin" and path.parent not in safe)
        )
        and not (path.parent in safe and path.name == "pytorch_model.bin.index.json")
    ]


def fetch_checkpoint(name: str, revision: str | None, offline: bool) -> Path:
    """The folder of a hub checkpoint in the Hugging Face cache, fetched if need be."""
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with _explained(name, revision):
            return _cached(name, revision) if offline else _fetched(name, revision)
    except LocalEntryNotFoundError:
        if offline:
            raise UsageError(
                f"'{name}' is neither a folder here nor in the Hugging Face cache, and --offline "
                "forbids fetching it; run once without --offline"
            ) from None
        raise FetchError(
            f"the Hugging Face hub could not be reached for '{name}' at {constants.ENDPOINT}, and "
            "it is not in the cache; check the name and the network, name a mirror in HF_ENDPOINT, "
            "or give the path of a folder"
        ) from None
    except GtrBeirError:
        raise
    except Exception as error:  # of the client, or of whatever library it speaks through
        raise FetchError(
            f"'{name}' could not be fetched from the Hugging Face hub ({error}); try again later"
        ) from error


def _fetched(name: str, revision: str | None) -> Path:
    """The same; what is in the cache, where the hub does not answer."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if not hub_is_reachable():
        return _cached(name, revision)
    with patient_hub():
        try:
            entry = HfApi().model_info(name, revision=revision, timeout=20.0)
        except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
            raise
        except Exception:  # nobody there, or the hub is ill, in the client's own words
            return _cached(name, revision)
        wanted = wanted_files(file.rfilename for file in entry.siblings or [])
        known = snapshot_in_cache(name, entry.sha) if entry.sha else None
        missing = [file for file in wanted if known is None or not (known / file).is_file()]
        digests = digests_on_hub(name, kind="model", commit=entry.sha) if missing else {}
        # By the name that was asked for, so that it is found again without a network.
        path = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    # The fingerprint reads the same bytes, and finds them read.
    require_as_on_hub(name, digests, {file: path / file for file in missing}, sha256=hash_of)
    return path


def inspect_folder(path: Path, *, hub: str | None = None) -> CheckpointFolder:
    """Look at a sentence-transformers folder without loading weights."""
    modules_file = path / "modules.json"
    if not modules_file.is_file():
        raise CheckpointError(
            f"{path} has no modules.json, so its pooling is unknown; a GTR checkpoint is a "
            f"sentence-transformers folder with {GTR_PARTS}"
        )
    entries = module_entries(path)
    types, folders = [kind for kind, _ in entries], [folder for _, folder in entries]
    for folder in folders:
        if not folder.resolve().is_relative_to(path.resolve()):
            raise CheckpointError(f"{modules_file} names a module outside the folder: {folder}")
    for module_type in types:
        if not module_type.startswith(_KNOWN_TYPES):
            raise CheckpointError(
                f"{modules_file} asks for code of its own ({module_type}), which is not run; only "
                "sentence-transformers' own modules are"
            )
    names = tuple(module_type.rpartition(".")[2] for module_type in types)
    if "MultiVectorMask" in names:
        raise CheckpointError(
            f"{path} is a ColBERT checkpoint, with a vector a token; run it as colbert:{path}"
        )
    if not names or names[0] != "Transformer":
        raise CheckpointError(
            f"{path} begins with {names[0] if names else 'nothing'} instead of a Transformer module"
        )
    config = configuration(folders[0] / "config.json")
    require_plain(config, folders[0] / "config.json")
    is_t5 = str(config.get("model_type")) in ("t5", "mt5")
    if is_t5:
        _require_gtr(path, names, folders)
    require_understood(path, entries)
    for module, folder in zip(names, folders, strict=True):
        if module in ("Transformer", "Dense"):
            weight_files(folder)
    require_tokenizer(folders[0])
    commit = None if hub is None else path.name
    return CheckpointFolder(path, names, tuple(folders), is_t5, hub, commit)


def require_tokenizer(folder: Path) -> None:
    """CheckpointError if there is none: libraries make one up, which knows no word."""
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise CheckpointError(
            f"{folder} has no tokenizer (tokenizer.json or spiece.model); get the checkpoint again"
        )


def _require_gtr(path: Path, names: tuple[str, ...], folders: list[Path]) -> None:
    """A T5 dual encoder must have all of GTR's parts; CheckpointError names what is missing."""
    by_name = dict(zip(names, folders, strict=True))
    wanted = ("Transformer", "Pooling", "Dense", "Normalize")
    if names != wanted:
        missing = [name for name in wanted if name not in names]
        what = f"lacks {' and '.join(missing)}" if missing else f"has {' > '.join(names)}"
        raise CheckpointError(f"{path} is not a GTR checkpoint: it {what}; GTR is {GTR_PARTS}")
    pooling = configuration(by_name["Pooling"] / "config.json")
    modes = {key for key, value in pooling.items() if key.startswith("pooling_mode_") and value}
    if "pooling_mode" in pooling:
        modes = {f"pooling_mode_{pooling['pooling_mode']}_tokens"}
    if modes != {"pooling_mode_mean_tokens"}:
        raise CheckpointError(
            f"{path} is not a GTR checkpoint: it pools with "
            f"{', '.join(sorted(modes)) or 'nothing'}; GTR is {GTR_PARTS}"
        )
    dense = configuration(by_name["Dense"] / "config.json")
    if dense.get("bias") is not False:
        raise CheckpointError(
            f"{path} is not a GTR checkpoint: its Dense has a bias; GTR is {GTR_PARTS}"
        )
    # Where none is named, sentence-transformers takes Tanh.
    if (activation := dense.get("activation_function", "Tanh")) not in _NO_ACTIVATION:
        raise CheckpointError(
            f"{path} is not a GTR checkpoint: its Dense has the activation {activation}; GTR's has "
            "none"
        )


def hash_of(file: Path) -> str:
    """SHA-256 of a file of a checkpoint, read once as long as it does not change."""
    state = file.stat()
    return _hash_of(file.resolve(), state.st_size, state.st_mtime_ns)


@functools.cache
def _hash_of(file: Path, size: int, changed: int) -> str:
    del size, changed
    return hash_file(file)


def fingerprint_of_files(folder: Path, modules: Iterable[Path]) -> str:
    """SHA-256 over what is read: configuration and tokenizer at the top, and each module's files;
    of weights those alone that are chosen."""
    digest = Digest()
    for place in sorted({folder, *modules}):
        if not place.is_dir():
            continue
        chosen = set(files_if_any(place))
        for file in sorted(place.iterdir()):
            if file in chosen or (file.suffix in _CONFIGURATION and file.is_file()):
                digest.add(str(file.relative_to(folder))).add(hash_of(file))
    return digest.hex()
