"""Two results beside each other: paired tests on per-query files, corrected over datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tabulate

from gtr_beir.errors import InputError, UsageError
from gtr_beir.query_values import read_per_query, values_of
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import Comparison, compare, holm, weighted
from gtr_beir.records import PER_QUERY, RECORD, Record
from gtr_beir.report.rounding import p_value, shown, signed

_COLUMNS = 80
_SHORTEST = 8
"""Letters of a name that is still one."""


@dataclass(frozen=True)
class DatasetComparison:
    """One dataset's comparison; p_holm is the randomisation test's p, corrected over all."""

    dataset: str
    comparison: Comparison
    p_holm: float


@dataclass(frozen=True)
class Paired:
    """Per-query values of two results on one dataset.

    a, b: float64[n], in the order of query_ids; file_a, file_b: where they were read; parts: of a
    dataset that is a mean of others (CQADupStack), each with its own values; those of the whole are
    weighted so that every part counts the same.
    """

    dataset: str
    query_ids: tuple[str, ...]
    a: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    file_a: Path
    file_b: Path
    parts: tuple[Paired, ...] = ()


@dataclass(frozen=True)
class Pairing:
    """Two results: the datasets that both have, and the names of those that only one has."""

    pairs: tuple[Paired, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """One dataset of a result. files: of its parts, or its own; record: None of a file alone."""

    files: Mapping[str, Path]
    record: Record | None


@dataclass(frozen=True)
class _Column:
    """A measure's values in a file, by query id."""

    path: Path
    values: pd.Series[float]


def paired_results(a: Path, b: Path, measure: Measure) -> Pairing:
    """The values of every dataset that both results have.

    a, b: folders of a system, in which only datasets with a record count, folders of one dataset,
    or per-query files. Raises UsageError if they have no dataset in common, if their records are of
    different copies of a dataset, or if a ranking ends before the measure does; InputError if the
    files are not over the same queries.
    """
    of_a, of_b = _sources(a), _sources(b)
    single = _is_single(a) or _is_single(b)
    if single and len(of_a) == 1 and len(of_b) == 1:
        name = next(iter(of_a))
        return Pairing((_paired(name, of_a[name], next(iter(of_b.values())), measure),))
    shared = [name for name in of_a if name in of_b]
    if not shared:
        raise UsageError(f"{a} and {b} have no dataset in common")
    return Pairing(
        tuple(_paired(name, of_a[name], of_b[name], measure) for name in shared),
        tuple(name for name in of_a if name not in of_b) if not single else (),
        tuple(name for name in of_b if name not in of_a) if not single else (),
    )


def _is_single(path: Path) -> bool:
    return path.is_file() or (path / PER_QUERY).is_file() or (path / RECORD).is_file()


def _sources(path: Path) -> dict[str, _Source]:
    """Dataset -> where its values are."""
    if path.is_file():
        beside = path.name == PER_QUERY and (path.parent / RECORD).is_file()
        record = Record.read(path.parent) if beside else None
        return {path.parent.name: _Source({path.parent.name: path}, record)}
    if (path / RECORD).is_file():
        source = _recorded(path)
        return {path.name: source}
    found = {folder.parent.name: _recorded(folder.parent) for folder in _records_in(path)}
    if not found:
        raise UsageError(
            f"there is no {RECORD} in {path} or its datasets' folders; give a folder that a run "
            "has written"
        )
    return found


def _records_in(path: Path) -> list[Path]:
    return sorted(path.glob(f"*/{RECORD}"))


def _recorded(folder: Path) -> _Source:
    record = Record.read(folder)
    if not record.parts:
        return _Source({record.dataset: folder / PER_QUERY}, record)
    # Forums lie beside each other, in the folder of the whole.
    return _Source(
        {part: folder / part.rpartition("/")[2] / PER_QUERY for part in record.parts}, record
    )


def compare_pairs(pairs: Sequence[Paired]) -> list[DatasetComparison]:
    """Test every pair; p is corrected over all of them."""
    results = [
        (pair.dataset, compare(pair.a, pair.b, parts=[len(part.a) for part in pair.parts]))
        for pair in pairs
    ]
    corrected = holm([result.p_randomisation for _, result in results])
    return [
        DatasetComparison(name, result, p)
        for (name, result), p in zip(results, corrected, strict=True)
    ]


def _paired(name: str, one: _Source, two: _Source, measure: Measure) -> Paired:
    _require_alike(name, one, two, measure)
    first, second = _columns(one, measure), _columns(two, measure)
    if len(one.files) == 1:
        (a,), (b,) = first, second
        return _paired_columns(name, a, b)
    by_name = dict(zip(two.files, second, strict=True))
    parts = tuple(
        _paired_columns(part, column, by_name[part])
        for part, column in zip(one.files, first, strict=True)
    )
    return Paired(
        name,
        tuple(f"{part.dataset}/{query_id}" for part in parts for query_id in part.query_ids),
        weighted([part.a for part in parts]),
        weighted([part.b for part in parts]),
        parts[0].file_a.parent / RECORD,
        parts[0].file_b.parent / RECORD,
        parts,
    )


def _columns(source: _Source, measure: Measure) -> list[_Column]:
    """The measure's values in each of a result's files, which must be those of its record."""
    paths = list(source.files.values())
    if source.record is None:
        tables = [read_per_query(path) for path in paths]
    else:
        tables = values_of(source.record, paths)
    for path, table in zip(paths, tables, strict=True):
        if str(measure) not in table.columns:
            raise UsageError(
                f"{path} has no measure '{measure}'; it has {', '.join(map(str, table.columns))}"
            )
    # In the order of query ids, as a leaderboard draws them: both print the same numbers.
    return [
        _Column(path, table[str(measure)].sort_index())
        for path, table in zip(paths, tables, strict=True)
    ]


def _require_alike(name: str, one: _Source, two: _Source, measure: Measure) -> None:
    """UsageError for records of different datasets, of different policies on documents with the
    query's own id, or of rankings that end before the measure."""
    if one.record is None or two.record is None:
        return
    first, second = (record.fingerprints["dataset"] for record in (one.record, two.record))
    if first != second:
        raise UsageError(
            f"{one.record.system} and {two.record.system} ran on different datasets, or on "
            f"different copies of {name} ({first[:8]} and {second[:8]}); run both on the same"
        )
    policies = [record.identity.self_matches for record in (one.record, two.record)]
    if len(set(policies) - {"none"}) > 1:
        raise UsageError(
            f"{one.record.system} ran with --self-matches {policies[0]} on {name} and "
            f"{two.record.system} with {policies[1]}; run both with the same"
        )
    for record in (one.record, two.record):
        if record.depth < measure.cut:
            raise UsageError(
                f"{record.system} keeps {record.depth:,} documents of a query on {name}, fewer "
                f"than {measure.title} looks at; run it deeper, or compare by another measure"
            )


def _paired_columns(name: str, one: _Column, two: _Column) -> Paired:
    if set(one.values.index) != set(two.values.index):
        raise InputError(
            f"not over the same queries as {one.path}, which paired tests need; run both "
            "on the same dataset",
            path=two.path,
        )
    return Paired(
        name,
        tuple(map(str, one.values.index)),
        np.asarray(one.values, dtype=np.float64),
        np.asarray(two.values.loc[one.values.index], dtype=np.float64),
        one.path,
        two.path,
    )


def comparison_table(
    results: Sequence[DatasetComparison], b: str = "B", *, style: str = "simple"
) -> str:
    """For a terminal of 80 columns, of which long names leave no room for all; or, in another style
    of tabulate's, with every test. b: the second result's name."""
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
    left_out = ["queries", "p (random.)", "p (t)"] if narrow else []
    while True:
        kept = [{name: row[name] for name in row if name not in left_out} for row in rows]
        table = str(tabulate.tabulate(kept, "keys", style, disable_numparse=True))
        width = max(map(len, table.splitlines()), default=0)
        if not narrow or width <= _COLUMNS:
            return table
        if "w/t/l" not in left_out:
            left_out.append("w/t/l")
            continue
        longest = max(len(str(row["dataset"])) for row in rows)
        if longest <= _SHORTEST:
            return table
        # Letters that are two columns wide need another turn: each one shortens the longest name.
        room = min(max(longest - (width - _COLUMNS), _SHORTEST), longest - 1)
        for row in rows:
            row["dataset"] = _clipped(str(row["dataset"]), room)


def _clipped(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: room - 3]}..."
