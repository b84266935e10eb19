"""Two results beside each other: paired tests on per-query files, corrected over datasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tabulate

from gtr_beir.errors import InputError, UsageError
from gtr_beir.ranking.significance import Comparison, compare, holm
from gtr_beir.records import PER_QUERY
from gtr_beir.report.rounding import shown, signed


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
    tables = []
    for path in (one, two):
        try:
            table = pd.read_csv(path, dtype={"query_id": str}, keep_default_na=False)
            table = table.set_index("query_id")
        except (ValueError, KeyError) as error:
            raise InputError(f"not a per-query file ({error})", path=path) from error
        if measure not in table.columns:
            raise UsageError(
                f"{path} has no measure '{measure}'; it has {', '.join(map(str, table.columns))}"
            )
        try:
            values = pd.to_numeric(table[measure])
        except ValueError as error:
            raise InputError(f"not a per-query file ({error})", path=path) from error
        if values.empty or not values.between(0, 1).all():
            raise InputError(f"'{measure}' is not a number from 0 to 1 for every query", path=path)
        if not values.index.is_unique:
            raise InputError("a query is in it twice; keep one line of each", path=path)
        tables.append(values)
    if set(tables[0].index) != set(tables[1].index):
        raise InputError(
            f"not over the same queries as {one}, which paired tests need; run both "
            "on the same dataset",
            path=two,
        )
    return tables[0].to_numpy(), tables[1].loc[tables[0].index].to_numpy()


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
            shown(r.comparison.p_randomisation),
            shown(r.p_holm),
            shown(r.comparison.p_t),
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
