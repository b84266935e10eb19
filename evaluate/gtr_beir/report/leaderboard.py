"""Records and published numbers -> a Report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gtr_beir.data.registry import benchmark_names
from gtr_beir.errors import UsageError
from gtr_beir.kept import finish_all
from gtr_beir.published import published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import Record, read_all
from gtr_beir.report.board import (
    BETTER,
    CAPPED,
    DIFFERS,
    FIRST_VERSION,
    LEVEL,
    RAISED,
    WORSE,
    Board,
)
from gtr_beir.report.boards import boards_of, place, published_cells
from gtr_beir.report.exchange.mteb_files import mteb_values
from gtr_beir.report.naming import MOST, Names, names_of
from gtr_beir.report.own import own_results
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.sections import sections_of
from gtr_beir.report.verdicts import verdicts_on
from gtr_beir.report.whole import Report

MEASURES = (Measure("ndcg", 10), Measure("recall", 100))


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
    finish_all(folder)
    records = _chosen(list(read_all(folder)), systems, datasets)
    wanted = [Measure.parse(m) if isinstance(m, str) else m for m in measures]
    if not wanted:
        raise UsageError("no measure was named; give at least one, such as NDCG@10")
    given, left_out = mteb_values([Path(path) for path in beside], wanted)
    values = (*(published_values() if published else ()), *given)
    if sort not in ("mean", "name"):
        raise UsageError(f"there is no order '{sort}'; choose 'mean' or 'name'")
    names = names_of(records)
    against = _baseline(names, baseline)
    per_query = PerQuery(folder, records, wanted if len(names.systems) <= MOST else ())
    verdicts = verdicts_on(names, values, per_query)
    own = own_results(names, per_query, verdicts, wanted, against)
    boards: list[Board] = []
    for measure in wanted:
        there = published_cells(values, measure)
        boards += boards_of(measure, names, own.cells[measure], there, datasets, sort)
    sections = sections_of(
        names, per_query, wanted[0], own.pairs, against, datasets_dir, lengths=lengths, say=say
    )
    report = Report(
        boards=tuple(boards),
        verdicts=tuple(verdicts),
        pairs=own.pairs,
        overall=own.overall,
        sections=tuple(sorted(sections, key=lambda section: place(section.title, datasets))),
        baseline=against,
        remarks=(*_remarks(names, per_query), *left_out),
    )
    return replace(report, notes=_notes(report))


def _remarks(names: Names, per_query: PerQuery) -> Iterator[str]:
    """What a reader should know of the records themselves."""
    systems = len(names.systems)
    if systems > MOST:
        yield (
            f"{systems} own systems are tested beside the baseline alone, since at most {MOST} are "
            "tested beside each other; name some with --systems"
        )
    for name in dict.fromkeys(record.dataset for record in names.records):
        copies = [f"[{print_[:8]}]" for (held, print_) in names.titles if held == name]
        if len(copies) > 1:
            yield (
                f"{name} stands for {len(copies)} datasets, or copies of one, that are not the "
                f"same ({', '.join(copies)}: the dataset's fingerprint); their values are not "
                "compared with each other"
            )
    alone = [record for record in names.records if not per_query.tables(record)]
    if alone:
        yield (
            f"{len(alone)} of {len(names.records)} records have no per-query file beside them (of "
            f"{alone[0].system} on {alone[0].dataset}, for one): their means are not checked, have "
            "no interval and are not tested"
        )
    for record in names.records:
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


def _baseline(names: Names, named: str | None) -> str:
    """The name of the baseline's column, "" for none."""
    there = names.systems
    if named == "" or (named and named in there):
        return named
    if named:
        labelled = {names.column(r).name for r in names.records if r.system == named}
        if labelled:
            raise UsageError(
                f"'{named}' stands for several systems here; give one of "
                f"{', '.join(sorted(labelled))}"
            )
        raise UsageError(
            f"there is no own system '{named}' to compare with; there are {', '.join(there)}"
        )
    own = [
        names.column(record).name
        for record in names.records
        if record.identity.model.family.startswith("bm25-") and not record.identity.options
    ]
    return own[0] if own else ""


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
