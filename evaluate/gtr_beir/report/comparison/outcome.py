"""What a comparison comes to: verdicts in words, the queries that lost most, and requirements that
a difference must meet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from gtr_beir.data.registry import closest
from gtr_beir.errors import RequirementError, UsageError
from gtr_beir.kept import finish_all
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import RECORD, RUN, Record
from gtr_beir.report.board import LEVEL
from gtr_beir.report.comparison.paired import (
    DatasetComparison,
    Paired,
    compare_pairs,
    comparison_table,
    paired_results,
)
from gtr_beir.report.inspect_command import inspect_command
from gtr_beir.report.naming import by_size, title_of
from gtr_beir.report.notebook import output, paragraph
from gtr_beir.report.plain_text import clean
from gtr_beir.report.rounding import p_value, shown, signed

LOST = 3
"""Queries that lost most, and datasets on which they are told."""
_LABELS = "BCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST = len(_LABELS)
"""Results that can be compared with A."""
_TOLERANCE = 1e-12
"""What is closer than this to a bound differs from it by rounding alone."""
_EXPRESSION = re.compile(
    r"(?P<measure>.+?)\s*(?P<sign>>=|>)\s*(?P<least>[+-]?([0-9]+\.?[0-9]*|\.[0-9]+))"
)


@dataclass(frozen=True)
class Requirement:
    """The mean difference B - A of a measure must be at least `least`, or above it (strict)."""

    measure: Measure
    least: float
    strict: bool
    asked: str

    @staticmethod
    def parse(text: str) -> Requirement:
        """`ndcg@10 >= -0.005`, or with `>`; UsageError for anything else."""
        form = _EXPRESSION.fullmatch(text.strip())
        if form is None or not abs(float(form["least"])) <= 1:
            raise UsageError(
                f"--require '{text}' is not of the form 'ndcg@10 >= -0.005': a measure, >= or >, "
                "and a difference B - A from -1 to 1"
            )
        strict = form["sign"] == ">"
        return Requirement(Measure.parse(form["measure"]), float(form["least"]), strict, text)

    def met(self, difference: float) -> bool:
        if self.strict:
            return difference > self.least + _TOLERANCE
        return difference >= self.least - _TOLERANCE


@dataclass(frozen=True)
class Compared:
    """One result beside A. label: B, C, ...; given: what was asked for; pairs, results: by dataset,
    in the same order; only_a, only_b: datasets that just one of the two has."""

    label: str
    given: str
    pairs: tuple[Paired, ...]
    results: tuple[DatasetComparison, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()


@dataclass(frozen=True)
class Required:
    """A requirement with what does not meet it: `scifact (-0.0123)`, or `C on scifact (...)`."""

    requirement: Requirement
    failures: tuple[str, ...]

    @property
    def sentence(self) -> str:
        if not self.failures:
            return f"Required {self.requirement.asked}: met."
        return f"Required {self.requirement.asked}: not met by {', '.join(self.failures)}."


@dataclass(frozen=True)
class Outcome:
    """Everything that `gtr-beir compare` says; every p is corrected over all tests in it."""

    given: str
    measure: Measure
    compared: tuple[Compared, ...]
    required: tuple[Required, ...] = ()

    @property
    def tests(self) -> int:
        return sum(len(one.results) for one in self.compared)

    def require(self) -> None:
        """RequirementError, naming the datasets, if a requirement is not met."""
        said = [
            f"--require '{one.requirement.asked}' is not met by {', '.join(one.failures)}"
            for one in self.required
            if one.failures
        ]
        if said:
            raise RequirementError("; ".join(said))

    @property
    def title(self) -> str:
        """`NDCG@10: A is results/bm25-flat, B is results/mine`"""
        others = ", ".join(f"{one.label} is {clean(one.given)}" for one in self.compared)
        return f"{self.measure.title}: A is {clean(self.given)}, {others}"

    def frame(self) -> pd.DataFrame:
        """A line for each dataset and result, unrounded: measure, dataset, result and what it is
        compared with (against), queries, mean of both, the difference of `result` less `against`
        with its 95 % interval (low, high), p of the randomisation test as it is and corrected
        (p_holm), p of the t-test (p_t), and queries that are won, tied and lost."""
        return pd.DataFrame(
            [
                {
                    "measure": str(self.measure),
                    "dataset": result.dataset,
                    "result": one.given,
                    "against": self.given,
                    "queries": result.comparison.n,
                    "mean": result.comparison.mean_b,
                    "mean_against": result.comparison.mean_a,
                    "difference": result.comparison.difference,
                    "low": result.comparison.low,
                    "high": result.comparison.high,
                    "p": result.comparison.p_randomisation,
                    "p_holm": result.p_holm,
                    "p_t": result.comparison.p_t,
                    "wins": result.comparison.wins,
                    "ties": result.comparison.ties,
                    "losses": result.comparison.losses,
                }
                for one in self.compared
                for result in one.results
            ]
        )

    def __repr__(self) -> str:
        return f"Outcome({self.title}; tests: {self.tests})"

    def _repr_html_(self) -> str:
        """For a notebook: the tables and sentences of `gtr-beir compare`."""
        parts = [paragraph(self.title)]
        for one in self.compared:
            results = [replace(result, dataset=clean(result.dataset)) for result in one.results]
            parts.append(comparison_table(results, one.label, style="html"))
            parts += map(paragraph, verdicts(one, self))
        parts += [paragraph(required.sentence) for required in self.required]
        return output(*parts)


def compare(
    a: Path | str,
    b: Path | str,
    *more: Path | str,
    measure: Measure | str = "ndcg@10",
    require: str | Sequence[str] = (),
    results_dir: Path | str = "results",
) -> Outcome:
    """Compare results with the first of them by paired tests over the same queries.

    a, b, more: folders of a system (every dataset that both have is compared), folders of one
    dataset, queries.csv files, or names of systems in `results_dir`; require: what the differences
    must be, such as "ndcg@10 >= -0.005", for which `Outcome.require` stands. Raises UsageError for
    a measure or results that there are not, or for datasets that are not the same, and InputError
    for values that are not over the same queries.
    """
    others = [b, *more]
    if len(others) > MOST:
        raise UsageError(f"{len(others)} results are too many to compare with A; give {MOST}")
    asked = [require] if isinstance(require, str) else require
    requirements = [Requirement.parse(text) for text in asked]
    first, *found = (_found(Path(given), Path(results_dir)) for given in (a, *others))
    by = Measure.parse(measure) if isinstance(measure, str) else measure
    return outcome_of(first, found, by, requirements)


def _found(given: Path, results: Path) -> Path:
    """What is given, or the system of that name in the results folder; UsageError for a slip."""
    named = results / given
    if not given.exists() and not named.is_dir() and len(given.parts) == 1:
        systems = tuple(path.parent.parent.name for path in sorted(results.glob(f"*/*/{RECORD}")))
        if near := closest(given.name, systems, cutoff=0.75):
            raise UsageError(f"there is no result of '{given}' in {results}{near}")
    found = named if not given.exists() and named.is_dir() else given
    finish_all(found.parent if found.is_file() else found)
    return found


def outcome_of(
    a: Path, others: Sequence[Path], measure: Measure, requirements: Sequence[Requirement] = ()
) -> Outcome:
    """Compare results with A; errors are those of `paired_results`."""
    pairings = [paired_results(a, other, measure) for other in others]
    results = iter(compare_pairs([pair for some in pairings for pair in some.pairs]))
    compared = tuple(
        Compared(
            _LABELS[place],
            str(given),
            some.pairs,
            tuple(next(results) for _ in some.pairs),
            some.only_a,
            some.only_b,
        )
        for place, (given, some) in enumerate(zip(others, pairings, strict=True))
    )
    required = tuple(
        Required(one, tuple(_failures(one, a, others))) for one in dict.fromkeys(requirements)
    )
    return Outcome(str(a), measure, compared, required)


def _failures(requirement: Requirement, a: Path, others: Sequence[Path]) -> Iterator[str]:
    for label, other in zip(_LABELS, others, strict=False):
        whose = f"{label} on " if len(others) > 1 else ""
        pairing = paired_results(a, other, requirement.measure)
        for pair in pairing.pairs:
            difference = float((pair.b - pair.a).mean())
            if not requirement.met(difference):
                yield f"{whose}{clean(pair.dataset)} ({signed(difference)})"
        for name in pairing.only_a:
            yield f"{whose}{clean(name)} ({label} has no result)"


def verdicts(one: Compared, outcome: Outcome) -> list[str]:
    """Sentences that say what the tests show: one for a single dataset; for several, how many are
    better, worse and undecided, and which."""
    measure, tests, b = outcome.measure, outcome.tests, one.label
    corrected = f", Holm over {tests} tests" if tests > 1 else ""
    alone = [
        f"Not compared, since only {whose} has a result: {', '.join(map(clean, names))}."
        for whose, names in (("A", one.only_a), (b, one.only_b))
        if names
    ]
    if len(one.results) == 1:
        return [_sentence(one.results[0], measure, b, corrected), *alone]
    groups: Mapping[str, list[str]] = {"better": [], "worse": [], "": []}
    for result in one.results:
        groups[_word(result)].append(result.dataset)
    parts = [
        f"{word} on {len(groups[word])}{_listed(groups[word])}" for word in ("better", "worse")
    ]
    return [
        f"Of {len(one.results)} datasets {b} is {' and '.join(parts)}; on {len(groups[''])} no "
        f"difference is shown (p < {LEVEL:g}{corrected}).",
        *_means(one, measure),
        *alone,
    ]


def _means(one: Compared, measure: Measure) -> Iterator[str]:
    kinds = by_size(title_of(result.dataset) for result in one.results)
    for kind, titles in kinds.items():
        found = [r.comparison.difference for r in one.results if title_of(r.dataset) in titles]
        if len(found) > 1:
            on = f" on {kind or 'full'} sets" if len(kinds) > 1 else ""
            yield (
                f"The mean of the differences {one.label} - A{on} is "
                f"{signed(sum(found) / len(found))} {measure.title}."
            )


def _word(result: DatasetComparison) -> str:
    """better, worse, or "" where no difference is shown."""
    if result.p_holm >= LEVEL:
        return ""
    return "better" if result.comparison.difference > 0 else "worse"


def _listed(names: Sequence[str]) -> str:
    return f" ({', '.join(map(clean, names))})" if names else ""


def _sentence(result: DatasetComparison, measure: Measure, b: str, corrected: str) -> str:
    found, word = result.comparison, _word(result)
    p = p_value(result.p_holm)
    tested = (
        f"(95 % interval {signed(found.low)} to {signed(found.high)}, p "
        f"{p if p.startswith('<') else f'= {p}'}{corrected})"
    )
    dataset = clean(result.dataset)
    if not word:
        return (
            f"No difference is shown on {dataset}: {b} - A is {signed(found.difference)} "
            f"{measure.title} {tested}."
        )
    return (
        f"{b} is {word} than A on {dataset} by {shown(abs(found.difference))} {measure.title} "
        f"{tested}."
    )


@dataclass(frozen=True)
class Lost:
    """queries: (id, value of A, value of B), worst first; command: what shows them, "" where there
    is no run to look at."""

    dataset: str
    queries: tuple[tuple[str, float, float], ...]
    command: str


def most_lost(one: Compared, measure: Measure) -> list[Lost]:
    """The queries that lost most on the datasets with the lowest differences; ties by id."""
    # `inspect` looks at one forum at a time.
    each = [part for pair in one.pairs for part in (pair.parts or (pair,))]
    pairs = sorted(each, key=lambda pair: float((pair.b - pair.a).mean()))
    found = []
    for pair in pairs[:LOST]:
        values = zip(pair.query_ids, pair.a.tolist(), pair.b.tolist(), strict=True)
        losses = sorted(
            (value for value in values if value[2] < value[1]),
            key=lambda value: (value[2] - value[1], value[0]),
        )[:LOST]
        if losses:
            command = _command(pair, [query for query, _, _ in losses], measure)
            found.append(Lost(pair.dataset, tuple(losses), command))
    return found


def _command(pair: Paired, queries: Sequence[str], measure: Measure) -> str:
    """What shows these queries; "" where a result has no run beside its values, or where what it
    would name cannot be typed."""
    folders = [file.parent for file in (pair.file_a, pair.file_b)]
    files = [folder / name for folder in folders for name in (RUN, RECORD)]
    if not all(file.is_file() for file in files):
        return ""
    dataset = Record.read(folders[0]).dataset
    systems = [str(_system(folder, dataset)) for folder in folders]
    return inspect_command(systems, dataset, queries, measure)


def _system(folder: Path, dataset: str) -> Path:
    """The system's folder, where the dataset's has the usual name."""
    depth = dataset.count("/") + 1
    usual = "/".join(folder.parts[-depth:]) == dataset and len(folder.parts) > depth
    return folder.parents[depth - 1] if usual else folder
