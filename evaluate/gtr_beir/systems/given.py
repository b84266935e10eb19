"""A dual encoder that is given from Python as an object."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from gtr_beir.digests import fingerprint_of
from gtr_beir.errors import UsageError
from gtr_beir.identity import Identity, Model
from gtr_beir.lengths import Lengths
from gtr_beir.systems.base import Found, SearchOptions
from gtr_beir.systems.options import EncoderOptions, Options

if TYPE_CHECKING:
    from gtr_beir.data.store import Dataset
    from gtr_beir.systems.block_work import Asked, Keep
    from gtr_beir.systems.dense_search import DenseWork

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}")


class GivenSystem:
    """A dense search with somebody's object.

    name: for folders and tables (None: its class, and that its weights are not known where they are
    not); weights: a word for the state that it is in, such as "epoch 3". The fingerprint is of that
    word and of what torch shows of weights, modules, tokenizer and prompts. Where neither is there,
    what is kept is not found again by another process: it could be of other weights.
    """

    title: ClassVar[str] = "an encoder given from Python"
    options_type: ClassVar[type[Options]] = Options
    reranks: ClassVar[bool] = False

    def __init__(self, model: object, *, name: str | None = None, weights: str | None = None):
        from gtr_beir.encoders.given import GivenEncoder

        if name is not None and not _NAME.fullmatch(name):
            raise UsageError(
                f"'{name}' cannot be a name; use letters, digits, '.', '_', '@', '+' and '-'"
            )
        self.encoder = encoder = GivenEncoder(model)
        self._state = encoder.state()
        known = weights is not None or self._state is not None
        shown = name or (encoder.kind if known else f"{encoder.kind}@unknown-weights")
        own = encoder.own_length
        self.lengths = Lengths("checkpoint", own, own)
        self.identity = Identity(
            Model(shown, weights=self._state, why_not="an encoder that was given from Python"),
            lengths=self.lengths if own else None,
            precision=encoder.dtype,
        )
        self.settings: Mapping[str, Any] = {
            "given": encoder.kind,
            "name": name,
            "weights": weights or self._state or "unknown",
            "similarity": "cosine" if encoder.normalises else "dot",
            "own_length": own,
        }
        state = self._state or ("" if known else uuid.uuid4().hex)
        self._deciding = {**self.settings, "state": state}
        self.fingerprint = fingerprint_of(self._deciding)

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Encode what is not encoded yet, search every block exactly, merge. UsageError if the
        object was changed since it was given, or is to be sent to other workers."""
        from gtr_beir.systems.sharing import SharedSearch, progress_of

        if options.executor is not None:
            raise UsageError(
                f"{self.identity.name} is an object of this process, which other workers do not "
                "have; save it as a folder and name that"
            )
        if self.encoder.state() != self._state:
            raise UsageError(
                f"{self.identity.name} was changed since it was given to load_system; give it again"
            )
        progress = progress_of(self.identity.name, (), dataset, options)
        here = [EncoderOptions()]
        _, run, facts = SharedSearch(
            self, self.identity.name, here, dataset, options, progress
        ).run()
        # Tokens are counted nowhere.
        for name in ("document_tokens", "documents_truncated"):
            facts.pop(name, None)
        facts |= {"device": self.encoder.runs_on, "dimension": self.encoder.dimension}
        return Found(run, {**facts, "parameters": self.encoder.parameters})

    def work(self, asked: Asked, keep: Keep | None = None) -> DenseWork:
        """The search of a block, ready for any block."""
        from gtr_beir.systems.block_work import keep_nothing
        from gtr_beir.systems.dense_search import DenseWork

        return DenseWork(
            self.encoder,
            asked,
            settings=self._deciding,
            limits=self.lengths.limits(asked.dataset),
            keep=keep or keep_nothing,
        )
