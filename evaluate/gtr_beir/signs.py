"""Signs of an evaluation that is not what it seems: told when it ends, and kept in the record.

A tokenizer of another language, vectors that are all the same, judgements of another corpus: each
gives numbers, and none of them says so by itself. The bounds are wide; what BEIR's own datasets and
released checkpoints do is within them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gtr_beir.data.store import Dataset
from gtr_beir.ranking.coverage import TOP, Coverage
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT

_SAMPLE = 1000
"""Documents whose tokens are looked at."""
_ZERO, _ALIKE, _FOUND_NOTHING, _CUT = 0.75, 0.5, 0.1, 0.5
"""Shares of queries, and of documents, from which on they are told."""
_UNKNOWN = 0.1
_JUDGED = 0.25
"""Of the judged documents that the first ten could hold."""


def signs_of(
    run: Run, dataset: Dataset, values: pd.DataFrame, facts: Mapping[str, Any], tokenizer: Any
) -> list[str]:
    """A sentence for each sign. values: of each query; facts: of the search; tokenizer: that of the
    encoder, None where there is none to be seen."""
    return [
        *_of_rankings(run, dataset, values),
        *_of_judgements(run, dataset),
        *_of_texts(dataset, facts, tokenizer),
    ]


def _of_rankings(run: Run, dataset: Dataset, values: pd.DataFrame) -> Iterator[str]:
    zero = float((values["ndcg@10"] == 0).mean())
    if zero >= _ZERO:
        yield f"{zero:.0%} of the queries have an NDCG@10 of 0"
    nothing = float((run.doc_rows == NO_DOCUMENT).all(axis=1).mean())
    if nothing >= _FOUND_NOTHING:
        yield f"{nothing:.0%} of the queries find no document"
    top = run.scores[:, :TOP]
    if top.shape[1] == TOP and dataset.n_documents > 2 * TOP:
        same = np.isfinite(top).all(axis=1) & (top == top[:, :1]).all(axis=1)
        if float(same.mean()) >= _ALIKE:
            yield (
                f"{same.mean():.0%} of the queries give their first ten documents one score, as "
                "vectors do that are all the same"
            )
            return
        like_another = _like_another(run)
        if like_another >= _ALIKE:
            yield (
                f"{like_another:.0%} of the queries have the first ten documents and scores of "
                "another query, as queries do whose vectors are the same"
            )


def _like_another(run: Run) -> float:
    """The share of queries that find what another one finds, at the same scores."""
    first = np.concatenate(
        [run.doc_rows[:, :TOP].astype(np.float64), run.scores[:, :TOP].astype(np.float64)], axis=1
    )
    first = first[(run.doc_rows[:, :TOP] != NO_DOCUMENT).any(axis=1)]
    _, counts = np.unique(first, axis=0, return_counts=True)
    return float(counts[counts > 1].sum()) / max(1, len(run.doc_rows))


def _of_judgements(run: Run, dataset: Dataset) -> Iterator[str]:
    missing = len(
        {
            document
            for document, row in zip(
                dataset.qrels.document_ids, dataset.qrels.document_rows.tolist(), strict=True
            )
            if row < 0
        }
    )
    if missing:
        noun = "judged document is" if missing == 1 else "judged documents are"
        yield f"{missing:,} {noun} not in the corpus"
    covered = Coverage.of(run, dataset)
    judged = np.bincount(dataset.qrels.query_rows, minlength=len(dataset.query_ids))
    possible = int(np.minimum(judged, TOP).sum())
    if covered.top and covered.judged < _JUDGED * min(possible, covered.top):
        yield (
            f"{covered.judged:,} of the {covered.top:,} documents among the first ten are judged, "
            f"where {possible:,} could be"
        )


def _of_texts(dataset: Dataset, facts: Mapping[str, Any], tokenizer: Any) -> Iterator[str]:
    cut = facts.get("documents_truncated")
    if isinstance(cut, int) and cut >= _CUT * dataset.n_documents:
        yield f"{cut / dataset.n_documents:.0%} of the documents were cut at the length limit"
    unknown = None if tokenizer is None else _unknown(tokenizer)
    if unknown is None:
        return
    for what, texts in (
        ("documents", dataset.texts(0, min(_SAMPLE, dataset.n_documents))),
        ("queries", dataset.query_texts[:_SAMPLE]),
    ):
        ids = [token for one in tokenizer.encode_batch(texts) for token in one.ids]
        share = ids.count(unknown) / max(1, len(ids))
        if share >= _UNKNOWN:
            yield (
                f"{share:.0%} of the tokens of the first {len(texts):,} {what} are unknown to the "
                "tokenizer; is it for this language?"
            )


def _unknown(tokenizer: Any) -> int | None:
    """The id of a tokenizer's unknown token."""
    model = json.loads(tokenizer.to_str())["model"]
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    token = model.get("unk_token")
    found: int | None = None if token is None else tokenizer.token_to_id(token)
    return found
