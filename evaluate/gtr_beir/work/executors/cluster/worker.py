"""What runs on a node, in a process of Ray.

Its code is sent by value and imports nothing of this package before it is asked to: a node without
the package, or with another version of it, answers with a sentence.
"""

from __future__ import annotations

import os
import pickle
import platform
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

_DAY = 86_400.0


class _Stopped(Exception):  # noqa: N818 - no error
    """Somebody else has done the task."""


class NodeWorker:
    """Prepares a search, then does tasks one by one. `told` and `stop` are called meanwhile."""

    def __init__(self) -> None:
        self._worker: Any = None
        self._task = -1
        self._told = 0
        self._stopped: set[int] = set()
        self._parts: list[tuple[int, bytes]] = []
        """Tasks and parts of them, pickled, which were not fetched yet."""

    def check(self, first: bytes, here: dict[str, str]) -> dict[str, str]:
        """Whether what gives the packages, pickled, gives the same as on the driver; `why`: what is
        wrong, "" if nothing."""
        why = ""
        try:
            from gtr_beir.work.executors.base import difference

            if differs := difference(here, pickle.loads(first)()):  # noqa: S301 - from the driver
                why = f"has {differs}"
        except (ImportError, AttributeError) as error:
            why = f"lacks this gtr-beir ({error})"
        return {"host": platform.node(), "why": why}

    def prepare(self, job: Any, place: dict[str, Any]) -> dict[str, Any]:
        """Load and encode queries. job: pickled; place: fields of a Place. Gives proof and device,
        or why not."""
        from gtr_beir.errors import sentence
        from gtr_beir.work.executors.base import Place

        self._worker = None
        try:
            prepare, sent = pickle.loads(memoryview(job))  # noqa: S301 - from the driver
            self._worker = prepare(sent, Place(**place))
            device = _name_of(place["device"])
            return {"why": "", "proof": dict(self._worker.proof), "device": device}
        except Exception as error:
            return {"why": f"cannot prepare it: {sentence(error)}"}

    def do(self, number: int, task: Any) -> tuple[Any, int, float] | str | None:
        """The result, pickled, as uint8[n]; what `tell` was told, and seconds. A sentence if it
        failed; None if it was stopped."""
        import numpy as np

        self._task, self._told = number, 0

        def tell(count: int) -> None:
            self._told += count
            if number in self._stopped:
                raise _Stopped

        def keep(part: Any) -> None:
            data = pickle.dumps(dict(part), protocol=5)
            self._parts.append((number, data))

        start = time.perf_counter()
        try:
            loaded = pickle.loads(memoryview(task))  # noqa: S301 - see above
            result = self._worker.do(loaded, tell, keep)
        except _Stopped:
            return None
        except Exception as error:
            from gtr_beir.errors import sentence

            return sentence(error)
        data = np.frombuffer(pickle.dumps(result, protocol=5), dtype=np.uint8)
        return data, self._told, time.perf_counter() - start

    def told(self) -> tuple[int, int, list[bytes]]:
        """The task that it is at, how much of it is done, and parts that are to be kept."""
        task, told, parts = self._task, self._told, []
        while self._parts:
            of, part = self._parts.pop(0)
            parts += [part] * (of == task)
        return task, told, parts

    def stop(self, number: int) -> None:
        """Leave a task after the unit that it is at."""
        self._stopped.add(number)

    def place_of(self, digest: str, files: list[tuple[str, int]]) -> str | None:
        """Where a folder that was sent here before lies; None if it has to be sent (again)."""
        for left in _sent_folder().glob(".*-*"):
            # Of a worker that died while it was sent to; by age, since a process number says
            # nothing of another container.
            if time.time() - left.lstat().st_mtime > _DAY:
                shutil.rmtree(left, ignore_errors=True)
        folder = _sent_folder() / digest
        there = folder.is_dir() and _digest_of(folder, files) == digest
        return str(folder) if there else None

    def receive(self, digest: str, name: str, offset: int, part: Any) -> None:
        """Write a part of a file, which begins at `offset`, or a file anew from 0."""
        path = _being_sent(digest) / name
        if _being_sent(digest) not in path.parents or ".." in path.parts:
            raise ValueError(f"{name} lies outside the folder that is sent")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if offset else "wb") as handle:
            handle.seek(offset)
            handle.write(memoryview(part))

    def received(self, digest: str, files: list[tuple[str, int]]) -> str | None:
        """All was sent: where it lies now, None if its hash is another."""
        sent, final = _being_sent(digest), _sent_folder() / digest
        if _digest_of(sent, files) != digest:
            shutil.rmtree(sent, ignore_errors=True)
            return None
        if _digest_of(final, files) == digest:
            # Another run sent it meanwhile, and may be reading it.
            shutil.rmtree(sent, ignore_errors=True)
            return str(final)
        if final.exists():
            shutil.rmtree(final)
        sent.rename(final)
        return str(final)


def _sent_folder() -> Path:
    """Of this user alone: what lies there is loaded."""
    folder = Path(tempfile.gettempdir()) / f"gtr-beir-{os.getuid()}" / "sent"
    for part in (folder.parent, folder):
        part.mkdir(mode=0o700, exist_ok=True)
        about = part.lstat()
        if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o022:
            raise PermissionError(f"{part} is no folder that this user alone can write to")
    return folder


def _being_sent(digest: str) -> Path:
    return _sent_folder() / f".{digest}-{os.getpid()}"


def _digest_of(folder: Path, files: list[tuple[str, int]]) -> str:
    from gtr_beir.work.executors.cluster.checkpoints import digest_of

    try:
        return digest_of(folder, files)
    except OSError:
        return ""


def _name_of(device: str) -> str:
    """The name that the maker of a device gave it."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name())
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - no file of ours
            return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or device
