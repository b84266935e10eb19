"""Timings as the benchmark leaves them, and the claim that rests on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gtr_beir import cli
from gtr_beir.errors import StoreError
from gtr_beir.report.claims.claim import DIFFERS, NOT_RUN, REPRODUCED, Answer
from gtr_beir.report.claims.commands import commands
from gtr_beir.report.claims.evidence import Evidence
from gtr_beir.report.claims.latency import LATENCY, read_latency
from gtr_beir.report.claims.parts import STATED
from gtr_beir.report.claims.rows import claim_answers

SIZES = ("gtr-base", "gtr-large", "gtr-xl", "gtr-xxl")
PAPER = (17, 34, 96, 349)


def write_timings(
    results: Path,
    times: Sequence[float],
    *,
    dtype: str = "fp32",
    tokens: int = 128,
    repeats: int = 100,
) -> None:
    results.mkdir(exist_ok=True)
    timings = [
        {"model": size, "dtype": dtype, "ms": ms} for size, ms in zip(SIZES, times, strict=False)
    ]
    value = {"tokens": tokens, "repeats": repeats, "timings": timings}
    (results / LATENCY).write_text(json.dumps(value))


def judged(results: Path) -> Answer:
    (one,) = claim_answers(Evidence(results, None, STATED), ["C16"])
    return one


def test_ratios_are_compared_and_not_milliseconds(tmp_path: Path) -> None:
    write_timings(tmp_path, [10 * ms for ms in PAPER])
    one = judged(tmp_path)
    assert one.verdict == REPRODUCED
    assert [q.own for q in one.quantities] == pytest.approx([349 / 17, 96 / 17, 2])


def test_other_ratios_differ(tmp_path: Path) -> None:
    write_timings(tmp_path, (92.6, 309.6, 900, 3600))
    one = judged(tmp_path)
    assert one.verdict == DIFFERS
    names = "latency, XXL over Base; latency, XL over Base; latency, Large over Base"
    assert one.because == (f"too far from the paper: {names}", "what is said beside numbers holds")


def test_a_quarter_is_allowed(tmp_path: Path) -> None:
    write_timings(tmp_path, (17, 34 * 1.24, 96 * 0.76, 349))
    assert judged(tmp_path).verdict == REPRODUCED
    write_timings(tmp_path, (17, 34 * 1.26, 96, 349))
    assert judged(tmp_path).verdict == DIFFERS


def test_without_timings_the_command_that_makes_them(tmp_path: Path) -> None:
    write_timings(tmp_path, PAPER[:2])
    one = judged(tmp_path)
    assert (one.verdict, one.present, one.needed) == (NOT_RUN, 2, 4)
    (command,) = commands(one.lacks, "results")
    assert command == (
        "python benchmarks/latency.py --sizes base,large,xl,xxl --dtype fp32 --repeat 100 --output "
        "results/latency.json"
    )


@pytest.mark.parametrize(
    ("choices", "why"),
    [
        ({"tokens": 64}, "latency.json does not count: 64 tokens, not 128"),
        (
            {"repeats": 30},
            "latency.json does not count: medians of 30, of 100 or more are needed",
        ),
    ],
)
def test_other_timings_do_not_count(tmp_path: Path, choices: dict[str, int], why: str) -> None:
    write_timings(tmp_path, PAPER, **choices)  # type: ignore[arg-type]
    assert judged(tmp_path).verdict == NOT_RUN
    assert list(Evidence(tmp_path, None, STATED).remarks(())) == [why]


def test_the_precision_with_most_models_is_taken(tmp_path: Path) -> None:
    timings = [{"model": "gtr-base", "dtype": "fp32", "ms": 5}]
    timings += [{"model": size, "dtype": "bf16", "ms": 7} for size in SIZES]
    value = {"tokens": 128, "repeats": 100, "timings": timings}
    (tmp_path / LATENCY).write_text(json.dumps(value))
    assert read_latency(tmp_path / LATENCY).medians == dict.fromkeys(SIZES, 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"tokens": 128, "repeats": 100, "timings": [{"model": "gtr-base"}]}',
        '{"tokens": 128, "repeats": 100, "timings": [{"model": "m", "dtype": "d", "ms": 0}]}',
        '{"tokens": 128, "repeats": 100, "timings": [{"model": "m", "dtype": "d", "ms": NaN}]}',
    ],
)
def test_damaged_timings_are_told(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LATENCY).write_text(text)
    with pytest.raises(StoreError, match=r"latency\.json is damaged"):
        read_latency(tmp_path / LATENCY)
    assert cli.main(["claims", "--id", "C16", "--results-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"gtr-beir: {tmp_path / LATENCY} is damaged")
