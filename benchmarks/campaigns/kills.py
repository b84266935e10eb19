"""SIGKILL at random moments of every kind of work, then the same command again: the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
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


class Scene:
    """A kind of work. before: what is there when it begins; command: what is killed; digest: of
    what it leaves."""

    def __init__(
        self, before: World, command: Sequence[str | Path], digest: Callable[[World], str]
    ):
        self.before, self.command, self.digest = before, command, digest
        self.seconds, self.right = 0.0, ""


def scenes(scratch: Path, draw: random.Random) -> dict[str, Scene]:
    """Import, re-import, index, dense search, ColBERT, a run anew, the board, two processes."""
    source = write_source(scratch / "source", 5000, 60, draw)
    small = write_source(scratch / "small", 400, 30, draw)
    empty, begun, done = (World(scratch / name) for name in ("empty", "begun", "done"))
    for world in (begun, done):
        world.must("datasets", "import", source, "--name", "k")
        world.must("datasets", "import", small, "--name", "s")
    for command in searches("s").values():
        done.must(*command)
    dense = ("run", GTR, "--label", "toy", "-d", "k", "-q", "--block-documents", "1024")
    two = ("--device", "cpu,cpu")
    late = searches("s")["late"]
    again = (*searches("s")["toy"], "--again")
    index = ("run", "bm25-flat", "-d", "k", "-q", "--processes", "2")
    return {
        "import": Scene(empty, ("datasets", "import", source, "--name", "k"), _dataset),
        "import --again": Scene(
            begun, ("datasets", "import", source, "--name", "k", "--again"), _dataset
        ),
        "index": Scene(begun, index, lambda w: digest_of_result(w.results / "bm25-flat/k")),
        "dense": Scene(
            begun, (*dense, "--device", "cpu"), lambda w: digest_of_result(w.results / "toy/k")
        ),
        "dense, 2 processes": Scene(
            begun, (*dense, *two), lambda w: digest_of_result(w.results / "toy/k")
        ),
        "ColBERT": Scene(begun, late, lambda w: digest_of_result(w.results / "late/s")),
        "run --again": Scene(done, again, lambda w: digest_of_result(w.results / "toy/s")),
        "board": Scene(done, ("leaderboard",), _board),
    }


def _dataset(world: World) -> str:
    return digest_of_dataset(world.datasets / "k")


def _board(world: World) -> str:
    path = world.results / "leaderboard.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def run(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """Each scene in turn, killed one to three times and then let be."""
    tally = Tally()
    known = scenes(scratch, draw)
    known = {name: known[name] for name in draw.sample(list(known), min(len(known), trials // 2))}
    for name, scene in known.items():
        world = _copy(scene.before, scratch / "work")
        ended = world.must(*scene.command)
        scene.seconds, scene.right = ended.seconds, scene.digest(world)
        tally.notes.append(f"{name} {ended.seconds:.1f} s")
    while tally.trials < trials:
        for name, scene in known.items():
            world = _copy(scene.before, scratch / "work")
            for _ in range(draw.randrange(1, 4)):
                if tally.trials == trials:
                    break
                _kill(tally, name, scene, world, draw)
            ended = world.do(*scene.command)
            if tally.fault(f"after kills, {name}", ended):
                continue
            if ended.code != 0:
                tally.other.append(f"{name} ends with {ended.code} after kills: {ended.err[-300:]}")
            elif scene.digest(world) != scene.right:
                tally.other.append(f"{name}: other bytes after kills")
            else:
                tally.right += 1
            tally.halves += [f"{name}: {path}" for path in left_over(world.folder)]
    return tally


def _kill(tally: Tally, name: str, scene: Scene, world: World, draw: random.Random) -> None:
    delay = draw.uniform(0, scene.seconds)

    def kill(number: int) -> None:
        time.sleep(delay)
        try:
            os.killpg(number, signal.SIGKILL)
        except ProcessLookupError:
            return

    ended: Ended = world.do(*scene.command, meanwhile=kill)
    tally.trials += 1
    tally.fault(name, ended)
    tally.halves += [f"{name} at {delay:.2f} s: {each}" for each in not_whole(world)]
    if name in ("import --again", "run --again", "board") and not scene.digest(world):
        # What was there before is there, or what takes its place: or the next start finds it.
        follows = world.do("datasets", "check", "k")
        if name == "import --again" and follows.code != 0:
            tally.other.append(f"{name} at {delay:.2f} s: the dataset that was there is gone")


def _copy(world: World, place: Path) -> World:
    shutil.rmtree(place, ignore_errors=True)
    if world.folder.is_dir():
        shutil.copytree(world.folder, place, symlinks=True)
    place.mkdir(exist_ok=True)
    return World(place)
