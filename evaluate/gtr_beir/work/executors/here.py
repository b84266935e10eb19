"""This process does the work, one task after the other."""

from __future__ import annotations

import functools
import time
from collections.abc import Generator, Iterator, Mapping

from gtr_beir.progress import Progress
from gtr_beir.work.executors.base import Done, Hand, Job, R, T

PAUSE = 0.5
"""Seconds until tasks are asked for again when there is none just now."""


class Here:
    """This process."""

    hands: Mapping[str, Hand] = {}

    def work(
        self, job: Job[T, R], tasks: Iterator[T | None], progress: Progress
    ) -> Generator[Done[T, R], None, None]:
        for task in tasks:
            if task is None:
                time.sleep(PAUSE)
            else:
                keep = functools.partial(job.keep, task)
                yield Done(task, job.worker.do(task, progress.advance, keep))
