"""Own values for a board: intervals, marks of significance beside a baseline, and letters of the
own systems that each is better than."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gtr_beir.data.registry import registered
from gtr_beir.digests import fingerprint_of
from gtr_beir.identity import Identity
from gtr_beir.published import TITLES, PublishedValue
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import holm
from gtr_beir.records import Record
from gtr_beir.report.board import BETTER, DIFFERS, LEVEL, OWN, WORSE, Cell, Column
from gtr_beir.report.findings import Overall, Pair
from gtr_beir.report.pairs import LETTERS, MOST, beaten, overall_of, pairs_beside, pairs_of
from gtr_beir.report.per_query import PerQuery, Values
from gtr_beir.report.verdicts import held_against

_OWN_RUN = "own run"
_SEEN = {"yes": "*", "perhaps": "(*)"}

OwnCells = dict[Column, dict[str, Cell]]
"""Column -> title of a line -> cell."""


@dataclass(frozen=True)
class Own:
    """Own cells by each measure. pairs, overall: own systems beside each other."""

    cells: Mapping[Measure, OwnCells]
    pairs: tuple[Pair, ...]
    overall: tuple[Overall, ...]


def own_results(
    per_query: PerQuery,
    records: Sequence[Record],
    published: Sequence[PublishedValue],
    measures: Sequence[Measure],
    baseline: str,
) -> Own:
    """Own values by some measures, with their intervals, marks and letters. baseline: the name of
    a column, "" for none."""
    columns = columns_of(records)
    named = {column.name: column for column in columns.values()}
    many = len(named) > MOST
    cells = {measure: _cells(per_query, records, published, measure) for measure in measures}
    titles = titles_of(records)
    held: dict[Measure, dict[str, dict[str, Values]]] = {measure: {} for measure in measures}
    for record in records:
        title = title_of_record(record, titles)
        column = columns[record.system, record.dataset]
        for measure in measures:
            of = per_query.of if many else per_query.drawn
            values = of(record, measure)
            if values is not None and title in cells[measure].get(column, ()):
                held[measure].setdefault(title, {})[column.name] = values
    pairs: list[Pair] = []
    overall: list[Overall] = []
    for measure in measures:
        if many:
            these = pairs_beside(measure, held[measure], baseline)
        else:
            these = pairs_of(measure, held[measure])
            overall += overall_of(measure, held[measure])
        pairs += these
        for (title, system), mark in _marks(these, baseline).items():
            if mark:
                _put(cells[measure][named[system]], title, mark=mark)
        for (title, system), worse in beaten(these).items():
            beats = "".join(sorted(named[name].letter for name in worse))
            _put(cells[measure][named[system]], title, beats=beats)
    return Own(cells, tuple(pairs), tuple(overall))


def _cells(
    per_query: PerQuery,
    records: Sequence[Record],
    published: Sequence[PublishedValue],
    measure: Measure,
) -> OwnCells:
    """Own values by one measure, with intervals."""
    titles = titles_of(records)
    columns = columns_of(records)
    cells: OwnCells = {}
    for record in records:
        if record.depth < measure.cut or str(measure) not in record.measures:
            continue  # a ranking cut before the measure's own cut is another measure
        interval = per_query.interval(record, measure)
        differs = any(
            v.word == "differs" for v in held_against(record, published, measure, interval)
        )
        column = columns[record.system, record.dataset]
        cells.setdefault(column, {})[title_of_record(record, titles)] = Cell(
            record.measures[str(measure)],
            n=record.n_queries,
            low=interval[0],
            high=interval[1],
            marks=(DIFFERS,) if differs else (),
            note=record.signature,
        )
    return cells


def _put(cells: dict[str, Cell], title: str, *, mark: str = "", beats: str = "") -> None:
    cell = cells[title]
    marks = (*cell.marks, mark) if mark else cell.marks
    cells[title] = replace(cell, marks=marks, beats=beats or cell.beats)


def _marks(pairs: Sequence[Pair], baseline: str) -> dict[tuple[str, str], str]:
    """(line, system) -> its mark beside the baseline, "" where nothing is significant; corrected
    by Holm over all of them. pairs: of one measure."""
    beside = [pair for pair in pairs if baseline in (pair.a, pair.b)]
    corrected = holm([pair.p for pair in beside])
    marks = {}
    for pair, p in zip(beside, corrected, strict=True):
        system, sign = (pair.b, 1) if pair.a == baseline else (pair.a, -1)
        better = BETTER if sign * pair.difference > 0 else WORSE
        marks[pair.dataset, system] = better if p < LEVEL else ""
    return marks


def _key(record: Record) -> str:
    """What tells systems apart, also where one label was used for several."""
    about = [record.system, record.identity.model.weights or record.identity.model.name]
    return fingerprint_of([*about, _about(record.identity), record.depth])


def columns_of(records: Sequence[Record]) -> dict[tuple[str, str], Column]:
    """(system, dataset) of a record -> its column: one for each system, with a letter in the order
    of their names; where one label stands for several systems, a hash tells them apart."""
    keys: dict[str, list[str]] = {}
    for record in records:
        seen = keys.setdefault(record.system, [])
        if _key(record) not in seen:
            seen.append(_key(record))
    names = {
        key: system + (f" [{key[:6]}]" if len(several) > 1 else "")
        for system, several in keys.items()
        for key in several
    }
    sizes: dict[str, int] = {}
    for record in records:
        counted = record.facts.get("parameters")
        if isinstance(counted, int):
            sizes[_key(record)] = max(counted, sizes.get(_key(record), 0))
    order = sorted(names.values())
    letters = dict(zip(order, LETTERS, strict=False)) if 1 < len(order) <= MOST else {}
    found = {}
    for record in records:
        name = names[_key(record)]
        about = _about(record.identity)
        found[record.system, record.dataset] = Column(
            name, OWN, _OWN_RUN, about, letters.get(name, ""), sizes.get(_key(record), 0)
        )
    return found


def _about(identity: Identity) -> str:
    """Lengths, precision, options and scoring, in a few words."""
    parts = []
    if identity.lengths is not None:
        parts.append(f"{identity.lengths.protocol} lengths")
    parts += [identity.precision] if identity.precision else []
    parts += identity.options.values()
    if identity.scoring.reranked:
        parts.append(str(identity.scoring))
    if identity.model.family:
        parts.append(TITLES.get(identity.model.family, identity.model.family))
    elif identity.model.weights:
        parts.append("not a published model")
    return ", ".join(parts)


def titles_of(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """(dataset, fingerprint) -> title of its line; where one name stands for several datasets, the
    fingerprint tells them apart."""
    found: dict[str, list[str]] = {}
    for record in records:
        seen = found.setdefault(record.dataset, [])
        if record.fingerprints["dataset"] not in seen:
            seen.append(record.fingerprints["dataset"])
    return {
        (name, print_): title_of(name) + (f" [{print_[:8]}]" if len(prints) > 1 else "")
        for name, prints in found.items()
        for print_ in prints
    }


def title_of_record(record: Record, titles: Mapping[tuple[str, str], str]) -> str:
    """Of titles as `titles_of` gives them."""
    return titles[record.dataset, record.fingerprints["dataset"]]


def title_of(name: str) -> str:
    spec = registered(name)
    if spec is None:
        return name
    seen = _SEEN.get(spec.trained_on)
    return spec.title + (f" {seen}" if seen else "")
