"""Texts -> vectors: a sentence-transformers checkpoint as an Encoder.

Tokens are counted and cut by the checkpoint's own tokenizer; texts are batched by length under a
token budget; the transformer runs in fp32 or bf16, everything after it in fp32.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import sentence_transformers
import tokenizers
import torch
import transformers

from evaluate.errors import CheckpointError, UsageError
from evaluate.memory import give_back
from evaluate.systems.base import Kind, Settings
from evaluate.systems.checkpoints.hub import CheckpointFolder
from evaluate.systems.linear import pack_linear_layers

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_CPU_BATCH_TOKENS = 4096
NUMERICS = 1
"""Goes up when this module computes the same vectors in another order of operations."""
_GPU_BATCH_TOKENS = 65_536
_TEXTS_AT_ONCE = 128
_BATCHES_UNTIL_TRIM = 8


@dataclass(frozen=True)
class Encoded:
    """vectors: float32[n, dim]; tokens: int32[n], tokens that were encoded; truncated: bool[n]."""

    vectors: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]


class Encoder(Protocol):
    """Encodes texts; vectors are finite or NumericalError is raised by who asked for them."""

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: list[str], *, kind: Kind, max_tokens: int) -> Encoded:
        """Vectors of texts in the order given, cut at `max_tokens` tokens each."""
        ...


def resolve_device(device: str | None) -> str:
    """`device`, or a GPU where there is one, else the CPU."""
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", chosen):
        raise UsageError(f"there is no device '{chosen}'; use cpu or cuda")
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"there is no {chosen} on this machine; use --device cpu")
    return chosen


class SentenceEncoder:
    """Any sentence-transformers dual encoder with text input and cosine or dot similarity.

    `own_length` is the checkpoint's max_seq_length; `positions` is the longest input its position
    embeddings allow, None where there is no limit (T5).
    """

    def __init__(self, folder: CheckpointFolder, settings: Settings):
        self.device = resolve_device(settings.device)
        # fp32 means fp32: without TensorFloat-32, whatever the environment asks for.
        torch.set_float32_matmul_precision("highest")
        self.dtype = settings.dtype or "fp32"
        self._model = _load(folder, self.device)
        similarity = self._model.similarity_fn_name
        if similarity not in ("cosine", "dot"):
            raise CheckpointError(
                f"{folder.path} is meant for {similarity} similarity; cosine and dot are supported"
            )
        self.normalises = similarity == "cosine"
        self._transformer = self._model[0]
        self._transformer.to(_DTYPES[self.dtype])
        self._packed_layers = 0
        if self.device == "cpu":
            self._packed_layers = pack_linear_layers(self._transformer)
        tokenizer = self._model.tokenizer
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise CheckpointError(f"{folder.path} has no fast tokenizer (tokenizer.json)")
        self._tokenizer = tokenizer.backend_tokenizer
        self._tokenizer.no_padding()
        self._pad_id = int(tokenizer.pad_token_id or 0)
        self._prompts = _prompts(self._model, folder)
        self.own_length = int(self._model.max_seq_length or 512)
        config = self._transformer.auto_model.config
        positions = getattr(config, "max_position_embeddings", None)
        if positions and config.model_type in ("roberta", "xlm-roberta", "mpnet", "camembert"):
            positions -= int(config.pad_token_id) + 1
        self.positions: int | None = positions
        self._batch_tokens = settings.batch_tokens or (
            _CPU_BATCH_TOKENS if self.device == "cpu" else _GPU_BATCH_TOKENS
        )
        self.dimension = int(self.encode([""], kind="query", max_tokens=8).vectors.shape[1])

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What decides the last bits of a vector beside weights and texts: for keys of blocks."""
        return {
            "encoder": NUMERICS,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "sentence_transformers": sentence_transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "device": torch.device(self.device).type,
            "batch_tokens": self._batch_tokens,
            "packed": self._packed_layers,
        }

    @property
    def prompts(self) -> dict[Kind, str]:
        return self._prompts

    def encode(self, texts: list[str], *, kind: Kind, max_tokens: int) -> Encoded:
        """float32 vectors of the texts, L2-normalised unless the checkpoint is meant for dot."""
        self._tokenizer.enable_truncation(max_tokens)
        prompt = self._prompts[kind]
        ids: list[list[int]] = []
        cut: list[bool] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            prompted = [prompt + text for text in texts[start : start + _TEXTS_AT_ONCE]]
            for encoding in self._tokenizer.encode_batch(prompted):
                ids.append(encoding.ids)
                cut.append(bool(encoding.overflowing))
        tokens = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids))
        truncated = np.array(cut, dtype=bool)
        vectors: npt.NDArray[np.float32] | None = None
        for number, batch in enumerate(token_batches(tokens, self._batch_tokens)):
            if number % _BATCHES_UNTIL_TRIM == 0 and self.device == "cpu":
                give_back()
            part = self._forward([ids[index] for index in batch])
            if vectors is None:
                vectors = np.empty((len(texts), part.shape[1]), dtype=np.float32)
            vectors[batch] = part
        if vectors is None:
            vectors = np.empty((0, self.dimension), dtype=np.float32)
        return Encoded(vectors, tokens, truncated)

    @torch.inference_mode()
    def _forward(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        longest = max(map(len, ids))
        input_ids = torch.full((len(ids), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for row, sequence in enumerate(ids):
            input_ids[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = 1
        features: dict[str, Any] = {
            "input_ids": input_ids.to(self.device),
            "attention_mask": mask.to(self.device),
        }
        features = self._transformer(features)
        features["token_embeddings"] = features["token_embeddings"].float()
        for module in list(self._model)[1:]:
            features = module(features)
        vectors = features["sentence_embedding"].float()
        if self.normalises:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        result: npt.NDArray[np.float32] = vectors.cpu().numpy()
        return result


def token_batches(tokens: npt.NDArray[np.int32], budget: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of texts in batches of similar length, longest first: texts times the longest of
    them stays within the budget, or the batch is one text."""
    order = np.argsort(-tokens.astype(np.int64), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(int(tokens[order[start]]), 1))
        yield order[start : start + size]
        start += size


def _load(folder: CheckpointFolder, device: str) -> Any:
    """The sentence-transformers model, weights in fp32, with nothing fetched and no code run."""
    with _quiet_libraries():
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(
                str(folder.path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": torch.float32},
            )
        except Exception as error:  # whatever the libraries raise, the user gets one sentence
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(
                f"{folder.path} cannot be loaded ({type(error).__name__}: {reason})"
            ) from error
    return model.float().eval()


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """No progress bars of other libraries between our own lines."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from transformers.utils import logging as transformers_logging

    was_shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            transformers_logging.enable_progress_bar()


def _prompts(model: Any, folder: CheckpointFolder) -> dict[Kind, str]:
    """The texts that the checkpoint wants before queries and documents."""
    prompts = model.prompts or {}
    chosen: dict[Kind, str] = {
        "query": prompts.get("query") or "",
        "document": prompts.get("document") or prompts.get("passage") or "",
    }
    if any(chosen.values()) and not getattr(model[1], "include_prompt", True):
        raise CheckpointError(
            f"{folder.path} leaves its prompts out of the pooling, which is not supported"
        )
    return chosen
