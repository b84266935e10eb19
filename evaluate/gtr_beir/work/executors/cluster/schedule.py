"""Which task is whose: those of lost workers are done again, late ones are given to idle ones too.

Knows nothing of what tasks and workers are, nor of time.
"""

from __future__ import annotations

from collections import deque

AHEAD = 8
"""Tasks that wait for whoever is free next, at most: a block's texts are 46 MB."""


class Schedule:
    """Tasks by number, workers by name."""

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()
        self._at: dict[int, list[str]] = {}
        """Tasks at work, the one that was begun first in front, and who is at them."""
        self._dry = False
        """No other task is to be had just now."""

    def add(self, task: int) -> None:
        self._waiting.append(task)
        self._dry = False

    def run_dry(self) -> None:
        """There are no more tasks, for ever or for now."""
        self._dry = True

    def wanted(self, workers: int) -> int:
        """How many tasks should be here for so many workers: one each, and some ahead."""
        return workers + min(workers, AHEAD)

    def next_for(self, worker: str) -> int | None:
        """A task for a worker that is free; None if there is none for it.

        With nothing left to begin, the task that was begun first and that one worker alone is at:
        that one may be slow, or lost without a sign.
        """
        if self._waiting:
            task = self._waiting.popleft()
            self._at[task] = [worker]
            return task
        if self._dry:
            for task, names in self._at.items():
                if len(names) == 1 and worker not in names:
                    names.append(worker)
                    return task
        return None

    def lost(self, worker: str) -> list[int]:
        """A worker is gone: what it alone was at comes first; returns those tasks."""
        alone = []
        for task, names in list(self._at.items()):
            if worker in names:
                names.remove(worker)
                if not names:
                    del self._at[task]
                    alone.append(task)
        self._waiting.extendleft(reversed(alone))
        return alone

    def done(self, task: int) -> list[str] | None:
        """A task was done: who was at it. None if it was done before."""
        return self._at.pop(task, None)
