"""An encoder that somebody gives from Python: SentenceTransformer, or any object with `encode`."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gtr_beir.digests import Digest
from gtr_beir.encoders.base import BatchesByItself, Encoded
from gtr_beir.errors import NumericalError, UsageError
from gtr_beir.lengths import Kind

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NUMERICS = 2
"""Goes up when texts are given to `encode` in other groups or another order."""
_OWN = "encode"
_OF_KIND: Mapping[Kind, str] = {"query": "encode_query", "document": "encode_document"}
_SIMILARITIES = (None, "cosine", "dot")
_SHORT = {"torch.float32": "fp32", "torch.bfloat16": "bf16", "torch.float16": "fp16"}
_DECIDING = ("prompts", "default_prompt_name", "truncate_dim", "max_seq_length")
"""Attributes of the library's encoders that decide vectors beside weights and modules."""


class GivenEncoder(BatchesByItself):
    """Whatever has `encode(texts)` and gives an array [n, dim] or a tensor.

    Where it has `encode_query` and `encode_document`, as SentenceTransformer has, those are asked,
    so that its prompts are used. It cuts texts as it likes: tokens are not counted. Vectors are
    brought to length 1 if its `similarity_fn_name` is cosine, and are as it gives them otherwise.
    Raises UsageError for an object without `encode`, one that does not give such arrays, and one
    that is meant for another similarity.
    """

    positions: int | None = None
    counts_tokens = False
    prompts: Mapping[Kind, str] = {}
    kernels: Mapping[str, str] = {}
    remarks: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None

    def __init__(self, model: object):
        self.kind = type(model).__name__
        if not callable(getattr(model, _OWN, None)):
            raise UsageError(
                f"a {self.kind} cannot be run: give the name of a system, or an object with "
                "encode(texts) that gives an array with a vector for each text"
            )
        similarity = getattr(model, "similarity_fn_name", None)
        if similarity not in _SIMILARITIES:
            raise UsageError(
                f"this {self.kind} is meant for {similarity} similarity; only cosine and dot are "
                "supported"
            )
        self._model: Any = model
        # The library's own encoders show a bar for every call.
        self._quietly: dict[str, Any] = {}
        if hasattr(model, "similarity_fn_name"):
            self._quietly = {"show_progress_bar": False, "convert_to_numpy": True}
        self.normalises = similarity == "cosine"
        self.own_length = int(getattr(model, "max_seq_length", None) or 0)
        self.runs_on = str(getattr(model, "device", None) or "cpu")
        # The search runs beside it on a GPU of the kind that is known here.
        self.device = self.runs_on if self.runs_on.startswith("cuda") else "cpu"
        parameters = getattr(model, "parameters", None)
        weights = list(parameters()) if callable(parameters) else []
        self.parameters = sum(int(one.numel()) for one in weights)
        self.weights_bytes = sum(int(one.nbytes) for one in weights)
        kinds = {str(one.dtype) for one in weights}
        self.dtype = self.products = _SHORT.get(kinds.pop(), "") if len(kinds) == 1 else ""
        self.dimension = int(self._vectors(["a text"], "document").shape[1])

    def state(self) -> str | None:
        """SHA-256 over its weights, modules, tokenizer and prompts as they are now, if it shows its
        weights as torch's modules do."""
        held = getattr(self._model, "state_dict", None)
        if not callable(held):
            return None
        import torch

        digest = Digest().add(self.kind).add(repr(self._model))
        for name in _DECIDING:
            digest.add(f"{name}: {getattr(self._model, name, None)!r}")
        fast = getattr(getattr(self._model, "tokenizer", None), "backend_tokenizer", None)
        digest.add("" if fast is None else fast.to_str())
        for name, values in sorted(held().items()):
            if isinstance(values, torch.Tensor):
                flat = values.detach().cpu().contiguous()
                digest.add(f"{name} {flat.dtype} {tuple(flat.shape)}")
                digest.add(flat.view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hex()

    @property
    def arithmetic(self) -> dict[str, str | int]:
        versions = {}
        for package in ("torch", "transformers", "sentence-transformers"):
            try:
                versions[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                continue
        return {
            "given": self.kind,
            "numerics": NUMERICS,
            "device": self.runs_on.partition(":")[0],
            **versions,
        }

    def encode(self, texts: list[str], *, kind: Kind, max_tokens: int) -> Encoded:
        """float32 vectors; `max_tokens` changes nothing here."""
        del max_tokens
        if not texts:
            vectors = np.empty((0, self.dimension), dtype=np.float32)
        else:
            vectors = self._vectors(texts, kind)
        none = np.zeros(len(texts), dtype=np.int32)
        return Encoded(vectors, none, none.astype(bool))

    def _vectors(self, texts: list[str], kind: Kind) -> npt.NDArray[np.float32]:
        act = getattr(self._model, _OF_KIND[kind], None) or getattr(self._model, _OWN)
        found = act(texts, **self._quietly)
        if hasattr(found, "detach"):
            found = found.detach().float().cpu().numpy()
        try:
            vectors = np.ascontiguousarray(found, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{self.kind}.encode gave no array of numbers ({error})") from None
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise UsageError(
                f"{self.kind}.encode gave an array of shape {vectors.shape} for {len(texts)} "
                "texts; it must give one vector for each"
            )
        known = getattr(self, "dimension", vectors.shape[1])
        if vectors.shape[1] != known:
            raise NumericalError(
                f"{self.kind}.encode gave vectors of {vectors.shape[1]} dimensions after {known}"
            )
        if not self.normalises:
            return vectors
        # Not in place: the array may be the object's own.
        unit: npt.NDArray[np.float32] = vectors / np.maximum(
            np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12
        )
        return unit
