"""Checkpoints from the hub, through its own client, from a loopback server that speaks its API."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gtr_beir.checkpoints.layout import RELEASED
from gtr_beir.demo import CHECKPOINT_DIR
from hub_server import hub

BASE = RELEASED["gtr-base"]
FILES: dict[str, str | bytes] = {
    **{
        str(path.relative_to(CHECKPOINT_DIR)): path.read_bytes()
        for path in CHECKPOINT_DIR.rglob("*")
        if path.is_file() and path.suffix != ".md"
    },
    "README.md": "not wanted",
    "pytorch_model.bin": b"not wanted: there are safetensors",
    "onnx/model.onnx": b"not wanted",
}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """In a process of its own: the client reads its endpoint when it is imported."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def run(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        line = [sys.executable, "-m", "gtr_beir", *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def test_a_released_name_is_one_commit(command: Any, tmp_path: Path) -> None:
    repositories = {BASE.hub: FILES}
    with hub(repositories, kind="models", commit=BASE.revision) as server:
        done = command(server.server_port, "models", "fetch", "gtr-base")
        assert done.returncode == 0, done.stderr
        assert f"gtr-base: GTR, commit {BASE.revision}" in done.stdout
        fetched = {p.split("/resolve/", 1)[1] for p in server.asked if "/resolve/" in p}
        assert all(path.startswith(BASE.revision) for path in fetched)
        names = {path.partition("/")[2] for path in fetched}
        assert names == set(FILES) - {"README.md", "pytorch_model.bin", "onnx/model.onnx"}
        before = len(server.asked)
        again = command(server.server_port, "models", "fetch", "gtr-base")
        assert again.returncode == 0
        assert not [p for p in server.asked[before:] if BASE.hub in p], "it is here already"
    port = server.server_port  # nobody listens there any more
    assert "yes" in command(port, "models", "list").stdout
    run = ["run", "gtr-base", "-d", "demo", "--device", "cpu", "-q"]
    for offline in ([], ["--offline"]):
        done = command(port, *run, *offline)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("demo  gtr-base  NDCG@10 0.35")


def test_an_id_without_a_revision(command: Any) -> None:
    """Fetched once, it is found again without a network, and by the processes of other devices."""
    run = ["run", "some/gtr", "-d", "demo", "-q", "--results-dir"]
    with hub({"some/gtr": FILES}, kind="models") as server:
        done = command(server.server_port, *run, "one", "--device", "cpu")
        assert done.returncode == 0, done.stderr
        done = command(server.server_port, *run, "two", "--device", "cpu,cpu")
        assert done.returncode == 0, done.stderr
    for number, more in enumerate((["--offline"], [])):
        done = command(server.server_port, *run, f"later-{number}", "--device", "cpu", *more)
        assert done.returncode == 0, done.stderr
    assert command(server.server_port, "plan", "some/gtr", "-d", "demo").returncode == 0


def test_what_the_hub_does_not_have(command: Any) -> None:
    with hub({}, kind="models") as server:
        done = command(server.server_port, "models", "fetch", "no/such-model")
        assert done.returncode == 2
        assert "the Hugging Face hub has no model 'no/such-model'" in done.stderr
    done = command(server.server_port, "models", "fetch", "gtr-large")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "could not be reached for 'sentence-transformers/gtr-t5-large'" in done.stderr


def test_of_several_systems_all_are_looked_up_first(command: Any, tmp_path: Path) -> None:
    with hub({"some/gtr": FILES}, kind="models") as server:
        run = ["run", "bm25-flat", "some/gtr", "-d", "demo", "-q", "--device", "cpu"]
        run[2:2] = ["no/such-model"]
        done = command(server.server_port, *run)
        assert done.returncode == 2
        assert "the Hugging Face hub has no model 'no/such-model'" in done.stderr
        assert not (tmp_path / "results").exists()
        assert not [path for path in server.asked if "/resolve/" in path]
        run.remove("no/such-model")
        done = command(server.server_port, *run)
        assert done.returncode == 0, done.stderr
    done = command(server.server_port, *run)  # nobody listens there any more
    assert done.returncode == 0, done.stderr


def test_half_a_checkpoint_in_the_cache_is_fetched_again(command: Any, tmp_path: Path) -> None:
    """As an interrupted fetch leaves it: the snapshot is there, some of its files are not."""
    with hub({BASE.hub: FILES}, kind="models", commit=BASE.revision) as server:
        assert command(server.server_port, "models", "fetch", "gtr-base").returncode == 0
        (found,) = (tmp_path / "hub").rglob("2_Dense/model.safetensors")
        found.unlink()
        done = command(server.server_port, "models", "fetch", "gtr-base")
        assert done.returncode == 0, done.stderr
        assert found.is_file()
