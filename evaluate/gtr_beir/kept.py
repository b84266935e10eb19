"""The three files that are kept of a run, which take their names together.

They are written to a folder of their own first (`staged`), which has its name when all three are
whole. Then the old record goes, and they are moved to their places, the record last. So whoever is
killed leaves the old three, or the new three in that folder, from which the next start finishes; a
record never stands beside files of another.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from gtr_beir.digests import hash_file
from gtr_beir.files import atomic_folder, sync_folder
from gtr_beir.query_values import write_per_query
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record

STAGED = "staged"


def keep(
    folder: Path,
    write_run: Callable[[Path], None],
    values: pd.DataFrame,
    record_of: Callable[[str], Record],
) -> Record:
    """Put run file, per-query file and record in the place of those in a folder, if any.

    write_run: writes the run file to a path; values: of its queries; record_of: the record, given
    the SHA-256 of the run file. The caller holds the folder's lock.
    """
    with atomic_folder(folder / STAGED) as staged:
        write_run(staged / RUN)
        write_per_query(staged / PER_QUERY, values)
        record = record_of(hash_file(staged / RUN))
        record.write(staged)
    finish(folder)
    return record


def finish(folder: Path) -> None:
    """Move what was staged to its place; what a killed process had moved already is there."""
    staged = folder / STAGED
    if not staged.is_dir():
        return
    # No record meanwhile, rather than one beside files of another: readers pass it over.
    (folder / RECORD).unlink(missing_ok=True)
    for name in (RUN, PER_QUERY, RECORD):
        if (staged / name).is_file():
            (staged / name).replace(folder / name)
    sync_folder(folder)
    shutil.rmtree(staged)
