"""Campaigns against the program, in short: what is wanted of all of them is that nothing is wrong,
hangs, is half-written, or ends with a traceback. The long form is benchmarks/faults.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "faults.py"
ROOT = ("disks", "crowds")


@pytest.mark.parametrize(
    "campaign", ["kills", "disks", "damages", "inputs", "servers", "crowds", "memory"]
)
def test_a_campaign_finds_nothing(campaign: str) -> None:
    if campaign in ROOT and os.getuid() != 0:
        pytest.skip("only root can mount file systems and make namespaces")
    done = subprocess.run(
        [sys.executable, str(FAULTS), "--short", "--only", campaign, "--seed", "1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GTR_BEIR_FAULTS_DOCUMENTS": "10000"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n0 faults\n")


def test_a_campaign_can_find_something(tmp_path: Path) -> None:
    """With a program that believes everything, the campaign of damages says so."""
    believing = tmp_path / "sitecustomize.py"
    believing.write_text(
        "import gtr_beir.data.store as store, gtr_beir.work.store as work\n"
        "import gtr_beir.records as records, gtr_beir.kept as kept\n"
        "store.problems_of = lambda *_: []\n"
        "store.Dataset._verify_texts = lambda *_: None\n"
        "work.array_digest = lambda array: 'all the same'\n"
        "kept._agrees = lambda *_: True\n"
    )
    done = subprocess.run(
        [sys.executable, str(FAULTS), "--only", "damages", "--trials", "60"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "damages: silent: " in done.stderr
