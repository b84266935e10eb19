"""Texts -> vectors: tokens are counted, cut and batched here; a model makes vectors of them.

Tokens are cut by the checkpoint's own tokenizer, texts are batched by length under a token budget,
and the next texts are tokenized while the model is at work.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tokenizers
import torch
import transformers

from gtr_beir.encoders.base import NOBODY, Encoded, Follower, Kind
from gtr_beir.encoders.batching import packed_batches, padded_batches
from gtr_beir.encoders.precision import why_other_products
from gtr_beir.errors import NumericalError
from gtr_beir.memory import give_back

NUMERICS = 3
"""Goes up when the same vectors are computed in another order of operations."""
_TEXTS_AT_ONCE = 128
_BATCHES_UNTIL_TRIM = 8
_AHEAD = 2


class Model(Protocol):
    """What turns token ids into vectors, on one device.

    packs: whether a batch costs the sum of its texts' tokens (packed), or texts times the longest
    (padded); batch_tokens: what a batch may cost unless the user says otherwise; products: the
    precision they run in; unproven: why that is not the one that was asked for, if the weights are
    the reason.
    """

    @property
    def dimension(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def packs(self) -> bool: ...

    @property
    def batch_tokens(self) -> int: ...

    @property
    def products(self) -> str: ...

    @property
    def unproven(self) -> str | None: ...

    @property
    def laid_out_layers(self) -> int: ...

    @property
    def attention(self) -> str: ...

    @property
    def without_flex(self) -> str | None:
        """Why FlexAttention did not run where it should have, None where nothing is amiss."""
        ...

    @property
    def weights_bytes(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    def forward(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """float32[n, dimension] on the device, in the order given."""
        ...


@dataclass(frozen=True)
class _Tokens:
    """ids of each text; tokens: int32[n]; truncated: bool[n]."""

    ids: list[list[int]]
    tokens: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]


class TextEncoder:
    """A tokenizer and a model.

    `own_length` is the checkpoint's own limit in tokens; `positions` is the longest input that its
    position embeddings allow, None where there is no limit (T5); `normalises`: vectors have length
    1 (cosine), else they are as the model gives them (dot).
    """

    counts_tokens = True

    def __init__(
        self,
        model: Model,
        tokenizer: tokenizers.Tokenizer,
        *,
        dtype: str,
        own_length: int,
        prompts: Mapping[Kind, str],
        positions: int | None = None,
        normalises: bool = True,
        batch_tokens: int | None = None,
    ):
        self.model, self.tokenizer = model, tokenizer
        self.tokenizer.no_padding()
        self.dtype, self.own_length, self.positions = dtype, own_length, positions
        self.prompts, self.normalises = prompts, normalises
        self._batch_tokens = batch_tokens or model.batch_tokens

    @property
    def dimension(self) -> int:
        return self.model.dimension

    @property
    def device(self) -> str:
        return str(self.model.device)

    @property
    def products(self) -> str:
        return self.model.products

    @property
    def weights_bytes(self) -> int:
        return self.model.weights_bytes

    @property
    def parameters(self) -> int:
        return self.model.parameters

    @property
    def kernels(self) -> dict[str, str]:
        """The precision of the products, which attention ran, and why it was not FlexAttention
        where it should have been."""
        facts = {"products": self.model.products, "attention": self.model.attention}
        reasons = {"without_flex": self.model.without_flex, "unproven": self.model.unproven}
        return facts | {name: reason for name, reason in reasons.items() if reason is not None}

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why encoding is slower here than it could be."""
        reason = self.model.without_flex
        flex = reason and f"FlexAttention does not work here, so encoding is slower ({reason})"
        other = self.model.unproven or why_other_products(self.dtype, self.model.products)
        return tuple(remark for remark in (flex, other) if remark)

    @property
    def arithmetic(self) -> dict[str, str | int]:
        """What decides the last bits of a vector beside weights and texts: for keys of blocks."""
        return {
            "encoder": NUMERICS,
            "model": type(self.model).__name__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "sentence_transformers": version("sentence-transformers"),
            "tokenizers": tokenizers.__version__,
            "device": self.model.device.type,
            "batch_tokens": self._batch_tokens,
            "products": self.model.products,
            "packed": self.model.laid_out_layers,
            "attention": self.model.attention,
        }

    def encode(self, texts: list[str], *, kind: Kind, max_tokens: int) -> Encoded:
        """float32 vectors of the texts in the order given."""
        return next(self.encode_each([texts], kind=kind, max_tokens=max_tokens))

    def encode_each(
        self,
        groups: Iterable[list[str]],
        *,
        kind: Kind,
        max_tokens: int,
        follower: Follower = NOBODY,
    ) -> Iterator[Encoded]:
        """`encode` of each group, in order; batches never cross groups, so that a vector does not
        depend on what is encoded with it. The tokenizer and the device work ahead of the caller."""
        waiting: deque[Future[_Tokens]] = deque()
        running: deque[tuple[_Tokens, _Batches]] = deque()
        source = iter(groups)
        numbers = itertools.count()
        on_gpu = self.model.device.type != "cpu"
        with ThreadPoolExecutor(1) as ahead:
            try:
                while True:
                    while len(waiting) < _AHEAD and (texts := next(source, None)) is not None:
                        waiting.append(ahead.submit(self._tokenize, texts, kind, max_tokens))
                    if waiting:
                        tokens = waiting.popleft().result()
                        running.append((tokens, self._forward(tokens, next(numbers), follower)))
                    # On a GPU the next group is under way before the vectors of one are fetched.
                    if running and (len(running) > on_gpu or not waiting):
                        done, batches = running.popleft()
                        yield Encoded(batches.vectors(), done.tokens, done.truncated)
                    elif not running and not waiting:
                        return
            finally:
                for future in waiting:
                    future.cancel()

    def _tokenize(self, texts: list[str], kind: Kind, max_tokens: int) -> _Tokens:
        self.tokenizer.enable_truncation(max_tokens)
        prompt = self.prompts.get(kind, "")
        ids: list[list[int]] = []
        cut: list[bool] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            prompted = [prompt + text for text in texts[start : start + _TEXTS_AT_ONCE]]
            for encoding in self.tokenizer.encode_batch(prompted):
                ids.append(encoding.ids)
                cut.append(bool(encoding.overflowing))
        tokens = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids))
        return _Tokens(ids, tokens, np.array(cut, dtype=bool))

    def _forward(self, tokens: _Tokens, group: int, follower: Follower) -> _Batches:
        batches = _Batches(len(tokens.ids), self.model.dimension)
        cut = packed_batches if self.model.packs else padded_batches
        for number, batch in enumerate(cut(tokens.tokens, self._batch_tokens)):
            if number % _BATCHES_UNTIL_TRIM == 0 and self.model.device.type == "cpu":
                give_back()
            known = follower.known(group, batch)
            if known is not None:
                batches.add(batch, torch.from_numpy(known.vectors))
                continue
            try:
                part = self.model.forward([tokens.ids[index] for index in batch])
            except torch.OutOfMemoryError as error:
                used = int(tokens.tokens[batch].sum())
                raise NumericalError(
                    f"{self.model.device} does not have the memory for a batch of {used:,} tokens; "
                    f"run again with --batch-tokens {max(used // 2, 1)} to continue where it "
                    "stopped"
                ) from error
            batches.add(batch, part)
            follower.did(group, batch, functools.partial(_fetched, tokens, batch, part))
        return batches


def _fetched(tokens: _Tokens, batch: npt.NDArray[np.int64], vectors: torch.Tensor) -> Encoded:
    return Encoded(vectors.cpu().numpy(), tokens.tokens[batch], tokens.truncated[batch])


class _Batches:
    """Vectors of batches, which a GPU may still be computing."""

    def __init__(self, texts: int, dimension: int):
        self._shape = (texts, dimension)
        self._parts: list[tuple[npt.NDArray[np.int64], torch.Tensor]] = []

    def add(self, places: npt.NDArray[np.int64], vectors: torch.Tensor) -> None:
        self._parts.append((places, vectors))

    def vectors(self) -> npt.NDArray[np.float32]:
        vectors = np.empty(self._shape, dtype=np.float32)
        for places, part in self._parts:
            vectors[places] = part.cpu().numpy()
        return vectors
