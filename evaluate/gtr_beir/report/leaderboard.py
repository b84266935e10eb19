"""Records and published numbers -> a Report.

Averages stand only over named sets of datasets, and only in columns that have the whole set.
Datasets of one name and different fingerprints are different lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gtr_beir.checkpoints.layout import RELEASED
from gtr_beir.data.registry import benchmark_names, suite
from gtr_beir.errors import UsageError
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import Record, read_all
from gtr_beir.report.board import (
    BESIDE,
    BETTER,
    BM25,
    CAPPED,
    COLBERT,
    DIFFERS,
    FIRST_VERSION,
    GROUPS,
    GTR,
    LEVEL,
    OTHERS,
    RAISED,
    WORSE,
    Board,
    Cell,
    Column,
    Line,
)
from gtr_beir.report.exchange.mteb_files import mteb_values
from gtr_beir.report.findings import Verdict
from gtr_beir.report.own import (
    OwnCells,
    columns_of,
    own_results,
    title_of,
    title_of_record,
    titles_of,
)
from gtr_beir.report.pairs import MOST
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.sections import sections_of
from gtr_beir.report.verdicts import SOURCES, verdicts_on
from gtr_beir.report.whole import Report

MEASURES = (Measure("ndcg", 10), Measure("recall", 100))
_AVERAGES = {
    "zero-shot": "Avg zero-shot",
    "unseen": "Avg unseen",
    "public": "Avg public",
}
_BASELINES = (
    ("anserini", "bm25-flat"),
    ("anserini", "bm25-multifield"),
    ("beir-paper", "bm25"),
    ("beir-paper", "colbert"),
    ("colbertv2-paper", "colbertv2"),
)
"""Published columns that stand beside own ones, with GTR's own."""
_GTRSOURCES = ("gtr-paper", "t5x_retrieval-readme")


def leaderboard(
    results_dir: Path | str = "results",
    *,
    published: bool = True,
    measures: Sequence[Measure | str] = MEASURES,
    baseline: str | None = None,
    systems: Sequence[str] = (),
    datasets: Sequence[str] = (),
    sort: str = "mean",
    datasets_dir: Path | str | None = None,
    beside: Sequence[Path | str] = (),
    lengths: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """The report of a results folder.

    published: beside published numbers; baseline: the own system that the others are tested against
    (None: an own BM25 if there is one, "" for none); systems, datasets: those alone are shown (own
    ones by name); sort: own columns by "mean" over the shown datasets, or by "name"; datasets_dir:
    where the texts of queries are, if they are to be shown; beside: folders of MTEB's results,
    shown and compared like published numbers; lengths: whether texts are counted too, which takes a
    while, after `say` was told. Raises UsageError for a name or a folder that there
    is not, InputError for a file that is none of MTEB's.
    """
    folder = Path(results_dir)
    records = _chosen(list(read_all(folder)), systems, datasets)
    wanted = [Measure.parse(m) if isinstance(m, str) else m for m in measures]
    if not wanted:
        raise UsageError("no measure was named; give at least one, such as NDCG@10")
    given, left_out = mteb_values([Path(path) for path in beside], wanted)
    values = (*(published_values() if published else ()), *given)
    if sort not in ("mean", "name"):
        raise UsageError(f"there is no order '{sort}'; choose 'mean' or 'name'")
    against = _baseline(records, baseline)
    columns = {column.name for column in columns_of(records).values()}
    per_query = PerQuery(folder, records, wanted if len(columns) <= MOST else ())
    own = own_results(per_query, records, values, wanted, against)
    boards: list[Board] = []
    for measure in wanted:
        there = _published_cells(values, measure)
        boards += _boards(measure, records, own.cells[measure], there, datasets, sort)
    verdicts = tuple(_verdicts(records, values, per_query))
    sections = sections_of(
        records, per_query, wanted[0], against, datasets_dir, lengths=lengths, say=say
    )
    report = Report(
        boards=tuple(boards),
        verdicts=verdicts,
        pairs=own.pairs,
        overall=own.overall,
        sections=tuple(sorted(sections, key=lambda section: _place(section.title, datasets))),
        baseline=against,
        remarks=(*_remarks(records), *left_out),
    )
    return replace(report, notes=_notes(report))


def _verdicts(
    records: Sequence[Record], values: Sequence[PublishedValue], per_query: PerQuery
) -> Iterator[Verdict]:
    """Verdicts by the names that columns and lines have: a label may stand for several systems, and
    a name for several datasets."""
    columns, titles = columns_of(records), titles_of(records)
    for record in records:
        column, title = columns[record.system, record.dataset], title_of_record(record, titles)
        for verdict in verdicts_on([record], values, per_query):
            yield replace(verdict, system=column.name, dataset=title)


def _remarks(records: Sequence[Record]) -> Iterator[str]:
    """What a reader should know of the records themselves."""
    systems = len({column.name for column in columns_of(records).values()})
    if systems > MOST:
        yield (
            f"{systems} own systems are tested beside the baseline alone, since at most {MOST} are "
            "tested beside each other; name some with --systems"
        )
    for record in records:
        if record.lacks:
            yield (
                f"{record.system} on {record.dataset}: the record is of an older version and lacks "
                f"{len(record.lacks)} measures; the same `gtr-beir run` adds them"
            )


def _chosen(records: list[Record], systems: Sequence[str], datasets: Sequence[str]) -> list[Record]:
    for what, named, there in (
        ("own system", systems, {record.system for record in records}),
        ("dataset", datasets, {r.dataset for r in records} | set(benchmark_names())),
    ):
        unknown = [name for name in named if name not in there]
        if unknown:
            raise UsageError(
                f"there is no {what} '{unknown[0]}' here; there are {', '.join(sorted(there))}"
            )
    return [
        record
        for record in records
        if (not systems or record.system in systems)
        and (not datasets or record.dataset in datasets)
    ]


def _baseline(records: Sequence[Record], named: str | None) -> str:
    """The name of the baseline's column, "" for none."""
    columns = columns_of(records)
    there = list(dict.fromkeys(column.name for column in columns.values()))
    if named == "" or (named and named in there):
        return named
    if named:
        labelled = {columns[r.system, r.dataset].name for r in records if r.system == named}
        if labelled:
            raise UsageError(
                f"'{named}' stands for several systems here; give one of "
                f"{', '.join(sorted(labelled))}"
            )
        raise UsageError(
            f"there is no own system '{named}' to compare with; there are {', '.join(there)}"
        )
    own = [
        columns[record.system, record.dataset].name
        for record in records
        if record.identity.model.family.startswith("bm25-") and not record.identity.options
    ]
    return own[0] if own else ""


# Published values -------------------------------------------------------------------------------


def _published_cells(
    values: Sequence[PublishedValue], measure: Measure
) -> dict[Column, dict[str, Cell]]:
    """Capped recall stands in the recall table, marked; forums do not stand alone."""
    cells: dict[Column, dict[str, Cell]] = {}
    for value in values:
        capped = value.metric == f"recall_cap@{measure.cut}" and measure.name == "recall"
        if "/" in value.dataset or (value.metric != str(measure) and not capped):
            continue
        marks = (CAPPED,) if capped else ()
        if value.version == FIRST_VERSION:
            marks = (*marks, FIRST_VERSION)
        column = Column(
            value.system,
            _group(value),
            SOURCES.get(value.source, value.source),
            _said(value),
            parameters=RELEASED[value.family].parameters if value.family in RELEASED else 0,
        )
        cells.setdefault(column, {})[title_of(value.dataset)] = Cell(
            value.value, decimals=value.decimals, marks=marks, note=value.provenance
        )
    return cells


def _group(value: PublishedValue) -> str:
    if value.source not in SOURCES:
        return BESIDE
    pair = (value.source, value.system)
    if value.source in _GTRSOURCES:
        return GTR
    if pair in _BASELINES:
        return COLBERT if "colbert" in value.system else BM25
    return OTHERS


def _said(value: PublishedValue) -> str:
    parts = [f"{value.lengths} lengths"] if value.lengths else []
    parts += [value.precision] if value.precision else []
    return ", ".join([*parts, *(["reranked"] if value.scoring == "reranked" else [])])


# Boards -----------------------------------------------------------------------------------------


def _boards(
    measure: Measure,
    records: Sequence[Record],
    own: OwnCells,
    published: Mapping[Column, Mapping[str, Cell]],
    datasets: Sequence[str],
    sort: str,
) -> list[Board]:
    """Own datasets first, beside the baselines; then all 19; then the other published systems."""
    titles = titles_of(records)
    mine = list(dict.fromkeys(titles[r.dataset, r.fingerprints["dataset"]] for r in records))
    order = [title_of(name) for name in (datasets or benchmark_names())]
    mine.sort(key=lambda title: _place(title, datasets))
    beside = [c for c in published if c.group in (BESIDE, BM25, COLBERT, GTR)]
    rest = [c for c in published if c.group == OTHERS]
    whole = [*order]
    boards = []
    if own:
        columns = [*_ranked(own, mine, sort), *_ordered(beside, published, mine)]
        boards.append(_board(f"{measure.title}: own runs", measure, columns, mine, own, published))
    if published and not datasets:
        # Own columns with a few datasets stand above already; here they would be all but empty.
        benchmark = [c for c in _ranked(own, whole, sort) if _has_a_set(own[c])]
        columns = [*benchmark, *_ordered(beside, published, whole)]
        title = f"{measure.title}: all datasets"
        boards.append(_board(title, measure, columns, whole, own, published))
    if rest and (not datasets or not own):
        title = f"{measure.title}: other published systems"
        boards.append(
            _board(title, measure, _ordered(rest, published, whole), whole, own, published)
        )
    return [board for board in boards if board.columns and board.lines]


def _place(title: str, datasets: Sequence[str]) -> int:
    """Where a dataset's line stands: as they were named, else as the benchmark lists them; a user's
    own last."""
    order = [title_of(name) for name in (datasets or benchmark_names())]
    return order.index(title) if title in order else len(order)


def _has_a_set(cells: Mapping[str, Cell]) -> bool:
    """Whether a column has every dataset of any named set."""
    return any(all(title_of(d) in cells for d in suite(name)) for name in _AVERAGES)


def _ranked(own: OwnCells, titles: Sequence[str], sort: str) -> list[Column]:
    """Own columns by their mean over the shown datasets where all have it, else by name."""
    columns = sorted(own, key=lambda column: column.name)
    if sort == "name":
        return columns
    shared = [t for t in titles if all(t in own[column] for column in columns)]

    def mean(column: Column) -> float:
        return float(np.mean([own[column][title].value for title in shared])) if shared else 0.0

    return sorted(columns, key=lambda column: -mean(column))


def _ordered(
    columns: Iterable[Column], cells: Mapping[Column, Mapping[str, Cell]], titles: Sequence[str]
) -> list[Column]:
    """Columns that have a value of these lines, by group."""
    held = [column for column in columns if set(cells[column]) & set(titles)]
    return sorted(held, key=lambda column: GROUPS.index(column.group))


def _board(
    title: str,
    measure: Measure,
    columns: Sequence[Column],
    titles: Sequence[str],
    own: OwnCells,
    published: Mapping[Column, Mapping[str, Cell]],
) -> Board:
    def cells_of(column: Column) -> Mapping[str, Cell]:
        return own[column] if column in own else published[column]

    lines = [
        Line(name, {c: cells_of(c)[name] for c in columns if name in cells_of(c)})
        for name in titles
    ]
    lines = [line for line in lines if line.cells]
    if len(lines) > 1:
        averages = _averages(columns, {column: cells_of(column) for column in columns}, titles)
        mine = set(columns) & set(own)
        lines += [line for line in averages if not mine or mine & set(line.cells)]
    return Board(title, measure, tuple(columns), tuple(lines))


def _averages(
    columns: Sequence[Column], cells: Mapping[Column, Mapping[str, Cell]], shown: Sequence[str]
) -> list[Line]:
    """A line for each named set of which a column has every dataset."""
    sets = {
        f"{words} ({len(suite(name))})": [title_of(dataset) for dataset in suite(name)]
        for name, words in _AVERAGES.items()
    }
    known = {title for titles in sets.values() for title in titles}
    if set(shown) - known or not set(shown) >= set(sets[next(reversed(sets))]):
        sets = {f"Mean of these {len(shown)}": list(shown), **sets}
    lines = []
    for title, members in sets.items():
        found = {}
        for column in columns:
            held = [cells[column][name] for name in members if name in cells[column]]
            if len(held) == len(members):
                marks = dict.fromkeys(m for c in held for m in c.marks if m in _AVERAGED)
                found[column] = Cell(
                    sum(cell.value for cell in held) / len(held),
                    decimals=min(cell.decimals for cell in held),
                    n=len(held),
                    marks=tuple(marks),
                )
        if found:
            lines.append(Line(title, found, average=True))
    return lines


_AVERAGED = (CAPPED, FIRST_VERSION)
"""Marks of a value that its average has too."""


# Notes ------------------------------------------------------------------------------------------


def _notes(report: Report) -> dict[str, str]:
    """What the marks that stand in the report mean."""
    tested = f"than {report.baseline} (paired randomisation test, p < {LEVEL:g}, Holm-corrected "
    tested += "over all systems and datasets of a measure)"
    every = {
        BETTER: f"significantly better {tested}",
        WORSE: f"significantly worse {tested}",
        DIFFERS: "differs from a published value of the same model (see below)",
        CAPPED: "recall_cap@100, which is what the papers report on TREC-COVID: shown, never held "
        "against Recall@100, nor is an average that holds it",
        FIRST_VERSION: "very likely Touché-2020's first judgements: shown, never held against the "
        "second, nor is an average that holds them",
        "*": "GTR was fine-tuned on it (GTR paper, section 4.2)",
        "(*)": "GTR's pre-training data, pairs from question sites, may contain it",
    }
    used = {
        mark
        for board in report.boards
        for line in board.lines
        for cell in line.cells.values()
        for mark in (*cell.marks, *line.title.split(" "))
    }
    notes = {mark: note for mark, note in every.items() if mark in used}
    if any(
        cell.beats
        for board in report.boards
        for line in board.lines
        for cell in line.cells.values()
    ):
        notes[RAISED] = (
            "significantly better than the own system of that letter (paired randomisation test, "
            f"p < {LEVEL:g}, Holm-corrected over all pairs and datasets of a measure)"
        )
    return notes
