"""Giving memory back: what was freed leaves the process."""

from __future__ import annotations

import contextlib
import ctypes
import sys


def give_back() -> None:
    """Return freed pages to the system (glibc's malloc_trim; nothing elsewhere).

    Arrays of many sizes leave the heap in shreds, which would grow by tens of megabytes with every
    thousand texts or every block.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
