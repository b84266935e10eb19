"""How many tokens of a text a system saw, by the tokenizer of the checkpoint that its record names.

Counting is the encoders' own: the prompt before the text, then the tokenizer with its special
tokens. What goes beyond the record's limit was cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gtr_beir.errors import CheckpointError, GtrBeirError
from gtr_beir.lengths import Kind
from gtr_beir.records import Record

if TYPE_CHECKING:
    from gtr_beir.checkpoints.tokenizer import TransformersTokenizer

_TEXTS_AT_ONCE = 128


@dataclass(frozen=True)
class TokenCount:
    """Of one text: tokens with special ones and prompt, the limit, and the pieces of text that the
    vocabulary does not have, each once."""

    tokens: int
    limit: int
    unknown: tuple[str, ...] = ()

    @property
    def cut(self) -> int:
        """Tokens beyond the limit."""
        return max(self.tokens - self.limit, 0)

    @property
    def share_cut(self) -> float:
        """Of the text's tokens, in [0, 1)."""
        return self.cut / self.tokens if self.tokens else 0.0


class TokenCounter:
    """A tokenizer under the limits and prompts of a record."""

    def __init__(
        self,
        tokenizer: TransformersTokenizer,
        limits: Mapping[Kind, int],
        prompts: Mapping[str, str],
    ):
        self._tokenizer = tokenizer.backend_tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._unknown = tokenizer.unk_token_id
        self._limits, self._prompts = limits, prompts

    def count(self, texts: Sequence[str], kind: Kind) -> list[TokenCount]:
        """Of each text, in order."""
        prompt, limit = self._prompts.get(kind, ""), self._limits[kind]
        found = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            given = [prompt + text for text in texts[start : start + _TEXTS_AT_ONCE]]
            encodings = self._tokenizer.encode_batch(given)
            for text, encoding in zip(given, encodings, strict=True):
                unknown = (
                    text[first:last].strip()
                    for token, (first, last) in zip(encoding.ids, encoding.offsets, strict=True)
                    if token == self._unknown
                )
                pieces = tuple(dict.fromkeys(piece for piece in unknown if piece))
                found.append(TokenCount(len(encoding.ids), limit, pieces))
        return found


Opened = dict[tuple[str, str | None, str | None], "TransformersTokenizer"]
"""Tokenizers that were opened, by what was given, the chosen tokenizer, and the weights."""


def counter_of(record: Record, opened: Opened | None = None) -> tuple[TokenCounter | None, str]:
    """The counter of a record's system, fetching nothing; or None and, in words, why tokens are not
    known ("" where there are none to be known: BM25 cuts nothing).

    opened: of a caller who asks for many datasets; that a checkpoint is the one that ran is seen by
    its bytes, which takes its time.
    """
    lengths = record.identity.lengths
    if lengths is None:
        return None, ""
    try:
        tokenizer = _tokenizer(record, {} if opened is None else opened)
    except GtrBeirError as error:
        return None, str(error)
    prompts = record.settings.get("prompts")
    known = {str(kind): str(text) for kind, text in prompts.items()} if prompts else {}
    return TokenCounter(tokenizer, lengths.limits(record.dataset), known), ""


def _tokenizer(record: Record, opened: Opened) -> TransformersTokenizer:
    """The tokenizer that ran; an error that says why, where it cannot be had here."""
    model = record.identity.model
    given = record.facts.get("given")
    if not isinstance(given, str):
        if model.hub is None:
            raise CheckpointError("the record does not say where its checkpoint lies")
        given = ("colbert:" if record.settings.get("similarity") == "maxsim" else "") + model.hub
    chosen = record.facts.get("tokenizer")
    key = (given, chosen if isinstance(chosen, str) else None, model.weights)
    if key not in opened:
        opened[key] = _open(given, key[1], model.commit, model.weights)
    return opened[key]


def _open(
    given: str, chosen: str | None, commit: str | None, weights: str | None
) -> TransformersTokenizer:
    from gtr_beir.checkpoints.door import (
        FolderCheckpoint,
        MultiVectorCheckpoint,
        TfHubCheckpoint,
        open_checkpoint,
    )
    from gtr_beir.checkpoints.tokenizer import open_tokenizer

    checkpoint = open_checkpoint(given, revision=commit, tokenizer=chosen, offline=True)
    if isinstance(checkpoint, TfHubCheckpoint):
        raise CheckpointError("a SavedModel keeps its tokenizer to itself")
    same = checkpoint.commit is not None and checkpoint.commit == commit
    if not same and checkpoint.fingerprint != weights:
        raise CheckpointError(f"the checkpoint {checkpoint.asked} is not the one that ran")
    if isinstance(checkpoint, MultiVectorCheckpoint):
        return open_tokenizer(checkpoint.folder.encoder)
    if isinstance(checkpoint, FolderCheckpoint):
        return open_tokenizer(checkpoint.folder.transformer)
    return checkpoint.tokenizer()
