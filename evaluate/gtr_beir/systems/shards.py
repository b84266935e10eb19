"""Notes of shards: what decided the keys of the blocks that a shard did.

A run that merges finds blocks by their keys. Where one is not there, the notes tell why: the shard
did not run, it did not end, or it ran with something else than the run has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gtr_beir.errors import StoreError
from gtr_beir.files import read_json, write_json
from gtr_beir.systems.base import Shard

NOTES = "shards"
"""The folder of notes, beside the blocks."""


def write_note(folder: Path, shard: Shard, deciding: Mapping[str, Any]) -> None:
    write_json(folder / f"{shard.number}-of-{shard.count}.json", dict(deciding))


def why_missing(
    missing: Sequence[int], blocks: int, deciding: Mapping[str, Any], folder: Path
) -> Iterator[str]:
    """Sentences on blocks, by number, that the shards have not left; none where no shard ran.

    deciding: what decides the keys of the run that merges.
    """
    notes = dict(_notes(folder))
    if not missing or not notes:
        return
    count = max(shard.count for shard in notes)
    yield f"{len(missing)} of {blocks} blocks are to be done here:"
    for number in range(count):
        lost = sum(block % count == number for block in missing)
        if lost:
            shard = Shard(number, count)
            yield f"  {lost} of shard {shard}, which {_why(notes.get(shard), deciding)}"


def _why(note: Mapping[str, Any] | None, deciding: Mapping[str, Any]) -> str:
    if note is None:
        return "has not run"
    for name, there, here in _differences(note, deciding):
        return f"had another {name} ({there} there, {here} here)"
    return "has not done them"


def _differences(note: Mapping[str, Any], deciding: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """What a shard had otherwise, as (name, there, here); hashes of queries last, since they follow
    from all the rest."""
    here, there = _flat(deciding), _flat(note)
    for name in sorted({**here, **there}, key="encoded queries".__eq__):
        if here.get(name) != there.get(name):
            yield name, _short(there.get(name)), _short(here.get(name))


def _flat(items: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in items.items():
        found |= value if isinstance(value, dict) else {name: value}
    return found


def _short(value: Any) -> str:
    """A hash by its beginning."""
    text = "none" if value in (None, "") else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."


def _notes(folder: Path) -> Iterator[tuple[Shard, Mapping[str, Any]]]:
    """What can be read; a damaged note explains nothing."""
    for path in sorted(folder.glob("*-of-*.json")) if folder.is_dir() else []:
        number, _, count = path.stem.partition("-of-")
        try:
            note = read_json(path)
        except StoreError:
            continue
        if number.isdecimal() and count.isdecimal() and isinstance(note, dict):
            yield Shard(int(number), int(count)), note
