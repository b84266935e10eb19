"""Two results beside each other: paired tests on per-query files, corrected over datasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tabulate

from gtr_beir.errors import InputError, UsageError
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import Comparison, compare, holm
from gtr_beir.records import PER_QUERY
from gtr_beir.report.rounding import p_value, shown, signed


@dataclass(frozen=True)
class DatasetComparison:
    """One dataset's comparison; p_holm is the randomisation test's p, corrected over all."""

    dataset: str
    comparison: Comparison
    p_holm: float


def compare_results(a: Path, b: Path, measure: str) -> list[DatasetComparison]:
    """Compare every dataset that both results have.

    Raises UsageError if there is none, InputError if the files are not over the same queries.
    """
    files_a, files_b = _per_query_files(a), _per_query_files(b)
    shared = [name for name in files_a if name in files_b]
    named = any(path.is_file() or (path / PER_QUERY).is_file() for path in (a, b))
    if named and len(files_a) == 1 and len(files_b) == 1:
        name_a, name_b = next(iter(files_a)), next(iter(files_b))
        pairs = [(name_a, files_a[name_a], files_b[name_b])]
    else:
        pairs = [(name, files_a[name], files_b[name]) for name in shared]
    if not pairs:
        raise UsageError(f"{a} and {b} have no dataset in common")
    results = [(name, compare(*_paired(one, two, measure))) for name, one, two in pairs]
    corrected = holm([result.p_randomisation for _, result in results])
    return [
        DatasetComparison(name, result, p)
        for (name, result), p in zip(results, corrected, strict=True)
    ]


def per_query_values(folder: Path, measure: Measure) -> npt.NDArray[np.float64] | None:
    """A measure's values in a folder of results, float64[n] in the order of the dataset's queries;
    None where there are none (a dataset that is a mean of others, or an older version's file).

    Raises InputError for a file that is none.
    """
    path = folder / PER_QUERY
    if not path.is_file():
        return None
    table = _table(path)
    if str(measure) not in table.columns:
        return None
    return np.asarray(_checked(table, str(measure), path), dtype=np.float64)


def _per_query_files(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {path.parent.name: path}
    if (path / PER_QUERY).is_file():
        return {path.name: path / PER_QUERY}
    found = {str(file.parent.relative_to(path)): file for file in sorted(path.rglob(PER_QUERY))}
    if not found:
        raise UsageError(f"there is no {PER_QUERY} in {path}; give a folder that a run has written")
    return found


def _paired(
    one: Path, two: Path, measure: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    columns = []
    for path in (one, two):
        table = _table(path)
        if measure not in table.columns:
            raise UsageError(
                f"{path} has no measure '{measure}'; it has {', '.join(map(str, table.columns))}"
            )
        columns.append(_checked(table, measure, path))
    a, b = columns
    if set(a.index) != set(b.index):
        raise InputError(
            f"not over the same queries as {one}, which paired tests need; run both "
            "on the same dataset",
            path=two,
        )
    return np.asarray(a, dtype=np.float64), np.asarray(b.loc[a.index], dtype=np.float64)


def _table(path: Path) -> pd.DataFrame:
    """A per-query file, by query id; InputError if it is none."""
    try:
        table = pd.read_csv(path, dtype={"query_id": str}, keep_default_na=False)
        return table.set_index("query_id")
    except (ValueError, KeyError) as error:
        raise InputError(f"not a per-query file ({error})", path=path) from error


def _checked(table: pd.DataFrame, measure: str, path: Path) -> pd.Series[float]:
    """A measure's values; InputError unless there is one in [0, 1] for each query, once."""
    try:
        values = pd.to_numeric(table[measure])
    except ValueError as error:
        raise InputError(f"not a per-query file ({error})", path=path) from error
    if values.empty or not values.between(0, 1).all():
        raise InputError(f"'{measure}' is not a number from 0 to 1 for every query", path=path)
    if not values.index.is_unique:
        raise InputError("a query is in it twice; keep one line of each", path=path)
    return values


def comparison_table(results: list[DatasetComparison]) -> str:
    """Plain text for a terminal."""
    rows = [
        [
            r.dataset,
            r.comparison.n,
            shown(r.comparison.mean_a),
            shown(r.comparison.mean_b),
            signed(r.comparison.difference),
            f"[{signed(r.comparison.low)}, {signed(r.comparison.high)}]",
            p_value(r.comparison.p_randomisation),
            p_value(r.p_holm),
            p_value(r.comparison.p_t),
            f"{r.comparison.wins}/{r.comparison.ties}/{r.comparison.losses}",
        ]
        for r in results
    ]
    headers = [
        "dataset",
        "queries",
        "A",
        "B",
        "B - A",
        "95 % interval",
        "p (random.)",
        "p (Holm)",
        "p (t)",
        "win/tie/loss",
    ]
    return tabulate.tabulate(rows, headers, "simple", disable_numparse=True)
