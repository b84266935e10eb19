"""What `make help` lists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_every_target_with_a_description_is_listed() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([\w-]+):.*## ", text, re.MULTILINE))
    said = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"^ *make ([\w-]+)", said, re.MULTILINE))
    assert {"setup", "demo", "test", "bm25"} <= described
    assert described <= listed
