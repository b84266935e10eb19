"""The one tree of exceptions that a user can see.

GtrBeirError                 exit code 1: the work failed
 ├── UsageError              exit code 2: what was asked for is not possible as it was asked
 ├── InputError              a file that was given holds something wrong (names file and line)
 ├── StoreError              something in the cache or the results is damaged or not there
 ├── CheckpointError         a checkpoint is not what it should be
 ├── FetchError              a download did not end in the right bytes
 ├── ClusterError            a cluster cannot do the work, or does not answer any more
 ├── RequirementError        a comparison does not show what was required of it
 └── NumericalError          vectors or scores that are not finite, measures outside [0, 1]

Every message is one sentence: what, where, and what to do next. The command line prints the one
that ends a command in one place (`gtr_beir.cli.main`). Elsewhere an error is caught only where the
work goes on without what failed (a damaged block is computed again, a check goes to the next name),
where another way is left (the next mirror), or to say more precisely what was wrong.
"""

from __future__ import annotations

from pathlib import Path


class GtrBeirError(Exception):
    """Base of every error that is told to the user in one sentence."""

    exit_code = 1


class UsageError(GtrBeirError):
    """A name, path or option that cannot be used as given."""

    exit_code = 2


class InputError(GtrBeirError):
    """A file that was given holds something wrong.

    `path` and `line` (counted from 1) say where; the message begins with them.
    """

    def __init__(self, what: str, *, path: Path | str | None = None, line: int | None = None):
        self.path = None if path is None else str(path)
        self.line = line
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(f"{where}{what}")


class StoreError(GtrBeirError):
    """Something in the cache or the results folder is damaged, missing or of another version."""


class CheckpointError(GtrBeirError):
    """A checkpoint that cannot be loaded as the encoder it should be."""


class FetchError(GtrBeirError):
    """A download that did not end in the right bytes."""


class ClusterError(GtrBeirError):
    """A cluster that cannot do the work, or does not answer any more."""


class RequirementError(GtrBeirError):
    """A difference that a gate (`compare --require`) does not let pass."""


class NumericalError(GtrBeirError):
    """Values that are not finite, or measures outside [0, 1]."""


def sentence(error: BaseException) -> str:
    """What is told of an error, on one line."""
    told = str(error)
    if isinstance(error, OSError) and not isinstance(error, GtrBeirError):
        told = f"{error.filename or 'a file'}: {error.strerror or error}"
    elif isinstance(error, MemoryError):
        told = f"out of memory ({told})" if told else "out of memory"
    return " ".join(told.split())
