"""Any of our encoders as a model that plugs into beir's DenseRetrievalExactSearch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from gtr_beir.data.store import join_title_and_text
from gtr_beir.encoders.base import Encoder, Kind, encode


class BeirModel:
    """`DenseRetrievalExactSearch(BeirModel(encoder, ...))`.

    The limits are in tokens; `DenseSystem.max_tokens(dataset, kind)` gives those of a protocol.
    beir's own arguments (batch_size, progress bars) are taken and left: batches go by tokens here.
    """

    def __init__(self, encoder: Encoder, *, query_tokens: int, document_tokens: int):
        self._encoder = encoder
        self._limits: dict[Kind, int] = {"query": query_tokens, "document": document_tokens}

    def encode_queries(
        self, queries: Sequence[str], batch_size: int = 0, **options: object
    ) -> torch.Tensor | npt.NDArray[np.float32]:
        """float32[n, dim]"""
        del batch_size
        return self._encode(list(queries), "query", options)

    def encode_corpus(
        self, corpus: Sequence[dict[str, str]], batch_size: int = 0, **options: object
    ) -> torch.Tensor | npt.NDArray[np.float32]:
        """float32[n, dim]; documents have "title" and "text"."""
        del batch_size
        texts = [join_title_and_text(d.get("title") or "", d.get("text") or "") for d in corpus]
        return self._encode(texts, "document", options)

    def _encode(
        self, texts: list[str], kind: Kind, options: dict[str, object]
    ) -> torch.Tensor | npt.NDArray[np.float32]:
        vectors = encode(self._encoder, texts, kind=kind, max_tokens=self._limits[kind]).vectors
        return torch.from_numpy(vectors) if options.get("convert_to_tensor") else vectors
