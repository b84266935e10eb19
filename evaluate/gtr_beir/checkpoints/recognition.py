"""Which published model are these weights? Told by where they came from, or by their bytes.

A checkpoint is a published model if it was fetched from the hub at the commit that is known, or if
its weights and its tokenizer are those of that commit: value for value where it lies in the Hugging
Face cache, else by the hashes that the hub states. A name proves nothing.
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
from gtr_beir.checkpoints.layout import COLBERT, COLBERT_REVISIONS, PROBE, RELEASED, GtrArrays
from gtr_beir.checkpoints.multi_vector import multi_vector_in_cache
from gtr_beir.checkpoints.tokenizer import prompts_of, text_face
from gtr_beir.checkpoints.weights import weight_files
from gtr_beir.identity import Model
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


_MINILM_WEIGHTS = frozenset(
    {
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "c3a85f238711653950f6a79ece63eb0ea93d76f6a6284be04019c53733baf256",
    }
)
"""SHA-256 of the hub's file of weights, as safetensors and as .bin."""
_MINILM_PARTS = ("Transformer", "Pooling", "Normalize")
_MINILM_TOKENIZER = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""SHA-256 of its tokenizer.json."""


def recognise(checkpoint: Checkpoint) -> Recognition:
    """Which published model a checkpoint is; nothing is fetched for it."""
    for family, entry in RELEASED.items():
        if (checkpoint.hub, checkpoint.commit) == (entry.hub, entry.revision):
            return Recognition(family)
    if isinstance(checkpoint, MultiVectorCheckpoint):
        return _multi_vector(checkpoint)
    if isinstance(checkpoint, TfHubCheckpoint):
        return Recognition()
    if checkpoint.gtr:
        return _gtr(checkpoint)
    if isinstance(checkpoint, FolderCheckpoint):
        return _other(checkpoint)
    return Recognition()


def model_of(checkpoint: Checkpoint) -> Model:
    """What a record says of a checkpoint."""
    known = recognise(checkpoint)
    return Model(
        checkpoint.name,
        checkpoint.hub,
        checkpoint.commit,
        checkpoint.fingerprint,
        known.family,
        known.akin,
        known.why_not,
    )


def _multi_vector(checkpoint: MultiVectorCheckpoint) -> Recognition:
    """ColBERTv2 is its commit on the hub, or a folder with the same bytes: lengths, projection and
    skip list lie beside the weights, and each of them moves scores."""
    if (checkpoint.hub, checkpoint.commit) == (COLBERT, COLBERT_REVISIONS[COLBERT]):
        return Recognition(COLBERT_V2)
    cached = multi_vector_in_cache(COLBERT, COLBERT_REVISIONS[COLBERT])
    if cached is not None and cached.fingerprint == checkpoint.fingerprint:
        return Recognition(COLBERT_V2)
    why = _not_known(COLBERT_V2, "colbert") if cached is None else _other_weights(COLBERT_V2)
    return Recognition("", COLBERT_V2, why)


def _other(checkpoint: FolderCheckpoint) -> Recognition:
    transformer = checkpoint.folder.transformer
    if not _are(weight_files(transformer), _MINILM_WEIGHTS):
        return Recognition()
    tokenizer = transformer / "tokenizer.json"
    plain = (
        checkpoint.modules == _MINILM_PARTS
        and tokenizer.is_file()
        and hash_of(tokenizer) == _MINILM_TOKENIZER
        and not any(prompts_of(checkpoint.folder.path).values())
    )
    return Recognition(MINILM) if plain else Recognition("", MINILM, _other_weights(MINILM))


def _gtr(checkpoint: Checkpoint) -> Recognition:
    arrays, face = checkpoint.arrays(), checkpoint.face()
    family = next((name for name, r in RELEASED.items() if r.shape == arrays.shape), None)
    if family is None:
        return Recognition()
    released = RELEASED[family]
    if any(face.prompts.values()):
        why = f"it puts prompts before texts, which {TITLES[family]} does not"
        return Recognition("", family, why)
    cached = whole_in_cache(released.hub, released.revision)
    if cached is not None:
        theirs = text_face(cached.path, cached.transformer)
        same = face.fingerprint() == theirs.fingerprint()
        if same and same_values(arrays, cached.arrays()):
            return Recognition(family)
        return Recognition("", family, _other_weights(family))
    if isinstance(checkpoint, FolderCheckpoint):
        transformer, dense = checkpoint.folder.transformer, checkpoint.folder.folders[2]
        weights = _are(weight_files(transformer), released.encoder)
        if weights and _are(weight_files(dense), released.dense):
            if face.tokenizer.encode(PROBE).ids == list(released.probe):
                return Recognition(family)
            return Recognition("", family, _other_weights(family))
    return Recognition("", family, _not_known(family, family))


def same_values(arrays: GtrArrays, released: GtrArrays) -> bool:
    """Whether all arrays are the released ones when they are rounded to the precision in which
    those are stored (the hub's are fp16, so weights from before that rounding are the same)."""
    for name in released.shape.arrays():
        theirs = released.tensor(name)
        if not torch.equal(arrays.tensor(name).to(theirs.dtype), theirs):
            return False
    return True


def _not_known(family: str, name: str) -> str:
    return (
        f"whether its weights and tokenizer are those of {TITLES[family]} is not known here: "
        f"`gtr-beir models fetch {name}` brings those to compare with"
    )


def _other_weights(family: str) -> str:
    return f"its weights or its tokenizer are not those of {TITLES[family]}"


def _are(files: list[Path], known: frozenset[str]) -> bool:
    return len(files) == 1 and hash_of(files[0]) in known
