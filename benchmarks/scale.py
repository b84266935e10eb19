"""The largest corpora, made up: FEVER's size (5.4 million documents), BioASQ's (14.9 million).

`import`: documents per second beside the loader of beir (on a slice that it can hold), peak memory,
time to open, and what it takes to look at the hashes of texts as they are read. `--bm25`: the index
and 1,000 queries too, with the memory of all processes together. Texts are drawn from a pool of
65,536 whose lengths follow FEVER's (log-normal, mean about 60 terms) or are short; ids are like the
originals' (titles, numbers). The corpus is written once and removed.

    python benchmarks/scale.py --profile fever [--bm25] [--documents N] [--scratch DIR]
    python benchmarks/scale.py --profile bioasq
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from measure import child, cut_folder, emit, machine_line, table, version_line
from memory import VOCABULARY, vocabulary

POOL, SLICE, QUERIES = 1 << 16, 200_000, 1_000
PROFILES: dict[str, dict[str, Any]] = {
    # documents; words of a text: log of the median, sigma; share of documents without a text
    "fever": {"documents": 5_416_568, "median": 65.0, "sigma": 0.75, "blank": 0.004},
    "bioasq": {"documents": 14_914_603, "median": 16.0, "sigma": 0.4, "blank": 0.0},
}
COLUMNS = {
    "what": "s",
    "documents": ",d",
    "seconds": ",.0f",
    "documents/s": ",.0f",
    "peak MB": ",.0f",
    "bytes a document, source": ",.0f",
    "bytes a document, disk": ",.0f",
    "open s": ".3f",
    "ms a query": ".1f",
    "terms": ",d",
}


def write_corpus(folder: Path, profile: str, documents: int) -> None:
    """A BEIR folder; a line is an id put before one of the pool's title and text."""
    facts = PROFILES[profile]
    generator = np.random.default_rng(1)
    words = vocabulary(generator)
    frequency = 1 / np.arange(1, VOCABULARY + 1) ** 1.05
    urn = words[generator.choice(VOCABULARY, 1 << 20, p=frequency / frequency.sum())]

    def draw(count: int) -> list[str]:
        return urn[generator.integers(0, len(urn), count)].tolist()  # type: ignore[no-any-return]

    lengths = generator.lognormal(np.log(facts["median"]), facts["sigma"], POOL).astype(int)
    lengths = lengths.clip(2, 3000)
    titles, tails = [], []
    for length in lengths.tolist():
        title, text = draw(2 + length % 4), draw(length)
        titles.append("_".join(title))
        body = "" if generator.random() < facts["blank"] else " ".join(text)
        tail = json.dumps({"title": " ".join(title), "text": body}, ensure_ascii=False)
        tails.append(tail[1:] + "\n")
    (folder / "qrels").mkdir(parents=True)
    picks = generator.integers(0, POOL, documents, dtype=np.uint16)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8", buffering=1 << 22) as corpus:
        for start in range(0, documents, POOL):
            rows = range(start, min(start + POOL, documents))
            lines = []
            for row, pick in zip(rows, picks[rows.start : rows.stop].tolist(), strict=True):
                name = f"{titles[pick]}_({row})" if profile == "fever" else str(row * 2 + 1001)
                lines.append(f'{{"_id": "{name}", {tails[pick]}')
            corpus.writelines(lines)
    ids = {f"q{row}": row for row in range(QUERIES)}
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as handle:
        for name in ids:
            text = " ".join(draw(9))
            handle.write(json.dumps({"_id": name, "text": text}, ensure_ascii=False) + "\n")
    with (folder / "qrels/test.tsv").open("w", encoding="utf-8") as handle:
        handle.write("query-id\tcorpus-id\tscore\n")
        for name, row in ids.items():
            pick = int(picks[row])
            document = f"{titles[pick]}_({row})" if profile == "fever" else str(row * 2 + 1001)
            handle.write(f"{name}\t{document}\t1\n")


def run_import(source: Path, datasets: Path) -> dict[str, Any]:
    from gtr_beir.data.importing import import_beir

    start = time.perf_counter()
    dataset = import_beir(source, name="made-up", datasets_dir=datasets)
    seconds = time.perf_counter() - start
    disk = sum(path.stat().st_size for path in dataset.path.iterdir() if path.is_file())
    return {"documents": dataset.n_documents, "seconds": seconds, "disk": disk}


def run_open(datasets: Path, _: Path) -> dict[str, Any]:
    from gtr_beir.data.store import Dataset

    start = time.perf_counter()
    dataset = Dataset(datasets / "made-up")
    last = dataset.texts(dataset.n_documents - 1, dataset.n_documents)
    dataset.id_rank[-1]
    seconds = time.perf_counter() - start
    return {"documents": dataset.n_documents, "seconds": seconds, "characters": len(last[0])}


def run_verify(datasets: Path, _: Path) -> dict[str, Any]:
    """All texts, a unit at a time, as an index reads them: with their hashes looked at, and not."""
    from gtr_beir.data.columns import UNIT
    from gtr_beir.data.store import Dataset

    found = []
    for verified in (True, False, True, False):
        dataset = Dataset(datasets / "made-up")
        if not verified:
            dataset._verify_texts = lambda *_: None  # type: ignore[method-assign]
        start = time.perf_counter()
        for low in range(0, dataset.n_documents, UNIT):
            dataset.titles_and_texts(low, min(low + UNIT, dataset.n_documents))
        found.append(time.perf_counter() - start)
    # The second time of each: all is in memory then.
    return {"documents": dataset.n_documents, "verified": found[2], "unverified": found[3]}


def run_beir(source: Path, _: Path) -> dict[str, Any]:
    from beir.datasets.data_loader import GenericDataLoader

    start = time.perf_counter()
    corpus, *_rest = GenericDataLoader(data_folder=str(source)).load(split="test")
    return {"documents": len(corpus), "seconds": time.perf_counter() - start}


class TreeMemory:
    """Peak memory of this process and its children together (proportional set sizes), on Linux."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            kilobytes = sum(self._held(number) for number in self._tree(os.getpid()))
            self.peak_mb = max(self.peak_mb, kilobytes / 1024)

    def _tree(self, process: int) -> Iterator[int]:
        yield process
        for thread in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found = thread.read_text().split()
            except OSError:  # it has ended
                continue
            for started in found:
                yield from self._tree(int(started))

    @staticmethod
    def _held(process: int) -> int:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            return 0
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def __enter__(self) -> TreeMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def run_bm25(datasets: Path, results: Path) -> dict[str, Any]:
    from gtr_beir.data.store import Dataset
    from gtr_beir.systems.base import SearchOptions, load_system

    dataset = Dataset(datasets / "made-up")
    with TreeMemory() as memory:
        found = load_system("bm25-flat").search(dataset, SearchOptions(work_dir=results, k=1000))
    seconds = found.facts["seconds"]
    return {
        "documents": dataset.n_documents,
        "index_s": seconds["index"],
        "search_s": seconds["search"],
        "terms": found.facts["terms"]["contents"],
        "disk": found.facts["index_bytes"],
        "tree_mb": memory.peak_mb,
    }


CHILDREN = {
    "import": run_import,
    "open": run_open,
    "verify": run_verify,
    "beir": run_beir,
    "bm25": run_bm25,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", choices=PROFILES, default="fever")
    parser.add_argument("--documents", type=int)
    parser.add_argument("--bm25", action="store_true")
    parser.add_argument("--scratch", type=Path, help="folder for the corpus (default: temporary)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.child:
        what, here, there = options.child
        emit(CHILDREN[what](Path(here), Path(there)))
        return 0
    documents = options.documents or PROFILES[options.profile]["documents"]
    print(f"{machine_line()}; {version_line('beir', 'pyarrow')}\n", flush=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        scratch = Path(name)
        source, datasets = scratch / "source", scratch / "datasets"
        start = time.perf_counter()
        write_corpus(source, options.profile, documents)
        size = (source / "corpus.jsonl").stat().st_size
        made = time.perf_counter() - start
        print(f"{documents:,} documents like {options.profile} made in {made:.0f} s\n", flush=True)
        part = cut_folder(source, scratch / "slice", min(SLICE, documents))
        part_size = (part / "corpus.jsonl").stat().st_size
        ours = child("scale.py", "--child", "import", str(source), str(datasets))
        (source / "corpus.jsonl").unlink()
        opened = child("scale.py", "--child", "open", str(datasets), "-")
        read = child("scale.py", "--child", "verify", str(datasets), "-")
        ours_part = child("scale.py", "--child", "import", str(part), str(scratch / "other"))
        theirs = child("scale.py", "--child", "beir", str(part), "-")
        rows: list[dict[str, Any]] = []
        for what, found, bytes_read in (
            ("import, ours", {**ours, "open": opened["seconds"]}, size),
            ("import, ours", ours_part, part_size),
            ("load, beir", theirs, part_size),
        ):
            rows.append(
                {
                    "what": what,
                    "documents": found["documents"],
                    "seconds": found["seconds"],
                    "documents/s": found["documents"] / found["seconds"],
                    "peak MB": found["peak_mb"],
                    "bytes a document, source": bytes_read / found["documents"],
                    "bytes a document, disk": found.get("disk", 0) / found["documents"] or None,
                    "open s": found.get("open"),
                }
            )
        print(table(rows, COLUMNS), flush=True)
        cost = read["verified"] - read["unverified"]
        print(
            f"\nReading all texts takes {read['verified']:.1f} s with their hashes looked at and "
            f"{read['unverified']:.1f} s without: {1e6 * cost / documents:.2f} s a million."
        )
        if options.bm25:
            found = child("scale.py", "--child", "bm25", str(datasets), str(scratch / "results"))
            row = {
                "what": "bm25-flat, all processes",
                "documents": found["documents"],
                "seconds": found["index_s"],
                "documents/s": found["documents"] / found["index_s"],
                "peak MB": found["tree_mb"],
                "bytes a document, disk": found["disk"] / found["documents"],
                "ms a query": found["search_s"] * 1000 / QUERIES,
                "terms": found["terms"],
            }
            print(f"\n{table([row], COLUMNS)}", flush=True)
            # Each process of the index verifies what it reads.
            share = cost / (found["index_s"] * (os.cpu_count() or 1))
            print(f"\nOf the index's time on all cores the hashes are {100 * share:.1f} %.")
    return 1 if ours["peak_mb"] >= 1024 else 0


if __name__ == "__main__":
    raise SystemExit(main())
