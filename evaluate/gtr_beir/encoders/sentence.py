"""Any sentence-transformers dual encoder with text input and cosine or dot similarity.

GTR's own layout has a forward pass of its own (`t5`); this is for everything else.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from gtr_beir.checkpoints.hub import CheckpointFolder
from gtr_beir.checkpoints.weights import require_all
from gtr_beir.encoders.base import Kind
from gtr_beir.encoders.linear import lay_out_linear_layers
from gtr_beir.encoders.precision import arithmetic, products_of, rounded
from gtr_beir.errors import CheckpointError, GtrBeirError

_CPU_BATCH_TOKENS = 2048
_GPU_BATCH_TOKENS = 65_536


class SentenceModel:
    """The modules of a sentence-transformers folder on padded batches; the transformer runs in fp32
    or bf16, everything after it in fp32."""

    packs = False
    attention = "the library's"
    without_flex: str | None = None
    unproven: str | None = None

    def __init__(self, folder: CheckpointFolder, *, dtype: str, device: str):
        self.device = torch.device(device)
        self._model = load_library("SentenceTransformer", folder.path, device, torch.float32)
        self.parameters = sum(p.numel() for p in self._model.parameters())
        self.weights_bytes = 4 * self.parameters
        similarity = self._model.similarity_fn_name
        if similarity not in ("cosine", "dot"):
            raise CheckpointError(
                f"{folder.path} is meant for {similarity} similarity; only cosine and dot are "
                "supported"
            )
        self.normalises = similarity == "cosine"
        self._transformer = self._model[0]
        require_all(self._transformer.auto_model.state_dict(), folder.transformer)
        self.products = products_of(dtype, self.device)
        rounded(self._transformer, dtype, self.products)
        on_cpu = self.device.type == "cpu"
        self.laid_out_layers = lay_out_linear_layers(self._model) if on_cpu else 0
        self.batch_tokens = _CPU_BATCH_TOKENS if on_cpu else _GPU_BATCH_TOKENS
        tokenizer = self._model.tokenizer
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise CheckpointError(f"{folder.path} has no fast tokenizer (tokenizer.json)")
        self.tokenizer = tokenizer.backend_tokenizer
        self._pad_id = int(tokenizer.pad_token_id or 0)
        self.prompts = self._prompts(folder)
        own_length = self._model.max_seq_length or 512
        if type(own_length) is not int or own_length < 1:
            raise CheckpointError(
                f"{folder.path} says max_seq_length {own_length!r}, which is not a number of tokens"
            )
        self.own_length = own_length
        config = self._transformer.auto_model.config
        positions = getattr(config, "max_position_embeddings", None)
        if positions and config.model_type in ("roberta", "xlm-roberta", "mpnet", "camembert"):
            positions -= int(config.pad_token_id) + 1
        self.positions: int | None = positions
        with tried_out(folder.path):
            self.dimension = int(self.forward([self.tokenizer.encode("").ids]).shape[1])

    @torch.inference_mode()
    def forward(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """float32[n, dimension], of length 1 unless the checkpoint is meant for dot products."""
        longest = max(map(len, sequences))
        input_ids = torch.full((len(sequences), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(sequences), longest), dtype=torch.long)
        for row, sequence in enumerate(sequences):
            input_ids[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = 1
        features: dict[str, Any] = {
            "input_ids": input_ids.to(self.device),
            "attention_mask": mask.to(self.device),
        }
        with arithmetic(self.products, self.device):
            features = self._transformer(features)
        features["token_embeddings"] = features["token_embeddings"].float()
        for module in list(self._model)[1:]:
            features = module(features)
        vectors: torch.Tensor = features["sentence_embedding"].float()
        return torch.nn.functional.normalize(vectors, dim=1) if self.normalises else vectors

    def _prompts(self, folder: CheckpointFolder) -> dict[Kind, str]:
        """The texts that the checkpoint wants before queries and documents."""
        prompts = self._model.prompts or {}
        chosen: dict[Kind, str] = {
            "query": prompts.get("query") or "",
            "document": prompts.get("document") or prompts.get("passage") or "",
        }
        if any(chosen.values()) and not getattr(self._model[1], "include_prompt", True):
            raise CheckpointError(
                f"{folder.path} leaves its prompts out of the pooling, which is not supported"
            )
        return chosen


def load_library(kind: str, path: Path, device: str, dtype: torch.dtype) -> Any:
    """sentence-transformers' model of a class (`kind`), with nothing fetched and no code run."""
    with quiet_libraries():
        import sentence_transformers  # here: GTR's own pass starts without it

        try:
            model = getattr(sentence_transformers, kind)(
                str(path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": dtype},
            )
        except Exception as error:  # whatever the libraries raise, the user gets one sentence
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(
                f"{path} cannot be loaded ({type(error).__name__}: {reason})"
            ) from error
    return model.to(dtype).eval()


@contextlib.contextmanager
def tried_out(path: Path) -> Iterator[None]:
    """A checkpoint that was loaded encodes for the first time: whatever the library raises then is
    a CheckpointError."""
    try:
        yield
    except (GtrBeirError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} was loaded and cannot encode ({type(error).__name__}: {reason})"
        ) from error


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """No progress bars and hints of other libraries between our own lines."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from transformers.utils import logging as transformers_logging

    was_shown = transformers_logging.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in ("transformers", "sentence_transformers")]
    levels = [logger.level for logger in loggers]
    transformers_logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if was_shown:
            transformers_logging.enable_progress_bar()
