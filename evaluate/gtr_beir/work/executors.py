"""Who does the work: processes of this machine, none of which outlives the one that asked."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool

from gtr_beir.errors import StoreError

_TICK = 0.5
"""Seconds between two looks at other processes."""


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
    calls: Sequence[tuple[object, ...]],
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
                    "a worker process died, perhaps for lack of memory; run again with fewer "
                    "--processes or devices to continue where it stopped"
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
