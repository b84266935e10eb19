"""ColBERT's scoring beside sentence-transformers' exhaustive evaluator, and its memory.

First SciFact: token vectors of all-MiniLM-L6-v2 (never trained for this), projected to ColBERT's
128 dimensions, are made once and given to both, each in a process of its own; timed is what comes
after the vectors: scores, ranking, measures. Then made-up documents of 20 to 280 given token
vectors, in growing numbers: the memory of our search must not grow with them. The matrix rate is
that of this processor's single-precision product, as large as it likes.

    python benchmarks/colbert.py [--source FOLDER] [--documents N] [--sizes 5000,50000,500000]
    python benchmarks/colbert.py --documents 300 --sizes 1000000 --queries 10000 --device cuda
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from measure import (
    SCIFACT,
    child,
    cut_folder,
    emit,
    machine_line,
    minilm,
    peak_mb,
    require_folder,
    reset_peak,
    table,
    version_line,
)

DIMENSION, DEPTH = 128, 1000
ROLES = ("ours", "sentence-transformers")
SCORING = {
    "scoring": "s",
    "seconds": ".1f",
    "times ours": ".2f",
    "GFLOP/s": ",.0f",
    "of matrix rate": ".0%",
    "extra MB": ",.0f",
    "peak MB": ",.0f",
    "nDCG@10": ".5f",
}
MEMORY = {
    "documents": ",d",
    "token vectors": ",d",
    "seconds": ".1f",
    "GFLOP/s": ",.0f",
    "extra MB": ",.0f",
    "peak MB": ",.0f",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    parser.add_argument("--documents", type=int, help="of SciFact; fewer to try things out")
    parser.add_argument("--sizes", default="5000,50000,500000", help="made-up documents")
    parser.add_argument("--queries", type=int, default=32, help="against the made-up documents")
    parser.add_argument("--device", default="cpu", help="of our scoring of made-up documents")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        role, folder, number = options.child
        act = {"vectors": _vectors, "ours": _ours, "sentence-transformers": _library}.get(role)
        if act:
            emit(act(Path(folder)))
        else:
            emit(_made_up(Path(folder), int(role), int(number), options.device))
        return 0
    require_folder(options.source)
    print(machine_line(), version_line("sentence-transformers", "torch"), sep="; ")
    rate = _matrix_rate()
    print(f"matrix rate, fp32: {rate / 1e9:,.0f} GFLOP/s\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = cut_folder(options.source, Path(scratch) / "cut", options.documents)
        made = Path(scratch) / "vectors"
        made.mkdir()
        (made / "source").write_text(str(folder.resolve()))
        counts = child("colbert.py", "--child", "vectors", str(made), "0")
        work = 2 * DIMENSION * counts["query tokens"] * counts["document tokens"]
        rows = []
        for role in ROLES:
            found = child("colbert.py", "--child", role, str(made), "0")
            found |= {
                "scoring": role,
                "GFLOP/s": work / found["seconds"] / 1e9,
                "of matrix rate": work / found["seconds"] / rate,
                "peak MB": found["peak_mb"],
            }
            rows.append({**found, "times ours": found["seconds"] / (rows or [found])[0]["seconds"]})
        print(
            f"SciFact: {counts['documents']:,} documents of {counts['document tokens']:,} token "
            f"vectors, {counts['queries']:,} queries of {counts['query tokens']:,}\n"
        )
        print(table(rows, SCORING))
        grown = []
        for size in [int(part) for part in options.sizes.split(",") if part]:
            place = Path(scratch) / f"made-{size}"
            given = ["--child", str(size), str(place), str(options.queries)]
            found = child("colbert.py", *given, "--device", options.device)
            grown.append({**found, "peak MB": found["peak_mb"]})
        print(f"\nmade-up documents, {options.queries} queries of 32 token vectors\n")
        print(table(grown, MEMORY))
    return 0


def _vectors(folder: Path) -> dict[str, Any]:
    """Make and save the token vectors of SciFact."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Normalize

    from gtr_beir.encoders.linear import lay_out_linear_layers

    torch.manual_seed(0)
    source = Path((folder / "source").read_text())
    token = {"module_input_name": "token_embeddings"}
    model = MultiVectorEncoder(
        modules=[
            Transformer(minilm(), max_seq_length=256),
            Dense(384, DIMENSION, bias=False, activation_function=torch.nn.Identity(), **token),
            MultiVectorMask(),
            Normalize(**token),
        ],
        device="cpu",
    )
    lay_out_linear_layers(model)
    counts: dict[str, Any] = {}
    for name, kind, encode in (
        ("corpus", "document", model.encode_document),
        ("queries", "query", model.encode_query),
    ):
        lines = [json.loads(line) for line in (source / f"{name}.jsonl").open(encoding="utf-8")]
        if kind == "query":
            judged = {line.split("\t")[0] for line in _judgements(source)}
            lines = [line for line in lines if line["_id"] in judged]
        texts = [f"{d.get('title') or ''} {d['text']}".strip() for d in lines]
        found = encode(texts, batch_size=16, show_progress_bar=False)
        lengths = np.array([len(vectors) for vectors in found], dtype=np.int64)
        np.save(folder / f"{name}.npy", torch.cat(found).numpy())
        np.save(folder / f"{name}-lengths.npy", lengths)
        (folder / f"{name}-ids.json").write_text(json.dumps([line["_id"] for line in lines]))
        plural = "queries" if kind == "query" else "documents"
        counts |= {plural: len(lines), f"{kind} tokens": int(lengths.sum())}
    return counts


def _judgements(source: Path) -> list[str]:
    return (source / "qrels/test.tsv").read_text("utf-8").splitlines()[1:]


def _given(folder: Path) -> tuple[Any, Any, list[str], list[str], dict[str, dict[str, int]]]:
    from gtr_beir.encoders.base import TokenVectors

    def packed(name: str) -> TokenVectors:
        return TokenVectors(
            np.load(folder / f"{name}.npy", mmap_mode="r"), np.load(folder / f"{name}-lengths.npy")
        )

    qrels: dict[str, dict[str, int]] = {}
    for line in _judgements(Path((folder / "source").read_text())):
        query, document, grade = line.split("\t")
        qrels.setdefault(query, {})[document] = int(grade)
    ids = [json.loads((folder / f"{name}-ids.json").read_text()) for name in ("corpus", "queries")]
    return packed("queries"), packed("corpus"), ids[1], ids[0], qrels


def _ours(folder: Path) -> dict[str, Any]:
    """What the program does with a block, unit by unit, then pytrec_eval."""
    import pytrec_eval

    from gtr_beir.encoders.base import TokenVectors
    from gtr_beir.ranking.topk import TopK, merge, sort_and_cut
    from gtr_beir.systems.maxsim import MaxSim

    queries, documents, query_ids, document_ids, qrels = _given(folder)
    queries = TokenVectors(np.array(queries.vectors), queries.lengths)
    ranks = np.argsort(np.argsort(np.array(document_ids))).astype(np.int32)
    before = reset_peak()
    start = time.perf_counter()
    scorer = MaxSim(queries)
    best: TopK | None = None
    starts = documents.starts
    for low in range(0, len(document_ids), 1024):
        high = min(low + 1024, len(document_ids))
        unit = TokenVectors(
            np.array(documents.vectors[starts[low] : starts[high]]), documents.lengths[low:high]
        )
        scores = scorer.scores(unit)
        rows = np.broadcast_to(np.arange(low, high, dtype=np.int32), scores.shape)
        found = TopK(rows, scores, np.broadcast_to(ranks[low:high], scores.shape))
        best = merge(best, sort_and_cut(found, DEPTH), DEPTH)
    assert best is not None
    run = {
        query: {document_ids[r]: float(s) for r, s in zip(rows, values, strict=True) if r >= 0}
        for query, rows, values in zip(
            query_ids, best.rows.tolist(), best.scores.tolist(), strict=True
        )
    }
    values = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run)
    seconds = time.perf_counter() - start
    ndcg = float(np.mean([value["ndcg_cut_10"] for value in values.values()]))
    return {"seconds": seconds, "nDCG@10": ndcg, "extra MB": peak_mb() - before}


def _library(folder: Path) -> dict[str, Any]:
    """MultiVectorInformationRetrievalEvaluator over a model that looks the vectors up."""
    import torch
    from sentence_transformers.multi_vector_encoder.evaluation import (
        MultiVectorInformationRetrievalEvaluator,
    )

    queries, documents, query_ids, document_ids, qrels = _given(folder)
    spent = [0.0]

    class Given:
        prompts: dict[str, str] = {}  # noqa: RUF012
        similarity_fn_name = "maxsim"
        device = torch.device("cpu")

        class model_card_data:  # noqa: N801
            @staticmethod
            def set_evaluation_metrics(*_: Any, **__: Any) -> None: ...

        def _look_up(self, given: Any, ids: list[str]) -> list[torch.Tensor]:
            start = time.perf_counter()
            starts = given.starts
            places = [int(i) for i in ids]
            found = [
                torch.from_numpy(np.array(given.vectors[starts[p] : starts[p + 1]])) for p in places
            ]
            spent[0] += time.perf_counter() - start
            return found

        def encode_query(self, texts: list[str], **_: Any) -> list[torch.Tensor]:
            return self._look_up(queries, texts)

        def encode_document(self, texts: list[str], **_: Any) -> list[torch.Tensor]:
            return self._look_up(documents, texts)

    evaluator = MultiVectorInformationRetrievalEvaluator(
        queries={name: str(place) for place, name in enumerate(query_ids)},
        corpus={name: str(place) for place, name in enumerate(document_ids)},
        relevant_docs={q: {d for d, grade in held.items() if grade} for q, held in qrels.items()},
        map_at_k=[DEPTH],
        write_csv=False,
    )
    before = reset_peak()
    start = time.perf_counter()
    values = evaluator(Given())
    seconds = time.perf_counter() - start - spent[0]
    ndcg = next(float(value) for name, value in values.items() if name.endswith("ndcg@10"))
    return {"seconds": seconds, "nDCG@10": ndcg, "extra MB": peak_mb() - before}


class _Pool:
    """Token vectors that depend on the text alone, out of a pool of random ones."""

    dimension = DIMENSION
    arithmetic: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, device: str) -> None:
        self.device = device
        draw = np.random.default_rng(0)
        self._pool = draw.standard_normal((1 << 16, DIMENSION), dtype=np.float32)
        self._pool /= np.linalg.norm(self._pool, axis=1, keepdims=True)

    def encode(self, texts: list[str], *, kind: str) -> Any:
        from gtr_beir.encoders.base import TokenVectors

        seeds = np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.int64)
        lengths = np.full(len(texts), 32) if kind == "query" else 20 + seeds % 261
        parts = [
            self._pool[at : at + n]
            for at, n in zip(seeds % ((1 << 16) - 300), lengths, strict=True)
        ]
        return TokenVectors(np.concatenate(parts), lengths.astype(np.int64)), 0


def _made_up(folder: Path, documents: int, count: int, device: str) -> dict[str, Any]:
    """Our search over so many made-up documents: import, then score in blocks."""
    from gtr_beir.data.importing import import_beir
    from gtr_beir.data.store import Dataset
    from gtr_beir.progress import Progress
    from gtr_beir.systems.base import SearchOptions
    from gtr_beir.systems.colbert_search import ColbertWork
    from gtr_beir.systems.options import EncoderOptions
    from gtr_beir.systems.sharing import SharedSearch

    source = folder / "source"
    (source / "qrels").mkdir(parents=True)

    def lines() -> Iterator[str]:
        for number in range(documents):
            yield json.dumps({"_id": f"d{number}", "title": "", "text": f"text {number}"}) + "\n"

    with (source / "corpus.jsonl").open("w", encoding="utf-8") as handle:
        handle.writelines(lines())
    queries = [{"_id": f"q{n}", "text": f"query {n}"} for n in range(count)]
    (source / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries))
    rows = "".join(f"q{n}\td{n}\t1\n" for n in range(count))
    (source / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    dataset = import_beir(source, name="made-up", datasets_dir=folder / "datasets")
    assert isinstance(dataset, Dataset)
    encoder: Any = _Pool(device)
    options = SearchOptions(work_dir=folder / "work", k=DEPTH)
    progress = Progress("made-up", documents, "documents", quiet=True)
    before = reset_peak()
    start = time.perf_counter()

    class System:
        def work(self, asked: Any, keep: Any = None) -> ColbertWork:
            return ColbertWork(encoder, asked, settings={"vectors": "made up"}, keep=keep)

    each = [EncoderOptions()]
    found, _, facts = SharedSearch(System(), "made up", each, dataset, options, progress).run()
    seconds = time.perf_counter() - start
    work = 2 * DIMENSION * len(found.queries["vectors"]) * facts["document_tokens"]
    return {
        "documents": documents,
        "token vectors": facts["document_tokens"],
        "seconds": seconds,
        "GFLOP/s": work / facts["seconds"]["search"] / 1e9,
        "extra MB": peak_mb() - before,
    }


def _matrix_rate() -> float:
    """Single-precision operations a second of a square product, the best of both libraries."""
    import torch

    from gtr_beir.encoders.linear import Matrix

    size = 4096
    one, other = torch.randn(size, size), torch.randn(size, size)
    laid_out = Matrix(other)
    times = []
    with torch.inference_mode():
        for act in (lambda: one @ other, lambda: laid_out(one)):
            for _ in range(4):
                start = time.perf_counter()
                act()
                times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


if __name__ == "__main__":
    raise SystemExit(main())
