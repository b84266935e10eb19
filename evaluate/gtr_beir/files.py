"""Atomic writes and locks: a final name means a finished file or folder.

Whatever is written goes to a temporary name in the same folder (it starts with `.tmp-`), is
flushed to disk, and is renamed. A process that is killed leaves at most a temporary name behind,
which no reader looks at and `remove_leftovers` deletes.

What a dead process left is told from what a living one is writing by a lock of the kernel (flock)
on the temporary file or folder itself. It ends with its owner, however that ends, and it is seen by
other containers at work on the same folder, which a process number is not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from gtr_beir.errors import StoreError

TEMPORARY_PREFIX = ".tmp-"
_REPLACED_PREFIX = ".old-"
_REPLACED = re.compile(rf"{re.escape(_REPLACED_PREFIX)}[0-9a-f]{{12}}-(.+)", re.DOTALL)
_TEMPORARY = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}([0-9]+-)?[0-9a-f]{{8,12}}-.+", re.DOTALL)
"""As `_beside` makes them; those of 0.1 have a number first."""
_LONG_AGO = 7 * 24 * 3600.0
"""Seconds after which an untouched leftover counts as dead on a file system without locks."""
_NAME_IS_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


@contextlib.contextmanager
def atomic_write(final: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that becomes `final` if the block ends without an exception."""
    # Outermost, so that a disk that is full when the file is closed is explained as well.
    with explained(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary, handle = _new_file(final, mode)
        # Renamed before it is closed: closing ends the lock, and with it the file's safety.
        with handle:
            try:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
                temporary.replace(final)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    sync_folder(final.parent)


@contextlib.contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """A temporary folder that becomes `final` if the block ends without an exception.

    A folder that already stands under the final name is replaced; whoever has its files open or
    mapped keeps them.
    """
    with explained(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = _new_folder(final)
    try:
        with explained(final):
            yield temporary
            sync_folder(temporary)
            _take_name(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        _let_go(descriptor)
    sync_folder(final.parent)


def _beside(final: Path, prefix: str) -> Path:
    """A name beside `final` that no reader looks at and nobody else has or will have."""
    return final.parent / f"{prefix}{uuid.uuid4().hex[:12]}-{final.name}"


def _new_file(final: Path, mode: str) -> tuple[Path, IO[Any]]:
    """A temporary name and its file, open and locked."""
    encoding = None if "b" in mode else "utf-8"
    newline = None if "b" in mode else "\n"
    while True:
        path = _beside(final, TEMPORARY_PREFIX)
        handle = path.open(mode.replace("w", "x"), encoding=encoding, newline=newline)
        if _hold(handle.fileno(), path):
            return path, handle
        handle.close()
        path.unlink(missing_ok=True)


def _new_folder(final: Path) -> tuple[Path, int]:
    """A temporary name and its folder's descriptor, locked."""
    while True:
        path = _beside(final, TEMPORARY_PREFIX)
        path.mkdir()
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # deleted before it could be locked
        if _hold(descriptor, path):
            return path, descriptor
        os.close(descriptor)
        shutil.rmtree(path, ignore_errors=True)


def _hold(descriptor: int, path: Path) -> bool:
    """Lock what was just made at `path`. False if `remove_leftovers` was quicker and took it for a
    leftover: it has the lock, or the name is gone, and another name must be tried."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # no locks on this file system: what is young is left alone there
    return _is_named(descriptor, path)


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether `path` is the name of what is open, and not of nothing or of something newer."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _let_go(descriptor: int) -> None:
    """Unlock and close. A process that was forked meanwhile has the descriptor as well, so closing
    alone would leave the lock to it."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _take_name(temporary: Path, final: Path) -> None:
    """Rename a folder. What has the name already is moved away, under a lock that tells others
    that its replacement is under way, and deleted."""
    while True:
        try:
            temporary.rename(final)
        except OSError as error:
            points_nowhere = final.is_symlink() and not final.exists()
            if error.errno not in _NAME_IS_TAKEN or points_nowhere:
                raise
        else:
            return
        # Whoever has the lock is replacing it, or giving it its name back, and is quick.
        descriptor = _held_when_free(final)
        if descriptor is None:
            continue  # another was quicker: the name is free, or is another folder's now
        try:
            old = _beside(final, _REPLACED_PREFIX)
            final.rename(old)
            try:
                temporary.rename(final)
            except OSError as error:
                if error.errno not in _NAME_IS_TAKEN:
                    old.rename(final)
                    raise
            except BaseException:
                old.rename(final)
                raise
            else:
                _remove(old)
                return
            _remove(old)  # another took the free name: what stands there now is replaced as well
        finally:
            _let_go(descriptor)


def _held_when_free(path: Path) -> int | None:
    """A descriptor of what `path` names, locked after all others; None if it names that no more."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with contextlib.suppress(OSError):  # no locks on this file system
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if _is_named(descriptor, path):
        return descriptor
    _let_go(descriptor)
    return None


def remove_folder(path: Path) -> None:
    """Delete a folder that others may look for: they find it whole or not at all."""
    old = _beside(path, TEMPORARY_PREFIX)
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
        _remove(old)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary names in `folder` whose writer is dead; give a folder its name back
    whose replacement was killed in between.

    On a file system without locks nobody knows who is dead: what was touched within a week is left.
    """
    if not folder.is_dir():
        return
    replaced = []
    for path in list(folder.iterdir()):
        if _TEMPORARY.fullmatch(path.name):
            with _claimed(path) as dead:
                if dead:
                    _remove(path)
        elif given := _REPLACED.fullmatch(path.name):
            with contextlib.suppress(OSError):
                replaced.append((path.lstat().st_ctime_ns, path, given[1]))
    under_way = set()
    # The newest first: an older one of the same name is what that one had replaced.
    for _, path, name in sorted(replaced, reverse=True):
        with _claimed(path) as dead:
            if not dead:
                under_way.add(name)
            elif name in under_way or not _give_back(path, folder / name):
                _remove(path)


def _give_back(path: Path, final: Path) -> bool:
    """Give a folder its final name, if nothing has it."""
    if final.exists():
        return False
    try:
        path.rename(final)
    except OSError as error:
        if error.errno not in _NAME_IS_TAKEN:
            raise
        return False
    return True


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether what `path` names has no living owner; until the block ends it cannot get one."""
    try:
        # Some network file systems lock a file exclusively only for those who may write it.
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:  # gone by now, or not ours to touch
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            dead = True
        except BlockingIOError:
            dead = False
        except OSError:
            dead = _is_old(path)
        yield dead and _is_named(descriptor, path)
    finally:
        _let_go(descriptor)


def _is_old(path: Path) -> bool:
    """Whether nothing of a file or folder was written, made or renamed for a long time."""
    limit = time.time() - _LONG_AGO
    try:
        for each in (path, *path.rglob("*")):
            entry = each.lstat()
            if max(entry.st_mtime, entry.st_ctime) > limit:
                return False
    except OSError:  # somebody is at work in it
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"the disk is full while writing {target}; free some space and run the same "
                "command again to continue where it stopped"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"no permission to write {target}; choose another folder with --results-dir, "
                "--datasets-dir or -o"
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
            raise StoreError(
                f"{target} cannot be written ({error.strerror}); choose another place"
            ) from error
        raise


def results_folder(given: Path | str | None = None) -> Path:
    """`given`, else $GTR_BEIR_RESULTS, else results in the current folder."""
    return Path(given or os.environ.get("GTR_BEIR_RESULTS") or "results")


def sync_file(path: Path) -> None:
    """Flush a file that some library wrote, so that a rename cannot outrun its bytes."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Flush the names of a folder; on file systems that cannot, nothing is lost but the promise."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Lock:
    """A lock of the kernel (flock) on a file, exclusive or shared: it ends with `release`, or with
    the process, however that ends."""

    def __init__(self, path: Path, *, shared: bool = False):
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = path.open("a+b")
        self._path = path
        self._how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self.why_none = ""
        """Why nobody waits here, in a sentence; "" where locks work."""

    def take(self, *, wait: bool) -> bool:
        """False: somebody else has it. On a file system without locks it is always had."""
        try:
            fcntl.flock(self._handle, self._how | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError as error:
            self.why_none = (
                f"the file system of {self._path.parent} has no locks ({error.strerror}); let only "
                "one process at a time work there"
            )
        return True

    def release(self) -> None:
        self._handle.close()


@contextlib.contextmanager
def lock(
    path: Path, *, say: Callable[[str], None] | None = None, shared: bool = False
) -> Iterator[bool]:
    """Hold a lock; another process waits, and says so once. Yields True if it waited.

    shared: with others that hold it so. On a file system without locks the work goes on, and `say`
    is told that nobody waits there.
    """
    held = Lock(path, shared=shared)
    try:
        waited = not held.take(wait=False)
        if waited:
            if say is not None:
                say(f"another process is working on {path.stem}; waiting for it")
            held.take(wait=True)
        if held.why_none and say is not None:
            say(held.why_none)
        yield waited
    finally:
        held.release()


def write_json(path: Path, value: Any) -> None:
    with atomic_write(path, "w") as handle:
        json.dump(value, handle, indent=1, ensure_ascii=False, sort_keys=False)
        handle.write("\n")


LARGEST_JSON = 1 << 26
"""Bytes; ours have some kB, and the largest of a checkpoint, an index of its shards, hundreds."""


def read_json(path: Path, *, most: int = LARGEST_JSON) -> Any:
    """The JSON in `path`; StoreError if it is not there, broken, or of more than `most` bytes."""
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device would be read for ever.
            raise StoreError(f"{path} is not a file; delete it and run again")
        with path.open("rb") as handle:
            data = handle.read(most + 1)
        if len(data) > most:
            raise StoreError(
                f"{path} is larger than {most:,} bytes, which no such file is; delete it and run "
                "again"
            )
        return json.loads(data.decode("utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} is missing") from None
    except RecursionError:
        raise StoreError(f"{path} is damaged (nested too deep); delete it and run again") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete it and run again") from error
