"""Claims as text for a terminal, as GitHub markdown, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tabulate

from gtr_beir.report.claims.claim import (
    COUNT,
    DIFFERS,
    LEAD,
    NOT_CHECKABLE,
    NOT_RUN,
    PERCENT,
    RATIO,
    VERDICTS,
    WORDS,
    Answer,
    Measured,
)
from gtr_beir.report.claims.commands import commands, gated
from gtr_beir.report.claims.selection import Apart, Lack
from gtr_beir.report.formats.markdown import WIDTH
from gtr_beir.report.plain_text import clean, markdown_text, wrapped
from gtr_beir.report.rounding import DECIMALS, shown, signed

TERMINAL = 80
"""Columns of a terminal."""


# Values -----------------------------------------------------------------------------------------


_DECIMALS = {PERCENT: 1, COUNT: 0, RATIO: 2, WORDS: 1}
"""Of units that have not those of a score."""


def value_text(value: float | None, unit: str) -> str:
    """A value as its unit is shown, "" for none."""
    if value is None:
        return ""
    return _number(value, unit) + (" %" if unit == PERCENT else "")


def _number(value: float, unit: str) -> str:
    act = signed if unit in (LEAD, PERCENT) else shown
    return act(value, _DECIMALS.get(unit, DECIMALS))


def interval_text(measured: Measured) -> str:
    """`+0.0390 to +0.0470`: signs and decimals are those of the value; "" for none."""
    if measured.low is None or measured.high is None:
        return ""
    return f"{_number(measured.low, measured.unit)} to {_number(measured.high, measured.unit)}"


def difference_text(measured: Measured) -> str:
    """Own less published, "" where one is missing."""
    if measured.difference is None:
        return ""
    return signed(measured.difference, _DECIMALS.get(measured.unit, DECIMALS))


# For a terminal ---------------------------------------------------------------------------------


def overview(answers: Sequence[Answer], remarks: Sequence[str], results: str) -> str:
    """A line a claim, then why and what is missing; 80 columns."""
    rows = [_overview_row(one) for one in answers]
    headers = ["", "what", "paper", "own", "95 % interval", "verdict"]
    align = ("left", "left", "right", "right", "left", "left")
    table = tabulate.tabulate(rows, headers, "plain", disable_numparse=True, colalign=align)
    parts = [table, *_notes(answers)]
    lacks = _united(answers)
    if lacks:
        said = [_continued(command) for command in commands(lacks, results)]
        parts.append("\n".join(["To run:", *said]))
    parts += [gated(lacks)] if gated(lacks) else []
    # Names in remarks on records are whatever somebody called them.
    parts += ["\n".join(wrapped(text, TERMINAL)) for text in (*copies(answers), *remarks)]
    parts.append("`gtr-beir claims --id C4` says all about one claim, and what it needs.")
    return "\n\n".join(_for_terminal(part) for part in parts) + "\n"


def _overview_row(one: Answer) -> list[str]:
    verdict = one.verdict
    if verdict == NOT_RUN:
        verdict = f"{verdict} {one.present}/{one.needed}"
    head = one.headline
    if head is None:
        return [one.claim.id, one.claim.short, "", "", "", verdict]
    values = [value_text(value, head.unit) for value in (head.published, head.own)]
    return [one.claim.id, one.claim.short, *values, interval_text(head), verdict]


def _notes(answers: Sequence[Answer]) -> Iterator[str]:
    """Counts of verdicts, what means are over, and why claims differ or cannot be checked."""
    counts = [(word, sum(one.verdict == word for one in answers)) for word in VERDICTS]
    yield ", ".join(f"{count} {word}" for word, count in counts if count) + "."
    over: dict[str, list[str]] = {}
    for one in answers:
        if one.basis:
            why = f" ({one.why_basis})" if one.why_basis else ""
            over.setdefault(one.basis + why, []).append(one.claim.id)
    if over:
        yield "\n".join(f"Over {basis}: {', '.join(ids)}." for basis, ids in over.items())
    for word, said in ((DIFFERS, "differs"), (NOT_CHECKABLE, "cannot be checked")):
        those = [one for one in answers if one.verdict == word]
        if those:
            yield "\n".join(f"{a.claim.id} {said}: {'; '.join(a.because)}." for a in those)


def in_full(one: Answer, results: str) -> str:
    """All about one claim; 80 columns."""
    claim = one.claim
    parts = [f"{claim.id}  {one.verdict}  (GTR paper, {claim.where})", claim.sentence]
    if one.needed:
        over = f"Over {one.basis}. " if one.basis else ""
        parts.append(f"{over}{one.present} of {one.needed} results are there.")
    if one.quantities:
        parts.append(_quantity_table(one.quantities))
    if one.statements:
        parts.append("\n".join(_statement_lines(one)))
    if one.others:
        parts.append(f"{claim.short}, otherwise:\n{_other_table(one)}")
    parts += [f"{reason[:1].upper()}{reason[1:]}." for reason in one.because]
    if one.lacks:
        said = [_continued(command) for command in commands(one.lacks, results)]
        parts.append("\n".join(["To run:", *said]))
    parts += [gated(one.lacks)] if gated(one.lacks) else []
    parts += ["\n".join(wrapped(text, TERMINAL)) for text in copies([one])]
    return "\n\n".join(_for_terminal(part) for part in [*parts, *claim.remarks]) + "\n"


def _quantity_table(quantities: Sequence[Measured]) -> str:
    rows = [
        [
            q.title,
            value_text(q.published, q.unit),
            value_text(q.own, q.unit),
            difference_text(q),
            interval_text(q),
            {True: "agrees", False: "differs", None: ""}[q.agrees],
        ]
        for q in quantities
        if q.published is not None or q.own is not None
    ]
    headers = ["", "paper", "own", "diff.", "95 % interval", ""]
    align = ("left", *["right"] * 3, "left", "left")
    return tabulate.tabulate(rows, headers, "plain", disable_numparse=True, colalign=align)


def _statement_lines(one: Answer) -> Iterator[str]:
    said = {True: "yes", False: "no", None: "not known"}
    for statement in one.statements:
        line = f"{statement.sentence}: paper {said[statement.published]}, own {said[statement.own]}"
        if statement.share is not None:
            line += f" (in {shown(statement.share, 2, percent=True)} % of resamples)"
        if not statement.judged:
            line += ", not judged over these sets"
        yield f"- {line}"


def _other_table(one: Answer) -> str:
    rows = [
        [f"over {words}", value_text(q.published, q.unit), value_text(q.own, q.unit)]
        for words, q in one.others
    ]
    return tabulate.tabulate(
        rows,
        ["", "paper", "own"],
        "plain",
        disable_numparse=True,
        colalign=("left", *["right"] * 2),
    )


def _continued(command: str) -> str:
    """A command in lines that a shell joins again; a results folder may have any name."""
    return "  " + " \\\n      ".join(_wrapped(clean(command), TERMINAL - 8, ""))


def _for_terminal(text: str) -> str:
    """Prose is wrapped, tables and commands are not."""
    lines = []
    for line in text.splitlines():
        lines += [line] if len(line) <= TERMINAL else _wrapped(line, TERMINAL)
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    # An option stays beside its value.
    held = re.sub(r" (-d|--\w+) (?=\w)", " \\1\u00a0", text)
    lines = textwrap.wrap(
        held, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\u00a0", " ") for line in lines]


def _united(answers: Sequence[Answer]) -> list[Lack]:
    """What is missing for any claim; one timing times all sizes."""
    return list(dict.fromkeys(lack for one in answers for lack in one.lacks))


def copies(answers: Iterable[Answer]) -> list[str]:
    """Which records are left aside for their copy of a dataset, for which claims, and what to do;
    one text for each system, uncleaned."""
    held: dict[Apart, list[str]] = {}
    for one in answers:
        for apart in one.apart:
            held.setdefault(apart, []).append(one.claim.id)
    by_system: dict[tuple[str, bool], list[Apart]] = {}
    for apart in held:
        by_system.setdefault((apart.system, apart.here), []).append(apart)
    return [_copies(system, those, held) for (system, _), those in by_system.items()]


def _copies(system: str, those: Sequence[Apart], held: Mapping[Apart, Sequence[str]]) -> str:
    names = list(dict.fromkeys(apart.dataset for apart in those))
    ids = sorted({id_ for apart in those for id_ in held[apart]}, key=lambda id_: int(id_[1:]))
    where = names[0] if len(names) == 1 else f"{len(names)} datasets"
    if those[0].here:
        why = "the datasets folder has another copy of the data"
        to_do = "run it again on that one"
    else:
        why = "other records are of another copy of the data"
        to_do = "have one copy in the datasets folder and run all on it"
    if len(names) == 1:
        why += f" ({those[0].chosen[:8]}, not {those[0].copy[:8]})"
    return f"{system} on {where} does not count for {', '.join(ids)}: {why}; {to_do}"


# Markdown and JSON ------------------------------------------------------------------------------


def markdown(answers: Sequence[Answer], remarks: Sequence[str], results: str) -> str:
    """GitHub markdown, with lines of at most 140 characters."""
    headers = ["", "where", "what", "paper", "own", "difference", "95 % interval", "results"]
    align = ("left", "left", "left", "right", "right", "right", "left", "right", "left")
    table = tabulate.tabulate(
        [_markdown_row(one) for one in answers],
        [*headers, "verdict"],
        "pipe",
        disable_numparse=True,
        colalign=align,
    )
    listed = [line for one in answers for line in _markdown_item(one, results)]
    said: dict[str, list[str]] = {}
    for one in answers:
        for remark in one.claim.remarks:
            said.setdefault(remark, []).append(one.claim.id)
    told = [f"- {', '.join(ids)}: {remark}" for remark, ids in said.items()]
    closing = [gated(_united(answers)), *map(markdown_text, (*copies(answers), *remarks))]
    parts = ["# Claims of the GTR paper", table, "\n".join(listed)]
    if told:
        parts += ["## Remarks", "\n".join(line for text in told for line in _wrapped(text, WIDTH))]
    parts += ["\n".join(_wrapped(text, WIDTH)) for text in closing if text]
    return "\n\n".join(parts) + "\n"


def _markdown_row(one: Answer) -> list[str]:
    start = [one.claim.id, one.claim.where, one.claim.short]
    head = one.headline
    if head is None:
        return [*start, *[""] * 5, one.verdict]
    values = [value_text(value, head.unit) for value in (head.published, head.own)]
    there = f"{one.present}/{one.needed}"
    return [*start, *values, difference_text(head), interval_text(head), there, one.verdict]


def _markdown_item(one: Answer, results: str) -> Iterator[str]:
    why = f" ({one.why_basis})" if one.why_basis else ""
    over = f" Over {one.basis}{why}." if one.basis else ""
    because = f" {one.verdict}: {'; '.join(one.because)}." if one.because else ""
    missing = [f"`{command}`" for command in commands(one.lacks, results)]
    to_run = f" To run: {'; '.join(missing)}." if missing else ""
    said = f"- **{one.claim.id}** {one.claim.sentence}{over}{because}{to_run}"
    yield from _wrapped(said, WIDTH)


def as_json(answers: Sequence[Answer], remarks: Sequence[str], results: str) -> str:
    """Everything, unrounded."""
    said = [
        {
            "id": one.claim.id,
            "where": one.claim.where,
            "claim": one.claim.sentence,
            "verdict": one.verdict,
            "because": list(one.because),
            "over": one.basis,
            "present": one.present,
            "needed": one.needed,
            "missing": commands(one.lacks, results),
            "apart": [dataclasses.asdict(apart) for apart in one.apart],
            "quantities": [_quantity_json(q) for q in one.quantities],
            "statements": [
                {
                    "statement": s.sentence,
                    "published": s.published,
                    "own": s.own,
                    "share_of_resamples": s.share,
                    "judged": s.judged,
                }
                for s in one.statements
            ],
            "others": [{"over": words, **_quantity_json(q)} for words, q in one.others],
            "remarks": list(one.claim.remarks),
        }
        for one in answers
    ]
    return json.dumps({"claims": said, "remarks": list(remarks)}, indent=1, ensure_ascii=False)


def _quantity_json(q: Measured) -> dict[str, str | float | bool | None]:
    return {
        "quantity": q.title,
        "unit": q.unit,
        "published": q.published,
        "own": q.own,
        "difference": q.difference,
        "low": q.low,
        "high": q.high,
        "room": q.room,
        "agrees": q.agrees,
    }
