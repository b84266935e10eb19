"""Own values for a board: intervals, and marks of significance beside a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.data.registry import registered
from gtr_beir.digests import fingerprint_of
from gtr_beir.identity import Identity
from gtr_beir.published import TITLES, PublishedValue
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import holm, randomisation_test
from gtr_beir.records import Record
from gtr_beir.report.board import BETTER, DIFFERS, OWN, WORSE, Cell, Column
from gtr_beir.report.comparison import per_query_values
from gtr_beir.report.verdicts import held_against, interval_of

LEVEL = 0.05
"""What counts as significant."""
_OWN_RUN = "own run"
_SEEN = {"yes": "*", "perhaps": "(*)"}

OwnCells = dict[Column, dict[str, Cell]]
"""Column -> title of a line -> cell."""


def own_cells(
    folder: Path,
    records: Sequence[Record],
    published: Sequence[PublishedValue],
    measure: Measure,
    baseline: str,
) -> tuple[OwnCells, int]:
    """Own values with their intervals and marks; and how many tests were made."""
    titles = titles_of(records)
    by_query: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
    cells: OwnCells = {}
    columns = _own_columns(records)
    for record in records:
        if record.depth < measure.cut or str(measure) not in record.measures:
            continue  # a ranking cut before the measure's own cut is another measure
        title = titles[record.dataset, record.fingerprints["dataset"]]
        values = per_query_values(folder / record.system / record.dataset, measure)
        low, high = interval_of(values)
        if values is not None:
            by_query[_key(record), title] = values
        differs = any(
            v.word == "differs" for v in held_against(record, published, measure, low, high)
        )
        cells.setdefault(columns[_key(record)], {})[title] = Cell(
            record.measures[str(measure)],
            n=record.n_queries,
            low=low,
            high=high,
            marks=(DIFFERS,) if differs else (),
            note=record.signature,
        )
    against = next((_key(record) for record in records if record.system == baseline), "")
    tested = _tested(by_query, against)
    for (system, title), mark in tested.items():
        if mark:
            cell = cells[columns[system]][title]
            marked = replace(cell, marks=(*cell.marks, mark))
            cells[columns[system]][title] = marked
    return cells, len(tested)


def _tested(
    by_query: Mapping[tuple[str, str], npt.NDArray[np.float64]], baseline: str
) -> dict[tuple[str, str], str]:
    """(system, line) -> its mark beside the baseline, "" where nothing is significant; corrected
    by Holm over all of them."""
    pairs = [
        (system, title)
        for system, title in by_query
        if system != baseline
        and (baseline, title) in by_query
        and len(by_query[baseline, title]) == len(by_query[system, title])
    ]
    p_values, signs = [], []
    for system, title in pairs:
        difference = by_query[system, title] - by_query[baseline, title]
        p_values.append(float(randomisation_test(difference[:, None])[0]))
        signs.append(BETTER if difference.mean() > 0 else WORSE)
    corrected = holm(p_values)
    return {
        pair: sign if p < LEVEL else ""
        for pair, sign, p in zip(pairs, signs, corrected, strict=True)
    }


def _key(record: Record) -> str:
    """What tells systems apart, also where one label was used for several."""
    about = [record.system, record.identity.model.weights or record.identity.model.name]
    return fingerprint_of([*about, _about(record.identity), record.depth])


def _own_columns(records: Sequence[Record]) -> dict[str, Column]:
    """A column for each system; where one label stands for several, a hash tells them apart."""
    keys: dict[str, list[str]] = {}
    for record in records:
        seen = keys.setdefault(record.system, [])
        if _key(record) not in seen:
            seen.append(_key(record))
    found = {}
    for record in records:
        several = len(keys[record.system]) > 1
        name = record.system + (f" [{_key(record)[:6]}]" if several else "")
        found[_key(record)] = Column(name, OWN, _OWN_RUN, _about(record.identity))
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


def title_of(name: str) -> str:
    spec = registered(name)
    if spec is None:
        return name
    seen = _SEEN.get(spec.trained_on)
    return spec.title + (f" {seen}" if seen else "")
