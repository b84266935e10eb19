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


@pytest.mark.parametrize("campaign", ["kills", "disks", "damages", "memory"])
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
