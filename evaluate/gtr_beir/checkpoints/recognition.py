"""Which published model are these weights? Told by where they came from, or by their bytes.

A checkpoint is a published model if it was fetched from the hub at the commit that is known, if its
files of weights have the hashes that the hub states, or if its arrays are, value for value, those
of the released checkpoint in the Hugging Face cache. A name proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from gtr_beir.checkpoints.door import (
    Checkpoint,
    FolderCheckpoint,
    MultiVectorCheckpoint,
    TfHubCheckpoint,
)
from gtr_beir.checkpoints.hub import hash_of, whole_in_cache
from gtr_beir.checkpoints.layout import RELEASED, GtrArrays
from gtr_beir.checkpoints.multi_vector import COLBERT, REVISIONS
from gtr_beir.checkpoints.tokenizer import text_face
from gtr_beir.checkpoints.weights import weight_files
from gtr_beir.published import TITLES

MINILM = "all-MiniLM-L6-v2"
COLBERT_V2 = "colbertv2"


@dataclass(frozen=True)
class Recognition:
    """family: the published model that the weights are, "" if none; akin: the one that they could
    be taken for; why_not: in words, why they are not counted as that."""

    family: str = ""
    akin: str = ""
    why_not: str = ""


_COLBERT_V2_WEIGHTS = frozenset(
    {
        "3f58890b1dfdfec066ef12ba431fa9d56992da9e30a53489242c4156e37e9017",
        "26e4c2f9f95a3da4442252bb40d99e4fbfd098e733edac1d785c9937b8a278da",
    }
)
_MINILM_WEIGHTS = frozenset(
    {
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "c3a85f238711653950f6a79ece63eb0ea93d76f6a6284be04019c53733baf256",
    }
)
"""SHA-256 of the hub's file of weights, as safetensors and as .bin."""


def recognise(checkpoint: Checkpoint) -> Recognition:
    """Which published model a checkpoint is; nothing is fetched for it."""
    for family, entry in RELEASED.items():
        if (checkpoint.hub, checkpoint.commit) == (entry.hub, entry.revision):
            return Recognition(family)
    if isinstance(checkpoint, MultiVectorCheckpoint):
        fetched = (checkpoint.hub, checkpoint.commit) == (COLBERT, REVISIONS[COLBERT])
        if fetched or _are(weight_files(checkpoint.folder.encoder), _COLBERT_V2_WEIGHTS):
            return Recognition(COLBERT_V2)
        return Recognition("", COLBERT_V2, _other_weights(COLBERT_V2))
    if isinstance(checkpoint, TfHubCheckpoint):
        return Recognition()
    if checkpoint.gtr:
        return _gtr(checkpoint)
    if isinstance(checkpoint, FolderCheckpoint):
        files = weight_files(checkpoint.folder.transformer)
        return Recognition(MINILM if _are(files, _MINILM_WEIGHTS) else "")
    return Recognition()


def _gtr(checkpoint: Checkpoint) -> Recognition:
    arrays, face = checkpoint.arrays(), checkpoint.face()
    family = next((name for name, r in RELEASED.items() if r.shape == arrays.shape), None)
    if family is None:
        return Recognition()
    released = RELEASED[family]
    if any(face.prompts.values()):
        why = f"it puts prompts before texts, which {TITLES[family]} does not"
        return Recognition("", family, why)
    if isinstance(checkpoint, FolderCheckpoint):
        transformer, dense = checkpoint.folder.transformer, checkpoint.folder.folders[2]
        if _are(weight_files(transformer), released.encoder) and _are(
            weight_files(dense), released.dense
        ):
            return Recognition(family)
    cached = whole_in_cache(released.hub, released.revision)
    if cached is None:
        return Recognition(
            "",
            family,
            f"whether its weights are those of {TITLES[family]} is not known here: "
            f"`gtr-beir models fetch {family}` brings those to compare with",
        )
    theirs = text_face(cached.path, cached.transformer)
    if same_values(arrays, cached.arrays()) and face.fingerprint() == theirs.fingerprint():
        return Recognition(family)
    return Recognition("", family, _other_weights(family))


def same_values(arrays: GtrArrays, released: GtrArrays) -> bool:
    """Whether all arrays are the released ones when they are rounded to the precision in which
    those are stored (the hub's are fp16, so weights from before that rounding are the same)."""
    for name in released.shape.arrays():
        theirs = released.tensor(name)
        if not torch.equal(arrays.tensor(name).to(theirs.dtype), theirs):
            return False
    return True


def _other_weights(family: str) -> str:
    return f"its weights or its tokenizer are not those of {TITLES[family]}"


def _are(files: list[Path], known: frozenset[str]) -> bool:
    return len(files) == 1 and hash_of(files[0]) in known
