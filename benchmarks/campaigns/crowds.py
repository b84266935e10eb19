"""Several processes on one store, each in a process namespace of its own (root); little memory; and
how much of a long run is done again after a kill."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from campaigns.trial import Ended, Tally
from campaigns.world import (
    GTR,
    World,
    digest_of_dataset,
    digest_of_result,
    left_over,
    not_whole,
    searches,
    write_source,
)
from measure import OFFLINE, SCIFACT

TOGETHER = 4
SEARCHES = ("bm25-flat", "toy")
MEMORY = 2 << 30
DOCUMENTS = 300_000
MOST_REDONE = 35.0


def run(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """The whole way of a dataset by up to four processes at once, whose numbers and signals do not
    reach each other. trials: ways in all."""
    tally = Tally()
    if os.getuid() != 0:
        tally.notes.append("left out: only root can make namespaces")
        return tally
    source = write_source(scratch / "source", 1100, 30, draw)
    steps = [
        ("datasets", "import", str(source), "--name", "d"),
        *(searches("d")[name] for name in SEARCHES),
        ("leaderboard",),
    ]
    alone = World(scratch / "alone")
    for step in steps:
        alone.must(*step)
    for _ in range(max(1, trials // TOGETHER)):
        world = World(scratch / "shared")
        shutil.rmtree(world.folder, ignore_errors=True)
        for step in steps:
            for ended in _at_once(world, step, min(trials, TOGETHER)):
                tally.trials += 1
                what = " ".join(map(str, step))[:70]
                if tally.fault(what, ended):
                    continue
                if ended.code == 0:
                    tally.right += 1
                else:
                    tally.other.append(f"{what}: {ended.code}, {ended.err[-300:]}")
        for name in SEARCHES:
            if digest_of_result(world.results / name / "d") != digest_of_result(
                alone.results / name / "d"
            ):
                tally.other.append(f"{name}: other bytes than alone")
        if digest_of_dataset(world.datasets / "d") != digest_of_dataset(alone.datasets / "d"):
            tally.other.append("another dataset than alone")
        tally.halves += [str(path) for path in left_over(world.folder)]
        tally.halves += list(not_whole(world))
    return tally


def _at_once(world: World, step: tuple[str, ...], count: int) -> list[Ended]:
    where = ["--datasets-dir", str(world.datasets)]
    if step[0] != "datasets":
        where += ["--results-dir", str(world.results)]
    command = [*("unshare", "--pid", "--fork", "--mount-proc"), sys.executable, "-m", "gtr_beir"]
    start = time.perf_counter()
    started = [_started([*command, *step, *where]) for _ in range(count)]
    return [_ended(process, start, 240.0) for process in started]


def _started(command: list[str], **how: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command,
        env={**os.environ, **OFFLINE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **how,
    )


def _ended(process: subprocess.Popen[str], start: float, limit: float) -> Ended:
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return Ended(None, out, err, time.perf_counter() - start)
    return Ended(process.returncode, out, err, time.perf_counter() - start)


def memory(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """Import, index and an exact search of many documents where no more than 2 GB of memory can be
    had (data, not mapped files): done, or a sentence."""
    del trials
    tally = Tally()
    documents = int(os.environ.get("GTR_BEIR_FAULTS_DOCUMENTS", DOCUMENTS))
    source = write_source(scratch / "source", documents, 200, draw)
    world = World(scratch / "world")
    where = ["--datasets-dir", str(world.datasets)]
    on = ("-d", "d", "-q", "--offline", *where, "--results-dir", str(world.results))
    dense = ("run", GTR, "--label", "toy", "--device", "cpu", "--discard-embeddings", *on)
    for step in (
        ("datasets", "import", str(source), "--name", "d", *where),
        ("run", "bm25-flat", "--processes", "2", *on),
        dense,
    ):
        start = time.perf_counter()
        process = _started([sys.executable, "-m", "gtr_beir", *step], preexec_fn=_limited)
        ended = _ended(process, start, 900.0)
        tally.trials += 1
        what = " ".join(step)[:40]
        tally.notes.append(f"{what}: {ended.code} after {ended.seconds:.0f} s")
        tally.count(what, ended)
    tally.halves += [str(path) for path in left_over(world.folder)]
    return tally


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def resume(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """A slow encoder on SciFact in one block, killed at half of its work: what is done again."""
    from gtr_beir.checkpoints.convert import write_folder
    from gtr_beir.checkpoints.layout import GtrShape
    from gtr_beir.checkpoints.tokenizer import open_tokenizer
    from gtr_beir.checkpoints.untrained import UntrainedArrays
    from gtr_beir.demo import CHECKPOINT_DIR

    del draw
    tally = Tally()
    if not SCIFACT.is_dir():
        tally.notes.append(f"left out: SciFact is not in {SCIFACT}")
        return tally
    layers = int(os.environ.get("GTR_BEIR_FAULTS_LAYERS", 1))
    shape = GtrShape(layers, 768, 12, 64, 3072)
    slow = scratch / "slow"
    write_folder(UntrainedArrays(shape), open_tokenizer(CHECKPOINT_DIR), slow, own_length=512)
    world = World(scratch / "world")
    world.must("datasets", "import", SCIFACT, "--name", "scifact")
    for name, checkpoint in (("toy", GTR), ("slow", str(slow)))[: 1 + trials]:
        command = [
            *(sys.executable, "-m", "gtr_beir", "run", checkpoint, "-d", "scifact", "--offline"),
            *("--label", name, "--device", "cpu", "--block-documents", "65536"),
            *("--datasets-dir", str(world.datasets)),
        ]
        calm, killed = scratch / "calm", scratch / "killed"
        start = time.perf_counter()
        whole = _ended(_started([*command, "--results-dir", str(calm)]), start, 3000.0)
        if whole.code != 0:
            raise SystemExit(whole.err)
        process = _started([*command, "--results-dir", str(killed)])
        time.sleep(whole.seconds / 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        start = time.perf_counter()
        again = _ended(_started([*command, "--results-dir", str(killed)]), start, 3000.0)
        tally.trials += 1
        if tally.fault(name, again):
            continue
        if again.code != 0:
            tally.other.append(f"{name}: {again.err[-300:]}")
            continue
        record = json.loads((calm / name / "scifact/record.json").read_bytes())
        pace = record["n_documents"] / record["facts"]["seconds"]["encode"]
        found = re.search(r"([\d,]+) were there already", again.err)
        kept = int(found[1].replace(",", "")) if found else 0
        # All that was done before the kill and is not there.
        half = record["n_documents"] / 2
        redone = max(0.0, half - kept) / pace
        tally.notes.append(
            f"{name}: {record['n_documents']} documents in {whole.seconds:.0f} s, killed at "
            f"{whole.seconds / 2:.0f} s: {kept} were there, {redone:.1f} s of encoding again; "
            f"the second run took {again.seconds:.0f} s"
        )
        if redone > MOST_REDONE:
            tally.other.append(f"{name}: {redone:.0f} s of work were done again")
        same = {digest_of_result(place / name / "scifact") for place in (calm, killed)}
        if len(same) > 1:
            tally.other.append(f"{name}: other bytes after the kill")
        else:
            tally.right += 1
    return tally
