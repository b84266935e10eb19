"""The wheel holds `gtr_beir` alone, and lives beside the library that is called `evaluate`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gtr_beir import __version__

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def pip(*arguments: str | Path) -> None:
    """Run pip; skip where it reaches no index, since build and installation need one."""
    done = subprocess.run([*PIP, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode and ("No matching distribution" in done.stderr or "onnect" in done.stderr):
        pytest.skip(f"pip reaches no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git would release, so that nothing built before gets into it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for file in (ROOT / "evaluate").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file):
            target = source / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", out, source)
    (built,) = out.glob("*.whl")
    return built


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names} == {
        "gtr_beir",
        f"gtr_beir-{__version__}.dist-info",
    }
    for file in (
        "py.typed",
        "data/datasets.json",
        "published/mteb_tasks.csv",
        "published/published.csv",
        "demo/dataset/corpus.jsonl",
        "demo/checkpoint/model.safetensors",
        "demo/colbert/model.safetensors",
    ):
        assert f"gtr_beir/{file}" in names
    assert not [name for name in names if "/train" in name or "tools" in name]


def test_it_lives_beside_the_library_called_evaluate(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    constraints = ROOT / "constraints.txt"
    pip("install", "--quiet", "--no-deps", "--target", folder, "-c", constraints, wheel, "evaluate")
    code = "import evaluate, gtr_beir; print(evaluate.__file__); print(gtr_beir.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    theirs, ours = done.stdout.splitlines()
    assert Path(theirs) == folder / "evaluate" / "__init__.py"
    assert Path(ours) == folder / "gtr_beir" / "__init__.py"
    shown = subprocess.run(
        [sys.executable, "-m", "gtr_beir", "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    assert shown.stdout == f"gtr-beir {__version__}\n"
