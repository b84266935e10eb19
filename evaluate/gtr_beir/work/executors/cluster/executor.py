"""The driver's side of a Ray cluster: it hands blocks out and takes results, and never waits for
ever."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import itertools
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from gtr_beir.errors import ClusterError, UsageError
from gtr_beir.progress import Progress
from gtr_beir.work.executors.base import Done, Hand, Job, R, T
from gtr_beir.work.executors.cluster.manager import Search, Wanted, manage
from gtr_beir.work.executors.here import PAUSE
from gtr_beir.work.pool import deaf_to_interrupts, without_main

SILENT = 60.0
"""Seconds without a word from the process that speaks with Ray, after which it is ended."""
_LEAVING = 10.0
"""Seconds that it has to end in good order."""
_LONGEST_FOLDER = 40
"""Of the folder that Ray keeps its sockets below, whose names may have 107 characters."""


class OnRay:
    """Workers on the nodes of a Ray cluster, for as many searches as there are; ends with the
    `with`.

    on: "ray" (started on this machine), "auto" (the cluster that this machine is part of),
    "HOST:PORT" (its head) or "ray://HOST:PORT" (Ray Client); gpus_per_worker, cpus_per_worker: as
    by default (None), a GPU where this process computes on one, and an equal share of a node's
    cores; send_checkpoint: whether folders of checkpoints are sent to the nodes; mixed_devices:
    whether devices may differ, whose last bits then do too.

    Raises UsageError for what is not possible, or where Ray is not installed.
    """

    def __init__(
        self,
        on: str,
        *,
        gpus_per_worker: float | None = None,
        cpus_per_worker: float | None = None,
        send_checkpoint: bool = False,
        mixed_devices: bool = False,
    ):
        if not re.fullmatch(r"ray|auto|(ray://)?[^\s/:]+:\d+", on):
            raise UsageError(
                f"--on {on} is not possible; give ray (Ray on this machine), auto, HOST:PORT or "
                "ray://HOST:PORT"
            )
        for flag, value, least in (("gpus", gpus_per_worker, 0), ("cpus", cpus_per_worker, 1)):
            if value is not None and not (least <= value < 1e6 and _can_be_had(value)):
                raise UsageError(
                    f"--{flag}-per-worker {value:g} is not possible; give a whole number, or of "
                    "GPUs a part that workers share, such as 0.5"
                )
        if importlib.util.find_spec("ray") is None:
            raise UsageError("--on needs Ray, which is not installed: pip install 'gtr-beir[ray]'")
        self.on = on
        self.mixed_devices = mixed_devices
        self.hands: dict[str, Hand] = {}
        address = "local" if on == "ray" else on
        self._wanted = Wanted(
            address, gpus_per_worker, cpus_per_worker, send_checkpoint, mixed_devices
        )
        self._manager: _Manager | None = None
        self._count = 0
        """Tasks given so far, of all searches."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let workers go; a Ray that was started here ends."""
        if self._manager is not None:
            atexit.unregister(self.close)
            self._manager.close()
            self._manager = None

    def _started(self) -> _Manager:
        if self._manager is None:
            self._manager = _Manager(self._wanted, self.on)
            # For whoever forgets to close: the program could not end before its child.
            atexit.register(self.close)
        return self._manager

    def room(self, *, gpu: bool = False) -> int:
        """How many workers the cluster has room for now; gpu: whether each needs one.
        ClusterError if it does not answer."""
        manager = self._started()
        manager.send("count", gpu)
        while (message := manager.heard(PAUSE)) is None or message[0] != "room":
            pass
        found: int = message[1]
        return found

    def work(
        self, job: Job[T, R], tasks: Iterator[T | None], progress: Progress
    ) -> Iterator[Done[T, R]]:
        """Do every task. ClusterError if nobody can, or nobody answers any more."""
        self.hands = {}
        # Where all is done, Ray is not started.
        begun = list(itertools.islice(tasks, 1))
        if not begun:
            return
        tasks = itertools.chain(begun, tasks)
        manager = self._started()
        try:
            yield from self._work(manager, job, tasks, progress)
        except BaseException:
            # Whatever it was, what workers are at is of no use any more.
            self.close()
            raise

    def _work(
        self, manager: _Manager, job: Job[T, R], tasks: Iterator[T | None], progress: Progress
    ) -> Iterator[Done[T, R]]:
        manager.send("search", _as_sent(job))
        given: dict[int, T] = {}
        room = 0
        closed = False
        later = 0.0
        traffic = _Traffic()
        while not closed or given:
            asks = room > len(given) and not closed and time.monotonic() >= later
            message = manager.heard(0.0 if asks else PAUSE)
            if message is None:
                progress.advance(0)
            elif message[0] == "state":
                room, hosts, hired, sent = message[1]
                progress.beside(traffic.shown(hosts, hired, sent))
            elif message[0] == "did":
                progress.advance(message[1])
            elif message[0] == "say":
                progress.say(message[1])
            elif message[0] == "done":
                number, name, host, device, seconds = message[1]
                # Taken off at once: nothing else can follow on the pipe.
                result: R = pickle.loads(manager.data())  # noqa: S301 - from a worker of ours
                hand = self.hands.setdefault(name, Hand(host, device))
                hand.blocks += 1
                hand.seconds += seconds
                yield Done(given.pop(number), result, device if self.mixed_devices else "")
            while not closed and len(given) < room and time.monotonic() >= later:
                try:
                    task = next(tasks)
                except StopIteration:
                    closed = True
                    manager.send("close", None)
                    break
                if task is None:
                    later = time.monotonic() + PAUSE
                    break
                number = self._count = self._count + 1
                manager.send("task", number, pickle.dumps(task.carried(), protocol=5))
                given[number] = task
                if manager.waits:
                    break
        manager.send("over", None)


def _as_sent(job: Job[Any, Any]) -> Search:
    return Search(
        first=pickle.dumps(job.first),
        here=dict(job.first()),
        job=pickle.dumps((job.prepare, job.sent), protocol=5),
        proof=dict(job.worker.proof),
        by_device=job.by_device,
        kind=job.kind,
        folders=tuple(map(str, job.folders)),
    )


def _can_be_had(value: float) -> bool:
    """Ray gives whole ones, or parts of one in ten thousandths."""
    return value == round(value) if value >= 1 or value == 0 else value >= 1e-4


class _Traffic:
    """What goes through the driver, for the line of progress."""

    def __init__(self) -> None:
        self._before: tuple[float, int] | None = None
        self._rate = 0.0

    def shown(self, hosts: int, hired: int, sent: int) -> str:
        """`3 hosts, 12.3 MB/s`; sent: bytes so far."""
        if not hosts:
            return f"{hired} getting ready" if hired else "no host yet"
        now = time.monotonic()
        if self._before is None:
            self._before = now, sent
        seconds = now - self._before[0]
        if seconds > 5:
            self._rate = (sent - self._before[1]) / seconds / 1e6
            self._before = now, sent
        word = "host" if hosts == 1 else "hosts"
        return f"{hosts} {word}" + (f", {self._rate:.1f} MB/s" if self._rate else "")


class _Manager:
    """The process that speaks with Ray, and its end."""

    def __init__(self, wanted: Wanted, on: str):
        self._cluster = "the Ray cluster" + ("" if on in ("ray", "auto") else f" at {on}")
        self._log = _new_log()
        self._folder: str | None = None
        if wanted.address == "local":
            self._folder = tempfile.mkdtemp(prefix="gtr-ray-")
            if len(self._folder) <= _LONGEST_FOLDER:
                wanted = Wanted(**{**vars(wanted), "temporary": self._folder})
        context = multiprocessing.get_context("spawn")
        self._connection, far = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_begin, args=(far, os.getpid(), wanted, str(self._log)), daemon=False
        )
        with without_main(), deaf_to_interrupts():
            self._process.start()
        far.close()

    @property
    def waits(self) -> bool:
        """Whether it has said something that was not heard yet."""
        return self._connection.poll(0)

    def send(self, kind: str, value: object, data: bytes | None = None) -> None:
        try:
            self._connection.send((kind, value))
            if data is not None:
                self._connection.send_bytes(data)
        except (BrokenPipeError, ConnectionResetError):
            # It says why before it ends.
            pass

    def heard(self, seconds: float) -> tuple[str, Any] | None:
        """What it says next; None if nothing within so many seconds. ClusterError if it failed,
        ended, or has been silent for too long."""
        try:
            if not self._connection.poll(seconds):
                self._quiet += seconds
                if self._quiet > SILENT:
                    raise self._failed(
                        f"{self._cluster} has not answered for {SILENT:.0f} s; run "
                        "the same command again when it is back: what was done is kept"
                    )
                return None
            message: tuple[str, Any] = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        self._quiet = 0.0
        if message[0] == "failed":
            raise self._failed(message[1])
        return message

    _quiet = 0.0

    def data(self) -> bytes:
        """What follows a message; ClusterError if it ended before that was whole."""
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._ended() from error

    def _ended(self) -> ClusterError:
        return self._failed(
            f"Ray ended its process, perhaps because {self._cluster} is gone; run the same command "
            "again: what was done is kept"
        )

    def _failed(self, why: str) -> ClusterError:
        kept = self._log.is_file() and self._log.stat().st_size > 0
        where = f" (Ray's own words are in {self._log})" if kept else ""
        self._keep_log = kept
        return ClusterError(f"{why}{where}")

    _keep_log = False

    def close(self) -> None:
        """In good order if it answers, by force if not; with it goes a Ray that it started."""
        self.send("end", None)
        with contextlib.suppress(OSError):
            # What it may still want to say would hold it up.
            deadline = time.monotonic() + _LEAVING
            while self._process.is_alive() and time.monotonic() < deadline:
                if self._connection.poll(0.1):
                    try:
                        self._connection.recv_bytes()
                    except EOFError:
                        break
        self._process.join(max(0.1, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.pid is not None:
                os.killpg(self._process.pid, signal.SIGKILL)
        # It may not have come to lead a group yet.
        self._process.kill()
        self._process.join()
        self._connection.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if not self._keep_log:
            self._log.unlink(missing_ok=True)


def _new_log() -> Path:
    handle, name = tempfile.mkstemp(prefix="gtr-beir-ray-", suffix=".log")
    os.close(handle)
    return Path(name)


def _begin(connection: Connection, parent: int, wanted: Wanted, log: str) -> None:
    """The other process: what Ray prints goes to a file."""
    with open(log, "ab", buffering=0) as handle:  # noqa: PTH123 - file descriptors are meant
        os.dup2(handle.fileno(), 1)
        os.dup2(handle.fileno(), 2)
    manage(connection, parent, wanted)
