"""Stored files with other bytes: every command gives what it gave before, or says which file it is
that it does not believe."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from campaigns.trial import Ended, Tally
from campaigns.world import World, digest_of_result, searches, write_source

BLOCK = 4096


def commands() -> dict[str, Sequence[str]]:
    """What is tried on a damaged world, by what it leaves."""
    found = dict(searches("d"))
    found |= {f"{name} --again": (*command, "--again") for name, command in found.items()}
    found["leaderboard"] = ("leaderboard", "--format", "csv")
    found["compare"] = ("compare", "results/bm25-flat", "results/toy", "--format", "json")
    found["score"] = ("score", "results/toy/d/run.trec.gz", "-d", "d", "--json")
    found["inspect"] = ("inspect", "toy", "bm25-flat", "-d", "d", "--format", "md")
    found["check"] = ("datasets", "check", "d")
    return found


def do(world: World, command: Sequence[str]) -> Ended:
    words = [str(world.folder / word) if word.startswith("results/") else word for word in command]
    return world.do(*words)


def outcome(world: World, name: str, ended: Ended) -> str:
    """What a command gave: bytes of a result, or its words."""
    label = name.removesuffix(" --again")
    if label in searches("d"):
        return digest_of_result(world.results / label / "d")
    if name == "leaderboard":
        path = world.results / "leaderboard.csv"
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    return ended.out.replace(str(world.folder), "")


def damage(path: Path, draw: random.Random) -> str:
    """Other bytes, as broken disks, bad copies and power cuts leave them."""
    data = bytearray(path.read_bytes())
    kinds: dict[str, Callable[[], bytes]] = {
        "a flipped bit": lambda: _flipped(data, draw),
        "a zeroed page": lambda: _zeroed(data, draw),
        "cut": lambda: bytes(data[: draw.randrange(len(data) + 1)]),
        "emptied": lambda: b"",
        "longer": lambda: bytes(data) + draw.randbytes(draw.randrange(1, 200)),
        "a changed digit": lambda: _digit(data, draw),
        "other bytes": lambda: draw.randbytes(len(data)),
        "two halves swapped": lambda: bytes(data[len(data) // 2 :] + data[: len(data) // 2]),
    }
    kind = draw.choice(list(kinds))
    changed = kinds[kind]()
    path.write_bytes(changed)
    return kind


def _flipped(data: bytearray, draw: random.Random) -> bytes:
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _zeroed(data: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(max(1, len(data) // BLOCK + 1)) * BLOCK
    stop = min(start + BLOCK, len(data))
    data[start:stop] = bytes(max(0, stop - start))
    return bytes(data)


def _digit(data: bytearray, draw: random.Random) -> bytes:
    places = [at for at, byte in enumerate(data) if chr(byte).isdigit()]
    if places:
        data[draw.choice(places)] = ord(draw.choice("0123456789"))
    return bytes(data)


def run(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """One damaged file a trial, every kind of stored file in turn, and one command."""
    tally = Tally()
    world = World(scratch / "whole")
    source = write_source(scratch / "source", 1200, 40, draw)
    world.must("datasets", "import", source, "--name", "d")
    for command in searches("d").values():
        world.must(*command)
    known = commands()
    right = {}
    for name, command in known.items():
        copy = _copy(world, scratch / "work")
        ended = do(copy, command)
        if ended.code != 0:
            raise SystemExit(f"undisturbed, {name} ended with {ended.code}: {ended.err[-500:]}")
        right[name] = outcome(copy, name, ended)
    kinds: dict[str, list[Path]] = {}
    for path in sorted(world.folder.rglob("*")):
        if path.is_file() and path.stat().st_size and path.suffix != ".lock":
            relative = path.relative_to(world.folder)
            kind = f"{relative.parts[0]}/{'/'.join(relative.parts[3:-1])[:6]}/{path.name}"
            kinds.setdefault(kind, []).append(relative)
    tally.notes.append(f"{len(kinds)} kinds of stored files")
    names, order = list(known), list(kinds)
    while tally.trials < trials:
        copy = _copy(world, scratch / "work")
        target = draw.choice(kinds[order[tally.trials % len(order)]])
        before = (copy.folder / target).read_bytes()
        how = damage(copy.folder / target, draw)
        if (copy.folder / target).read_bytes() == before:
            continue
        tally.trials += 1
        name = draw.choice(names)
        ended = do(copy, known[name])
        what = f"{target}, {how}: {name}"
        # Another result was not right, whatever the exit code said.
        if not tally.count(what, ended) or outcome(copy, name, ended) == right[name]:
            continue
        tally.right -= 1
        if _is_told(target, ended):
            tally.told += 1
        else:
            tally.wrong.append(f"{what}: {ended.err[-200:]!r}")
    return tally


def _is_told(target: Path, ended: Ended) -> bool:
    """Whether the words of a command that went on name what is damaged, or its folder."""
    places = [str(target), *(str(parent) for parent in target.parents if len(parent.parts) > 1)]
    return any(place in ended.err for place in places)


def _copy(world: World, place: Path) -> World:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(world.folder, place, symlinks=True, copy_function=_copied)
    return World(place)


def _copied(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    # As old as the first: what is known by its age stays known.
    state = Path(source).stat()
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
