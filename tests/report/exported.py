"""Records of an encoder as MTEB runs it, and one with CQADupStack's forums."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.report.results import record

from gtr_beir.records import Record
from gtr_beir.report.exchange.mteb_tasks import mteb_tasks

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = "me/my-encoder"
FORUMS = [dataset for dataset in mteb_tasks() if dataset.startswith("cqadupstack/")]


def as_mteb(dataset: str = "scifact", ndcg: float = 0.64508123, **identity: Any) -> Record:
    """A record of `my-encoder@hub`, whose model is on the hub; `identity`: fields that differ."""
    made = record("my-encoder@hub", dataset, ndcg, protocol="hub", fingerprint=dataset)
    model = replace(made.identity.model, hub=HUB, commit=COMMIT)
    return replace(
        made,
        identity=replace(made.identity, **{"model": model, **identity}),
        settings={"similarity": "cosine", "prompts": {"query": "", "document": ""}},
        facts={"seconds": {"search_total": 12.5}, "dimension": 384},
        finished="2026-11-27T05:30:00+00:00",
    )


def with_forums() -> Record:
    """CQADupStack, of whose forums each has another NDCG@10."""
    whole = as_mteb("cqadupstack")
    ndcg = {name: 0.3 + 0.0123456789 * place for place, name in enumerate(FORUMS)}
    mean = sum(ndcg.values()) / len(ndcg)
    parts = {name: {**whole.measures, "ndcg@10": value} for name, value in ndcg.items()}
    return replace(whole, measures={**whole.measures, "ndcg@10": mean}, parts=parts)
