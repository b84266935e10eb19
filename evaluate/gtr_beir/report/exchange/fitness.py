"""Which of a system's records are MTEB's own measurement, under which name, and their values.

What MTEB runs: texts cut at the checkpoint's own limit, the whole corpus ranked, documents with the
query's own id dropped on five tasks and kept on the others, Touché's second judgements. A record of
anything else is refused with the reason. Measures have MTEB's names and its meaning: trec_eval's
NDCG, MAP, recall, precision and success, and the reciprocal rank of the first relevant document
within the cut, each a mean over all queries with judgements.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import gtr_beir
from gtr_beir.errors import StoreError, UsageError
from gtr_beir.files import atomic_write
from gtr_beir.identity import why_not_compared
from gtr_beir.kept import finish_all
from gtr_beir.published import PublishedValue
from gtr_beir.ranking.measures import MEASURES, Measure
from gtr_beir.records import RECORD, Record
from gtr_beir.report.exchange.mteb_tasks import CQADUPSTACK, MAIN, MtebTask, mteb_tasks
from gtr_beir.report.plain_text import printable
from gtr_beir.report.rounding import as_shown

WRITTEN_BY = f"gtr-beir {gtr_beir.__version__}"
"""What stands in every file, so that ours are told from others' before they are replaced."""
DECIMALS, DECIMALS_OF_MEAN = 5, 6
"""As MTEB rounds a task's measures, and the mean of CQADupStack's forums."""
MAIN_KEY = MAIN.replace("@", "_at_")
"""MTEB's name of the main score."""
_NAMES = {"p": "precision", "success": "hit_rate"}
"""MTEB's names of measures, where they are not ours."""
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LONGEST_REVISION = 40
_SIGNED = re.compile(r"gtr-beir [0-9]\S*: ")
_LARGEST = 1 << 22
"""Bytes; ours have some kB."""


@dataclass(frozen=True)
class TaskValues:
    """One task. values: MTEB's name of a measure -> mean in [0, 1], unrounded; decimals: as MTEB
    rounds them; seconds: that the search took, None where unknown; finished: when, likewise;
    signature: of the record."""

    task: MtebTask
    values: Mapping[str, float]
    decimals: int
    seconds: float | None
    finished: datetime.datetime | None
    signature: str


@dataclass(frozen=True)
class SystemValues:
    """What a system's folder has for others. model: "org/model"; revision: the hub's commit, or the
    first 40 digits of the system's fingerprint (over its weights and what else decides scores);
    record: one of those that are told; skipped: a sentence for each that is not."""

    model: str
    revision: str
    record: Record
    tasks: tuple[TaskValues, ...]
    skipped: tuple[str, ...]


def values_for_others(folder: Path, name: str | None = None) -> SystemValues:
    """The values of a system's folder of results that MTEB would measure too.

    name: "org/model" for a model that is not on the hub, or is not run there as it is here. Raises
    UsageError where there is nothing to tell, or no name to tell it under.
    """
    records = _records(folder)
    model, revision = _named(records, folder, name)
    # The hub's name stands for its weights in the precision in which MTEB runs them.
    precision = "fp32" if model == records[0].identity.model.hub else ""
    told: list[Record] = []
    skipped: list[str] = []
    for record in records:
        why_not = why_not_mteb(record, precision)
        if why_not:
            skipped.append(printable(f"{record.dataset}: {why_not}"))
        else:
            told.append(record)
    if not told:
        raise UsageError(
            f"{folder} has nothing that MTEB measures ({'; '.join(skipped)}); `gtr-beir run` makes "
            "records with MTEB's lengths where --protocol hub is given, and with its policy for "
            "most datasets where --self-matches keep is"
        )
    tasks = [values for record in told for values in _tasks(record)]
    order = list(mteb_tasks())
    tasks.sort(key=lambda values: order.index(values.task.dataset))
    return SystemValues(model, revision, told[0], tuple(tasks), tuple(skipped))


def why_not_mteb(record: Record, precision: str = "") -> str:
    """Why a record is not what MTEB measures, in words; "" where it is. precision: that MTEB's
    value must have, "" for any."""
    task = mteb_tasks().get(record.dataset)
    if task is None:
        return "MTEB has no task of it"
    if record.dataset == CQADUPSTACK and set(record.parts) != _forums():
        return "the values of its 12 forums are not in the record; run it with --again"
    own = record.identity
    limit = 0
    if own.lengths is not None:
        limit = replace(own.lengths, protocol="hub").limit(record.dataset, "document")
    theirs = PublishedValue(
        source="",
        system="",
        dataset=record.dataset,
        metric=MAIN,
        value=record.measures[MAIN],
        decimals=DECIMALS,
        family=own.model.family,
        lengths="hub",
        own_length=limit,
        precision=precision,
        scoring="whole",
        self_matches=task.self_matches,
        version=task.version,
        tolerance=0.0,
        apart="",
        provenance="",
    )
    reasons = why_not_compared(own, theirs, Measure.parse(MAIN).cut)
    return f"not as MTEB measures it: {reasons}" if reasons else ""


def _records(folder: Path) -> list[Record]:
    """All of a system; forums alone only where not all of them are done."""
    finish_all(folder)
    paths = sorted(folder.glob(f"*/{RECORD}"))
    if not (folder / CQADUPSTACK / RECORD).is_file():
        paths += sorted(folder.glob(f"{CQADUPSTACK}/*/{RECORD}"))
    if not paths:
        raise UsageError(
            f"there is no record in {folder}; give the folder of a system, such as "
            "results/gtr-base@hub"
        )
    records = [Record.read(path.parent) for path in paths]
    for path, record in zip(paths, records, strict=True):
        if record.fingerprints["system"] != records[0].fingerprints["system"]:
            raise UsageError(
                f"{path} is of another model or other settings than {paths[0]}; run them under two "
                "names with --label"
            )
    return records


def _named(records: list[Record], folder: Path, name: str | None) -> tuple[str, str]:
    """Model and revision."""
    own = records[0].identity.model
    model = name or own.hub or ""
    if not model:
        raise UsageError(f"{folder} is of a model that is not on the hub; give --name ORG/MODEL")
    if not _MODEL_NAME.fullmatch(model):
        raise UsageError(
            f"'{model}' cannot be a model's name; give --name ORG/MODEL, of letters, digits, '.', "
            "'_' and '-'"
        )
    on_the_hub = own.commit if model == own.hub else None
    revision = on_the_hub or records[0].fingerprints["system"][:_LONGEST_REVISION]
    if not _REVISION.fullmatch(revision):
        raise StoreError(f"the records in {folder} are damaged (revision); run again with --again")
    return model, revision


def _forums() -> set[str]:
    return {dataset for dataset in mteb_tasks() if dataset.startswith(f"{CQADUPSTACK}/")}


def _tasks(record: Record) -> Iterator[TaskValues]:
    """A record's task; for CQADupStack those of its forums, and their mean as MTEB takes it."""
    if record.dataset != CQADUPSTACK:
        values = _values(record.measures, record)
        yield _told(record, record.dataset, values, DECIMALS, _seconds(record))
        return
    forums = {dataset: _values(part, record) for dataset, part in record.parts.items()}
    main = [as_shown(values[MAIN_KEY], DECIMALS) for values in forums.values()]
    mean = {MAIN_KEY: sum(main) / len(main)}
    yield _told(record, CQADUPSTACK, mean, DECIMALS_OF_MEAN, None)
    for dataset, values in forums.items():
        yield _told(record, dataset, values, DECIMALS, None)


def _values(measures: Mapping[str, float], record: Record) -> dict[str, float]:
    """By MTEB's names; StoreError where a value cannot be a measure's."""
    found = {
        f"{_NAMES.get(measure.name, measure.name)}_at_{measure.cut}": measures[str(measure)]
        for measure in MEASURES
        if measure.name != "recall_cap" and str(measure) in measures and measure.cut <= record.depth
    }
    numbers = all(isinstance(value, float | int) and 0 <= value <= 1 for value in found.values())
    if not numbers or MAIN_KEY not in found:
        raise StoreError(
            f"the record of {record.system} on {record.dataset} is damaged (its measures); run "
            "again with --again"
        )
    return found


def _told(
    record: Record,
    dataset: str,
    values: Mapping[str, float],
    decimals: int,
    seconds: float | None,
) -> TaskValues:
    task = mteb_tasks()[dataset]
    return TaskValues(task, values, decimals, seconds, _finished(record), record.signature)


def _seconds(record: Record) -> float | None:
    seconds = record.facts.get("seconds")
    found = seconds.get("search_total") if isinstance(seconds, Mapping) else None
    return found if isinstance(found, float) else None


def _finished(record: Record) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(record.finished)
    except ValueError:
        return None


def write_files(files: Mapping[Path, str], ours: Callable[[str], bool]) -> None:
    """Write all of them, or nothing where one would replace what another program or a person wrote
    (UsageError). ours: whether the text of a file is one that was written here."""
    for path in files:
        if path.exists() and not _is_ours(path, ours):
            raise UsageError(
                f"{path} is there already and gtr-beir did not write it; give another folder with "
                "-o"
            )
    for path, text in files.items():
        with atomic_write(path, "w") as handle:
            handle.write(text)


def _is_ours(path: Path, ours: Callable[[str], bool]) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        data = handle.read(_LARGEST + 1)
    try:
        return len(data) <= _LARGEST and ours(data.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def signed(text: object) -> bool:
    """Whether the signature of a file begins as ours do, whatever the version."""
    return isinstance(text, str) and _SIGNED.match(text) is not None
