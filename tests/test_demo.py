"""The demonstration as somebody runs it who has just installed the program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_there_is_something_to_look_at_when_it_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gtr_beir", "demo"],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    named = re.findall(r"^  (results\S*\.(?:md|html|png))", done.stdout, re.MULTILINE)
    assert [Path(name).suffix for name in named] == [".md", ".html", ".png", ".png"]
    assert all((tmp_path / name).stat().st_size > 1000 for name in named)
    # Nothing else was left in the folder where it ran.
    assert {path.name for path in tmp_path.iterdir()} <= {"results", "datasets_cache"}
