"""What an encoder is, and what it gives: a vector a text, or a vector a token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Kind = Literal["query", "document"]


@dataclass(frozen=True)
class Settings:
    """Everything a user can choose about a system; a system refuses what it has no use for.

    protocol: "paper" or "hub" lengths; dtype: "fp32" or "bf16" (None: the system's default);
    device: "cpu", "cuda", "cuda:1", or several with commas between, which share the blocks (None: a
    GPU where there is one); batch_tokens: tokens of a batch (None: by device); tokenizer: for a
    checkpoint that carries none; offline: never touch the network. k1, b, field_weights are BM25's
    (None: 0.9, 0.4 and 1.0 for each field). query_length to document_prefix are ColBERT's (None: as
    the checkpoint has it); skiplist: True leaves punctuation out of documents, False nothing.
    """

    protocol: str = "paper"
    dtype: str | None = None
    device: str | None = None
    batch_tokens: int | None = None
    revision: str | None = None
    tokenizer: str | None = None
    query_length: int | None = None
    document_length: int | None = None
    query_expansion: bool | None = None
    skiplist: bool | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    offline: bool = False
    k1: float | None = None
    b: float | None = None
    field_weights: Mapping[str, float] | None = None

    def chosen(self) -> dict[str, Any]:
        """The fields that are not as by default."""
        return {
            name: getattr(self, name)
            for name, entry in self.__dataclass_fields__.items()
            if getattr(self, name) != entry.default
        }


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

    def encode_each(
        self, groups: Iterable[list[str]], *, kind: Kind, max_tokens: int
    ) -> Iterator[Encoded]:
        """`encode` of each group in order; it may work ahead of whoever takes the results."""
        ...


@dataclass(frozen=True)
class TokenVectors:
    """Token vectors of texts, one text after the other: float32[tokens, dim], int64[texts]."""

    vectors: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """int64[texts + 1]: where each text begins, and the end of the last."""
        return np.concatenate(([0], np.cumsum(self.lengths)))

    def rows(self, texts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The rows of some texts' vectors, in the order given."""
        starts, lengths = self.starts[texts], self.lengths[texts]
        ends = np.cumsum(lengths)
        return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)

    def of(self, texts: npt.NDArray[np.integer]) -> TokenVectors:
        """Some of the texts, in the order given."""
        return TokenVectors(self.vectors[self.rows(texts)], self.lengths[texts])
