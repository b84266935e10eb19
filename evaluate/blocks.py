"""Blocks: the unit of work. A block of a corpus is done, or it is not.

What a block yields is stored as a folder of plain arrays under a key that is made of everything
that decides the content. A folder with its final name is whole; what a killed process left has a
temporary name that nobody reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluate.data.columns import UNIT
from evaluate.errors import StoreError, UsageError
from evaluate.files import (
    Digest,
    atomic_folder,
    lock,
    read_json,
    remove_leftovers,
    sync_file,
    write_json,
)

Arrays = Mapping[str, npt.NDArray[Any]]

DEFAULT_BLOCK = 65_536
"""Documents in a block."""
_TICK = 0.5
"""Seconds between two looks at other processes."""


@dataclass(frozen=True)
class Block:
    """Documents start..stop-1 of a corpus; whole units, but for the corpus's end."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def units(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of each unit of the block."""
        for start in range(self.start, self.stop, UNIT):
            yield start, min(start + UNIT, self.stop)


def plan_blocks(n_documents: int, block_documents: int = DEFAULT_BLOCK) -> list[Block]:
    """Cut a corpus into blocks; the size is rounded up to whole units of 1,024 documents."""
    if block_documents < 1:
        raise UsageError(f"a block of {block_documents} documents is not possible; give 1 or more")
    size = -(-block_documents // UNIT) * UNIT
    return [Block(at, min(at + size, n_documents)) for at in range(0, n_documents, size)]


class BlockStore:
    """Results of blocks in one folder, by key.

    `say` is told about waiting for another process and about damage that was found.
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

    def put(self, key: str, arrays: Arrays) -> Arrays:
        """Store arrays under `key`; they are there whole or not at all."""
        with atomic_folder(self._folder / key) as work:
            entries = {}
            for name, array in arrays.items():
                np.save(work / f"{name}.npy", array, allow_pickle=False)
                sync_file(work / f"{name}.npy")
                entries[name] = array_digest(array)
            write_json(work / "block.json", entries)
        return arrays

    def get_or_compute(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """Stored arrays, or `compute()` stored; two processes do not compute the same block."""
        found = self.get(key)
        if found is not None:
            return found
        with lock(self._folder / ".locks" / f"{key}.lock", say=self._say):
            found = self.get(key)
            if found is not None:
                return found
            return self.put(key, compute())


def _read(folder: Path) -> Arrays:
    arrays = {}
    for name, digest in read_json(folder / "block.json").items():
        path = folder / f"{name}.npy"
        try:
            # Copy-on-write: nothing is written, but torch wants arrays that could be.
            array = np.load(path, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise StoreError(f"{path} is damaged ({error})") from error
        if array_digest(array) != digest:
            raise StoreError(f"{path} is damaged (other bytes than were written)")
        arrays[name] = array
    return arrays


def array_digest(array: npt.NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and bytes."""
    contiguous = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{contiguous.dtype.str}{contiguous.shape}".encode())
    digest.update(contiguous.data if contiguous.size else b"")
    return digest.hexdigest()


def in_processes(
    function: Callable[..., None],
    calls: Sequence[tuple[Any, ...]],
    *,
    processes: int,
    done: Callable[[int], None] = lambda _: None,
) -> None:
    """Call `function` with each tuple of arguments, in as many processes; `done(index)` is told of
    each as it ends. A process that dies fails the work instead of hanging it.

    `function` must be a module's own, and whatever it raises is raised here. With one process, or
    one call, it runs in this one.
    """
    if processes <= 1 or len(calls) <= 1:
        for index, arguments in enumerate(calls):
            function(*arguments)
            done(index)
        return
    with beside(function, calls, processes=processes, done=done):
        pass


@contextlib.contextmanager
def beside(
    function: Callable[..., None],
    calls: Sequence[tuple[Any, ...]],
    *,
    processes: int,
    done: Callable[[int], None] = lambda _: None,
    waiting_on: Callable[[], None] = lambda: None,
) -> Iterator[Callable[[], None]]:
    """`in_processes`, while this process does work of its own in the body of the `with`.

    Gives a function that raises what has failed so far; the end of the body waits for the rest, and
    calls `waiting_on` now and then. If the body or a call fails, the processes are stopped.
    """
    workers = min(processes, len(calls))
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=_die_with, initargs=(os.getpid(),)
    ) as pool:
        with _without_main():
            waiting = {pool.submit(function, *arguments): i for i, arguments in enumerate(calls)}

        def look() -> None:
            for future in waiting:
                if future.done():
                    future.result()

        try:
            yield look
            while waiting:
                ended, _ = futures.wait(waiting, _TICK, return_when=futures.FIRST_COMPLETED)
                for future in ended:
                    future.result()
                    done(waiting.pop(future))
                waiting_on()
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise StoreError(
                    "a working process died (was memory short?); run again to go on where it was, "
                    "with fewer --processes or devices"
                ) from error
            raise


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module while workers start: they would run a user's script again, which,
    without a guard, would come here again and wait for its own parent."""
    main = sys.modules["__main__"]
    kept = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    if "__file__" in kept:
        del main.__file__
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


def _die_with(parent: int) -> None:
    """Workers of a killed parent would wait for ever; each looks after it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def content_key(unit_digests: npt.NDArray[np.uint8], block: Block, *parts: str) -> str:
    """The key of a block: its text (by unit digests), where it starts, and `parts`."""
    first, last = block.start // UNIT, -(-block.stop // UNIT)
    digest = Digest().add(np.ascontiguousarray(unit_digests[first:last]).tobytes())
    digest.add(str(block.start))
    for part in parts:
        digest.add(part)
    return digest.hex()[:32]
