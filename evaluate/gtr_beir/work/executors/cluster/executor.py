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
from collections.abc import Generator, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from gtr_beir.errors import ClusterError, UsageError
from gtr_beir.progress import Progress
from gtr_beir.work.executors.base import Done, Hand, Job, R, T
from gtr_beir.work.executors.cluster.manager import manage
from gtr_beir.work.executors.cluster.pipe import Message, Pipe
from gtr_beir.work.executors.cluster.reaching import Wanted
from gtr_beir.work.executors.cluster.searching import Search
from gtr_beir.work.executors.here import PAUSE
from gtr_beir.work.pool import deaf_to_interrupts, without_main

SILENT = 60.0
"""Seconds without a word from the process that speaks with Ray, after which it is ended."""
_ENDED: Any = object()
"""There are no more tasks."""
_LEAVING = 10.0
"""Seconds that it has to end in good order."""
_LONGEST_FOLDER = 24
"""Characters of a temporary folder that Ray can use: it keeps sockets below, whose names may have
107."""


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
                f"--on '{on}' is not possible; give ray (Ray on this machine), auto, HOST:PORT or "
                "ray://HOST:PORT"
            )
        for flag, value, least in (("gpus", gpus_per_worker, 0), ("cpus", cpus_per_worker, 1)):
            if value is not None and not (least <= value < 1e6 and _can_be_had(value)):
                what = "1, 2, ..." if least else "0, 1, 2, ... or a part of one, such as 0.5"
                raise UsageError(f"--{flag}-per-worker {value:g} is not possible; give {what}")
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
        while (message := manager.heard(PAUSE)) is None or message.kind != "room":
            pass
        found: int = message.value
        return found

    def work(
        self, job: Job[T, R], tasks: Iterator[T | None], progress: Progress
    ) -> Generator[Done[T, R], None, None]:
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
        except BaseException as error:
            # Whatever it was, what workers are at is of no use any more.
            if isinstance(error, KeyboardInterrupt):
                progress.say(f"stopping the workers, {_LEAVING:.0f} s at most")
            self.close()
            raise

    def _work(
        self, manager: _Manager, job: Job[T, R], tasks: Iterator[T | None], progress: Progress
    ) -> Iterator[Done[T, R]]:
        manager.send("search", _as_sent(job))
        given: dict[int, T] = {}
        room = 0
        ended = dry = False
        waiting = True
        later = 0.0
        traffic = _Traffic()
        while not ended or given:
            asks = room > len(given) and not ended and time.monotonic() >= later
            message = manager.heard(0.0 if asks else PAUSE)
            if message is None:
                progress.advance(0)
            elif message.kind == "state":
                room, hosts, hired, passed = message.value
                if waiting:
                    # Until somebody is ready, what is done says nothing of the rate.
                    progress.at_work()
                waiting = waiting and not room
                progress.beside(traffic.shown(hosts, hired, passed))
            elif message.kind == "did":
                progress.advance(message.value)
            elif message.kind == "say":
                progress.say(message.value)
            elif message.kind == "part":
                # A block that two kinds of devices have done would be neither's.
                if message.value in given and not self.mixed_devices:
                    part = pickle.loads(message.data)  # noqa: S301 - from a worker of ours
                    job.keep(given[message.value], part)
                del message
            elif message.kind == "done":
                number, name, host, device, seconds = message.value
                result: R = pickle.loads(message.data)  # noqa: S301 - from a worker of ours
                del message
                hand = self.hands.setdefault(name, Hand(host, device))
                hand.blocks += 1
                hand.seconds += seconds
                yield Done(given.pop(number), result, device if self.mixed_devices else "")
                del result
            while not ended and len(given) < room and time.monotonic() >= later:
                task = next(tasks, _ENDED)
                if task is _ENDED or task is None:
                    ended, later = task is _ENDED, time.monotonic() + PAUSE
                    if not dry:
                        # Late tasks may be given to those who are free, meanwhile or at the end.
                        manager.send("dry")
                    dry = True
                    break
                dry = False
                number = self._count = self._count + 1
                manager.send("task", number, pickle.dumps(task.carried(), protocol=5))
                given[number] = task
                if manager.waits:
                    break
        manager.send("over")


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
        if wanted.local:
            usual = tempfile.gettempdir()
            base = usual if len(usual) <= _LONGEST_FOLDER else "/tmp"
            self._folder = tempfile.mkdtemp(prefix="gtr-ray-", dir=base)
            wanted = replace(wanted, temporary=self._folder)
        context = multiprocessing.get_context("spawn")
        near, far = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_begin, args=(far, os.getpid(), wanted, str(self._log)), daemon=False
        )
        with without_main(), deaf_to_interrupts():
            self._process.start()
        far.close()
        self._pipe = Pipe(near)
        self.send = self._pipe.send
        self._quiet = 0.0

    @property
    def waits(self) -> bool:
        """Whether it has said something that was not heard yet."""
        return self._pipe.waits

    def heard(self, seconds: float) -> Message | None:
        """What it says next; None if nothing within so many seconds. ClusterError if it failed,
        ended, or has been silent for too long."""
        try:
            message = self._pipe.heard(seconds)
        except EOFError as error:
            raise self._failed(
                f"Ray ended its process, perhaps because {self._cluster} is gone; run the same "
                "command again: what was done is kept"
            ) from error
        if message is None:
            # What counts is the time that was waited: this process may have been stopped.
            self._quiet += seconds
            if self._quiet > SILENT:
                raise self._failed(
                    f"{self._cluster} has not answered for {SILENT:.0f} s; run "
                    "the same command again when it is back: what was done is kept"
                )
            return None
        self._quiet = 0.0
        if message.kind == "failed":
            raise self._failed(message.value)
        return message

    def _failed(self, why: str) -> ClusterError:
        kept = self._log.is_file() and self._log.stat().st_size > 0
        where = f" (Ray's own words are in {self._log})" if kept else ""
        self._keep_log = kept
        return ClusterError(f"{why}{where}")

    _keep_log = False

    def close(self) -> None:
        """In good order if it answers, by force if not; with it goes a Ray that it started."""
        self.send("end")
        self._process.join(_LEAVING)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.pid is not None:
                os.killpg(self._process.pid, signal.SIGKILL)
        # It may not have come to lead a group yet.
        self._process.kill()
        self._process.join()
        self._pipe.close()
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
    manage(connection, parent, wanted, Path(log))
