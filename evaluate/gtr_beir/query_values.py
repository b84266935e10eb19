"""queries.csv, the values of each query: written, read, and compared with the record of their
means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gtr_beir.digests import hash_file
from gtr_beir.errors import InputError
from gtr_beir.files import atomic_write
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import RECORD, RUN, Record

_ROUNDING = 1e-9
"""Means over the same values, summed in another order, are closer than this."""


def write_per_query(path: Path, values: pd.DataFrame) -> str:
    """The file's SHA-256. CSV with a line a query; 17 digits, so that reading it gives the same
    numbers."""
    with atomic_write(path, "w") as handle:
        values.to_csv(handle, float_format="%.17g", lineterminator="\n")
    return hash_file(path)


def values_of(record: Record, paths: Sequence[Path]) -> list[pd.DataFrame]:
    """A record's per-query values, a table for each part, by query id. InputError if they, or the
    run file that lies beside them, are not those that the record is of."""
    for path in paths:
        _require_same_files(record, path)
    tables = [read_per_query(path) for path in paths]
    _require_agreeing(tables, record, paths[0])
    return tables


def _require_same_files(record: Record, path: Path) -> None:
    """By their hashes, where there are such: older records have none of per-query values."""
    if record.parts:
        if not (path.parent / RECORD).is_file():
            return
        record = Record.read(path.parent)
    for file, name in ((path, "queries"), (path.parent / RUN, "run")):
        wanted = record.fingerprints.get(name)
        # Whoever passes results on may leave the rankings out.
        if wanted is not None and file.is_file() and hash_file(file) != wanted:
            raise InputError(
                "it is not the file that its record was written with; run again with --again",
                path=file,
            )


def _require_agreeing(tables: Sequence[pd.DataFrame], record: Record, path: Path) -> None:
    queries = sum(map(len, tables))
    if queries != record.n_queries:
        raise _disagree(f"it has {queries:,} queries and its record {record.n_queries:,}", path)
    for name, said in record.measures.items():
        if all(name in table.columns for table in tables):
            mean = sum(float(table[name].mean()) for table in tables) / len(tables)
            if abs(mean - said) > _ROUNDING:
                values = f"{mean:.10g} and its record says {said:.10g}"
                raise _disagree(f"its mean {Measure.parse(name).title} is {values}", path)


def _disagree(what: str, path: Path) -> InputError:
    return InputError(f"{what}; one of the two was changed: run again with --again", path=path)


def read_per_query(path: Path) -> pd.DataFrame:
    """A per-query file, by query id; InputError unless every measure is a number in [0, 1] for each
    query, and each query is there once."""
    try:
        table = pd.read_csv(path, dtype={"query_id": str}, keep_default_na=False)
        table = table.set_index("query_id")
    except (ValueError, KeyError) as error:
        raise InputError(f"not a per-query file ({error})", path=path) from error
    for measure in table.columns:
        table[measure] = _checked(table[measure], path)
    if not table.index.is_unique:
        raise InputError("a query is in it twice; keep one line of each", path=path)
    return table


def _checked(column: pd.Series[float], path: Path) -> pd.Series[float]:
    try:
        values = pd.to_numeric(column)
    except ValueError as error:
        raise InputError(f"not a per-query file ({error})", path=path) from error
    if values.empty or not values.between(0, 1).all():
        raise InputError(f"'{column.name}' is not a number from 0 to 1 for every query", path=path)
    return values
