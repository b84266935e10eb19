"""What can be removed because no record needs it.

Blocks of a result (vectors and rankings) are there so that an interrupted run can go on; a whole
record does not need them. An index of BM25 is needed as long as its dataset's text and the analyser
are those that it was made of.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gtr_beir.data.store import Dataset, names_here
from gtr_beir.errors import GtrBeirError
from gtr_beir.files import Lock
from gtr_beir.kept import BLOCKS, LOCK, whole_record
from gtr_beir.records import RECORD
from gtr_beir.systems.bm25_index import INDEX, index_keys


@dataclass(frozen=True)
class Unneeded:
    """A folder that can go. lock: the file to be held meanwhile, None where nothing is at work."""

    path: Path
    why: str
    lock: Path | None = None

    @property
    def size(self) -> int:
        """Bytes of its files."""
        files = [path for path in self.path.rglob("*") if path.is_file()]
        found = 0
        for path in files:
            with contextlib.suppress(OSError):
                found += path.stat().st_size
        return found

    def remove(self) -> bool:
        """False: a run is at work there, so it stays."""
        if self.lock is None:
            shutil.rmtree(self.path, ignore_errors=True)
            return True
        held = Lock(self.lock)
        try:
            if not held.take(wait=False):
                return False
            shutil.rmtree(self.path, ignore_errors=True)
        finally:
            held.release()
        return True


def unneeded(results_dir: Path, datasets_dir: Path) -> Iterator[Unneeded]:
    """What no record needs, in a results folder and beside the datasets."""
    for blocks in sorted(results_dir.rglob(BLOCKS)):
        folder = blocks.parent
        if blocks.is_dir() and (folder / RECORD).is_file() and whole_record(folder):
            yield Unneeded(blocks, "its record is whole", folder / LOCK)
    for name in names_here(datasets_dir):
        try:
            dataset = Dataset(datasets_dir / name)
            needed = index_keys(dataset)
        except GtrBeirError:  # damaged: that is not for this command to say
            continue
        index = dataset.path / INDEX
        for segment in sorted(index.glob("[!.]*")) if index.is_dir() else ():
            if segment.is_dir() and segment.name not in needed:
                yield Unneeded(segment, "an index of another text or another version")
