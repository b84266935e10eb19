"""The dense system: one vector a text, exact search by dot product, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gtr_beir.digests import fingerprint_of
from gtr_beir.errors import UsageError
from gtr_beir.identity import Identity
from gtr_beir.lengths import Kind, Lengths
from gtr_beir.systems.base import Found, SearchOptions, Shard, ShardDone
from gtr_beir.systems.options import EncoderOptions, option

if TYPE_CHECKING:
    from gtr_beir.data.store import Dataset
    from gtr_beir.encoders.base import Encoder
    from gtr_beir.systems.block_work import Asked, Keep
    from gtr_beir.systems.dense_search import DenseWork


@dataclass(frozen=True)
class DenseOptions(EncoderOptions):
    """What can be chosen about a dense encoder."""

    protocol: str = option(
        "paper",
        "limits on the length of texts: paper, those of the GTR paper for each dataset, or hub, "
        "the checkpoint's own (default: paper)",
        allowed=("paper", "hub"),
    )
    tokenizer: str | None = option(
        None,
        "tokenizer for a T5X checkpoint, which carries none",
        metavar="FOLDER|ID",
    )
    batch_tokens: int | None = option(
        None,
        "number of tokens in a batch (default: depends on the device)",
        parse=int,
        metavar="N",
        least=1,
    )
    discard_embeddings: bool = option(
        False, "keep only rankings after the search, no vectors", parse=bool
    )


def require_possible(name: str, options: DenseOptions) -> None:
    """UsageError for options that a checkpoint of this form cannot follow."""
    from gtr_beir.checkpoints.door import TFHUB

    if name.startswith(TFHUB) and options.protocol != "hub":
        raise UsageError(
            f"{name} cuts texts at a length of its own, so the paper's lengths cannot be kept; "
            "give --protocol hub"
        )


class DenseSystem:
    """A dual-encoder checkpoint under a length protocol and a precision."""

    title: ClassVar[str] = "dense encoders"
    options_type: ClassVar[type[DenseOptions]] = DenseOptions
    reranks: ClassVar[bool] = False

    def __init__(self, name: str, options: DenseOptions):
        from gtr_beir.checkpoints.door import open_checkpoint
        from gtr_beir.checkpoints.recognition import model_of
        from gtr_beir.encoders.loading import load_encoder
        from gtr_beir.systems.sharing import for_each_device

        require_possible(name, options)
        self._asked, self._each = name, for_each_device(options)
        checkpoint = open_checkpoint(
            name,
            revision=options.revision,
            tokenizer=options.tokenizer,
            offline=options.offline,
        )
        encoder = load_encoder(
            checkpoint,
            dtype=options.dtype,
            device=self._each[0].device,
            batch_tokens=options.batch_tokens,
        )
        self.encoder: Encoder = encoder
        self.options = options
        self.lengths = Lengths(
            options.protocol, encoder.own_length, encoder.own_length, encoder.positions
        )
        self.identity = Identity(
            model_of(checkpoint),
            lengths=self.lengths,
            precision=encoder.dtype,
            options=options.marks(),
        )
        self._deciding: dict[str, Any] = {
            "weights": checkpoint.fingerprint,
            "gtr": checkpoint.gtr,
            "protocol": options.protocol,
            "own_length": encoder.own_length,
            "dtype": encoder.dtype,
            "similarity": "cosine" if encoder.normalises else "dot",
            "prompts": dict(encoder.prompts),
        }
        self.settings: Mapping[str, Any] = {**checkpoint.origin, **self._deciding}
        self.fingerprint = fingerprint_of(self._deciding)

    def max_tokens(self, dataset: Dataset, kind: Kind) -> int:
        """The length limit under the protocol, never beyond the checkpoint's positions."""
        return self.lengths.limit(dataset.name, kind)

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Encode what is not encoded yet, search every block exactly, merge."""
        from gtr_beir.systems.sharing import SharedSearch, progress_of

        remarks = (*self.encoder.remarks, *self._longer(dataset))
        progress = progress_of(self.identity.name, remarks, dataset, options)
        work, run, facts = SharedSearch(
            self, self._asked, self._each, dataset, options, progress
        ).run()
        facts |= {
            "given": self._asked,
            **({} if self.options.tokenizer is None else {"tokenizer": self.options.tokenizer}),
            "device": ",".join(each.device or self.encoder.device for each in self._each),
            "dtype": self.encoder.dtype,
            **self.encoder.kernels,
            "max_tokens": self.lengths.limits(dataset.name),
            "query_tokens": int(work.queries["tokens"].sum()),
            "queries_truncated": int(work.queries["truncated"].sum()),
            "dimension": self.encoder.dimension,
            "parameters": self.encoder.parameters,
        }
        if not self.encoder.counts_tokens:
            facts |= dict.fromkeys(_COUNTED)
        return Found(run, facts)

    def _longer(self, dataset: Dataset) -> list[str]:
        """That the protocol's lengths are not the checkpoint's own, which matters where it is no
        GTR: it was made for its own."""
        limit, own = self.max_tokens(dataset, "document"), self.encoder.own_length
        if self._deciding["gtr"] or not 0 < own < limit:
            return []
        return [
            f"documents are read to {limit} tokens, as the GTR paper has it; "
            f"{self.identity.name} is made for {own}: --protocol hub"
        ]

    def do_shard(self, dataset: Dataset, options: SearchOptions, shard: Shard) -> ShardDone:
        """The blocks of a shard, without a run."""
        from gtr_beir.systems.sharing import SharedSearch, progress_of

        progress = progress_of(self.identity.name, self.encoder.remarks, dataset, options)
        return SharedSearch(self, self._asked, self._each, dataset, options, progress).do_shard(
            shard
        )

    def work(self, asked: Asked, keep: Keep | None = None) -> DenseWork:
        """The search of a block, ready for any block: queries encoded, or found by `keep`."""
        from gtr_beir.systems.block_work import keep_nothing
        from gtr_beir.systems.dense_search import DenseWork

        return DenseWork(
            self.encoder,
            asked,
            settings=self._deciding,
            limits=self.lengths.limits(asked.dataset),
            keep=keep or keep_nothing,
            keep_embeddings=not self.options.discard_embeddings,
        )


_COUNTED = (
    *("max_tokens", "query_tokens", "queries_truncated"),
    *("document_tokens", "documents_truncated"),
)
"""Facts that an encoder must count tokens for."""
