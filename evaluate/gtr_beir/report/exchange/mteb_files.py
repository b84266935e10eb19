"""A folder of MTEB's result files as published values, to stand beside own ones.

    <folder>/results/<org>__<model>/<revision>/<Task>.json

The folder, its `results`, a model's folder and a revision's are all understood, and so are MTEB's
present files (`scores`, split, a list of subsets) and those from before its version 1.11 (split,
one flat table). Files of other tasks are not opened.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gtr_beir.checkpoints.layout import COLBERT, COLBERT_REVISIONS, RELEASED
from gtr_beir.errors import InputError, StoreError, UsageError
from gtr_beir.files import read_json
from gtr_beir.published import FORUMS, PublishedValue, forum_means, published_values
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.exchange.fitness import DECIMALS, DECIMALS_OF_MEAN
from gtr_beir.report.exchange.mteb_tasks import CQADUPSTACK, MtebTask, mteb_tasks
from gtr_beir.report.plain_text import printable

_FORMS = ("results/*/*", "*/*", "*", ".")
"""Where files lie below a folder that is given, with the model and its revision above them."""
_KEY = re.compile(r"(ndcg|map|recall|precision|mrr|hit_rate)_at_[1-9][0-9]{0,5}")
_SPLITS = {"dev": ("dev", "validation")}
"""What a split is also called: MS MARCO's dev was `validation` in MTEB's first runs."""
_NO_REVISION = "no_revision_available"
"""Where MTEB keeps the files from before it recorded revisions, GTR's among them."""
_MINILM = ("sentence-transformers/all-MiniLM-L6-v2", "8b3219a92973c328a8e22fadcfa821b5dc75636a")
_LARGEST = 1 << 23
"""Bytes; MTEB's files of these tasks have some 20 kB."""


@dataclass(frozen=True)
class _Model:
    """A revision of a model in one of the folders. source: what the folder is called; hub: its id
    on the Hugging Face hub, as far as the folder's name says it."""

    source: str
    hub: str
    revision: str


class _Remarks(list[str]):
    """Sentences on what was left out."""

    def add(self, path: Path, what: str) -> None:
        self.append(f"{printable('/'.join(path.parts[-3:]))}: {what}")


def mteb_values(
    folders: Sequence[Path], measures: Sequence[Measure]
) -> tuple[list[PublishedValue], list[str]]:
    """The values of some folders by some measures, and a remark on each that was left out.

    A model of a known family is compared as the numbers of MTEB that are published here; every
    other one is shown only. Raises UsageError for a folder without results, InputError for a file
    that is none of MTEB's.
    """
    files: dict[_Model, list[Path]] = {}
    for source, folder in _sources(folders).items():
        for path in _files(folder):
            files.setdefault(_model(path, source), []).append(path)
    values: list[PublishedValue] = []
    remarks = _Remarks()
    for model, paths in files.items():
        revisions = {other.revision for other in files if _same_but_revision(other, model)}
        like = _like(model, told_apart=len(revisions) > 1)
        found = [v for path in paths for v in _values_of(path, like, measures, remarks)]
        values += _with_means(found, paths[0].parent, remarks)
    return values, remarks


def _sources(folders: Sequence[Path]) -> dict[str, Path]:
    """Each folder once, by a name that no source of published values has."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys(path.resolve() for path in folders):
        named = folder.parent if folder.name == "results" else folder
        name = f"{printable(named.name)}/"
        taken = sum(other.split(" ")[0] == name for other in found)
        found[f"{name} ({taken + 1})" if taken else name] = folder
    return found


def _files(folder: Path) -> list[Path]:
    names = {f"{task.name}.json" for task in mteb_tasks().values()}
    found = [
        path
        for form in _FORMS
        for path in sorted(path for path in folder.glob(f"{form}/*.json") if path.name in names)
    ]
    if not found:
        raise UsageError(
            f"there is no result of MTEB in {folder}; give a folder that holds "
            "<org>__<model>/<revision>/<Task>.json, such as mteb's cache"
        )
    return found


def _model(path: Path, source: str) -> _Model:
    name, revision = printable(path.parent.parent.name), printable(path.parent.name)
    organisation, slashed, model = name.partition("__")
    # A name without an organisation could be taken for that of an own system.
    hub = f"{organisation}/{model}" if slashed else f"{source}{name}"
    return _Model(source, hub, revision)


def _same_but_revision(one: _Model, other: _Model) -> bool:
    return (one.source, one.hub) == (other.source, other.hub)


@functools.cache
def _families() -> Mapping[tuple[str, str], str]:
    """(hub id, revision) -> family, of the models whose results at MTEB are published here."""
    found = {
        (entry.hub, revision): family
        for family, entry in RELEASED.items()
        for revision in (entry.revision, _NO_REVISION)
    }
    found[COLBERT, COLBERT_REVISIONS[COLBERT]] = "colbertv2"
    return {**found, _MINILM: "all-MiniLM-L6-v2"}


def _like(model: _Model, *, told_apart: bool) -> PublishedValue:
    """A value without a number that says what all of the model's are of."""
    family = _families().get((model.hub, model.revision), "")
    system = family or model.hub
    if told_apart:
        revision = "no revision" if model.revision == _NO_REVISION else model.revision[:7]
        system = f"{system} [{revision}]"
    for value in published_values():
        if family and (value.source, value.family) == ("mteb-results", family):
            return replace(value, source=model.source, system=system)
    return PublishedValue(
        source=model.source,
        system=system,
        dataset="",
        metric="",
        value=0.0,
        decimals=DECIMALS,
        family=family,
        lengths="",
        own_length=0,
        precision="",
        scoring="whole",
        self_matches="",
        version="",
        tolerance=0.0,
        apart="",
        provenance="",
    )


def _values_of(
    path: Path, like: PublishedValue, measures: Sequence[Measure], remarks: _Remarks
) -> Iterator[PublishedValue]:
    task = next(task for task in mteb_tasks().values() if f"{task.name}.json" == path.name)
    data = _read(path)
    named = data.get("task_name", data.get("mteb_dataset_name", task.name))
    if named != task.name:
        raise InputError("the file says that it is of another task", path=printable(str(path)))
    scores = _scores(data, task, path)
    if scores is None:
        remarks.add(path, f"there are no scores on {task.split}")
        return
    if "main_score" in scores and scores["main_score"] is None:
        remarks.add(path, "its main score is null, so it is left out")
        return
    where = f"{'/'.join(path.parts[-3:])} (mteb {data.get('mteb_version') or 'did not run'})"
    missing = 0
    for name, value in scores.items():
        if not _KEY.fullmatch(name) or Measure.parse(name) not in measures:
            continue
        if value is None or (isinstance(value, float) and math.isnan(value)):
            missing += 1
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(
                f"'{name}' is not a number from 0 to 1, as MTEB's are", path=printable(str(path))
            )
        yield replace(
            like,
            dataset=task.dataset,
            metric=str(Measure.parse(name)),
            value=float(value),
            decimals=_decimals(value),
            self_matches=task.self_matches,
            version=task.version,
            provenance=printable(where),
        )
    if missing:
        remarks.add(path, f"{missing} values are null or NaN, so they are left out")


def _read(path: Path) -> Mapping[str, object]:
    try:
        data = read_json(path, most=_LARGEST)
    except StoreError as error:
        raise InputError(
            f"not a JSON file of at most {_LARGEST >> 20} MB; delete it, or leave its folder out",
            path=printable(str(path)),
        ) from error
    if not isinstance(data, dict):
        raise _not_a_result(path)
    return data


def _scores(data: Mapping[str, object], task: MtebTask, path: Path) -> Mapping[str, object] | None:
    """The scores on the split that counts; None if there are none."""
    splits = data.get("scores", data)
    if not isinstance(splits, dict):
        raise _not_a_result(path)
    names = _SPLITS.get(task.split, (task.split,))
    found = next((splits[name] for name in names if name in splits), None)
    if isinstance(found, list):
        subsets = [entry for entry in found if isinstance(entry, dict)]
        if len(subsets) < len(found):
            raise _not_a_result(path)
        found = next((e for e in subsets if e.get("hf_subset", "default") == "default"), None)
    if isinstance(found, dict) and isinstance(found.get("default"), dict):
        found = found["default"]  # between the two formats: a table of subsets
    if found is not None and not isinstance(found, dict):
        raise _not_a_result(path)
    return found


def _not_a_result(path: Path) -> InputError:
    return InputError("not a result file of MTEB", path=printable(str(path)))


def _decimals(value: float) -> int:
    """Digits to show and to compare by; JSON drops trailing zeros, and not all are rounded."""
    digits = len(repr(float(value)).partition(".")[2])
    return min(max(digits, DECIMALS), DECIMALS_OF_MEAN)


def _with_means(
    values: list[PublishedValue], folder: Path, remarks: _Remarks
) -> Iterator[PublishedValue]:
    """CQADupStack's means from its forums; from the file of the mean only what those lack."""
    means = tuple(forum_means(values))
    known = {mean.metric for mean in means}
    yield from (v for v in values if v.dataset != CQADUPSTACK or v.metric not in known)
    yield from means
    datasets = {value.dataset for value in values}
    forums = sum(dataset.startswith(f"{CQADUPSTACK}/") for dataset in datasets)
    if CQADUPSTACK not in datasets and 0 < forums < FORUMS:
        remarks.add(
            folder / CQADUPSTACK, f"{forums} of {FORUMS} forums have no mean, so they are left out"
        )
