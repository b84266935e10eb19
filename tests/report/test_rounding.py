"""Scores are rounded when they are shown, in one module."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gtr_beir
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.significance import Comparison
from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.comparison.paired import DatasetComparison, comparison_table
from gtr_beir.report.findings import Verdict
from gtr_beir.report.formats import render
from gtr_beir.report.rounding import ends, p_value, shown, signed
from gtr_beir.report.whole import Report

PACKAGE = Path(gtr_beir.__file__).parent
OF_SCORES = (
    *("report", "ranking", "experiment", "records.py", "evaluation.py"),
    *("cli/run.py", "cli/closing.py", "cli/reports.py"),
)
ROUNDING = re.compile(r":[<>+,]*\d*\.(\d|\{\w[\w.]*\})[fe%]|\bround\(|float_format=\"%\.[0-9]g")
"""A format with decimals, round(), or a CSV of fewer digits than a float has (`:.9g` of runs keeps
all that single precision has)."""


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.70514, 4, "0.7051"),
        (0.70516, 4, "0.7052"),
        (0.7, 3, "0.700"),
        (1, 4, "1.0000"),
        (0.45, 0, "0"),
    ],
)
def test_shown(value: float, decimals: int, text: str) -> None:
    assert shown(value, decimals) == text


def test_four_decimals_unless_said_otherwise() -> None:
    assert (shown(0.123456), signed(0.123456)) == ("0.1235", "+0.1235")


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "+0.012"), (-0.0123, "-0.012"), (0.0, "+0.000"), (-1e-9, "+0.000")]
)
def test_signed(value: float, text: str) -> None:
    assert signed(value, 3) == text


@pytest.mark.parametrize(
    "text",
    [
        'f"{x:.4f}"',
        'f"{x:+.3f}"',
        'f"{x:.{d}f}"',
        'f"{x:.{d.decimals}f}"',
        'f"{x:8.2f}"',
        "round(x, 4)",
        'to_csv(float_format="%.6g")',
    ],
)
def test_what_rounds_is_recognised(text: str) -> None:
    assert ROUNDING.search(text)


@pytest.mark.parametrize("text", ['f"{n:,}"', 'f"{name:15}"', 'float_format="%.17g"', "rounded(x)"])
def test_what_does_not_round_is_not(text: str) -> None:
    assert not ROUNDING.search(text)


def test_no_other_module_rounds_scores() -> None:
    files = [file for name in OF_SCORES for file in (PACKAGE / name).rglob("*.py")]
    files += [PACKAGE / name for name in OF_SCORES if name.endswith(".py")]
    assert len(files) > 10
    found = {
        f"{file.relative_to(PACKAGE)}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if ROUNDING.search(line) and file.name != "rounding.py"
    }
    # The megabytes of a download are no score.
    assert {line for line in found if "zip_bytes" not in line} == set()


def test_ends_do_not_depend_on_the_last_bits_of_a_product() -> None:
    """Processors add in other orders: means of resamples differ by a unit in the last place."""
    values = np.random.default_rng(3).random(200)
    others = np.nextafter(values, 1)
    assert ends(pd.Series(others)).equals(ends(pd.Series(values)))
    shown_ends = ends(pd.Series([0.7210581431183092, None]))
    assert shown_ends[0] == 0.721058143
    assert np.isnan(shown_ends[1])


MINE = Column("mine", OWN, "own run")
LINE = Line("SciFact", {MINE: Cell(0.123456789012345678, n=300)})
REPORT = Report(
    (Board("NDCG@10", Measure("ndcg", 10), (MINE,), (LINE,)),),
    (
        Verdict(
            system="mine",
            dataset="scifact",
            measure="ndcg@10",
            own=0.61249,
            low=0.55551,
            high=0.66649,
            published=0.6,
            decimals=3,
            source="paper",
            published_system="gtr-base",
            agrees=False,
        ),
    ),
)


@pytest.mark.parametrize("name", ["md", "html", "latex"])
def test_own_against_published_at_the_decimals_that_were_published(name: str) -> None:
    """The same table in each format that has it."""
    text = render.FORMATS[name](REPORT, False)
    for value in ("0.612", "0.600", "+0.012", "0.1235", "0.556 to 0.666"):
        assert value in text
    assert "0.6125" not in text
    assert "0.0125" not in text


def test_csv_loses_no_digit() -> None:
    assert ",0.12345678901234568," in render.csv(REPORT)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "< 0.0001"), (5e-5, "< 0.0001"), (1e-4, "0.0001"), (0.04321, "0.0432"), (1.0, "1.0000")],
)
def test_no_p_value_is_shown_as_zero(value: float, text: str) -> None:
    assert p_value(value) == text


def test_a_comparison_is_shown_to_four_decimals() -> None:
    result = Comparison(
        n=300,
        mean_a=0.50004,
        mean_b=0.51239,
        difference=0.01235001,
        low=-0.00123,
        high=0.02346,
        p_randomisation=0.04321,
        p_t=0.0,
        wins=120,
        ties=100,
        losses=80,
    )
    found = [DatasetComparison("scifact", result, 0.08642)]
    narrow = comparison_table(found).splitlines()
    assert " ".join(narrow[-1].split()) == (
        "scifact 0.5000 0.5124 +0.0124 -0.0012 to +0.0235 0.0864 120/100/80"
    )
    assert max(map(len, narrow)) <= 80
    wide = comparison_table(found, style="plain").splitlines()[-1]
    assert " ".join(wide.split()) == (
        "scifact 300 0.5000 0.5124 +0.0124 -0.0012 to +0.0235 0.0432 0.0864 < 0.0001 120/100/80"
    )
