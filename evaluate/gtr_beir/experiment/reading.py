"""An experiment from a TOML file, read strictly: what the file says is meant, or it is refused."""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from gtr_beir.data.registry import closest, suite
from gtr_beir.errors import UsageError
from gtr_beir.experiment.description import Experiment, SystemChoice
from gtr_beir.identity import USUAL_DEPTH
from gtr_beir.systems.base import owners, system_class
from gtr_beir.systems.options import Options, choices

LARGEST_FILE = 1 << 20
"""Bytes; a long experiment has some kB."""
DEEPEST = 10**9
"""The largest depth: no corpus has more documents."""
KEYS = (
    *("datasets", "suite", "depth", "self_matches", "reports", "baseline"),
    *("results_dir", "datasets_dir", "systems"),
)
SYSTEM_KEYS = ("name", "label", "depth", "rerank")
"""Keys that every system has, besides its options."""


def read_experiment(path: Path | str) -> Experiment:
    """The experiment that a file describes.

    Paths in it are meant from the current folder, as on the command line. Raises UsageError, with
    the file and the place of the key, for whatever is not understood.
    """
    path = Path(path)
    return _Reading(path).experiment(_tables(path))


def _tables(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        raise UsageError(f"there is no experiment file {path}")
    with path.open("rb") as handle:
        data = handle.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise UsageError(
            f"{path} is larger than {LARGEST_FILE:,} bytes, which no experiment file is"
        )
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise UsageError(f"{path} is not an experiment: it is nested too deep") from None
    except ValueError as error:  # of TOML, of UTF-8, or a number of thousands of digits
        raise UsageError(f"{path} is not TOML: {error}") from None


class _Reading:
    """The file that is read, for messages; keys are told with their place: `systems[2].dtype`,
    counted from 1."""

    def __init__(self, path: Path):
        self._path = path

    def experiment(self, tables: Mapping[str, object]) -> Experiment:
        self._known("", tables, KEYS, "an experiment")
        depth = self._depth("", tables, USUAL_DEPTH)
        named = self._text("", tables, "suite")
        if named is not None:
            with self._at("suite"):
                suite(named)
        datasets = self._texts(tables, "datasets")
        if not datasets and not named:
            raise self._wrong('it names no dataset; add datasets = ["scifact"] or suite = "public"')
        systems = tables.get("systems")
        if not isinstance(systems, list) or not systems:
            raise self._wrong(
                "it names no system; add a table [[systems]] with a name for each system"
            )
        reports = self._reports(tables)
        baseline = self._text("", tables, "baseline")
        if baseline is not None and not reports:
            raise self._wrong(
                "baseline is for the leaderboard, and reports names none; add reports = "
                '["md"] or leave it out'
            )
        return Experiment(
            systems=tuple(
                self._system(f"systems[{place}]", table, depth)
                for place, table in enumerate(systems, start=1)
            ),
            datasets=datasets,
            suite=named or "",
            self_matches=self._self_matches(tables),
            reports=reports,
            baseline=baseline,
            results_dir=self._place("", tables, "results_dir"),
            datasets_dir=self._place("", tables, "datasets_dir"),
        )

    def _system(self, where: str, table: object, depth: int) -> SystemChoice:
        if not isinstance(table, dict):
            raise self._wrong(f"{where} is not a table; write [[systems]] and a line name = ...")
        name = self._text(where, table, "name")
        if name is None:
            raise self._wrong(f'{where} has no name; add a line such as name = "gtr-base"')
        kind: type[Options] = system_class(name).options_type
        # Whether anything may be fetched is said once, for systems and datasets: --offline.
        own = {key: choice for key, choice in choices(kind).items() if key != "offline"}
        self._known(where, table, (*SYSTEM_KEYS, *own), name)
        given: dict[str, object] = {}
        for key in own.keys() & table.keys():
            given[key] = table[key]
            if not isinstance(own[key].parse, type):
                # A value with a form of its own is written as on the command line.
                with self._at(f"{where}.{key}"):
                    given[key] = own[key].parse(self._text(where, table, key) or "")
        with self._at(where):
            options = kind.of(name, given)
        return SystemChoice(
            name=name,
            options=options,
            label=self._text(where, table, "label"),
            depth=self._depth(where, table, depth),
            rerank=self._place(where, table, "rerank"),
        )

    def _reports(self, tables: Mapping[str, object]) -> tuple[str, ...]:
        from gtr_beir.report.formats.render import format_named

        try:
            return tuple(map(format_named, self._texts(tables, "reports")))
        except UsageError as error:
            raise self._wrong(f"reports: {error}") from None

    def _known(
        self, where: str, table: Mapping[str, object], keys: Iterable[str], what: str
    ) -> None:
        """UsageError for the first key of a table that there is not."""
        keys = tuple(keys)
        for key in table:
            if key not in keys:
                near = closest(key, keys)
                whose = ", ".join(f"'{key}' belongs to {title}" for title in owners([key]).values())
                raise self._wrong(
                    f"there is no key '{_joined(where, key)}'{near}; {what} has "
                    f"{', '.join(keys)}" + (f" ({whose})" if whose else "")
                )

    def _self_matches(self, tables: Mapping[str, object]) -> Literal["drop", "keep"]:
        value = self._text("", tables, "self_matches")
        if value == "keep":
            return "keep"
        if value in (None, "drop"):
            return "drop"
        raise self._wrong(f"self_matches cannot be '{value}'; choose 'drop' or 'keep'")

    def _depth(self, where: str, table: Mapping[str, object], usual: int) -> int:
        value = table.get("depth", usual)
        if type(value) is not int or not 1 <= value <= DEEPEST:
            raise self._wrong(
                f"{_joined(where, 'depth')} is {_shortened(value)}; give a whole number from 1 to "
                f"{DEEPEST:,}"
            )
        return value

    def _place(self, where: str, table: Mapping[str, object], key: str) -> Path | None:
        value = self._text(where, table, key)
        return None if value is None else Path(value)

    def _texts(self, table: Mapping[str, object], key: str) -> tuple[str, ...]:
        values = table.get(key, [])
        if not isinstance(values, list):
            raise self._wrong(f"{key} is {_shortened(values)}; give a list of texts in quotes")
        each = {f"{key}[{place}]": value for place, value in enumerate(values, start=1)}
        return tuple(dict.fromkeys(self._text("", each, name) or "" for name in each))

    def _text(self, where: str, table: Mapping[str, object], key: str) -> str | None:
        """None where the table does not have it; an empty text is none."""
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise self._wrong(
                f"{_joined(where, key)} is {_shortened(value)}; give a text in quotes"
            )
        return value

    @contextmanager
    def _at(self, where: str) -> Iterator[None]:
        """What is refused in the block is said to stand there."""
        try:
            yield
        except UsageError as error:
            raise self._wrong(f"{where}: {error}") from None

    def _wrong(self, what: str) -> UsageError:
        return UsageError(f"{self._path}: {what}")


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _shortened(value: object) -> str:
    return reprlib.repr(value)
