"""A name -> an encoder: which form the checkpoint has, and who runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from gtr_beir.checkpoints import t5x
from gtr_beir.checkpoints.hub import CheckpointFolder, as_path, open_checkpoint
from gtr_beir.checkpoints.tokenizer import (
    TextFace,
    bare_face,
    require_fitting,
    t5x_tokenizer,
    text_face,
)
from gtr_beir.encoders import tfhub
from gtr_beir.encoders.base import Kind, Settings
from gtr_beir.encoders.devices import resolve_device
from gtr_beir.encoders.sentence import SentenceModel
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.encoders.text import TextEncoder
from gtr_beir.encoders.tfhub import TfHubEncoder
from gtr_beir.errors import UsageError
from gtr_beir.files import Digest


@dataclass(frozen=True)
class Opened:
    """An encoder, and what a record says of it.

    name: for folders and tables; weights: SHA-256 over weights, tokenizer and configuration;
    origin: where it came from, which decides nothing.
    """

    encoder: TextEncoder | TfHubEncoder
    name: str
    weights: str
    gtr: bool
    origin: Mapping[str, Any] = field(default_factory=dict)


def open_encoder(name: str, settings: Settings) -> Opened:
    """The encoder that `name` stands for: `t5x:PATH`, `tfhub:PATH`, a folder, a short name of a
    released checkpoint, or a Hugging Face id."""
    # fp32 means fp32: without TensorFloat-32, whatever the environment asks for.
    torch.set_float32_matmul_precision("highest")
    if name.startswith(tfhub.PREFIX):
        return _open_tfhub(name, settings)
    device = resolve_device(settings.device)
    dtype = settings.dtype or "fp32"
    if name.startswith(t5x.PREFIX):
        return _open_t5x(name, settings, dtype, device)
    if settings.tokenizer is not None:
        raise UsageError(f"{name} has a tokenizer of its own; leave --tokenizer out")
    folder = open_checkpoint(name, revision=settings.revision, offline=settings.offline)
    if folder.gtr:
        arrays = folder.arrays()
        face = text_face(folder.path, folder.transformer)
        encoder = _gtr(arrays, face, settings, dtype, device)
    else:
        encoder = _sentence(folder, settings, dtype, device)
    local = as_path(name).is_dir()
    origin = {
        "checkpoint": folder.path.resolve().name if local else name,
        "revision": folder.revision,
        "modules": list(folder.modules),
    }
    shown = folder.path.resolve().name if local else name
    return Opened(encoder, shown, folder.fingerprint, folder.gtr, origin)


def _open_t5x(name: str, settings: Settings, dtype: str, device: str) -> Opened:
    _no_revision(name, settings)
    path = as_path(name.removeprefix(t5x.PREFIX))
    arrays = t5x.T5xArrays(path)
    face = bare_face(t5x_tokenizer(path, settings.tokenizer), fetch=not settings.offline)
    encoder = _gtr(arrays, face, settings, dtype, device)
    weights = Digest().add(arrays.fingerprint()).add(face.fingerprint()).hex()
    origin = {"checkpoint": f"{t5x.PREFIX}{path.resolve().name}", "revision": None}
    return Opened(encoder, path.resolve().name, weights, True, origin)


def _open_tfhub(name: str, settings: Settings) -> Opened:
    _no_revision(name, settings)
    if settings.protocol != "hub":
        raise UsageError(
            f"{name} cuts texts at a length of its own, so the paper's lengths cannot be kept; "
            "give --protocol hub"
        )
    for value, flag in (
        (settings.tokenizer, "--tokenizer"),
        (settings.batch_tokens, "--batch-tokens"),
        (None if settings.dtype == "fp32" else settings.dtype, "--dtype"),
    ):
        if value is not None:
            raise UsageError(f"{flag} {value} cannot be had of a SavedModel; leave it out")
    encoder = TfHubEncoder(as_path(name.removeprefix(tfhub.PREFIX)))
    folder = encoder.path.resolve().name
    origin = {"checkpoint": f"{tfhub.PREFIX}{folder}", "revision": None}
    return Opened(encoder, folder, encoder.fingerprint(), True, origin)


def _no_revision(name: str, settings: Settings) -> None:
    if settings.revision is not None:
        raise UsageError(f"{name} has no revisions; leave --revision {settings.revision} out")


def _gtr(arrays: Any, face: TextFace, settings: Settings, dtype: str, device: str) -> TextEncoder:
    require_fitting(face.tokenizer, arrays.shape.vocabulary, arrays.source)
    prompts: dict[Kind, str] = {
        "query": face.prompts["query"],
        "document": face.prompts["document"],
    }
    return TextEncoder(
        T5Model(arrays, dtype=dtype, device=device),
        face.tokenizer,
        dtype=dtype,
        own_length=face.own_length,
        prompts=prompts,
        batch_tokens=settings.batch_tokens,
    )


def _sentence(folder: CheckpointFolder, settings: Settings, dtype: str, device: str) -> TextEncoder:
    model = SentenceModel(folder, dtype=dtype, device=device)
    return TextEncoder(
        model,
        model.tokenizer,
        dtype=dtype,
        own_length=model.own_length,
        prompts=model.prompts,
        positions=model.positions,
        normalises=model.normalises,
        batch_tokens=settings.batch_tokens,
    )
