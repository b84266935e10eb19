"""Is this folder GTR? Every part is looked at, and all that differs is told, not only the first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gtr_beir.checkpoints.door import Checkpoint, FolderCheckpoint, T5xCheckpoint
from gtr_beir.checkpoints.hub import CheckpointFolder
from gtr_beir.checkpoints.layout import RELEASED, GtrArrays
from gtr_beir.checkpoints.tokenizer import open_tokenizer
from gtr_beir.errors import CheckpointError, GtrBeirError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is as GTR has it, and what was seen."""

    part: str
    good: bool
    seen: str


def prove(checkpoint: Checkpoint) -> list[Finding]:
    """Findings on a checkpoint whose layout has been accepted; CheckpointError for a form of which
    nothing can be proved."""
    if isinstance(checkpoint, FolderCheckpoint):
        return prove_folder(checkpoint.folder)
    if isinstance(checkpoint, T5xCheckpoint):
        arrays = checkpoint.arrays()
        return [
            Finding("layout", True, "a T5X dual encoder, every array placed"),
            *prove_arrays(arrays),
        ]
    raise CheckpointError(f"{checkpoint.asked} is in a form that cannot be checked")


def prove_folder(folder: CheckpointFolder) -> list[Finding]:
    """Findings on a sentence-transformers folder whose layout has been accepted."""
    findings = [
        Finding("modules", folder.gtr, " > ".join(folder.modules)),
        Finding("pooling", folder.gtr, "mean over all tokens"),
        Finding("dense", folder.gtr, "no bias, no activation"),
    ]
    if not folder.gtr:
        return [Finding("modules", False, " > ".join(folder.modules) + ", and no T5 encoder")]
    try:
        arrays = folder.arrays()
    except GtrBeirError as error:
        return [*findings, Finding("arrays", False, str(error))]
    findings.append(_stored(arrays.stored))
    findings += prove_arrays(arrays)
    findings.append(prove_tokenizer(folder.transformer, arrays))
    return findings


def prove_arrays(arrays: GtrArrays) -> list[Finding]:
    """Findings on sizes and values of all arrays; every one is read."""
    shape = arrays.shape
    size = next((n for n, r in RELEASED.items() if r.shape == shape), None)
    sizes = (
        f"{shape.layers} layers of {shape.heads} heads x {shape.head_width}, width {shape.width}, "
        f"MLP {shape.hidden}, {shape.buckets} position buckets, Dense {shape.width} -> "
        f"{shape.dimension}, {shape.parameters:,} parameters"
        + (f", as {size}" if size else ", no released size")
    )
    findings = [Finding("arrays", True, sizes)]
    bad = []
    for name in shape.arrays():
        try:
            arrays.tensor(name)
        except GtrBeirError as error:
            bad.append(str(error))
    findings.append(
        Finding(
            "values",
            not bad,
            "; ".join(bad[:3]) if bad else "all of them finite, in floating point",
        )
    )
    return findings


def prove_tokenizer(source: Path | str, arrays: GtrArrays) -> Finding:
    """That there is one, that it ends texts, and that its ids are in the embedding table."""
    try:
        tokenizer = open_tokenizer(source)
    except GtrBeirError as error:
        return Finding("tokenizer", False, str(error))
    ids = tokenizer("a text")["input_ids"]
    rows = arrays.shape.vocabulary
    if not ids or ids[-1] != tokenizer.eos_token_id:
        return Finding("tokenizer", False, "does not end texts with its end token, as T5's does")
    if len(tokenizer) > rows:
        seen = f"has {len(tokenizer):,} tokens, but the embedding has {rows:,} rows"
        return Finding("tokenizer", False, seen)
    return Finding(
        "tokenizer",
        True,
        f"{len(tokenizer):,} tokens for {rows:,} rows of the "
        "embedding, ends texts with its end token",
    )


def _stored(dtypes: tuple[str, ...]) -> Finding:
    known = {"float32", "bfloat16", "float16", "float64"}
    return Finding("stored as", set(dtypes) <= known, ", ".join(dtypes))
