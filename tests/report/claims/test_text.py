"""Intervals read as their values do, and still fit a terminal; names are anybody's."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.results import record, write, write_queries

from gtr_beir import cli
from gtr_beir.published import published_values
from gtr_beir.report.claims.claim import COUNT, LEAD, PERCENT, RATIO, SCORE, WORDS, Measured
from gtr_beir.report.claims.rows import CLAIMS
from gtr_beir.report.claims.text import interval_text, value_text
from gtr_beir.report.plain_text import cells


@pytest.mark.parametrize(
    ("unit", "value", "interval"),
    [
        (SCORE, "0.0427", "0.0390 to 0.0470"),
        (LEAD, "+0.0427", "+0.0390 to +0.0470"),
        (COUNT, "0", "0 to 0"),
        (RATIO, "0.04", "0.04 to 0.05"),
        (WORDS, "0.0", "0.0 to 0.0"),
    ],
)
def test_an_interval_is_shown_as_its_value_is(unit: str, value: str, interval: str) -> None:
    one = Measured("", unit, None, 0.0427, 0.039, 0.047)
    assert value_text(one.own, unit) == value
    assert interval_text(one) == interval


def test_a_percentage_has_its_sign_once() -> None:
    one = Measured("", PERCENT, None, 5.53, -1.26, 12.31)
    assert value_text(one.own, PERCENT) == "+5.5 %"
    assert interval_text(one) == "-1.3 to +12.3"


def test_lines_with_intervals_fit_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every system of the paper, with queries, and one with a name that does things."""
    draw = np.random.default_rng(1)
    for value in published_values():
        system = {"bm25": "bm25-multifield"}.get(value.system, value.system)
        known = value.source == "gtr-paper" or (value.source, value.system) == (
            "beir-paper",
            "bm25",
        )
        if value.metric != "ndcg@10" or not known:
            continue
        one = record(system, value.dataset, value.value, family=value.family, version=value.version)
        if system == "bm25-multifield":
            one = replace(one, identity=replace(one.identity, lengths=None, precision=""))
        write(tmp_path, one)
        spread = draw.random(20) - 0.5
        spread *= min(value.value, 1 - value.value)
        write_queries(
            tmp_path, system, value.dataset, (value.value + spread - spread.mean()).tolist()
        )
    odd = record("odd", "nq", 0.5, family="gtr-base")
    options = {"x": "\x1b[2J\u202e" + "字" * 30 + "w" * 90}
    write(tmp_path, replace(odd, identity=replace(odd.identity, options=options)))
    folder = ["--results-dir", str(tmp_path)]
    said = []
    for arguments in ([], *(["--id", claim.id] for claim in CLAIMS)):
        assert cli.main(["claims", *folder, *arguments]) == 0
        said.append(capsys.readouterr().out)
    lines = [line for text in said for line in text.splitlines() if "/latency.json" not in line]
    assert max(map(cells, lines)) <= 80
    assert not any(letter in text for text in said for letter in "\x1b\u202e")
    overview = said[0].splitlines()
    (c4,) = (line for line in overview if line.startswith("C4 "))
    (c1,) = (line for line in said[1].splitlines() if line.startswith("XXL over Base "))
    for line in (c4, c1):
        assert re.search(r"  [+-]0\.\d{4} to [+-]0\.\d{4}  ", line), line
