"""File systems that are full, have no inodes left, or become read-only in the middle (root)."""

from __future__ import annotations

import functools
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from campaigns.trial import Tally
from campaigns.world import (
    World,
    digest_of_dataset,
    digest_of_result,
    left_over,
    not_whole,
    searches,
    write_source,
)

PAUSE, WAITED = 0.02, 5.0
SEARCHES = ("bm25-flat", "toy")


def run(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """The whole way of a dataset on file systems of random sizes; then with room, the same."""
    tally = Tally()
    if os.getuid() != 0:
        tally.notes.append("left out: only root can mount")
        return tally
    source = write_source(scratch / "source", 1100, 30, draw)
    steps: list[Sequence[str | Path]] = [
        ("datasets", "import", source, "--name", "d"),
        *(searches("d")[name] for name in SEARCHES),
        (*searches("d")["toy"], "--again"),
        ("leaderboard",),
    ]
    roomy = World(scratch / "roomy")
    for step in steps:
        roomy.must(*step)
    right = _digests(roomy)
    kilobytes = sum(path.stat().st_size for path in roomy.folder.rglob("*") if path.is_file()) >> 10
    entries = sum(1 for _ in roomy.folder.rglob("*"))
    tally.notes.append(f"whole: {kilobytes:,} kB, {entries} entries")
    kinds = ("size", "inodes", "read-only")
    while tally.trials < trials:
        kind = kinds[tally.trials % len(kinds)]
        tally.trials += 1
        size = draw.randrange(32, int(kilobytes * 1.2)) if kind == "size" else 1 << 20
        inodes = draw.randrange(4, int(entries * 1.2)) if kind == "inodes" else 1 << 16
        place = scratch / "mounted"
        with _mounted(place, f"size={size}k,nr_inodes={inodes}"):
            world = World(place / "w")
            what = {"size": f"{size} kB", "inodes": f"{inodes} inodes"}.get(kind, kind)
            stopped = draw.randrange(len(steps)) if kind == "read-only" else -1
            for number, step in enumerate(steps):
                meanwhile, there = None, digest_of_result(world.results / "toy/d")
                if number == stopped:
                    delay = draw.uniform(0, 1.0)
                    meanwhile = functools.partial(_read_only, place, delay)
                ended = world.do(*step, meanwhile=meanwhile)
                said = f"{what}, {' '.join(map(str, step))[:60]}"
                tally.count(said, ended)
                if "--again" in step and there == right[-1] and not _is_there(world, right[-1]):
                    tally.other.append(f"{said}: the record that was there is gone")
                tally.halves += [f"{said}: {each}" for each in not_whole(world)]
            _remount(place, "rw,size=1g,nr_inodes=65536")
            for step in steps:
                ended = world.do(*step)
                if not tally.fault(f"with room again after {what}", ended) and ended.code != 0:
                    tally.other.append(f"after {what}: {ended.err[-300:]}")
            if _digests(world) != right:
                tally.other.append(f"{what}: other bytes with room again")
            tally.halves += [f"{what}: {path}" for path in left_over(world.folder)]
    return tally


def _is_there(world: World, right: str) -> bool:
    """Whether a result stands, or waits for the next start to be moved to its place."""
    folder = world.results / "toy/d"
    return digest_of_result(folder) == right or (folder / "staged/record.json").is_file()


def _digests(world: World) -> list[str]:
    found = [digest_of_dataset(world.datasets / "d")]
    return found + [digest_of_result(world.results / name / "d") for name in SEARCHES]


@contextmanager
def _mounted(place: Path, options: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        shutil.rmtree(place, ignore_errors=True)


def _remount(place: Path, options: str) -> bool:
    done = subprocess.run(
        ["mount", "-o", f"remount,{options}", place], check=False, capture_output=True
    )
    return done.returncode == 0


def _read_only(place: Path, delay: float, _: int) -> None:
    """As soon as nobody has a file open for writing."""
    time.sleep(delay)
    until = time.monotonic() + WAITED
    while not _remount(place, "ro") and time.monotonic() < until:
        time.sleep(PAUSE)
