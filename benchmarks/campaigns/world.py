"""Datasets, results and checkpoints that campaigns begin from, and what is whole and equal."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from campaigns.trial import Ended, command
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR

GTR, COLBERT = str(CHECKPOINT_DIR), f"colbert:{COLBERT_DIR}"
_TEXT = """
rain wind snow storm river lake shore sail boat bread dough oven flour salt yeast wheel tyre chain
pedal brake stone bridge tower roof wall glass light lamp paper pencil book page
"""
WORDS = _TEXT.split()
TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class World:
    """A folder of datasets and one of results."""

    folder: Path

    @property
    def datasets(self) -> Path:
        return self.folder / "datasets"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def do(self, *arguments: str | Path, **how: object) -> Ended:
        """A command on these folders."""
        where: list[str | Path] = []
        if arguments[0] != "compare":
            where += ["--datasets-dir", self.datasets]
        if arguments[0] in ("run", "leaderboard", "score", "inspect"):
            where += ["--results-dir", self.results]
        return command(*arguments, *where, **how)  # type: ignore[arg-type]

    def must(self, *arguments: str | Path, **how: object) -> Ended:
        """A command that nothing disturbs."""
        ended = self.do(*arguments, **how)
        if ended.code != 0:
            words = " ".join(map(str, arguments))
            raise SystemExit(f"undisturbed, `{words}` ended with {ended.code}: {ended.err[-800:]}")
        return ended


def write_source(folder: Path, documents: int, queries: int, draw: random.Random) -> Path:
    """A BEIR folder of short made-up texts; some documents are twins, some have no title."""
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for row in range(documents):
            text = " ".join(draw.choices(WORDS, k=draw.randrange(3, 20)))
            title = draw.choice(WORDS) if row % 3 else ""
            corpus.write(json.dumps({"_id": f"d{row}", "title": title, "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as asked:
        for row in range(queries):
            text = " ".join(draw.choices(WORDS, k=draw.randrange(2, 6)))
            asked.write(json.dumps({"_id": f"q{row}", "text": text}) + "\n")
    lines = [
        f"q{row}\td{draw.randrange(documents)}\t{draw.randrange(1, 3)}\n" for row in range(queries)
    ]
    text = "query-id\tcorpus-id\tscore\n" + "".join(lines)
    (folder / "qrels/test.tsv").write_text(text, encoding="utf-8")
    return folder


def searches(dataset: str) -> dict[str, Sequence[str]]:
    """A run of each kind on a dataset, by the name that its results have."""
    on = ("-d", dataset, "-q", "--offline")
    return {
        "bm25-flat": ("run", "bm25-flat", *on),
        "toy": ("run", GTR, "--label", "toy", "--device", "cpu", *on),
        "late": ("run", COLBERT, "--label", "late", "--device", "cpu", *on),
    }


def digest_of_result(folder: Path) -> str:
    """What people keep of a result: run, values of queries, means; "" if there is no record."""
    if not (folder / "record.json").is_file():
        return ""
    found = hashlib.sha256()
    for name in ("run.trec.gz", "queries.csv"):
        data = (folder / name).read_bytes() if (folder / name).is_file() else b"none"
        with contextlib.suppress(OSError, EOFError, zlib.error):
            data = gzip.decompress(data) if name.endswith(".gz") else data
        found.update(data)
    try:
        measures = json.loads((folder / "record.json").read_bytes())["measures"]
    except (ValueError, KeyError, TypeError):
        measures = "unreadable"
    found.update(json.dumps(measures, sort_keys=True).encode())
    return found.hexdigest()[:16]


def digest_of_dataset(folder: Path) -> str:
    """Columns and fingerprints; "" if there is no manifest."""
    if not (folder / "manifest.json").is_file():
        return ""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".arrow", ".npy"):
            found.update(path.name.encode() + path.read_bytes())
    manifest = json.loads((folder / "manifest.json").read_bytes())
    found.update(json.dumps(manifest["fingerprints"], sort_keys=True).encode())
    return found.hexdigest()[:16]


def left_over(*folders: Path) -> Iterator[Path]:
    """Temporary names that a command which has ended should not have left."""
    for folder in folders:
        yield from folder.rglob(f"{TEMPORARY}*")


def not_whole(world: World) -> Iterator[str]:
    """What has its final name and is not whole: blocks, indexes, records and their files. Commands
    may still be needed to finish what was staged, so files without a record count for nothing."""
    from gtr_beir.errors import GtrBeirError
    from gtr_beir.records import Record
    from gtr_beir.work.store import BlockStore

    for record in world.results.rglob("record.json"):
        if any(part.startswith(".") or part == "staged" for part in record.parts):
            continue
        try:
            known = Record.read(record.parent).fingerprints["run"]
        except GtrBeirError as error:
            yield f"{record}: {error}"
            continue
        run = record.parent / "run.trec.gz"
        if not run.is_file() or hashlib.sha256(run.read_bytes()).hexdigest() != known:
            yield f"{run} is not that of its record"
    for place in (*world.results.rglob("blocks"), *world.datasets.rglob("bm25")):
        said: list[str] = []
        for block in place.glob("[!.]*"):
            blocks = block.is_dir() and block.name not in ("shards", "parts")
            if blocks and BlockStore(place, said.append).get(block.name) is None:
                yield f"{block} ({'; '.join(said)})"
