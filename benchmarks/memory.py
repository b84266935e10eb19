"""A million documents in less than 1 GB: import beside beir's loader, then an exact dense search.

The corpus is made while it is written: words of a made-up vocabulary with Zipf's frequencies,
lengths log-normal around those of short passages, some titles blank. The search is the program's
own, over an encoder whose vectors are given (random unit vectors that depend on the text alone), so
that nothing but the search is weighed. Everything runs in processes of its own.

    python benchmarks/memory.py [--documents 1000000] [--slice 100000] [--queries 1000]
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from measure import child, cut_folder, emit, machine_line, table, version_line

DIMENSION, DEPTH, LIMIT_MB = 384, 1000, 1024
VOCABULARY, CHUNK = 50_000, 10_000
IMPORT_COLUMNS = {
    "import": "s",
    "documents": ",d",
    "seconds": ".1f",
    "documents/s": ",.0f",
    "peak MB": ",.0f",
    "bytes a document, source": ",.0f",
    "bytes a document, disk": ",.0f",
    "open ms": ".1f",
}
SEARCH_COLUMNS = {
    "search": "s",
    "documents": ",d",
    "queries": ",d",
    "seconds": ".1f",
    "search s": ".1f",
    "vectors s": ".1f",
    "peak MB": ",.0f",
}


def vocabulary(generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """Made-up words of one to four syllables, the short ones first (they will be the frequent)."""
    onsets = [*"bcdfghjklmnprstvwz", "br", "cl", "dr", "gr", "pl", "sh", "st", "th", "tr"]
    nuclei = [*"aeiouéö", "ai", "ea", "ou"]
    codas = ["", *"nrstl", "nd"]
    syllables = [a + b + c for a in onsets for b in nuclei for c in codas]
    words = dict.fromkeys(syllables)
    while len(words) < VOCABULARY:
        for parts in generator.integers(0, len(syllables), (VOCABULARY, 4)).tolist():
            words["".join(syllables[part] for part in parts[: 2 + parts[0] % 3])] = None
    return np.array(list(words)[:VOCABULARY], dtype=object)


def write_corpus(folder: Path, documents: int, queries: int) -> None:
    """A BEIR folder, written chunk by chunk."""
    generator = np.random.default_rng(0)
    words = vocabulary(generator)
    frequency = 1 / np.arange(1, VOCABULARY + 1) ** 1.05
    urn = words[generator.choice(VOCABULARY, 1 << 20, p=frequency / frequency.sum())]
    encoder = json.JSONEncoder(ensure_ascii=False)
    (folder / "qrels").mkdir(parents=True)

    def texts(lengths: np.ndarray[Any, Any]) -> list[str]:
        ends = np.cumsum(lengths).tolist()
        drawn = urn[generator.integers(0, len(urn), ends[-1])].tolist()
        return [
            " ".join(drawn[end - length : end])
            for end, length in zip(ends, lengths.tolist(), strict=True)
        ]

    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for start in range(0, documents, CHUNK):
            count = min(CHUNK, documents - start)
            lengths = generator.lognormal(3.85, 0.6, count).astype(np.int64).clip(3, 2000)
            titles = texts(generator.integers(1, 8, count))
            titled = generator.random(count) < 0.8
            corpus.writelines(
                encoder.encode({"_id": f"doc{row}", "title": title if has else "", "text": text})
                + "\n"
                for row, title, has, text in zip(
                    range(start, start + count), titles, titled, texts(lengths), strict=True
                )
            )
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as handle:
        handle.writelines(
            encoder.encode({"_id": f"query{row}", "text": text}) + "\n"
            for row, text in enumerate(texts(np.full(queries, 9)))
        )
    with (folder / "qrels/test.tsv").open("w", encoding="utf-8") as handle:
        handle.write("query-id\tcorpus-id\tscore\n")
        for row, found in enumerate(generator.integers(0, documents, (queries, 3)).tolist()):
            handle.writelines(f"query{row}\tdoc{document}\t1\n" for document in set(found))


class GivenVectors:
    """An encoder whose vectors cost next to nothing and depend on the texts alone."""

    device = "cpu"
    dimension = DIMENSION
    arithmetic: dict[str, str] = {}  # noqa: RUF012

    def encode(self, texts: list[str], *, kind: str, max_tokens: int) -> Any:  # noqa: ARG002
        from gtr_beir.encoders.base import Encoded

        seed = [zlib.crc32(texts[0].encode()), len(texts)] if texts else 0
        found = np.random.default_rng(seed).standard_normal(
            (len(texts), DIMENSION), dtype=np.float32
        )
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        ones = np.ones(len(texts), dtype=np.int32)
        return Encoded(found, ones, np.zeros(len(texts), dtype=bool))

    def encode_each(self, groups: Any, *, kind: str, max_tokens: int, follower: Any = None) -> Any:
        for group, texts in enumerate(groups):
            found = self.encode(texts, kind=kind, max_tokens=max_tokens)
            if follower is not None:
                follower.did(group, np.arange(len(texts)), functools.partial(_itself, found))
            yield found


def _itself(found: Any) -> Any:
    return found


def run_import(source: Path, datasets: Path) -> dict[str, Any]:
    from gtr_beir.data.importing import import_beir
    from gtr_beir.data.store import Dataset

    start = time.perf_counter()
    dataset = import_beir(source, name="made-up", datasets_dir=datasets)
    seconds = time.perf_counter() - start
    assert isinstance(dataset, Dataset)
    opening = time.perf_counter()
    again = Dataset(dataset.path)
    documents, _ = again.n_documents, again.texts(0, 1)
    opening = time.perf_counter() - opening
    disk = sum(path.stat().st_size for path in dataset.path.iterdir())
    return {"documents": documents, "seconds": seconds, "open_s": opening, "disk": disk}


def run_beir_loader(source: Path, _: Path) -> dict[str, Any]:
    from beir.datasets.data_loader import GenericDataLoader

    start = time.perf_counter()
    corpus, *_rest = GenericDataLoader(data_folder=str(source)).load(split="test")
    return {"documents": len(corpus), "seconds": time.perf_counter() - start}


def run_search(datasets: Path, results: Path) -> dict[str, Any]:
    """The search of a dense system, as `--discard-embeddings` has it: nothing kept but rankings."""
    from gtr_beir.data.store import Dataset
    from gtr_beir.progress import Progress
    from gtr_beir.ranking import measures
    from gtr_beir.systems.base import SearchOptions
    from gtr_beir.systems.dense_search import DenseWork
    from gtr_beir.systems.options import EncoderOptions
    from gtr_beir.systems.sharing import SharedSearch

    dataset = Dataset(datasets / "made-up")
    encoder = GivenVectors()
    start = time.perf_counter()
    options = SearchOptions(work_dir=results / "blocks", k=DEPTH)
    progress = Progress("search", dataset.n_documents, "documents", quiet=True)

    class System:
        def work(self, asked: Any, keep: Any = None) -> DenseWork:
            return DenseWork(
                encoder,
                asked,
                settings={"vectors": "given"},
                limits={"query": 64, "document": 512},
                keep=keep,
                keep_embeddings=False,
            )

    each = [EncoderOptions()]
    _, run, facts = SharedSearch(System(), "given", each, dataset, options, progress).run()
    means = measures.mean(measures.per_query(run, dataset))
    run.write(results / "run.trec.gz", dataset, tag="given")
    return {
        "documents": dataset.n_documents,
        "queries": len(dataset.query_ids),
        "seconds": time.perf_counter() - start,
        "search_s": facts["seconds"]["search"],
        "vectors_s": facts["seconds"]["encode"],
        "ndcg@10": means["ndcg@10"],
    }


CHILDREN = {"import": run_import, "beir": run_beir_loader, "search": run_search}


def _import_row(name: str, found: dict[str, Any], source: Path) -> dict[str, Any]:
    documents = found["documents"]
    return {
        "import": name,
        "documents": documents,
        "seconds": found["seconds"],
        "documents/s": documents / found["seconds"],
        "peak MB": found["peak_mb"],
        "bytes a document, source": (source / "corpus.jsonl").stat().st_size / documents,
        "bytes a document, disk": found["disk"] / documents if "disk" in found else None,
        "open ms": found["open_s"] * 1000 if "open_s" in found else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--slice", type=int, default=100_000, help="documents for beir's loader")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--scratch", type=Path, help="folder for the corpus (default: temporary)")
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "FROM", "TO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.child:
        what, here, there = options.child
        emit(CHILDREN[what](Path(here), Path(there)))
        return 0
    print(f"{machine_line()}; {version_line('beir', 'pyarrow', 'torch')}\n")
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        scratch = Path(name)
        source, datasets = scratch / "source", scratch / "datasets"
        start = time.perf_counter()
        write_corpus(source, options.documents, options.queries)
        print(f"{options.documents:,} documents made in {time.perf_counter() - start:.0f} s\n")
        ours = child("memory.py", "--child", "import", str(source), str(datasets))
        part = cut_folder(source, scratch / "slice", min(options.slice, options.documents))
        ours_part = child("memory.py", "--child", "import", str(part), str(scratch / "other"))
        theirs = child("memory.py", "--child", "beir", str(part), "-")
        rows = [
            _import_row("ours", ours, source),
            _import_row("ours", ours_part, part),
            _import_row("beir's GenericDataLoader", theirs, part),
        ]
        print(table(rows, IMPORT_COLUMNS), flush=True)
        found = child("memory.py", "--child", "search", str(datasets), str(scratch / "results"))
    row = {
        "search": f"ours, {DIMENSION} dimensions, depth {DEPTH}",
        "documents": found["documents"],
        "queries": found["queries"],
        "seconds": found["seconds"],
        "search s": found["search_s"],
        "vectors s": found["vectors_s"],
        "peak MB": found["peak_mb"],
    }
    print(f"\n{table([row], SEARCH_COLUMNS)}")
    over = [one["peak_mb"] for one in (ours, ours_part, found) if one["peak_mb"] >= LIMIT_MB]
    print(f"\npeak memory of ours: {'TOO MUCH' if over else f'below {LIMIT_MB:,} MB everywhere'}")
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
