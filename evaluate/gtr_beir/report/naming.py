"""What own systems and datasets are called in a report: a column for each system, a line for each
dataset, also where one label or one name stands for several."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gtr_beir.data.registry import nano_names, registered
from gtr_beir.digests import fingerprint_of
from gtr_beir.identity import Identity
from gtr_beir.published import TITLES
from gtr_beir.records import Record
from gtr_beir.report.board import OWN, Column

LETTERS = string.ascii_lowercase
"""What systems are called beside values that are better than theirs."""
MOST = len(LETTERS)
"""Systems that are tested beside each other."""
NANO = "Nano"
_OWN_RUN = "own run"
_SEEN = {"yes": "*", "perhaps": "(*)"}


@dataclass(frozen=True)
class Names:
    """The records of a report, with what each is called: worked out once.

    columns: (system, dataset) of a record -> its column; titles: (dataset, fingerprint) -> the
    title of its line.
    """

    records: tuple[Record, ...]
    columns: Mapping[tuple[str, str], Column]
    titles: Mapping[tuple[str, str], str]

    def column(self, record: Record) -> Column:
        return self.columns[record.system, record.dataset]

    def title(self, record: Record) -> str:
        return self.titles[record.dataset, record.fingerprints["dataset"]]

    @property
    def systems(self) -> dict[str, Column]:
        """Name of a column -> the column."""
        return {column.name: column for column in self.columns.values()}


def names_of(records: Sequence[Record]) -> Names:
    """Systems have a letter in the order of their names; where one label stands for several
    systems, or one name for several datasets, a hash tells them apart."""
    return Names(tuple(records), _columns(records), _titles(records))


def _columns(records: Sequence[Record]) -> dict[tuple[str, str], Column]:
    keys = {(record.system, record.dataset): _key(record) for record in records}
    of_label: dict[str, list[str]] = {}
    for (system, _), key in keys.items():
        if key not in of_label.setdefault(system, []):
            of_label[system].append(key)
    names = {
        key: system + (f" [{key[:6]}]" if len(several) > 1 else "")
        for system, several in of_label.items()
        for key in several
    }
    order = sorted(names.values())
    letters = dict(zip(order, LETTERS, strict=False)) if 1 < len(order) <= MOST else {}
    sizes: dict[str, int] = {}
    for record in records:
        counted, key = record.facts.get("parameters"), keys[record.system, record.dataset]
        if isinstance(counted, int):
            sizes[key] = max(counted, sizes.get(key, 0))
    found = {}
    for record in records:
        key = keys[record.system, record.dataset]
        found[record.system, record.dataset] = Column(
            names[key],
            OWN,
            _OWN_RUN,
            _about(record.identity),
            letters.get(names[key], ""),
            sizes.get(key, 0),
        )
    return found


def _key(record: Record) -> str:
    """What tells systems apart, also where one label was used for several."""
    about = [record.system, record.identity.model.weights or record.identity.model.name]
    return fingerprint_of([*about, _about(record.identity), record.depth])


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


def _titles(records: Iterable[Record]) -> dict[tuple[str, str], str]:
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


def by_size(titles: Iterable[str]) -> dict[str, list[str]]:
    """ "" -> titles of full datasets, "Nano" -> those of NanoBEIR's, where there are any: a mean
    over both would be of nothing that anybody has."""
    nano = {title_of(name) for name in nano_names()}
    found: dict[str, list[str]] = {"": [], NANO: []}
    for title in titles:
        found[NANO if title.partition(" [")[0] in nano else ""].append(title)
    return {kind: held for kind, held in found.items() if held}


def title_of(name: str) -> str:
    spec = registered(name)
    if spec is None:
        return name
    seen = _SEEN.get(spec.trained_on)
    return spec.title + (f" {seen}" if seen else "")
