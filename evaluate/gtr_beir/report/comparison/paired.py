"""Two results beside each other: paired tests on per-query files, corrected over datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tabulate

from gtr_beir.errors import InputError, UsageError
from gtr_beir.ranking.significance import Comparison, compare, holm
from gtr_beir.records import PER_QUERY, RECORD, Record
from gtr_beir.report.per_query import read_per_query
from gtr_beir.report.rounding import p_value, shown, signed


@dataclass(frozen=True)
class DatasetComparison:
    """One dataset's comparison; p_holm is the randomisation test's p, corrected over all."""

    dataset: str
    comparison: Comparison
    p_holm: float


@dataclass(frozen=True)
class Paired:
    """Per-query values of two results on one dataset. a, b: float64[n], in the order of query_ids;
    file_a, file_b: where they were read."""

    dataset: str
    query_ids: tuple[str, ...]
    a: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    file_a: Path
    file_b: Path


def paired_results(a: Path, b: Path, measure: str) -> list[Paired]:
    """The values of every dataset that both results have.

    Raises UsageError if there is none, or if the records beside the values are of different copies
    of a dataset, and InputError if the files are not over the same queries.
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
    for _, one, two in pairs:
        if not (a.is_file() or b.is_file()):
            _require_one_dataset(one.parent, two.parent)
    return [_paired(name, one, two, measure) for name, one, two in pairs]


def compare_pairs(pairs: Sequence[Paired]) -> list[DatasetComparison]:
    """Test every pair; p is corrected over all of them."""
    results = [(pair.dataset, compare(pair.a, pair.b)) for pair in pairs]
    corrected = holm([result.p_randomisation for _, result in results])
    return [
        DatasetComparison(name, result, p)
        for (name, result), p in zip(results, corrected, strict=True)
    ]


def _require_one_dataset(one: Path, two: Path) -> None:
    """UsageError if the records in two folders are of different datasets."""
    if not ((one / RECORD).is_file() and (two / RECORD).is_file()):
        return
    records = [Record.read(folder) for folder in (one, two)]
    first, second = (record.fingerprints["dataset"] for record in records)
    if first != second:
        raise UsageError(
            f"{one} and {two} are of different datasets, or of different copies of one "
            f"({first[:8]} and {second[:8]}); run both on the same"
        )


def _per_query_files(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {path.parent.name: path}
    if (path / PER_QUERY).is_file():
        return {path.name: path / PER_QUERY}
    found = {str(file.parent.relative_to(path)): file for file in sorted(path.rglob(PER_QUERY))}
    if not found:
        raise UsageError(f"there is no {PER_QUERY} in {path}; give a folder that a run has written")
    return found


def _paired(name: str, one: Path, two: Path, measure: str) -> Paired:
    columns = []
    for path in (one, two):
        table = read_per_query(path)
        if measure not in table.columns:
            raise UsageError(
                f"{path} has no measure '{measure}'; it has {', '.join(map(str, table.columns))}"
            )
        # In the order of query ids, as a leaderboard draws them: both print the same numbers.
        columns.append(table[measure].sort_index())
    a, b = columns
    if set(a.index) != set(b.index):
        raise InputError(
            f"not over the same queries as {one}, which paired tests need; run both "
            "on the same dataset",
            path=two,
        )
    return Paired(
        name,
        tuple(map(str, a.index)),
        np.asarray(a, dtype=np.float64),
        np.asarray(b.loc[a.index], dtype=np.float64),
        one,
        two,
    )


def comparison_table(
    results: Sequence[DatasetComparison], b: str = "B", *, style: str = "simple"
) -> str:
    """For a terminal of 80 columns; or, in another style of tabulate's, with every test. b: the
    second result's name."""
    narrow = style == "simple"
    rows = [
        {
            "dataset": r.dataset,
            "queries": r.comparison.n,
            "A": shown(r.comparison.mean_a),
            b: shown(r.comparison.mean_b),
            f"{b} - A": signed(r.comparison.difference),
            "95 % interval": f"{signed(r.comparison.low)} to {signed(r.comparison.high)}",
            "p (random.)": p_value(r.comparison.p_randomisation),
            "Holm p": p_value(r.p_holm),
            "p (t)": p_value(r.comparison.p_t),
            "w/t/l": f"{r.comparison.wins}/{r.comparison.ties}/{r.comparison.losses}",
        }
        for r in results
    ]
    # The three counts add up to the queries, and the corrected p is the one to go by.
    left_out = ("queries", "p (random.)", "p (t)") if narrow else ()
    kept = [{name: row[name] for name in row if name not in left_out} for row in rows]
    return tabulate.tabulate(kept, "keys", style, disable_numparse=True)
