"""Folders that are sent to nodes: their files, and a hash over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gtr_beir.digests import Digest, hash_file

PART = 32 << 20
"""Bytes of a file that are sent at a time."""


@dataclass(frozen=True)
class Folder:
    """A folder of this machine. files: relative paths and sizes, in order; digest: SHA-256 over
    paths and contents."""

    path: Path
    files: tuple[tuple[str, int], ...]
    digest: str

    @staticmethod
    def of(path: Path) -> Folder:
        """Reads every byte."""
        found = sorted(part for part in path.rglob("*") if part.is_file())
        files = tuple((str(part.relative_to(path)), part.stat().st_size) for part in found)
        return Folder(path, files, digest_of(path, files))

    def parts(self) -> Iterator[tuple[str, int, int]]:
        """Name of a file, where a part of it begins and ends."""
        for name, size in self.files:
            for start in range(0, max(size, 1), PART):
                yield name, start, min(start + PART, size)

    def read(self, name: str, start: int, stop: int) -> bytes:
        with (self.path / name).open("rb") as handle:
            handle.seek(start)
            return handle.read(stop - start)


def digest_of(folder: Path, files: Sequence[tuple[str, int]]) -> str:
    """Of these files in a folder; OSError for one that is not there."""
    whole = Digest()
    for name, _ in files:
        whole.add(name).add(hash_file(folder / name))
    return whole.hex()
