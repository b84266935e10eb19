"""A claim of a paper beside what was measured: REPRODUCED, DIFFERS, NOT RUN or NOT CHECKABLE.

A claim is a row of data: quantities and statements, each a small function of named values. The same
function is given the published values, the own ones, and the own ones over queries that are drawn
again, which makes the interval. A quantity agrees where it lies as near to the published one as the
rounding of the published values allows, plus a tolerance where the claim itself is vague.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gtr_beir.report.claims.evidence import Entry, Evidence, System
from gtr_beir.report.claims.resampling import Values
from gtr_beir.report.claims.selection import Apart, Lack, Selection

REPRODUCED, DIFFERS = "REPRODUCED", "DIFFERS"
NOT_RUN, NOT_CHECKABLE = "NOT RUN", "NOT CHECKABLE"
VERDICTS = (REPRODUCED, DIFFERS, NOT_RUN, NOT_CHECKABLE)

SCORE, LEAD, COUNT, RATIO = "score", "difference of scores", "count", "ratio"
PERCENT, WORDS = "percent", "words"
UNITS = (SCORE, LEAD, COUNT, RATIO, PERCENT, WORDS)

Truths = npt.NDArray[np.bool_]
Formula = Callable[[Values], Values]
"""float64[entries, n] -> float64[n]"""
Test = Callable[[Values], Truths]
"""float64[entries, n] -> bool[n]"""
_EXACT = 1e-9
"""Room for the last bits of a sum."""


@dataclass(frozen=True)
class Quantity:
    """A number of a claim.

    entries: the values that it is made of, in the order that the formula takes them; unit: of
    UNITS; stated: the number as the paper prints it where it cannot be worked out; tolerance: what
    part of it an own one may lie away, where the claim is too vague for rounding to decide; judged:
    whether the verdict rests on it.
    """

    title: str
    entries: tuple[Entry, ...]
    formula: Formula
    unit: str = SCORE
    stated: float | None = None
    tolerance: float = 0.0
    judged: bool = True


@dataclass(frozen=True)
class Statement:
    """What a claim says beside numbers, in words and as a test of named values."""

    sentence: str
    entries: tuple[Entry, ...]
    test: Test


@dataclass(frozen=True)
class Check:
    """What a claim is judged by; the first quantity stands in the table."""

    quantities: tuple[Quantity, ...]
    statements: tuple[Statement, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All values that are needed, each once."""
        held = [part.entries for part in self.quantities]
        held += [part.entries for part in self.statements]
        return tuple(dict.fromkeys(entry for entries in held for entry in entries))


@dataclass(frozen=True)
class Basis:
    """Over what a claim is judged. words: in words, "" where there is nothing to choose; datasets:
    those of a mean; bm25: the column that stands for BM25; why: why these are not all the datasets
    that the paper has, "" where they are."""

    words: str = ""
    datasets: tuple[str, ...] = ()
    bm25: System | None = None
    why: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim. where: in the paper; short: what the number in the table is; sentence: the claim
    in our words; check: what it is judged by, over a basis; bases: best first, the first that has
    all its values decides; remarks: what a reader must know; why_not: why it cannot be checked, ""
    where it can."""

    id: str
    where: str
    short: str
    sentence: str
    check: Callable[[Basis], Check] | None = None
    bases: tuple[Basis, ...] = (Basis(),)
    remarks: tuple[str, ...] = ()
    why_not: str = ""


@dataclass(frozen=True)
class Measured:
    """A quantity, published and own; None where there is none. low, high: 95 % interval of the own
    one, over queries; room: how far the own one may lie from the published one."""

    title: str
    unit: str
    published: float | None
    own: float | None = None
    low: float | None = None
    high: float | None = None
    room: float = 0.0
    judged: bool = True

    @property
    def difference(self) -> float | None:
        if self.own is None or self.published is None:
            return None
        return self.own - self.published

    @property
    def agrees(self) -> bool | None:
        """None where nothing is compared."""
        if not self.judged or self.difference is None:
            return None
        return abs(self.difference) <= self.room + _EXACT


@dataclass(frozen=True)
class Judged:
    """A statement: whether it holds for the own values and for the published ones (None where they
    are missing), and in which share of the resamples. judged: whether the verdict rests on it; not
    where the published values bear it out over the paper's datasets, but not over these."""

    sentence: str
    own: bool | None
    published: bool | None
    share: float | None = None
    judged: bool = True


@dataclass(frozen=True)
class Answer:
    """A claim and what was found. basis: what it is judged over; why_basis: why not over all that
    the paper has, "" where it is; quantities: the first stands in the table; others: the first
    quantity over the other bases, by their words; present, needed: values of own systems on
    datasets; lacks: what is missing; apart: records that are of another copy of a dataset than the
    others; because: why DIFFERS or NOT CHECKABLE."""

    claim: Claim
    verdict: str
    basis: str = ""
    why_basis: str = ""
    quantities: tuple[Measured, ...] = ()
    statements: tuple[Judged, ...] = ()
    others: tuple[tuple[str, Measured], ...] = ()
    present: int = 0
    needed: int = 0
    lacks: tuple[Lack, ...] = ()
    apart: tuple[Apart, ...] = ()
    because: tuple[str, ...] = ()

    @property
    def headline(self) -> Measured | None:
        return self.quantities[0] if self.quantities else None


def answer(claim: Claim, evidence: Evidence, *, intervals: bool = True) -> Answer:
    """Judge one claim. intervals: whether to draw queries again, which takes seconds."""
    if claim.check is None:
        return Answer(claim, NOT_CHECKABLE, because=(claim.why_not,))
    checks = {basis: claim.check(basis) for basis in claim.bases}
    alike = {basis: Selection(evidence, check.entries) for basis, check in checks.items()}
    any_version = {
        basis: Selection(evidence, check.entries, any_version=True)
        for basis, check in checks.items()
    }
    fewest = _fewest_lacks(checks, any_version)
    basis = next((b for b, check in checks.items() if _has_all(check.entries, alike[b])), None)
    shown = basis or _most_telling(checks, alike)
    check, held = checks[shown], alike[shown]
    quantities = tuple(_measured(q, held, intervals=intervals) for q in check.quantities)
    statements = tuple(
        _judged(statement, held, paper=paper, intervals=intervals)
        for statement, paper in zip(
            check.statements, checks[claim.bases[0]].statements, strict=True
        )
    )
    others = tuple(
        (
            other.words,
            replace(
                _measured(c.quantities[0], any_version[other], intervals=intervals), judged=False
            ),
        )
        for other, c in checks.items()
        if other != shown
    )
    because = () if basis is None else tuple(_reasons(quantities, statements))
    verdict = NOT_RUN if basis is None else DIFFERS if because else REPRODUCED
    return Answer(
        claim,
        verdict,
        shown.words,
        shown.why,
        quantities,
        statements,
        others,
        fewest.present,
        fewest.needed,
        fewest.lacks,
        fewest.apart,
        because,
    )


def _has_all(entries: Iterable[Entry], held: Selection) -> bool:
    return all(held.own(entry) is not None for entry in entries)


def _most_telling(checks: dict[Basis, Check], held: dict[Basis, Selection]) -> Basis:
    """Of bases that all lack something, the first that has the number in the table."""
    telling = (b for b, check in checks.items() if _has_all(check.quantities[0].entries, held[b]))
    return next(telling, next(iter(checks)))


@dataclass(frozen=True)
class _Lacks:
    lacks: tuple[Lack, ...]
    apart: tuple[Apart, ...]
    present: int
    needed: int


def _fewest_lacks(checks: dict[Basis, Check], held: dict[Basis, Selection]) -> _Lacks:
    """What is missing over the paper's datasets, of the basis that needs least, with how many
    values are there and how many there should be. An own dataset of another version is there."""
    found = []
    for basis, check in checks.items():
        if not basis.why:
            own = [entry for entry in check.entries if entry.system.command]
            missing = [(e, lack) for e in own if (lack := held[basis].lack(e)) is not None]
            needed = {(entry.system.command, entry.dataset) for entry in own}
            absent = {(entry.system.command, entry.dataset) for entry, _ in missing}
            lacks = tuple(dict.fromkeys(lack for _, lack in missing))
            present = len(needed) - len(absent)
            found.append(_Lacks(lacks, held[basis].apart, present, len(needed)))
    # The last is what commands without further options bring.
    return min(reversed(found), key=lambda each: len(each.lacks))


def _measured(quantity: Quantity, held: Selection, *, intervals: bool) -> Measured:
    published = [held.evidence.published(entry) for entry in quantity.entries]
    known = [value for value in published if value is not None]
    theirs, room = quantity.stated, 0.0
    if theirs is None and len(known) == len(quantity.entries):
        values = np.array([value for value, _ in known])
        theirs = float(quantity.formula(values[:, None])[0])
        # A value that only the publication has is the same on both sides.
        halves = [
            half if entry.system.command else 0.0
            for entry, (_, half) in zip(quantity.entries, known, strict=True)
        ]
        room = _room(quantity, values, np.array(halves))
    if theirs is not None and quantity.tolerance:
        room = quantity.tolerance * theirs
    measured = Measured(quantity.title, quantity.unit, theirs, room=room, judged=quantity.judged)
    mine = [value for entry in quantity.entries if (value := held.own(entry)) is not None]
    if len(mine) < len(quantity.entries):
        return measured
    own = float(quantity.formula(np.array(mine)[:, None])[0])
    ends = None
    if intervals:
        linear = quantity.unit in (SCORE, LEAD)
        ends = held.interval(quantity.entries, quantity.formula, linear=linear)
    low, high = ends or (None, None)
    return replace(measured, own=own, low=low, high=high)


def _room(quantity: Quantity, values: Values, halves: Values) -> float:
    """How far rounding can have moved a quantity: each value by half a unit of its last digit, all
    in the worst direction. A dataset counts once, so a count moves by the undecided datasets."""
    still = quantity.formula(values[:, None])[0]
    moved = np.stack([values[:, None] + sign * np.diag(halves) for sign in (-1, 1)])
    change = np.max([np.abs(quantity.formula(each) - still) for each in moved], axis=0)
    if quantity.unit != COUNT:
        return float(change.sum())
    datasets = [entry.dataset for entry in quantity.entries]
    most = dict.fromkeys(datasets, 0.0)
    for name, by in zip(datasets, change.tolist(), strict=True):
        most[name] = max(most[name], by)
    return float(sum(most.values()))


def _judged(statement: Statement, held: Selection, *, paper: Statement, intervals: bool) -> Judged:
    """paper: the same statement over the paper's datasets."""
    own = _holds(statement, [held.own(entry) for entry in statement.entries])
    published = _holds_there(statement, held.evidence)
    elsewhere = published is False and _holds_there(paper, held.evidence) is True
    samples = held.samples(statement.entries) if intervals and own is not None else None
    share = None if samples is None else float(statement.test(samples).mean())
    return Judged(statement.sentence, own, published, share, judged=not elsewhere)


def _holds_there(statement: Statement, evidence: Evidence) -> bool | None:
    published = [evidence.published(entry) for entry in statement.entries]
    return _holds(statement, [None if value is None else value[0] for value in published])


def _holds(statement: Statement, values: Sequence[float | None]) -> bool | None:
    held = [value for value in values if value is not None]
    if len(held) < len(values):
        return None
    return bool(statement.test(np.array(held)[:, None])[0])


def _reasons(quantities: Iterable[Measured], statements: Sequence[Judged]) -> Iterable[str]:
    """Why an own result differs from what is claimed."""
    outside = [quantity.title for quantity in quantities if quantity.agrees is False]
    if outside:
        yield f"too far from the paper: {'; '.join(outside)}"
        if all(statement.own for statement in statements if statement.judged):
            yield "what is said beside numbers holds"
    for statement in statements:
        if statement.judged and not statement.own:
            too = ", nor by the published values" if statement.published is False else ""
            yield f"it does not hold that {statement.sentence}{too}"
