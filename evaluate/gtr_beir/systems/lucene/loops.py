"""Whether loops over postings can be compiled here; nobody needs them (extra `gtr-beir[fast]`)."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any, NamedTuple


class Loops(NamedTuple):
    """The functions of `systems.lucene.compiled`."""

    decode: Any
    search: Any


@functools.cache
def compiled() -> Loops | None:
    """None where numba is not installed. What is compiled is kept by the process alone, and takes
    some seconds when it is first used."""
    if importlib.util.find_spec("numba") is None:
        return None
    from gtr_beir.systems.lucene.compiled import decode, search

    return Loops(decode, search)
