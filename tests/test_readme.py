"""The README's Python example runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gtr_beir.demo import CHECKPOINT_DIR

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.mark.skipif(not CHECKPOINT_DIR.is_dir(), reason="the demo checkpoint is not there")
def test_python_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    assert len([line for line in code[0].splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GTR_BEIR_DATASETS", raising=False)
    exec(compile(code[0], str(README), "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[1].startswith("data:demo/test|sys:toy|protocol:paper|dtype:fp32|")
    assert printed[0].split()[0] == printed[2]
