"""The commands that bring what claims lack."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from gtr_beir.data.registry import benchmark_names, registered, suite
from gtr_beir.report.claims.latency import LATENCY, REPEATS
from gtr_beir.report.claims.parts import BM25, SIZES
from gtr_beir.report.claims.selection import FETCH_IT, RUN_IT, TIME_IT, Lack

_SUITES = ("all", "zero-shot", "public")


def commands(lacks: Iterable[Lack], results: str) -> list[str]:
    """The commands that bring what is missing, one for each system; results: the folder."""
    by_system: dict[tuple[str, str], list[str]] = {}
    for lack in lacks:
        by_system.setdefault((lack.what, lack.system), []).append(lack.dataset)
    ordered = sorted(by_system, key=lambda key: (_KINDS.index(key[0]), _SYSTEMS.index(key[1])))
    return [c for key in ordered for c in _commands(*key, by_system[key], results)]


_KINDS = (RUN_IT, FETCH_IT, TIME_IT)
_SYSTEMS = ("", *(system.command for system in (*SIZES, BM25)))


def _commands(what: str, system: str, names: Sequence[str], results: str) -> list[str]:
    if what == RUN_IT:
        return [f"gtr-beir run {system} {_datasets(names)}"]
    if what == FETCH_IT:
        public = [name for name in _in_order(names) if name not in _gated(names)]
        fetch = [f"gtr-beir datasets fetch {' '.join(public)}"] if public else []
        made = [f"gtr-beir datasets convert {name} --source DIR" for name in _gated(names)]
        return [*fetch, *made]
    timed = (
        f"python benchmarks/latency.py --sizes base,large,xl,xxl --dtype fp32 --repeat {REPEATS} "
        f"--output {shlex.quote(f'{results}/{LATENCY}')}"
    )
    return [timed]


def _datasets(names: Sequence[str]) -> str:
    """The suite that these are, or each of them."""
    named = next((name for name in _SUITES if set(suite(name)) == set(names)), None)
    return f"--suite {named}" if named else " ".join(f"-d {name}" for name in _in_order(names))


def _gated(names: Iterable[str]) -> list[str]:
    specs = [(name, registered(name)) for name in _in_order(names)]
    return [name for name, spec in specs if spec is not None and spec.gated]


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(set(names), key=benchmark_names().index)


def gated(lacks: Iterable[Lack]) -> str:
    """What must be known of gated datasets among the missing ones, "" if there are none."""
    closed = _gated(lack.dataset for lack in lacks if lack.dataset)
    if not closed:
        return ""
    return (
        f"Gated, to be made from their originals with `gtr-beir datasets convert`: "
        f"{', '.join(closed)}."
    )
