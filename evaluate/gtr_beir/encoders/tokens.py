"""Texts -> token vectors: a ColBERT checkpoint run by sentence-transformers."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sentence_transformers
import torch
import transformers

from gtr_beir.checkpoints.multi_vector import MultiVectorFolder
from gtr_beir.checkpoints.weights import require_all
from gtr_beir.encoders.base import Kind, TokenVectors
from gtr_beir.encoders.linear import lay_out_linear_layers
from gtr_beir.encoders.precision import (
    DTYPES,
    arithmetic,
    products_of,
    rounded,
    why_other_products,
)
from gtr_beir.encoders.sentence import load_library, quiet_libraries, tried_out
from gtr_beir.errors import CheckpointError, UsageError
from gtr_beir.memory import give_back

NUMERICS = 2
"""Goes up when the same vectors or scores are computed in another order of operations."""
_CPU_BATCH, _GPU_BATCH = 16, 128

Knobs = dict[str, int | str | list[str] | dict[str, str] | dict[str, int] | None]
"""What decides token vectors beside weights and texts, as it stands in a record."""


@dataclass(frozen=True)
class TokenChoices:
    """What is put in the place of what the checkpoint says; None: nothing. Lengths are in tokens;
    skiplist: True leaves punctuation out of documents, False nothing."""

    query_length: int | None = None
    document_length: int | None = None
    query_expansion: bool | None = None
    skiplist: bool | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None


_KNOB_OF = {
    "query_length": "query_length",
    "document_length": "document_length",
    "query_expansion": "query_expansion",
    "skiplist": "skiplist",
    "query_prefix": "prompts",
    "document_prefix": "prompts",
}
"""A choice -> the knob that it turns."""


class TokenEncoder:
    """Texts -> token vectors, with the checkpoint's own lengths, expansion, skip list and prefixes,
    or those that are chosen in their place. `knobs` says what they are."""

    def __init__(
        self,
        folder: MultiVectorFolder,
        *,
        dtype: str,
        device: str,
        choices: TokenChoices | None = None,
    ):
        self.device, self.dtype = device, dtype
        self.products = products_of(self.dtype, self.device)
        self._model = _load(folder, self.device, self.dtype, self.products)
        self.parameters = sum(v.numel() for v in self._model.parameters())
        self.weights_bytes = sum(v.nbytes for v in self._model.state_dict().values())
        transformer = self._model[0]
        require_all(transformer.auto_model.state_dict(), folder.encoder)
        before = self._knobs(folder)
        _choose(self._model, choices or TokenChoices(), folder)
        tokenizer = self._model.tokenizer
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise CheckpointError(f"{folder.path} has no fast tokenizer (tokenizer.json)")
        self._laid_out_layers = lay_out_linear_layers(self._model) if self.device == "cpu" else 0
        self._batch = _CPU_BATCH if self.device == "cpu" else _GPU_BATCH
        self.query_length = int(transformer.query_length or transformer.max_seq_length)
        self.document_length = int(transformer.document_length or transformer.max_seq_length)
        self.knobs = self._knobs(folder)
        self.as_the_checkpoint = {
            choice for choice, knob in _KNOB_OF.items() if before[knob] == self.knobs[knob]
        }
        """Choices that have changed nothing."""
        self.tokenizer = tokenizer.backend_tokenizer
        with tried_out(folder.path):
            self.encode(["a"], kind="document")
            self.dimension = int(self.encode(["a"], kind="query")[0].vectors.shape[1])

    def _knobs(self, folder: MultiVectorFolder) -> Knobs:
        transformer, mask = self._model[0], _mask(self._model, folder)
        return {
            "query_length": int(transformer.query_length or transformer.max_seq_length),
            "document_length": int(transformer.document_length or transformer.max_seq_length),
            "query_expansion": transformer.query_expansion,
            "skiplist": list(mask.skiplist_words),
            "prompts": {
                kind: self._model.prompts.get(kind) or "" for kind in ("query", "document")
            },
            "similarity": self._model.similarity_fn_name,
        }

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why encoding is slower here than it could be."""
        other = why_other_products(self.dtype, self.products)
        return () if other is None else (other,)

    @property
    def arithmetic(self) -> dict[str, str | int]:
        """What decides the last bits of a score beside weights and texts: for keys of blocks."""
        return {
            "colbert": NUMERICS,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "sentence_transformers": sentence_transformers.__version__,
            "device": torch.device(self.device).type,
            "products": self.products,
            "packed": self._laid_out_layers,
            "batch": self._batch,
        }

    def encode(self, texts: list[str], *, kind: Kind) -> tuple[TokenVectors, npt.NDArray[np.bool_]]:
        """Token vectors of the texts; bool[n], which texts were cut."""
        if not texts:
            nothing = np.empty((0, self.dimension), np.float32)
            return TokenVectors(nothing, np.empty(0, int)), np.empty(0, bool)
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with quiet_libraries(), arithmetic(self.products, torch.device(self.device)):
            found = encode(texts, batch_size=self._batch, show_progress_bar=False)
        lengths = np.array([len(vectors) for vectors in found], dtype=np.int64)
        vectors = torch.cat(found).float().cpu().numpy()
        if self.device == "cpu":
            give_back()
        return TokenVectors(vectors, lengths), self._cut(texts, kind)

    def _cut(self, texts: list[str], kind: Kind) -> npt.NDArray[np.bool_]:
        """Which of the texts the checkpoint's length cuts."""
        limit = self.query_length if kind == "query" else self.document_length
        tokenizer = self._model.tokenizer.backend_tokenizer
        prompt = self._model.prompts.get(kind) or ""
        tokenizer.no_padding()
        tokenizer.enable_truncation(limit)
        encodings = tokenizer.encode_batch([prompt + text for text in texts])
        return np.array([bool(encoding.overflowing) for encoding in encodings], dtype=bool)


def _load(folder: MultiVectorFolder, device: str, dtype: str, products: str) -> Any:
    torch.set_float32_matmul_precision("highest")
    model = load_library("MultiVectorEncoder", folder.path, device, DTYPES[products])
    for name, values in model.state_dict().items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise CheckpointError(
                f"{folder.path}: the array {name} has values that are not finite; get or save the "
                "checkpoint again"
            )
    return rounded(model, dtype, products).eval()


def _choose(model: Any, choices: TokenChoices, folder: MultiVectorFolder) -> None:
    """Put what the user chose in the place of what the checkpoint says."""
    transformer = model[0]
    least = model.tokenizer.num_special_tokens_to_add() + 2
    most = getattr(transformer.auto_model.config, "max_position_embeddings", None) or 1 << 20
    for flag, length in (
        ("--query-length", choices.query_length),
        ("--document-length", choices.document_length),
    ):
        if length is not None and not least <= length <= most:
            raise UsageError(
                f"{flag} {length} is not possible with {folder.path}; give {least} to {most}"
            )
    expansion = transformer.query_expansion
    if choices.query_expansion is False:
        transformer.query_expansion = None
    elif choices.query_expansion and expansion is None:
        raise UsageError(f"{folder.path} has no query expansion to switch on")
    if choices.query_length is not None:
        if transformer.query_expansion is not None:
            transformer.query_length = None
            transformer.query_expansion = {
                **transformer.query_expansion,
                "length": choices.query_length,
            }
        transformer.query_length = choices.query_length
    if choices.document_length is not None:
        transformer.document_length = choices.document_length
    for kind, prefix in (("query", choices.query_prefix), ("document", choices.document_prefix)):
        if prefix is not None:
            model.prompts[kind] = prefix
    if choices.skiplist is not None:
        mask = _mask(model, folder)
        mask.skiplist_words = list(string.punctuation) if choices.skiplist else []
        mask.resolve_with_tokenizer(model.tokenizer)


def _mask(model: Any, folder: MultiVectorFolder) -> Any:
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    for module in model:
        if isinstance(module, MultiVectorMask):
            return module
    raise CheckpointError(f"{folder.path} has no MultiVectorMask, so its tokens cannot be chosen")
