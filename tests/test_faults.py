"""Campaigns against the program, in short: what is wanted of all of them is that nothing is wrong,
hangs, is half-written, or ends with a traceback. The long form is benchmarks/faults.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

FAULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "faults.py"
CAMPAIGNS = ("kills", "disks", "damages", "inputs", "servers", "crowds", "memory")
ROOT = ("disks", "crowds")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FAULTS), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def rows() -> Mapping[str, list[str]]:
    """The table's cells by campaign; all of them in one process, which takes long to start."""
    only = [word for name in CAMPAIGNS for word in ("--only", name)]
    done = run("--short", "--seed", "1", *only, GTR_BEIR_FAULTS_DOCUMENTS="4000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n0 faults\n")
    lines = [line.strip("|").split("|") for line in done.stdout.splitlines() if "|" in line]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_a_campaign_finds_nothing(campaign: str, rows: Mapping[str, list[str]]) -> None:
    if campaign in ROOT and os.getuid() != 0:
        pytest.skip("only root can mount file systems and make namespaces")
    trials, right, told, *faults = map(int, rows[campaign][:8])
    assert trials > 0
    assert right > 0
    assert faults == [0] * 5
    if campaign in ("disks", "damages", "inputs", "servers"):
        assert told > 0, "what is wrong is refused"


BELIEVING = """
import sys
import faults
import gtr_beir.data.store as store, gtr_beir.work.store as work
import gtr_beir.kept as kept
from campaigns import damages
store.problems_of = lambda *_: []
store.Dataset._verify_texts = lambda *_: None
work.array_digest = lambda array: "all the same"
kept._agrees = lambda *_: True
name = "bm25-flat"
alone = {name: damages.searches("d")[name]}
damages.searches = lambda _: alone
damages.commands = lambda: {f"{name} --again": (*alone[name], "--again"), name: alone[name]}
sys.argv = ["faults.py", "--only", "damages", "--trials", "20"]
raise SystemExit(faults.main())
"""


def test_a_campaign_can_find_something() -> None:
    """With a program that believes everything, the campaign of damages says so."""
    done = subprocess.run(
        [sys.executable, "-c", BELIEVING],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(FAULTS.parent)},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "damages: silent: " in done.stderr
