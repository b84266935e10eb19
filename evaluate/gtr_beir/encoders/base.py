"""What an encoder is, and what it gives: a vector a text, or a vector a token."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from gtr_beir.lengths import Kind as Kind

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Encoded:
    """vectors: float32[n, dim]; tokens: int32[n], tokens that were encoded; truncated: bool[n]."""

    vectors: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]


class Follower(Protocol):
    """Who follows an encoder batch by batch.

    group: which of the groups, from 0; places: int64[n], where in it the batch's texts are.
    """

    def known(self, group: int, places: npt.NDArray[np.int64]) -> Encoded | None:
        """What is known of the batch if all of it was encoded before, None: it is to be encoded."""
        ...

    def did(self, group: int, places: npt.NDArray[np.int64], fetch: Callable[[], Encoded]) -> None:
        """A batch was encoded; `fetch` waits for a device that is still at it."""
        ...


class Nobody:
    """Nobody follows."""

    def known(self, group: int, places: npt.NDArray[np.int64]) -> None:
        del group, places

    def did(self, group: int, places: npt.NDArray[np.int64], fetch: Callable[[], Encoded]) -> None:
        del group, places, fetch


NOBODY = Nobody()


class Encoder(Protocol):
    """One vector a text; vectors are finite or NumericalError is raised by who asked for them.

    device: where it runs; dtype: the precision that was asked for, products: the one that products
    run in; arithmetic: what decides the last bits of a vector beside weights and texts, for keys of
    blocks; own_length: the checkpoint's own limit in tokens; positions: the longest input that its
    position embeddings allow, None where there is no limit; counts_tokens: whether `Encoded` tells
    tokens and cuts; normalises: vectors have length 1 (cosine), else they are as the model gives
    them (dot); prompts: texts before queries and documents; kernels: facts for the record; remarks:
    sentences for whoever waits for it; weights_bytes: in memory;
    parameters: how many weights, 0 where that is not seen; tokenizer: None if it is not seen.
    """

    @property
    def dimension(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    @property
    def products(self) -> str: ...

    @property
    def arithmetic(self) -> Mapping[str, str | int]: ...

    @property
    def own_length(self) -> int: ...

    @property
    def positions(self) -> int | None: ...

    @property
    def counts_tokens(self) -> bool: ...

    @property
    def normalises(self) -> bool: ...

    @property
    def prompts(self) -> Mapping[Kind, str]: ...

    @property
    def kernels(self) -> Mapping[str, str]: ...

    @property
    def remarks(self) -> tuple[str, ...]: ...

    @property
    def weights_bytes(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    @property
    def tokenizer(self) -> Tokenizer | None: ...

    def encode_each(
        self,
        groups: Iterable[list[str]],
        *,
        kind: Kind,
        max_tokens: int,
        follower: Follower = NOBODY,
    ) -> Iterator[Encoded]:
        """Vectors of each group of texts in the order given, cut at `max_tokens` tokens each; it
        may work ahead of whoever takes the results."""
        ...


def encode(encoder: Encoder, texts: list[str], *, kind: Kind, max_tokens: int) -> Encoded:
    """Vectors of one group of texts."""
    return next(iter(encoder.encode_each([texts], kind=kind, max_tokens=max_tokens)))


_TEXTS_AT_ONCE = 128


class BatchesByItself(ABC):
    """An encoder that makes batches of the texts of one group by itself."""

    @abstractmethod
    def encode(self, texts: list[str], *, kind: Kind, max_tokens: int) -> Encoded:
        """Of one group of texts, in the order given."""

    def encode_each(
        self,
        groups: Iterable[list[str]],
        *,
        kind: Kind,
        max_tokens: int,
        follower: Follower = NOBODY,
    ) -> Iterator[Encoded]:
        """`Encoder.encode_each`: the texts of a group are given longest first, some at a time, so
        that somebody hears of them."""
        for group, texts in enumerate(groups):
            order = np.argsort([-len(text) for text in texts], kind="stable").astype(np.int64)
            parts = []
            for first in range(0, max(len(order), 1), _TEXTS_AT_ONCE):
                places = order[first : first + _TEXTS_AT_ONCE]
                part = follower.known(group, places)
                if part is None:
                    some = [texts[place] for place in places]
                    part = self.encode(some, kind=kind, max_tokens=max_tokens)
                    follower.did(group, places, functools.partial(_itself, part))
                parts.append(part)
            yield _in_order(parts, order)


def _itself(encoded: Encoded) -> Encoded:
    return encoded


def _in_order(parts: Sequence[Encoded], order: npt.NDArray[np.int64]) -> Encoded:
    """Parts as one, their texts given in this order."""
    back = np.argsort(order, kind="stable")
    return Encoded(
        np.concatenate([part.vectors for part in parts])[back],
        np.concatenate([part.tokens for part in parts])[back],
        np.concatenate([part.truncated for part in parts])[back],
    )


@dataclass(frozen=True)
class TokenVectors:
    """Token vectors of texts, one text after the other: float32[tokens, dim], int64[texts]."""

    vectors: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]

    @functools.cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """int64[texts + 1]: where each text begins, and the end of the last. Computed once."""
        return np.concatenate(([0], np.cumsum(self.lengths)))

    def rows(self, texts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The rows of some texts' vectors, in the order given."""
        starts, lengths = self.starts[texts], self.lengths[texts]
        ends = np.cumsum(lengths)
        return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)

    def of(self, texts: npt.NDArray[np.integer]) -> TokenVectors:
        """Some of the texts, in the order given."""
        return TokenVectors(self.vectors[self.rows(texts)], self.lengths[texts])
