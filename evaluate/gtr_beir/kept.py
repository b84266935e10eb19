"""The three files that are kept of a run, which take their names together.

They are written to a folder of their own first (`staged`), which has its name when all three are
whole. Then the old record goes, and they are moved to their places, the record last. So whoever is
killed leaves the old three, or the new three in that folder, from which the next start finishes; a
record never stands beside files of another.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from gtr_beir.data.store import Dataset
from gtr_beir.digests import hash_file
from gtr_beir.errors import InputError, StoreError, UsageError
from gtr_beir.files import Lock, atomic_folder, sync_folder
from gtr_beir.query_values import values_of, write_per_query
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record

STAGED = "staged"
BLOCKS, LOCK = "blocks", ".lock"
"""In a result's folder: what is kept of an unfinished run, and what whoever works there holds."""
_SHOWN = 80
"""Letters of a setting, there and here, that a sentence has room for."""


def keep(
    folder: Path,
    write_run: Callable[[Path], None],
    values: pd.DataFrame,
    record_of: Callable[[], Record],
) -> Record:
    """Put run file, per-query file and record in the place of those in a folder, if any.

    write_run: writes the run file to a path; values: of its queries; record_of: the record, to
    which the SHA-256 of both files is added. The caller holds the folder's lock.
    """
    with atomic_folder(folder / STAGED) as staged:
        write_run(staged / RUN)
        hashes = {"queries": write_per_query(staged / PER_QUERY, values)}
        hashes["run"] = hash_file(staged / RUN)
        record = record_of()
        record = replace(record, fingerprints={**record.fingerprints, **hashes})
        record.write(staged)
    finish(folder)
    return record


def finish(folder: Path) -> None:
    """Move what was staged to its place; what a killed process had moved already is there."""
    staged = folder / STAGED
    if not staged.is_dir():
        return
    if (staged / RECORD).is_file():
        # No record meanwhile, rather than one beside files of another: readers pass it over. Where
        # the new one is in its place already, it stays.
        (folder / RECORD).unlink(missing_ok=True)
    for name in (RUN, PER_QUERY, RECORD):
        if (staged / name).is_file():
            (staged / name).replace(folder / name)
    sync_folder(folder)
    shutil.rmtree(staged)


def finish_all(folder: Path) -> None:
    """Move what was staged under a folder of results to its place, where whoever staged it is
    gone; who reads results begins with it. A folder that cannot be written stays as it is."""
    for depth in range(4):  # results, a system, a dataset, a forum
        for staged in folder.glob("*/" * depth + STAGED):
            with contextlib.suppress(OSError, StoreError):
                if not _is_ours(staged):
                    continue
                held = Lock(staged.parent / LOCK)
                try:
                    # Where nobody can be locked out, whoever staged it may be at it.
                    if held.take(wait=False) and not held.why_none:
                        finish(staged.parent)
                finally:
                    held.release()


def _is_ours(staged: Path) -> bool:
    """Whether a folder is what `keep` makes, and not a label, a dataset or anybody's folder of this
    name: it lies beside the lock of a result and holds its files alone."""
    if staged.is_symlink() or not (staged.parent / LOCK).is_file():
        return False
    return {path.name for path in staged.iterdir()} <= {RUN, PER_QUERY, RECORD}


def done_before(
    folder: Path, key: str, dataset: Dataset, wanted: Mapping[str, Any], *, again: bool
) -> Record | None:
    """The record that is there, if it is of this key; UsageError if it is of another, which says
    what differs. wanted: the settings now."""
    if again or not (folder / RECORD).is_file():
        return None
    try:
        record = Record.read(folder)
    except StoreError:
        return None
    if record.key == key and (folder / RUN).is_file() and (folder / PER_QUERY).is_file():
        # What was changed since is done again, which blocks make short.
        return record if _agrees(record, folder) else None
    if record.key == key:
        return None
    if "given" in record.settings and record.settings.get("weights") == "unknown":
        raise UsageError(
            f"{folder} holds a record of an object whose weights are unknown, so these may be "
            "others; give load_system a name and weights (a word for the state that it is in), or "
            "give benchmark another label or again=True"
        )
    raise _of_other(folder, _differences(record, dataset, wanted))


def require_no_other(folder: Path, known: Mapping[str, Any]) -> None:
    """UsageError if the record that is there is of other settings, as far as they are known before
    a system is loaded; `done_before` looks at all of them."""
    try:
        there = _settings(Record.read(folder))
    except (StoreError, OSError):
        return
    both = [name for name in known if name in there]
    if short := _short({n: there[n] for n in both}, {n: known[n] for n in both}):
        raise _of_other(folder, f"settings ({'; '.join(short[:3])})")


def _of_other(folder: Path, what: str) -> UsageError:
    return UsageError(
        f"{folder} holds a record of other {what}; name this one with --label, or replace it with "
        "--again"
    )


def _settings(record: Record) -> dict[str, Any]:
    return {
        **record.settings,
        "depth": record.depth,
        "self_matches": record.self_matches["policy"],
    }


def _short(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs, as far as there is room for it in a sentence."""
    return [
        f"{name} {there.get(name)!r} there, {wanted.get(name)!r} here"
        for name in {**there, **wanted}
        if there.get(name) != wanted.get(name)
        and len(repr(there.get(name))) + len(repr(wanted.get(name))) <= _SHOWN
    ]


def _differences(record: Record, dataset: Dataset, wanted: Mapping[str, Any]) -> str:
    """`settings (dtype 'fp32' there, 'bf16' here)`, or what else it is that differs."""
    if record.fingerprints["dataset"] != dataset.fingerprint:
        return f"data: another state of {dataset.name}"
    there = _settings(record)
    names = [name for name in {**there, **wanted} if there.get(name) != wanted.get(name)]
    short = _short(there, wanted)
    if "weights" in names:
        return f"weights{f' ({short[0]})' if short else ''}"
    if short:
        return f"settings ({'; '.join(short[:3])})"
    return f"{names[0]} ({record.signature})" if names else f"weights ({record.signature})"


def whole_record(folder: Path) -> bool:
    """Whether a result is whole: a record, and files that are still those it was made with."""
    try:
        return _agrees(Record.read(folder), folder)
    except (StoreError, OSError):
        return False


def _agrees(record: Record, folder: Path) -> bool:
    """Whether run and per-query file are still those of a record."""
    if not (folder / RUN).is_file():
        return False
    try:
        values_of(record, [folder / PER_QUERY])
    except (OSError, InputError):
        return False
    return True
