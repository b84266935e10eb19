"""ColBERT checkpoints: which format a folder has, before anything of it is loaded.

Three formats are read: Stanford's (an encoder with `linear.weight` in it, and `artifact.metadata`),
PyLate's, and sentence-transformers' own MultiVectorEncoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gtr_beir.checkpoints.hub import (
    as_path,
    fetch_checkpoint,
    fingerprint_of_files,
    may_be_on_the_hub,
    require_tokenizer,
    snapshot_in_cache,
)
from gtr_beir.checkpoints.layout import COLBERT_REVISIONS
from gtr_beir.checkpoints.modules import require_plain, require_understood
from gtr_beir.checkpoints.weights import (
    configuration,
    configuration_if_any,
    module_entries,
    weight_files,
)
from gtr_beir.errors import CheckpointError, UsageError

_OWN_CODE = ("sentence_transformers.", "pylate.")


@dataclass(frozen=True)
class MultiVectorFolder:
    """A ColBERT checkpoint on this machine; encoder: where its transformer and tokenizer lie;
    format: "stanford", "pylate" or "native"."""

    path: Path
    encoder: Path
    format: str
    fingerprint: str
    hub: str | None
    revision: str | None


def open_multi_vector(name: str, *, revision: str | None, offline: bool) -> MultiVectorFolder:
    """Find (and, for a hub id, fetch) a ColBERT checkpoint, and look at its format.

    Raises UsageError if there is no such thing, FetchError if the hub could not give it, and
    CheckpointError if it is no ColBERT: a single-vector checkpoint would be given a projection of
    random weights.
    """
    if not name.strip():
        raise UsageError("no checkpoint was named; give colbert:FOLDER or colbert:ID")
    local = as_path(name)
    if local.is_dir():
        if revision is not None:
            raise UsageError(
                f"{name} is a folder, which has no revisions; leave out --revision {revision}"
            )
        return inspect_multi_vector(local)
    if not may_be_on_the_hub(name):
        raise UsageError(f"there is no checkpoint folder {name}")
    path = fetch_checkpoint(name, revision or COLBERT_REVISIONS.get(name), offline)
    return inspect_multi_vector(path, hub=name)


def multi_vector_in_cache(name: str, revision: str) -> MultiVectorFolder | None:
    """A commit of a hub checkpoint in the Hugging Face cache; None if it is not there whole."""
    path = snapshot_in_cache(name, revision)
    if path is None:
        return None
    try:
        return inspect_multi_vector(path, hub=name)
    except CheckpointError:
        return None


def inspect_multi_vector(path: Path, *, hub: str | None = None) -> MultiVectorFolder:
    """Look at a folder without loading weights."""
    modules = module_entries(path) if (path / "modules.json").is_file() else []
    for module_type, place in modules:
        if not module_type.startswith(_OWN_CODE):
            raise CheckpointError(
                f"{path}/modules.json asks for code of its own ({module_type}), which is not run; "
                "only the modules of sentence-transformers and PyLate are"
            )
        if not place.resolve().is_relative_to(path.resolve()):
            raise CheckpointError(f"{path}/modules.json names a module outside the folder")
    encoder = modules[0][1] if modules else path
    config = configuration(encoder / "config.json")
    require_plain(config, encoder / "config.json")
    own = path / "config_sentence_transformers.json"
    kind = configuration_if_any(own).get("model_type")
    names = [module_type.rpartition(".")[2] for module_type, _ in modules]
    if kind in ("MultiVectorEncoder", "ColBERT") and not modules:
        raise CheckpointError(
            f"{path} has no modules.json, so its projection is unknown; get the checkpoint again"
        )
    if kind == "MultiVectorEncoder" or "MultiVectorMask" in names:
        found = "native"
    elif kind == "ColBERT" or any(t.startswith("pylate.") for t, _ in modules):
        found = "pylate"
    elif not modules and "HF_ColBERT" in (config.get("architectures") or []):
        found = "stanford"
    else:
        what = " > ".join(names) if names else "an encoder alone"
        raise CheckpointError(
            f"{path} is not a ColBERT checkpoint: it has {what}, which gives one vector per text; "
            "run it without 'colbert:', as a dense encoder"
        )
    require_understood(path, modules, token_vectors=found == "native")
    weight_files(encoder)
    require_tokenizer(encoder)
    commit = None if hub is None else path.name
    fingerprint = fingerprint_of_files(path, [place for _, place in modules])
    return MultiVectorFolder(path, encoder, found, fingerprint, hub, commit)
