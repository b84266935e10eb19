"""The one door to checkpoints: any name becomes a Checkpoint.

    gtr-base, org/name    a sentence-transformers checkpoint on the Hugging Face hub
    a folder              a sentence-transformers checkpoint on this machine
    t5x:PATH              GTR as T5X saves it
    tfhub:PATH            GTR as TF-Hub has it (a SavedModel)
    colbert, colbert:X    a ColBERT checkpoint, on the hub or in a folder

Nothing is loaded here but what tells the form; weights are read when they are asked for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from gtr_beir.checkpoints import t5x
from gtr_beir.checkpoints.hub import (
    CheckpointFolder,
    as_path,
    may_be_on_the_hub,
    open_folder,
    require_hub_id,
)
from gtr_beir.checkpoints.layout import COLBERT, RELEASED, GtrArrays
from gtr_beir.checkpoints.multi_vector import MultiVectorFolder, open_multi_vector
from gtr_beir.checkpoints.tokenizer import (
    TextFace,
    TransformersTokenizer,
    bare_face,
    open_tokenizer,
    require_fitting,
    t5x_tokenizer,
    text_face,
)
from gtr_beir.digests import Digest, hash_file
from gtr_beir.errors import CheckpointError, UsageError

T5X = t5x.PREFIX
TFHUB = "tfhub:"
MULTI_VECTOR = "colbert:"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this machine.

    asked: what was given to `open_checkpoint`; name: for people (a folder's own, else as asked);
    path: where it lies; hub, commit: where it came from on the Hugging Face hub, None if from
    elsewhere; gtr: whether it has GTR's layout, so that its arrays can be had one by one.
    """

    asked: str
    name: str
    path: Path
    hub: str | None
    commit: str | None
    gtr: bool

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over weights, tokenizer and configuration; reads every byte that counts."""
        return self._hashed()

    def _hashed(self) -> str:
        """The fingerprint of this form."""
        raise CheckpointError(f"{self.asked} is in a form that is not known")

    @property
    def modules(self) -> tuple[str, ...]:
        """The parts that the checkpoint says it has, by name; empty where it does not say."""
        return ()

    @property
    def format(self) -> str:
        """Which of several formats of this form it has; "" where there is one."""
        return ""

    @property
    def origin(self) -> dict[str, str | list[str] | None]:
        """Where it came from, for a record."""
        return {"checkpoint": self.hub or self.name, "revision": self.commit}

    def arrays(self) -> GtrArrays:
        """GTR's arrays, whose names and shapes are right; CheckpointError if it is not GTR."""
        raise CheckpointError(f"{self.asked} is not a GTR checkpoint")

    def face(self) -> TextFace:
        """Tokenizer, own length and prompts of a GTR checkpoint."""
        raise CheckpointError(f"{self.asked} is not a GTR checkpoint")

    def tokenizer(self) -> TransformersTokenizer:
        """transformers' tokenizer of a GTR checkpoint, which can be saved."""
        raise CheckpointError(f"{self.asked} is not a GTR checkpoint")


@dataclass(frozen=True)
class FolderCheckpoint(Checkpoint):
    """A sentence-transformers folder, from the hub or not."""

    folder: CheckpointFolder

    def _hashed(self) -> str:
        return self.folder.fingerprint

    @property
    def modules(self) -> tuple[str, ...]:
        return self.folder.modules

    @property
    def origin(self) -> dict[str, str | list[str] | None]:
        return {**super().origin, "modules": list(self.modules)}

    @functools.cached_property
    def _arrays(self) -> GtrArrays:
        return self.folder.arrays() if self.gtr else super().arrays()

    def arrays(self) -> GtrArrays:
        return self._arrays

    def face(self) -> TextFace:
        if not self.gtr:
            return super().face()
        face = text_face(self.folder.path, self.folder.transformer)
        _require_fitting(face, self.arrays())
        return face

    def tokenizer(self) -> TransformersTokenizer:
        return open_tokenizer(self.folder.transformer) if self.gtr else super().tokenizer()


@dataclass(frozen=True)
class T5xCheckpoint(Checkpoint):
    """A T5X folder; tokenizer_from: a folder or hub id, None: one that lies beside the weights."""

    tokenizer_from: str | None
    heads: int | None
    fetch: bool

    @functools.cached_property
    def _arrays(self) -> t5x.T5xArrays:
        return t5x.T5xArrays(self.path, heads=self.heads)

    @functools.cached_property
    def _face(self) -> TextFace:
        source = t5x_tokenizer(self.path, self.tokenizer_from)
        return bare_face(source, fetch=self.fetch)

    def _hashed(self) -> str:
        return Digest().add(self._arrays.fingerprint()).add(self._face.fingerprint()).hex()

    def arrays(self) -> GtrArrays:
        return self._arrays

    def face(self) -> TextFace:
        _require_fitting(self._face, self._arrays)
        return self._face

    def tokenizer(self) -> TransformersTokenizer:
        source = t5x_tokenizer(self.path, self.tokenizer_from)
        return open_tokenizer(source, fetch=self.fetch)


@dataclass(frozen=True)
class TfHubCheckpoint(Checkpoint):
    """A SavedModel: a program that makes vectors of strings, of which nothing else is seen."""

    def _hashed(self) -> str:
        digest = Digest()
        for file in sorted(p for p in self.path.rglob("*") if p.is_file()):
            digest.add(str(file.relative_to(self.path))).add(hash_file(file))
        return digest.hex()


@dataclass(frozen=True)
class MultiVectorCheckpoint(Checkpoint):
    """A ColBERT checkpoint."""

    folder: MultiVectorFolder

    @property
    def format(self) -> str:
        return self.folder.format

    def _hashed(self) -> str:
        return self.folder.fingerprint


def open_checkpoint(
    name: str,
    *,
    revision: str | None = None,
    tokenizer: str | None = None,
    heads: int | None = None,
    offline: bool = False,
) -> Checkpoint:
    """The checkpoint that `name` stands for, fetched if it is on the hub and not here.

    revision: commit, tag or branch of a hub id; tokenizer: for a T5X checkpoint, which carries
    none; heads: that a T5X checkpoint must have; offline: fetch nothing. Raises UsageError for a
    name or a choice that cannot be used, FetchError if the hub could not give it, and
    CheckpointError, naming the part, if it is not what it should be.
    """
    form = next((prefix for prefix in (T5X, TFHUB) if name.startswith(prefix)), None)
    if form is not None and revision is not None:
        raise UsageError(f"{name} has no revisions; leave out --revision {revision}")
    if form != T5X and tokenizer is not None:
        raise UsageError(_own_tokenizer(name))
    if form != T5X and heads is not None:
        raise UsageError(f"--heads is for t5x: checkpoints, not for {name}")
    if form == T5X:
        path = as_path(name.removeprefix(T5X))
        t5x.require_there(path)
        shown = path.resolve().name
        return T5xCheckpoint(name, shown, path, None, None, True, tokenizer, heads, not offline)
    if form == TFHUB:
        path = as_path(name.removeprefix(TFHUB))
        if not (path / "saved_model.pb").is_file():
            raise UsageError(
                f"there is no SavedModel in {path}; give the folder that holds saved_model.pb"
            )
        return TfHubCheckpoint(name, path.resolve().name, path, None, None, True)
    if is_multi_vector(name):
        given = COLBERT if name == "colbert" else name.removeprefix(MULTI_VECTOR)
        many = open_multi_vector(given, revision=revision, offline=offline)
        shown = name if name == "colbert" else many.hub or many.path.resolve().name
        return MultiVectorCheckpoint(name, shown, many.path, many.hub, many.revision, False, many)
    _refuse_without_prefix(as_path(name), name)
    folder = open_folder(name, revision=revision, offline=offline)
    shown = folder.path.resolve().name if folder.hub is None else name
    return FolderCheckpoint(
        name, shown, folder.path, folder.hub, folder.revision, folder.gtr, folder
    )


def _refuse_without_prefix(path: Path, name: str) -> None:
    """UsageError for a folder of another form than sentence-transformers', which says its name."""
    if (path / "modules.json").is_file():
        return
    if (path / "saved_model.pb").is_file():
        raise UsageError(f"{name} is a SavedModel, as TF-Hub has them; name it {TFHUB}{name}")
    if (path / "checkpoint").is_file():
        raise UsageError(f"{name} is a T5X checkpoint; name it {T5X}{name}")


def look_up(
    name: str,
    *,
    revision: str | None = None,
    tokenizer: str | None = None,
    offline: bool = False,
    ask: bool = False,
) -> str:
    """The name for people of a checkpoint, without fetching it.

    offline: it must be here; ask: whether the hub is asked for one that is not. Raises what
    `open_checkpoint` raises for a name, a folder or a choice that cannot be used.
    """
    given = name.removeprefix(MULTI_VECTOR)
    packed = name.startswith((T5X, TFHUB))
    if offline or packed or as_path(given).is_dir() or not may_be_on_the_hub(given):
        checkpoint = open_checkpoint(name, revision=revision, tokenizer=tokenizer, offline=True)
        return checkpoint.name
    if tokenizer is not None:
        raise UsageError(_own_tokenizer(name))
    if name == "colbert" or name in RELEASED:
        return name
    require_hub_id(given, revision, ask=ask)
    return given


def folder_of(name: str) -> Path | None:
    """The folder of this machine that a name stands for, absolute; None for one on the hub."""
    path = as_path(_split(name)[1])
    return path.resolve() if path.is_dir() else None


def moved(name: str, folder: str) -> str:
    """The name of a checkpoint whose folder lies elsewhere."""
    return _split(name)[0] + folder


def _split(name: str) -> tuple[str, str]:
    """What comes before a path, and the path."""
    form = next((p for p in (T5X, TFHUB, MULTI_VECTOR) if name.startswith(p)), "")
    return form, name.removeprefix(form)


def _own_tokenizer(name: str) -> str:
    return f"{name} has a tokenizer of its own; leave out --tokenizer"


def is_multi_vector(name: str) -> bool:
    """Whether a name stands for a ColBERT checkpoint."""
    return name == "colbert" or name.startswith(MULTI_VECTOR)


def _require_fitting(face: TextFace, arrays: GtrArrays) -> None:
    require_fitting(face.tokenizer, arrays.shape.vocabulary, arrays.source)
