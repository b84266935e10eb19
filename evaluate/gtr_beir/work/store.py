"""The store of finished blocks.

What a block yields is stored as a folder of plain arrays under a key that is made of everything
that decides the content. A folder with its final name is whole; what a killed process left has a
temporary name that nobody reads.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Set
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.errors import StoreError
from gtr_beir.files import (
    Lock,
    atomic_folder,
    lock,
    read_json,
    remove_folder,
    remove_leftovers,
    sync_file,
    write_json,
)
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.parts import DONE, STANDS_FOR_ALL, Parts

PARTS = "parts"
"""Among the blocks, the folder of their parts."""


class BlockStore:
    """Results of blocks in one folder, by key.

    `say` is told about waiting for another process, about damage that was found and, once, about a
    file system without locks.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda _: None):
        self._folder = folder
        self._say = say
        remove_leftovers(folder)

    def get(self, key: str) -> Arrays | None:
        """The arrays stored under `key`, memory-mapped, or None. Damaged ones count as missing."""
        folder = self._folder / key
        if not folder.is_dir():
            return None
        try:
            return _read(folder)
        except StoreError as error:
            self._say(f"{error}; it is computed again")
            return None

    def has(self, key: str) -> bool:
        """Whether something is stored under `key`; its bytes are looked at when it is read."""
        return (self._folder / key / "block.json").is_file()

    def claim(self, key: str) -> Lock | None:
        """The right to make what is stored under `key`; None while another process has it."""
        claim = Lock(self._lock_file(key))
        if not claim.take(wait=False):
            claim.release()
            return None
        return claim

    def _lock_file(self, key: str) -> Path:
        return self._folder / ".locks" / f"{key}.lock"

    def put(self, key: str, arrays: Arrays) -> Arrays:
        """Store arrays under `key`; they are there whole or not at all. What is there whole stays,
        since somebody may be reading it, and is given back."""
        with contextlib.suppress(StoreError):
            return _read(self._folder / key)
        with atomic_folder(self._folder / key) as work:
            entries = {}
            for name, array in arrays.items():
                np.save(work / f"{name}.npy", array, allow_pickle=False)
                sync_file(work / f"{name}.npy")
                entries[name] = array_digest(array)
            write_json(work / "block.json", entries)
        return arrays

    def parts(self, key: str) -> list[Arrays]:
        """Parts of what is not there under `key` yet, in the order in which they were kept."""
        found = (self.get(f"{PARTS}/{key}/{path.name}") for path in self._parts_of(key))
        return [part for part in found if part is not None]

    def keep_part(self, key: str, arrays: Arrays) -> None:
        """Keep a part of what will be under `key`. One that stands for others takes their place."""
        there = self._parts_of(key)
        number = int(there[-1].name) + 1 if there else 0
        self.put(f"{PARTS}/{key}/{number:06d}", arrays)
        for path in there if STANDS_FOR_ALL in arrays else ():
            older = self.get(f"{PARTS}/{key}/{path.name}")
            if older is None or np.isin(older[DONE], arrays[DONE]).all():
                remove_folder(path)

    def remove_others(self, keys: Set[str], kinds: tuple[str, ...]) -> int:
        """Remove what is stored, whole or in parts, under names of these kinds (what they begin
        with) that are not among `keys`; returns how many bytes it had."""
        freed = 0
        for place in (self._folder, self._folder / PARTS):
            for path in place.glob("[!.]*") if place.is_dir() else ():
                if path.name.startswith(kinds) and path.name not in keys:
                    freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                    remove_folder(path)
        return freed

    def forget_parts(self, key: str) -> None:
        """What is under `key` is whole."""
        if (self._folder / PARTS / key).is_dir():
            remove_folder(self._folder / PARTS / key)

    def _parts_of(self, key: str) -> list[Path]:
        return sorted((self._folder / PARTS / key).glob("[0-9]*"))

    def by_parts(self, key: str, compute: Callable[[Parts], Arrays]) -> Arrays:
        """`get_or_compute` of what takes long: `compute` keeps parts, and finds those that it kept
        before."""
        keep = functools.partial(self.keep_part, key)
        found = self.get_or_compute(key, lambda: compute(Parts(self.parts(key), keep)))
        self.forget_parts(key)
        return found

    def get_or_compute(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """Stored arrays, or `compute()` stored; two processes do not compute the same block."""
        found = self.get(key)
        if found is not None:
            return found
        with lock(self._lock_file(key), say=self._say):
            found = self.get(key)
            if found is not None:
                return found
            return self.put(key, compute())


def _read(folder: Path) -> Arrays:
    arrays = {}
    entries = read_json(folder / "block.json")
    stored = {path.stem for path in folder.glob("*.npy")}
    if not isinstance(entries, dict) or set(entries) != stored:
        raise StoreError(f"{folder / 'block.json'} is damaged (it does not name the arrays here)")
    for name, digest in entries.items():
        path = folder / f"{name}.npy"
        try:
            # Copy-on-write: nothing is written, but torch wants arrays that could be.
            array = np.load(path, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise StoreError(f"{path} is damaged ({error})") from error
        if array_digest(array) != digest:
            raise StoreError(f"{path} is damaged (changed since it was written)")
        arrays[name] = array
    return arrays


def array_digest(array: npt.NDArray[np.generic]) -> str:
    """SHA-256 over dtype, shape and bytes."""
    contiguous = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{contiguous.dtype.str}{contiguous.shape}".encode())
    digest.update(contiguous.data if contiguous.size else b"")
    return digest.hexdigest()
