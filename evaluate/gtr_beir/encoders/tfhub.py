"""GTR's TF-Hub form: a SavedModel that takes strings and gives a list with one tensor.

It needs the extra `tfhub` (tensorflow, tensorflow-text). A SavedModel is a program, and TensorFlow
runs what is in it: use those of people you trust. It cuts texts at a length of its own, which
cannot be seen or set from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gtr_beir.encoders.base import BatchesByItself, Encoded, Kind
from gtr_beir.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 32


class TfHubEncoder(BatchesByItself):
    """A SavedModel folder as an encoder; tokens are not counted and cuts are not seen.

    Raises UsageError if the extra is not installed, CheckpointError if
    it does not do what GTR's do.
    """

    counts_tokens = False
    device = "cpu"
    dtype = products = "fp32"
    own_length = 512
    positions: int | None = None
    normalises = True
    kernels: Mapping[str, str] = {}
    remarks: tuple[str, ...] = ()
    weights_bytes = parameters = 0
    tokenizer: Tokenizer | None = None

    def __init__(self, path: Path):
        self.path = path
        try:
            import tensorflow
            import tensorflow_text  # noqa: F401  (registers the tokenizer's operators)
        except ImportError as error:
            raise UsageError(
                f"{path} needs tensorflow and tensorflow-text ({error}); get them with `pip "
                "install 'gtr-beir[tfhub]'`, or use the checkpoint's form on the Hugging Face hub"
            ) from error
        self._tensorflow = tensorflow
        try:
            self._model = tensorflow.saved_model.load(str(path))
        except Exception as error:  # TensorFlow raises what it likes
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"{path} cannot be loaded ({type(error).__name__}: {reason})"
            ) from error
        self.dimension = int(self._vectors(["a text"]).shape[1])

    @property
    def prompts(self) -> dict[Kind, str]:
        return {"query": "", "document": ""}

    @property
    def arithmetic(self) -> dict[str, str | int]:
        """What decides the last bits of a vector beside weights and texts."""
        return {"tensorflow": self._tensorflow.__version__, "batch": _BATCH}

    def encode(self, texts: list[str], *, kind: Kind, max_tokens: int) -> Encoded:
        """float32 vectors of length 1; `kind` and `max_tokens` change nothing here."""
        del kind, max_tokens
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            found = self._vectors([texts[index] for index in batch])
            norms = np.linalg.norm(found, axis=1, keepdims=True)
            vectors[batch] = found / np.maximum(norms, 1e-12)
        none = np.zeros(len(texts), dtype=np.int32)
        return Encoded(vectors, none, none.astype(bool))

    def _vectors(self, texts: list[str]) -> npt.NDArray[np.float32]:
        try:
            found = self._model(self._tensorflow.constant(texts))
        except Exception as error:  # TensorFlow raises what it likes
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"{self.path} does not take a batch of strings, as GTR's SavedModels do ({reason})"
            ) from error
        tensor = found[0] if isinstance(found, list | tuple) and len(found) == 1 else None
        if tensor is None or len(tensor.shape) != 2 or tensor.shape[0] != len(texts):
            raise CheckpointError(
                f"{self.path} does not give a list with one tensor of {len(texts)} vectors, as "
                "GTR's SavedModels do"
            )
        return np.asarray(tensor.numpy(), dtype=np.float32)
