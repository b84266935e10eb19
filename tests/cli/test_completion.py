"""Completion that a shell takes."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from gtr_beir import cli


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_shell_takes_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    told = capsys.readouterr().out
    for word in ("leaderboard", "--self-matches", "--dtype"):
        assert word in told
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=told, text=True, check=True)
