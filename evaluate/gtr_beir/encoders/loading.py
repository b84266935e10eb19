"""A checkpoint -> an encoder: who runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gtr_beir.checkpoints.door import (
    TFHUB,
    Checkpoint,
    FolderCheckpoint,
    MultiVectorCheckpoint,
    TfHubCheckpoint,
)
from gtr_beir.encoders.base import Encoder
from gtr_beir.encoders.devices import resolve_device
from gtr_beir.encoders.sentence import SentenceModel
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.encoders.text import TextEncoder
from gtr_beir.encoders.tfhub import TfHubEncoder
from gtr_beir.errors import UsageError

if TYPE_CHECKING:
    from gtr_beir.encoders.tokens import TokenChoices, TokenEncoder


def load_encoder(
    checkpoint: Checkpoint,
    *,
    dtype: str | None = None,
    device: str | None = None,
    batch_tokens: int | None = None,
) -> Encoder:
    """The encoder of a checkpoint with one vector a text, in "fp32", "tf32", "bf16" or, of a GTR,
    "fp16" (None: fp32), on one device (None: a GPU where there is one); batch_tokens: of a batch
    (None: by device).

    Raises UsageError for a choice that this form does not have.
    """
    # fp32 means fp32: without TensorFloat-32, whatever the environment asks for.
    torch.set_float32_matmul_precision("highest")
    if isinstance(checkpoint, MultiVectorCheckpoint):
        raise UsageError(
            f"{checkpoint.asked} gives a vector for each token, not one for a text; write "
            "'colbert:' before its name"
        )
    if isinstance(checkpoint, TfHubCheckpoint):
        refused = {"--batch-tokens": batch_tokens, "--dtype": None if dtype == "fp32" else dtype}
        for name, value in refused.items():
            if value is not None:
                raise UsageError(
                    f"a SavedModel ({TFHUB}) has no {name} {value}; leave it out, or use the "
                    "checkpoint's form on the Hugging Face hub"
                )
        return TfHubEncoder(checkpoint.path)
    place, precision = resolve_device(device), dtype or "fp32"
    if isinstance(checkpoint, FolderCheckpoint) and not checkpoint.gtr:
        _refuse_fp16(precision, checkpoint.asked)
        model = SentenceModel(checkpoint.folder, dtype=precision, device=place)
        return TextEncoder(
            model,
            model.tokenizer,
            dtype=precision,
            own_length=model.own_length,
            prompts=model.prompts,
            positions=model.positions,
            normalises=model.normalises,
            batch_tokens=batch_tokens,
        )
    arrays, face = checkpoint.arrays(), checkpoint.face()
    gtr = T5Model(arrays, dtype=precision, device=place)
    return TextEncoder(
        gtr,
        face.tokenizer,
        dtype=precision if gtr.unproven is None else "fp32",
        own_length=face.own_length,
        prompts=face.prompts,
        batch_tokens=batch_tokens,
    )


def load_token_encoder(
    checkpoint: Checkpoint,
    *,
    dtype: str | None = None,
    device: str | None = None,
    choices: TokenChoices | None = None,
) -> TokenEncoder:
    """The encoder of a checkpoint with a vector a token; the arguments are as of `load_encoder`.

    Raises UsageError for a checkpoint with one vector a text.
    """
    if not isinstance(checkpoint, MultiVectorCheckpoint):
        raise UsageError(f"{checkpoint.asked} gives one vector for a text, not one for each token")
    _refuse_fp16(dtype, checkpoint.asked)
    from gtr_beir.encoders.tokens import TokenEncoder  # here: GTR starts without this library

    return TokenEncoder(
        checkpoint.folder,
        dtype=dtype or "fp32",
        device=resolve_device(device),
        choices=choices,
    )


def _refuse_fp16(dtype: str | None, asked: str) -> None:
    if dtype == "fp16":
        raise UsageError(
            f"fp16 is for GTR, whose ranges are proven; {asked} is not one, so choose fp32, tf32 "
            "or bf16"
        )
