"""Atomic writes, locks and hashes: a final name means a finished file or folder.

Whatever is written goes to a temporary name in the same folder (it starts with `.tmp-`), is
flushed to disk, and is renamed. A process that is killed leaves at most a temporary name behind,
which no reader looks at and `remove_leftovers` deletes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from gtr_beir.errors import StoreError

TEMPORARY_PREFIX = ".tmp-"
_REPLACED_PREFIX = ".old-"


def temporary_name(final: Path) -> Path:
    """A name beside `final` that no reader looks at; it carries the process id of its writer."""
    return final.parent / f"{TEMPORARY_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}-{final.name}"


@contextlib.contextmanager
def atomic_write(final: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that becomes `final` if the block ends without an exception."""
    with explained(final):
        final.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(final)
    encoding = None if "b" in mode else "utf-8"
    newline = None if "b" in mode else "\n"
    try:
        with explained(final), temporary.open(mode, encoding=encoding, newline=newline) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        with explained(final):
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
    temporary = temporary_name(final)
    with explained(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
    try:
        with explained(final):
            yield temporary
            sync_folder(temporary)
            if final.exists():
                old = _replaced(final)
                shutil.rmtree(old, ignore_errors=True)
                final.rename(old)
                try:
                    temporary.rename(final)
                except BaseException:
                    old.rename(final)
                    raise
                shutil.rmtree(old, ignore_errors=True)
            else:
                temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(final.parent)


@contextlib.contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"the disk is full while writing {target}; free some space and run the same "
                "command again, it goes on where it stopped"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"no permission to write {target}; choose another folder with --results-dir or "
                "--datasets-dir"
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
            raise StoreError(
                f"{target} cannot be written ({error.strerror}); choose another place"
            ) from error
        raise


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


def _replaced(final: Path) -> Path:
    """Where a folder lies for the moment in which it is replaced."""
    return final.parent / f"{_REPLACED_PREFIX}{final.name}"


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary names in `folder` whose writer is no longer running; give a folder its
    name back whose replacement was killed in between."""
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        if path.name.startswith(_REPLACED_PREFIX):
            final = folder / path.name[len(_REPLACED_PREFIX) :]
            if final.exists():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.rename(final)
            continue
        if not path.name.startswith(TEMPORARY_PREFIX):
            continue
        owner = path.name[len(TEMPORARY_PREFIX) :].split("-", 1)[0]
        if owner.isdigit() and int(owner) != os.getpid() and not _is_running(int(owner)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def lock(path: Path, *, say: Callable[[str], None] | None = None) -> Iterator[bool]:
    """Hold an exclusive lock; a second process waits, and says so once. Yields True if it waited.

    The lock is the kernel's (flock): it ends with the process, however that ends.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+b")
    with handle:
        waited = False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if say is not None:
                say(f"another process is working on {path.stem}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
            waited = True
        yield waited


class Digest:
    """SHA-256 over labelled parts; each part's length goes in, so parts cannot run together."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()

    def add(self, part: bytes | str) -> Digest:
        data = part.encode("utf-8") if isinstance(part, str) else part
        self._state.update(len(data).to_bytes(8, "little"))
        self._state.update(data)
        return self

    def hex(self) -> str:
        return self._state.hexdigest()

    def raw(self) -> bytes:
        return self._state.digest()


def fingerprint_of(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def write_json(path: Path, value: Any) -> None:
    with atomic_write(path, "w") as handle:
        json.dump(value, handle, indent=1, ensure_ascii=False, sort_keys=False)
        handle.write("\n")


def read_json(path: Path) -> Any:
    """The JSON in `path`; StoreError if it is not there or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} is not there") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete it and run again") from error
