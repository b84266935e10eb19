"""Processes of this machine, one for each device; the first device is this process's own.

A thread for each worker asks for the next task as soon as the last is done, so that whoever is free
gets it. A process that dies ends the work with a sentence: what was done is kept.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import platform
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from gtr_beir.errors import StoreError
from gtr_beir.progress import Progress
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import (
    Done,
    Hand,
    Job,
    Place,
    R,
    T,
    Task,
    Tell,
    Worker,
    difference,
)
from gtr_beir.work.executors.here import PAUSE
from gtr_beir.work.parts import KeepPart, keep_no_part
from gtr_beir.work.pool import DIED, deaf_to_interrupts, die_with, without_main


class Processes:
    """The devices that are named, as often as they are named."""

    def __init__(self, devices: Sequence[str]):
        self._devices = devices
        self.hands: dict[str, Hand] = {}

    def work(
        self, job: Job[T, R], tasks: Iterator[T | None], progress: Progress
    ) -> Generator[Done[T, R], None, None]:
        self.hands = {
            f"{number} {device}": Hand(platform.node(), device)
            for number, device in enumerate(self._devices)
        }
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        shared: _Shared[T] = _Shared(tasks)
        workers: list[_Local | _Process] = [_Local(job.worker)]
        with contextlib.ExitStack() as stack:
            for device in self._devices[1:]:
                workers.append(_Process(job, device, len(self._devices)))
                stack.callback(workers[-1].close)
            for name, worker in zip(self.hands, workers, strict=True):
                thread = threading.Thread(
                    target=_serve, args=(name, worker, shared, events), daemon=True
                )
                thread.start()
                # A thread is at its worker until that stops.
                stack.callback(thread.join)
                stack.callback(worker.stop)
            # However this ends, nobody begins another task.
            stack.callback(shared.close)
            at_work = len(self._devices)
            while at_work:
                try:
                    kind, name, value = events.get(timeout=PAUSE)
                except queue.Empty:
                    progress.advance(0)
                    continue
                if kind == "did":
                    progress.advance(value)
                elif kind == "part":
                    job.keep(*value)
                elif kind == "failed":
                    raise value
                elif kind == "left":
                    at_work -= 1
                else:
                    task, result, seconds = value
                    self.hands[name].blocks += 1
                    self.hands[name].seconds += seconds
                    with shared.paused():
                        yield Done(task, result)


class _Shared(Generic[T]):
    """Tasks that several threads take from, one at a time."""

    def __init__(self, tasks: Iterator[T | None]):
        self._tasks: Iterator[T | None] | None = tasks
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody takes a task meanwhile: what is yielded changes what the next one is."""
        with self._lock:
            yield

    def next(self) -> T | None:
        """None: there are no more."""
        while True:
            with self._lock:
                if self._tasks is None:
                    return None
                try:
                    task = next(self._tasks)
                except StopIteration:
                    self._tasks = None
                    return None
                if task is not None:
                    # The corpus is read here, by one thread at a time.
                    return task.carried()
            time.sleep(PAUSE)

    def close(self) -> None:
        with self._lock:
            self._tasks = None


class _StoppedError(Exception):
    """Nobody waits any more for what is being done."""


class _Local:
    """This process's own worker, in a thread. It stops after the batch that it is at: at the
    program's end nobody may be at work in a library."""

    def __init__(self, worker: Worker[Any, Any]):
        self._worker = worker
        self._stopped = False

    def be_ready(self) -> None:
        pass

    def do(self, task: Task, tell: Tell, keep: KeepPart) -> Any:
        def tell_or_stop(count: int) -> None:
            if self._stopped:
                raise _StoppedError
            tell(count)

        return self._worker.do(task, tell_or_stop, keep)

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        pass


class _Process:
    """A worker in a process of its own."""

    def __init__(self, job: Job[Any, Any], device: str, workers: int):
        context = multiprocessing.get_context("spawn")
        self._connection, self._far = context.Pipe()
        arguments = (self._far, os.getpid(), job.prepare, job.sent, Place(device, workers))
        self._process: BaseProcess = context.Process(target=_main, args=arguments, daemon=True)
        self._proof = job.worker.proof
        with without_main(), deaf_to_interrupts():
            self._process.start()
        self._far.close()

    def be_ready(self) -> None:
        """Wait until it is prepared; StoreError if it is not equal to this process."""
        proof = self._answer(lambda _: None, keep_no_part)
        if differs := difference(self._proof, proof):
            raise StoreError(f"a worker process has {differs}, so its results would differ")

    def do(self, task: Task, tell: Tell, keep: KeepPart) -> Any:
        with _told_if_dead():
            self._connection.send(task)
        return self._answer(tell, keep)

    def stop(self) -> None:
        """End the process; whoever waits for its answer is told."""
        self._process.terminate()
        self._process.join()

    def close(self) -> None:
        """Once nobody waits for an answer: another file would get the connection's number."""
        self.stop()
        self._connection.close()

    def _answer(self, tell: Tell, keep: KeepPart) -> Any:
        while True:
            with _told_if_dead():
                kind, value = self._connection.recv()
            if kind == "done":
                return value
            if kind == "failed":
                raise value
            if kind == "part":
                keep(value)
            else:
                tell(value)


@contextlib.contextmanager
def _told_if_dead() -> Iterator[None]:
    try:
        yield
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        raise StoreError(DIED) from error


def _put_part(events: queue.SimpleQueue[Any], name: str, task: Task, part: Arrays) -> None:
    events.put(("part", name, (task, part)))


def _serve(name: str, worker: Any, shared: _Shared[Any], events: queue.SimpleQueue[Any]) -> None:
    """A thread's life: take a task, have it done, pass it on."""
    try:
        worker.be_ready()
        while (task := shared.next()) is not None:
            start = time.perf_counter()
            result = worker.do(
                task,
                lambda count: events.put(("did", name, count)),
                functools.partial(_put_part, events, name, task),
            )
            events.put(("done", name, (task, result, time.perf_counter() - start)))
    except BaseException as error:
        events.put(("failed", name, error))
    events.put(("left", name, None))


def _main(
    connection: Connection,
    parent: int,
    prepare: Callable[..., Worker[Any, Any]],
    sent: object,
    place: Place,
) -> None:
    """A worker process: prepare, say what would have to be equal, then do what is sent."""
    die_with(parent)
    try:
        worker = prepare(sent, place)
        connection.send(("done", dict(worker.proof)))
        while True:
            task = connection.recv()
            result = worker.do(
                task,
                lambda count: connection.send(("did", count)),
                lambda part: connection.send(("part", dict(part))),
            )
            connection.send(("done", result))
    except EOFError:
        return
    except Exception as error:
        connection.send(("failed", error))
