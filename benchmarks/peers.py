"""The peers, each used as its documentation says: beir, mteb and sentence-transformers.

For the search alone, an encoder is given whose texts are the numbers of rows and whose vectors are
looked up; the seconds spent in it are counted apart, so that they can be left out. A chunk's rows
stand together, so a look-up is a view and costs a peer no memory either.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

CUTS = [1, 3, 5, 10, 100, 1000]
Vectors = npt.NDArray[np.float32]
Relevant = npt.NDArray[np.int64]


class Lookup:
    """Vectors of texts that are numbers of consecutive rows; work done `aside` is timed apart."""

    def __init__(self, documents: Vectors, queries: Vectors):
        self.documents, self.queries = torch.from_numpy(documents), torch.from_numpy(queries)
        self.seconds = self.processor_seconds = 0.0

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What is done inside is the encoder's work, not the search's."""
        start, processor = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - start
        self.processor_seconds += time.process_time() - processor

    def rows(self, vectors: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        first, last = int(texts[0]), int(texts[-1])
        if last - first + 1 != len(texts):
            raise AssertionError("a peer asked for rows that do not stand together")
        return vectors[first : last + 1]


def numbered(prefix: str, count: int) -> dict[str, str]:
    """Id -> text. All texts are of one length: some peers sort by it, and rows stay together."""
    return {f"{prefix}{row}": f"{row:08d}" for row in range(count)}


def judgements(relevant: Relevant) -> dict[str, dict[str, int]]:
    return {
        f"q{query}": {f"d{document}": 1 for document in documents}
        for query, documents in enumerate(relevant.tolist())
    }


# beir ---------------------------------------------------------------------------------------------


class BeirLookup:
    """A model for beir's DenseRetrievalExactSearch."""

    def __init__(self, lookup: Lookup):
        self.lookup = lookup

    def encode_queries(self, queries: list[str], **_: Any) -> torch.Tensor:
        return self.lookup.rows(self.lookup.queries, queries)

    def encode_corpus(self, corpus: list[dict[str, str]], **_: Any) -> torch.Tensor:
        with self.lookup.aside():
            texts = [document["text"] for document in corpus]
        return self.lookup.rows(self.lookup.documents, texts)


class BeirSearch:
    """Search and measures of beir on given vectors."""

    def __init__(self, documents: Vectors, queries: Vectors, relevant: Relevant):
        from beir.retrieval.evaluation import EvaluateRetrieval
        from beir.retrieval.search.dense import DenseRetrievalExactSearch

        self.lookup = Lookup(documents, queries)
        self.corpus = {
            identifier: {"title": "", "text": text}
            for identifier, text in numbered("d", len(documents)).items()
        }
        self.queries, self.qrels = numbered("q", len(queries)), judgements(relevant)
        search = DenseRetrievalExactSearch(BeirLookup(self.lookup), show_progress_bar=False)
        self.retriever = EvaluateRetrieval(search, score_function="dot")

    def run(self) -> dict[str, float]:
        results = self.retriever.retrieve(self.corpus, self.queries)
        ndcg, _, recall, _ = self.retriever.evaluate(self.qrels, results, self.retriever.k_values)
        return {"ndcg@10": ndcg["NDCG@10"], "recall@100": recall["Recall@100"]}


def beir_end_to_end(folder: Path, model: str, batch_size: int | None) -> dict[str, float]:
    """BEIR folder to measures, as beir's example of dense retrieval with sentence-transformers."""
    from beir.datasets.data_loader import GenericDataLoader
    from beir.retrieval import models
    from beir.retrieval.evaluation import EvaluateRetrieval
    from beir.retrieval.search.dense import DenseRetrievalExactSearch

    corpus, queries, qrels = GenericDataLoader(data_folder=str(folder)).load(split="test")
    options = {} if batch_size is None else {"batch_size": batch_size}
    encoder = models.SentenceBERT(model, device="cpu")
    search = DenseRetrievalExactSearch(encoder, show_progress_bar=False, **options)
    retriever = EvaluateRetrieval(search, score_function="cos_sim")
    results = retriever.retrieve(corpus, queries)
    ndcg, _, recall, _ = retriever.evaluate(qrels, results, retriever.k_values)
    return {"ndcg@10": ndcg["NDCG@10"], "recall@100": recall["Recall@100"]}


# sentence-transformers ----------------------------------------------------------------------------


class SentenceTransformersSearch:
    """Search and measures of InformationRetrievalEvaluator on given vectors."""

    def __init__(self, documents: Vectors, queries: Vectors, relevant: Relevant):
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.evaluation import (
            InformationRetrievalEvaluator,
        )
        from sentence_transformers.util import dot_score

        self.lookup = lookup = Lookup(documents, queries)

        class Model(SentenceTransformer):
            """Only what the evaluator asks of a model."""

            def __init__(self) -> None:
                torch.nn.Module.__init__(self)
                self.model_card_data = type("Card", (), {"set_evaluation_metrics": _nothing})()

            def encode_query(self, inputs: list[str], **_: Any) -> torch.Tensor:
                return lookup.rows(lookup.queries, inputs)

            def encode_document(self, inputs: list[str], **_: Any) -> torch.Tensor:
                return lookup.rows(lookup.documents, inputs)

        self.model = Model()
        self.evaluator = InformationRetrievalEvaluator(
            queries=numbered("q", len(queries)),
            corpus=numbered("d", len(documents)),
            relevant_docs={query: set(found) for query, found in judgements(relevant).items()},
            mrr_at_k=[10],
            ndcg_at_k=CUTS,
            accuracy_at_k=[1],
            precision_recall_at_k=CUTS,
            map_at_k=CUTS,
            score_functions={"dot": dot_score},
            write_csv=False,
        )

    def run(self) -> dict[str, float]:
        scores = self.evaluator(self.model)
        return {
            "ndcg@10": float(scores["dot_ndcg@10"]),
            "recall@100": float(scores["dot_recall@100"]),
        }


def _nothing(*_: Any) -> None:
    """The evaluator would write its scores into a model card."""


# mteb ---------------------------------------------------------------------------------------------


def mteb_task(corpus: Any, queries: Any, relevant: dict[str, dict[str, int]]) -> Any:
    """A retrieval task of mteb over data that is given: `corpus` with columns id, title and text,
    `queries` with id and text, both `datasets.Dataset`."""
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Given(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Given",
            description="A corpus, queries and judgements that are at hand.",
            dataset={"path": "given", "revision": "1"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        def load_data(self, *_: Any, **__: Any) -> None:
            split = {
                "corpus": corpus,
                "queries": queries,
                "relevant_docs": relevant,
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    task = Given()
    task.load_data()
    return task


def _mteb_scores(model: Any, task: Any) -> dict[str, float]:
    import mteb

    result = mteb.evaluate(
        model,
        task,
        cache=None,
        co2_tracker=False,
        show_progress_bar=False,
        encode_kwargs={"batch_size": 32, "show_progress_bar": False},
    )
    scores = result.task_results[0].scores["test"][0]
    return {"ndcg@10": scores["ndcg_at_10"], "recall@100": scores["recall_at_100"]}


class MtebSearch:
    """Search and measures of `mteb.evaluate` on given vectors."""

    def __init__(self, documents: Vectors, queries: Vectors, relevant: Relevant):
        import datasets
        from mteb.models import ModelMeta, search_wrappers
        from mteb.models.abs_encoder import AbsEncoder

        self.lookup = lookup = Lookup(documents, queries)
        # To bring texts into shape for the encoder is no search either; it is only timed here.
        prepare = getattr(
            search_wrappers.create_dataloader, "timed", search_wrappers.create_dataloader
        )

        def timed(*arguments: Any, **options: Any) -> Any:
            with lookup.aside():
                return prepare(*arguments, **options)

        timed.timed = prepare  # type: ignore[attr-defined]
        search_wrappers.create_dataloader = timed

        class Model(AbsEncoder):
            """An encoder as mteb wants it: it reads its texts from a loader of batches."""

            def __init__(self) -> None:
                self.mteb_model_meta = ModelMeta.create_empty()

            def encode(
                self, inputs: Any, *, prompt_type: Any = None, **_: Any
            ) -> torch.Tensor | npt.NDArray[np.float32]:
                with lookup.aside():
                    texts = [text for batch in inputs for text in batch["text"]]
                is_query = prompt_type is not None and prompt_type.value == "query"
                return lookup.rows(lookup.queries if is_query else lookup.documents, texts)

            def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
                return embeddings1 @ embeddings2.T

        corpus = numbered("d", len(documents))
        texts = numbered("q", len(queries))
        self.model = Model()
        self.task = mteb_task(
            datasets.Dataset.from_dict(
                {"id": list(corpus), "title": [""] * len(corpus), "text": list(corpus.values())}
            ),
            datasets.Dataset.from_dict({"id": list(texts), "text": list(texts.values())}),
            judgements(relevant),
        )

    def run(self) -> dict[str, float]:
        return _mteb_scores(self.model, self.task)


def mteb_end_to_end(folder: Path, model: str) -> dict[str, float]:
    """BEIR folder to measures through `mteb.evaluate` with a SentenceTransformer."""
    import datasets
    from sentence_transformers import SentenceTransformer

    relevant: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels/test.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        relevant.setdefault(query, {})[document] = int(grade)
    corpus, queries = (
        datasets.Dataset.from_list(
            [
                {name: row.get(key) or "" for name, key in columns.items()}
                for row in map(json.loads, (folder / file).read_text("utf-8").splitlines())
                if file == "corpus.jsonl" or row["_id"] in relevant
            ]
        )
        for file, columns in (
            ("corpus.jsonl", {"id": "_id", "title": "title", "text": "text"}),
            ("queries.jsonl", {"id": "_id", "text": "text"}),
        )
    )
    encoder = SentenceTransformer(model, device="cpu")
    return _mteb_scores(encoder, mteb_task(corpus, queries, relevant))
