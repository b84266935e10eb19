"""The same run file and the same per-query file, however a search is cut, shared and interrupted.

The toy GTR on SciFact and on the demonstration, and an untrained GTR on 200,000 made-up texts (as
good as random vectors of 768 dimensions, many of them close to each other): in 1, 2 and 7 blocks
(as far as whole units of 1,024 documents allow: the demonstration is one), each in one process and
in two, and once more in 7 blocks with SIGKILL at 20 random moments. A run that ends before its
moment is begun again from nothing, so that 20 kills hit.

    python benchmarks/same_bytes.py [--only scifact|demo|random] [--kills 20] [--documents 200000]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gtr_beir.checkpoints.convert import write_folder
from gtr_beir.checkpoints.layout import GtrShape
from gtr_beir.checkpoints.tokenizer import open_tokenizer
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.importing import import_beir
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.work.blocks import plan_blocks
from measure import OFFLINE, SCIFACT, machine_line, require_folder

CORPORA = ("scifact", "demo", "random")
LABEL, FILES = "system", ("run.trec.gz", "queries.csv")
QUERIES = 300


def write_random(folder: Path, documents: int) -> None:
    """Texts of three to eight words, each query relevant to one of them."""
    draw = random.Random(0)
    words = sorted(
        set((CHECKPOINT_DIR.parent / "README.md").read_text("utf-8").split())
        | {f"{a}{b}" for a in "bcdfgklmnprst" for b in ("a", "en", "ist", "or", "ul")}
    )

    def text() -> str:
        return " ".join(draw.choices(words, k=draw.randrange(3, 9)))

    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for row in range(documents):
            corpus.write(json.dumps({"_id": f"d{row}", "title": "", "text": text()}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as queries:
        for row in range(QUERIES):
            queries.write(json.dumps({"_id": f"q{row}", "text": text()}) + "\n")
    judged = "".join(f"q{row}\td{draw.randrange(documents)}\t1\n" for row in range(QUERIES))
    (folder / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")


class Search:
    """`gtr-beir run` of one checkpoint on one dataset, each time in a process group of its own."""

    def __init__(self, checkpoint: Path, datasets: Path, dataset: str, documents: int):
        self._checkpoint, self._datasets, self._dataset = checkpoint, datasets, dataset
        self._documents = documents

    def start(self, results: Path, blocks: int, processes: int) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "gtr_beir", "run", str(self._checkpoint), "-d", self._dataset),
            *("--block-documents", str(-(-self._documents // blocks)), "--label", LABEL),
            *("--device", ",".join(["cpu"] * processes), "--offline", "--quiet"),
            *("--datasets-dir", str(self._datasets), "--results-dir", str(results)),
        ]
        return subprocess.Popen(
            command,
            env={**os.environ, **OFFLINE},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def files(self, results: Path) -> str:
        """A digest of what the run wrote for people to keep."""
        digest = hashlib.sha256()
        for name in FILES:
            digest.update((results / LABEL / self._dataset / name).read_bytes())
        return digest.hexdigest()[:16]


def undisturbed(search: Search, results: Path, blocks: int, processes: int) -> tuple[str, float]:
    start = time.perf_counter()
    if (code := search.start(results, blocks, processes).wait()) != 0:
        raise SystemExit(f"a run ended with {code}")
    found = search.files(results), time.perf_counter() - start
    shutil.rmtree(results)
    return found


def killed(search: Search, results: Path, kills: int, whole: float, draw: random.Random) -> str:
    hit = 0
    while hit < kills:
        process = search.start(results, 7, 1 + hit % 2)
        try:
            code = process.wait(draw.uniform(0.05, 0.6) * whole)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            hit += 1
        else:
            if code != 0:
                raise SystemExit(f"a run ended with {code}")
            shutil.rmtree(results)
    if (code := search.start(results, 7, 1).wait()) != 0:
        raise SystemExit(f"the last run ended with {code}")
    return search.files(results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    parser.add_argument("--only", choices=CORPORA, action="append")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--documents", type=int, default=200_000, help="of the random corpus")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    print(f"{machine_line()}\n\n| corpus | blocks | processes | kills | seconds | bytes |")
    print("|---|---|---|---|---|---|", flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        datasets = scratch / "datasets"
        for corpus in options.only or CORPORA:
            checkpoint = CHECKPOINT_DIR
            if corpus == "scifact":
                require_folder(options.source)
                import_beir(options.source, name=corpus, datasets_dir=datasets)
            elif corpus == "random":
                write_random(scratch / "source", options.documents)
                import_beir(scratch / "source", name=corpus, datasets_dir=datasets)
                checkpoint = scratch / "untrained"
                write_folder(
                    UntrainedArrays(GtrShape(1, 64, 4, 16, 128)),
                    open_tokenizer(CHECKPOINT_DIR),
                    checkpoint,
                    own_length=512,
                )
            documents = load_dataset(corpus, datasets_dir=datasets).n_documents
            search = Search(checkpoint, datasets, corpus, documents)
            results = scratch / "results"
            seen = []
            for blocks in (1, 2, 7):
                for processes in (1, 2):
                    found, seconds = undisturbed(search, results, blocks, processes)
                    seen.append(found)
                    made = len(plan_blocks(documents, -(-documents // blocks)))
                    print(
                        f"| {corpus} | {made} | {processes} | 0 | {seconds:.1f} | {found} |",
                        flush=True,
                    )
            found = killed(search, results, options.kills, seconds, draw)
            seen.append(found)
            print(f"| {corpus} | {made} | 1, 2 | {options.kills} | | {found} |", flush=True)
            shutil.rmtree(results)
            wrong += len(set(seen)) > 1
    print("\n" + ("NOT the same bytes everywhere" if wrong else "the same bytes everywhere"))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
