"""Kill a SciFact run with SIGKILL at random moments, start it again, compare with a quiet run.

`gtr-beir run` with all-MiniLM-L6-v2 is started as a process of its own and killed, again and again;
then it is let be. The moments are random and spread over the whole run: most while blocks are
encoded and searched, the last ones while measures are made and the run file and the record are
written. After every kill each file with a final name must be whole. At the end the run file, the
per-query file and the record's scores must be, byte for byte, those of an undisturbed run.

    python benchmarks/kill.py [--kills 10] [--seed 0] [--source FOLDER] [--documents N]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from measure import OFFLINE, SCIFACT, cut_folder, machine_line, minilm, require_folder

LABEL = "minilm"
BLOCK_DOCUMENTS = 1024


@dataclass
class Run:
    """One results folder, and the `gtr-beir run` that works on it, started as often as needed."""

    results: Path
    datasets: Path
    dataset: str
    process: subprocess.Popen[bytes] | None = None
    begun: float = 0.0
    before: frozenset[tuple[str, int]] = frozenset()

    @property
    def folder(self) -> Path:
        return self.results / LABEL / self.dataset

    def start(self) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "gtr_beir", "run", minilm(), "--protocol", "hub"),
            *("-d", self.dataset, "--label", LABEL, "--block-documents", str(BLOCK_DOCUMENTS)),
            *("--device", "cpu", "--offline", "--quiet"),
            *("--datasets-dir", str(self.datasets), "--results-dir", str(self.results)),
        ]
        self.before, self.begun = self._files(), time.perf_counter()
        self.process = subprocess.Popen(
            command, env={**os.environ, **OFFLINE}, stdout=subprocess.DEVNULL
        )
        return self.process

    def elapsed(self) -> float:
        """Seconds since the last start."""
        return time.perf_counter() - self.begun

    def blocks_done(self) -> int:
        return len(list((self.folder / "blocks").glob("topk-*")))

    def new(self, ending: str) -> bool:
        """Since the last start, a file whose name ends so has come or was replaced."""
        return any(name.endswith(ending) for name, _ in self._files() - self.before)

    def _files(self) -> frozenset[tuple[str, int]]:
        if not self.folder.is_dir():
            return frozenset()
        with os.scandir(self.folder) as entries:
            return frozenset((f"/{entry.name}", entry.inode()) for entry in entries)


WRITING, RANKED, RECORDED = "-staged", "/run.trec.gz", "/record.json"


@dataclass
class Timing:
    """What an undisturbed run took, in seconds: from the start until it began to work, to the
    first block, to the last one, to the end; in writing the run file, and from there to the
    record."""

    working: float
    first_block: float
    all_blocks: float
    whole: float
    run_file: float
    record: float


def undisturbed(run: Run, blocks: int) -> Timing:
    process = run.start()
    seen: dict[str, float] = {}
    signs: dict[str, Callable[[], bool]] = {
        "working": lambda: run.new("/.lock"),
        "first": lambda: run.blocks_done() > 0,
        "all": lambda: run.blocks_done() == blocks,
        "writing": lambda: run.new(WRITING),
        "ranked": lambda: run.new(RANKED),
        "recorded": lambda: run.new(RECORDED),
    }
    while process.poll() is None:
        for name, sign in signs.items():
            if name not in seen and sign():
                seen[name] = run.elapsed()
        time.sleep(0.001)
    whole = run.elapsed()
    if process.returncode != 0:
        raise SystemExit(f"the undisturbed run ended with {process.returncode}")
    ranked = seen.get("ranked", whole)
    return Timing(
        working=seen["working"],
        first_block=seen["first"],
        all_blocks=seen["all"],
        whole=whole,
        run_file=max(ranked - seen.get("writing", ranked), 0.01),
        record=max(seen.get("recorded", whole) - ranked, 0.002),
    )


@dataclass
class Moment:
    """When to kill: as soon as `reached` is true, and then `delay` seconds later."""

    words: str
    reached: Callable[[], bool]
    delay: float


def moments(
    run: Run, kills: int, blocks: int, timing: Timing, chance: random.Random
) -> list[Moment]:
    """Random moments in the order of a run. A run that starts again has less to do, so a moment is
    tied to what is done already, and random from there on."""
    late = max(1, round(kills * 0.3)) if kills > 1 else 0
    block_s = max(timing.all_blocks - timing.working, 0.1) / blocks
    found = []
    for at in sorted(chance.uniform(-1, blocks) for _ in range(kills - late)):
        if at < 0:
            delay = chance.uniform(0, timing.first_block)
            found.append(Moment("start", lambda: True, delay))
        else:
            reached = _working(run, timing, int(at))
            found.append(Moment(f"{int(at)} blocks", reached, chance.uniform(0, block_s)))
    end_s = timing.whole - timing.all_blocks
    phases = [
        Moment("run file begun", lambda: run.new(WRITING), chance.uniform(0, timing.run_file)),
        Moment("run file there", lambda: run.new(RANKED), chance.uniform(0, timing.record)),
        Moment("all blocks", _working(run, timing, blocks), chance.uniform(0, end_s)),
    ]
    return found + [phases[number % len(phases)] for number in range(late)]


def _working(run: Run, timing: Timing, blocks: int) -> Callable[[], bool]:
    """So many blocks are done, and the program has started up."""
    return lambda: run.blocks_done() >= blocks and run.elapsed() >= 0.9 * timing.working


def kill_once(run: Run, moment: Moment) -> tuple[float, bool]:
    """Start the run and kill it at the moment; seconds, and whether it was still running."""
    process = run.start()
    while process.poll() is None and not moment.reached():
        time.sleep(0.0005)
    until = run.elapsed() + moment.delay
    while process.poll() is None and run.elapsed() < until:
        time.sleep(0.0005)
    seconds = run.elapsed()
    running = process.poll() is None
    if running:
        process.send_signal(signal.SIGKILL)
    process.wait()
    if not running and process.returncode != 0:
        raise SystemExit(f"the run ended by itself with {process.returncode}")
    return seconds, running


def damaged(run: Run, reference: Run) -> list[str]:
    """Files that have a final name and are not whole."""
    from gtr_beir.errors import GtrBeirError
    from gtr_beir.files import read_json
    from gtr_beir.records import Record
    from gtr_beir.work.store import array_digest

    wrong: list[str] = []
    # Read here and not by the program's own store, which would clear away what a kill left.
    for block in (run.folder / "blocks").glob("[!.]*"):
        try:
            for name, digest in read_json(block / "block.json").items():
                if array_digest(np.load(block / f"{name}.npy", allow_pickle=False)) != digest:
                    wrong.append(f"{block / name} has changed since it was written")
        except (GtrBeirError, OSError, ValueError) as error:
            wrong.append(f"{block} is not whole ({error})")
    for name in ("run.trec.gz", "queries.csv"):
        path = run.folder / name
        if path.is_file() and path.read_bytes() != (reference.folder / name).read_bytes():
            wrong.append(f"{path} is not as it should be")
    if (run.folder / "record.json").is_file():
        try:
            Record.read(run.folder)
        except GtrBeirError as error:
            wrong.append(str(error))
    return wrong


def differences(run: Run, reference: Run) -> list[str]:
    """What of the finished run is not as in the undisturbed one."""
    from gtr_beir.records import Record

    wrong = [
        f"{name} has other bytes"
        for name in ("run.trec.gz", "queries.csv")
        if (run.folder / name).read_bytes() != (reference.folder / name).read_bytes()
    ]
    records = [Record.read(one.folder) for one in (run, reference)]
    wrong += [
        f"the record's {field} differ"
        for field in ("measures", "fingerprints", "settings", "n_queries", "depth", "key")
        if getattr(records[0], field) != getattr(records[1], field)
    ]
    left = [*run.folder.rglob(".tmp-*"), *run.folder.glob("staged")]
    return wrong + [f"{path} was left behind" for path in left]


def kill_all(killed: Run, reference: Run, plan: list[Moment], blocks: int) -> list[str]:
    """A start and a kill for each moment, a line for each; returns what was damaged."""
    wrong: list[str] = []
    outcome = {"run.trec.gz": "run file", "queries.csv": "per query", "record.json": "record"}
    number = missed = 0
    while number < len(plan):
        moment = plan[number]
        seconds, was_running = kill_once(killed, moment)
        if not was_running:
            # It was done before the moment came: forget the end of it, and aim earlier.
            missed += 1
            if missed > 20:
                raise SystemExit(f"no kill hit the moment '{moment.words}'")
            moment.delay /= 2
            for file in outcome:
                (killed.folder / file).unlink()
            continue
        number += 1
        there = [words for file, words in outcome.items() if (killed.folder / file).is_file()]
        print(
            f"| {number} | {moment.words} + {moment.delay:.3f} s | {seconds:.2f} | "
            f"{killed.blocks_done()} of {blocks} | {', '.join(there) or 'none'} | "
            f"{len(list(killed.folder.rglob('.tmp-*')))} |",
            flush=True,
        )
        wrong += damaged(killed, reference)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--documents", type=int, help="only so many documents, for development")
    options = parser.parse_args()
    require_folder(options.source)
    from gtr_beir.data.importing import import_beir

    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = cut_folder(options.source, scratch / "cut", options.documents)
        dataset_name = "scifact-cut" if options.documents else "scifact"
        dataset = import_beir(folder, name=dataset_name, datasets_dir=scratch / "datasets")
        blocks = -(-dataset.n_documents // BLOCK_DOCUMENTS)
        quiet = Run(scratch / "quiet", scratch / "datasets", dataset_name)
        killed = Run(scratch / "killed", scratch / "datasets", dataset_name)
        print(f"{machine_line()}; {dataset.n_documents:,} documents, {blocks} blocks", flush=True)
        timing = undisturbed(quiet, blocks)
        print(
            f"undisturbed: at work after {timing.working:.1f} s, first block "
            f"{timing.first_block:.1f} s, all blocks {timing.all_blocks:.1f} s, done "
            f"{timing.whole:.1f} s (run file {timing.run_file:.2f} s, record {timing.record:.3f} s)"
            "\n\n"
            "| kill | when | seconds since start | blocks done | final files | temporary names |\n"
            "|---|---|---|---|---|---|",
            flush=True,
        )
        plan = moments(killed, options.kills, blocks, timing, random.Random(options.seed))
        try:
            failures = kill_all(killed, quiet, plan, blocks)
            start = time.perf_counter()
            if (code := killed.start().wait()) != 0:
                raise SystemExit(f"the last run ended with {code}")
            print(f"\nlast start: done after {time.perf_counter() - start:.1f} s")
            failures += differences(killed, quiet)
        finally:
            if killed.process is not None:
                killed.process.kill()
    for failure in failures:
        print(failure)
    print(
        f"{options.kills} kills: "
        + (
            f"FAILED, {len(failures)} findings above"
            if failures
            else "run file, per-query file and scores are the same bytes, nothing was left behind"
        )
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
