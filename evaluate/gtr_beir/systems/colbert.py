"""ColBERT: a vector for every token, exact MaxSim over the whole corpus or over another run.

The checkpoint is run by sentence-transformers' MultiVectorEncoder, which reads Stanford's, PyLate's
and its own format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gtr_beir.digests import fingerprint_of
from gtr_beir.identity import Identity
from gtr_beir.lengths import Lengths
from gtr_beir.systems.base import Found, SearchOptions, Shard, ShardDone
from gtr_beir.systems.options import EncoderOptions, option

if TYPE_CHECKING:
    from gtr_beir.data.store import Dataset
    from gtr_beir.systems.block_work import Asked, Keep
    from gtr_beir.systems.colbert_search import ColbertWork


def _prefix(kind: str) -> Callable[[str], str]:
    """A prefix in a name: its text may hold anything, so a hash stands for it."""
    return lambda text: f"{kind}-prefix-{fingerprint_of(text)[:6]}"


@dataclass(frozen=True)
class ColbertOptions(EncoderOptions):
    """What can be chosen about ColBERT; by default all is as the checkpoint has it."""

    query_length: int | None = option(
        None,
        "length of ColBERT queries, in tokens (default: the checkpoint's)",
        parse=int,
        metavar="N",
        least=1,
        decides=True,
        shown=lambda length: f"q={length}",
    )
    document_length: int | None = option(
        None,
        "length of ColBERT documents, in tokens (default: the checkpoint's)",
        parse=int,
        metavar="N",
        least=1,
        decides=True,
        shown=lambda length: f"d={length}",
    )
    query_expansion: bool | None = option(
        None,
        "whether ColBERT fills queries up with [MASK] (default: as the checkpoint says)",
        parse=bool,
        decides=True,
        shown=lambda value: f"expansion={value}",
    )
    skiplist: bool | None = option(
        None,
        "whether ColBERT leaves punctuation out of documents (default: as the checkpoint says)",
        parse=bool,
        decides=True,
    )
    query_prefix: str | None = option(
        None,
        "text put before every ColBERT query (default: the checkpoint's)",
        metavar="TEXT",
        decides=True,
        shown=_prefix("query"),
    )
    document_prefix: str | None = option(
        None,
        "text put before every ColBERT document (default: the checkpoint's)",
        metavar="TEXT",
        decides=True,
        shown=_prefix("document"),
    )


class ColbertSystem:
    """A ColBERT checkpoint: `colbert` (colbertv2.0), or `colbert:` and a folder or a hub id."""

    title: ClassVar[str] = "ColBERT"
    options_type: ClassVar[type[ColbertOptions]] = ColbertOptions
    reranks: ClassVar[bool] = True

    def __init__(self, name: str, options: ColbertOptions):
        from gtr_beir.checkpoints.door import open_checkpoint
        from gtr_beir.checkpoints.recognition import model_of
        from gtr_beir.encoders.loading import load_token_encoder
        from gtr_beir.encoders.tokens import TokenChoices
        from gtr_beir.systems.sharing import for_each_device

        self._asked, self._each = name, for_each_device(options)
        checkpoint = open_checkpoint(name, revision=options.revision, offline=options.offline)
        self.encoder = load_token_encoder(
            checkpoint,
            dtype=options.dtype,
            device=self._each[0].device,
            choices=TokenChoices(
                query_length=options.query_length,
                document_length=options.document_length,
                query_expansion=options.query_expansion,
                skiplist=options.skiplist,
                query_prefix=options.query_prefix,
                document_prefix=options.document_prefix,
            ),
        )
        self.identity = Identity(
            model_of(checkpoint),
            lengths=Lengths("checkpoint", self.encoder.query_length, self.encoder.document_length),
            precision=self.encoder.dtype,
            options=options.marks(as_usual=self.encoder.as_the_checkpoint),
        )
        self._deciding = {
            "weights": checkpoint.fingerprint,
            "format": checkpoint.format,
            "dtype": self.encoder.dtype,
            **self.encoder.knobs,
        }
        self.settings: Mapping[str, Any] = {**checkpoint.origin, **self._deciding}
        self.fingerprint = fingerprint_of(self._deciding)

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        """Encode and score every block, or only the documents of `options.rerank`; merge."""
        from gtr_beir.systems.sharing import SharedSearch, progress_of

        progress = progress_of(self.identity.name, self.encoder.remarks, dataset, options)
        work, run, facts = SharedSearch(
            self, self._asked, self._each, dataset, options, progress
        ).run()
        facts |= {
            "given": self._asked,
            "device": ",".join(each.device or self.encoder.device for each in self._each),
            "dtype": self.encoder.dtype,
            "products": self.encoder.products,
            "query_tokens": int(work.queries["lengths"].sum()),
            "dimension": self.encoder.dimension,
            "parameters": self.encoder.parameters,
        }
        if options.rerank is not None:
            facts["reranked"] = int((options.rerank.doc_rows >= 0).sum())
        return Found(run, facts)

    def do_shard(self, dataset: Dataset, options: SearchOptions, shard: Shard) -> ShardDone:
        """The blocks of a shard, without a run."""
        from gtr_beir.systems.sharing import SharedSearch, progress_of

        progress = progress_of(self.identity.name, self.encoder.remarks, dataset, options)
        return SharedSearch(self, self._asked, self._each, dataset, options, progress).do_shard(
            shard
        )

    def work(self, asked: Asked, keep: Keep | None = None) -> ColbertWork:
        """The search of a block, ready for any block: queries encoded, or found by `keep`."""
        from gtr_beir.systems.block_work import keep_nothing
        from gtr_beir.systems.colbert_search import ColbertWork

        return ColbertWork(self.encoder, asked, settings=self._deciding, keep=keep or keep_nothing)
