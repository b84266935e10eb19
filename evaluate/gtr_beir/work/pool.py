"""A pool of processes of this machine, none of which outlives the one that asked."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool

from gtr_beir.errors import StoreError

DIED = (
    "a worker process died, perhaps for lack of memory; run again with fewer --processes or "
    "devices to continue where it stopped"
)


def in_processes(
    function: Callable[..., None],
    calls: Sequence[tuple[object, ...]],
    *,
    processes: int,
    done: Callable[[int], None] = lambda _: None,
) -> None:
    """Call `function` with each tuple of arguments, in as many processes; `done(index)` is told of
    each as it ends. A process that dies fails the work instead of hanging it.

    `function` must be a module's own, and whatever it raises is raised here. With one process, or
    one call, it runs in this one. If a call fails, the processes are stopped.
    """
    workers = min(processes, len(calls))
    if workers <= 1:
        for index, arguments in enumerate(calls):
            function(*arguments)
            done(index)
        return
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    with futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=die_with, initargs=(os.getpid(),)
    ) as pool:
        with without_main(), deaf_to_interrupts():
            waiting = {pool.submit(function, *arguments): i for i, arguments in enumerate(calls)}
        try:
            for future in futures.as_completed(waiting):
                future.result()
                done(waiting[future])
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise StoreError(DIED) from error
            raise


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """What starts meanwhile ignores Ctrl-C, which a terminal sends to all processes: the one that
    asked tells the others. Only the main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


@contextlib.contextmanager
def without_main() -> Iterator[None]:
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


def die_with(parent: int) -> None:
    """Workers of a killed parent would wait for ever; each looks after it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
