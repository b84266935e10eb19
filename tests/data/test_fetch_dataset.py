"""Datasets are fetched, counted and imported, from the server or from the hub's mirrors."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gtr_beir.cli import main
from gtr_beir.data import catalogue, mirrors
from gtr_beir.data.mirrors import fetch_dataset
from gtr_beir.data.registry import Judgements, registered
from gtr_beir.data.store import Dataset
from gtr_beir.errors import FetchError, InputError, StoreError, UsageError
from zip_server import MD5, QUICK, ZIP, serving


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch):
    """SciFact's row with the toy's counts and hash."""
    spec = replace(
        registered("scifact"),
        documents=300,
        queries=1,
        judgements=(Judgements("all", 1, {1: 1}),),
        md5=MD5,
        hub=None,
    )
    for module in ("importing", "store", "catalogue"):
        monkeypatch.setattr(f"gtr_beir.data.{module}.registered", lambda _: spec)
    return spec


def test_fetch_imports_and_drops_the_zip(toy, tmp_path: Path) -> None:
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        dataset = fetch_dataset(toy, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
        assert server.requests[0][0] == "/scifact.zip"
    assert isinstance(dataset, Dataset)
    assert dataset.n_documents == 300
    assert list((tmp_path / ".downloads").iterdir()) == []


def test_a_damaged_dataset_is_fetched_again(
    toy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gtr_beir.data.registry.registered", lambda _: toy)
    store = ["--datasets-dir", str(tmp_path)]
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        fetching = ["datasets", "fetch", "scifact", "-q", "--base-url", server.url, *store]
        assert main(fetching) == 0
        file = tmp_path / "scifact" / "texts.arrow"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        assert main(["datasets", "check", *store]) == 1
        assert "`gtr-beir datasets fetch scifact --again`" in capsys.readouterr().err
        assert main(fetching) == 0
        assert len(server.requests) == 1, "it is there, so nothing is fetched"
        assert main([*fetching, "--again"]) == 0
        assert main(["datasets", "check", *store]) == 0
        assert len(server.requests) == 2


def test_fetch_on_demand(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        monkeypatch.setenv("GTR_BEIR_URL", server.url)
        with pytest.raises(UsageError, match="datasets fetch scifact"):
            catalogue.load_dataset("scifact", datasets_dir=tmp_path)
        dataset = catalogue.load_dataset("scifact", datasets_dir=tmp_path, fetch=True)
    assert dataset.n_documents == 300


def test_right_bytes_with_wrong_counts_are_refused(toy, tmp_path: Path) -> None:
    wrong = replace(toy, documents=301)
    with (
        serving(lambda h, _: h.send_from(ZIP)) as server,
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(InputError, match="300 documents where scifact has 301"),
    ):
        patch.setattr("gtr_beir.data.importing.registered", lambda _: wrong)
        fetch_dataset(wrong, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
    assert not (tmp_path / "scifact").exists()


def test_gated_datasets_say_what_to_do(tmp_path: Path) -> None:
    for name in ("robust04", "trec-news", "bioasq", "signal1m"):
        with pytest.raises(UsageError, match=f"convert {name} --source"):
            fetch_dataset(registered(name), datasets_dir=tmp_path)


def test_too_small_a_disk_is_told_before_the_first_byte(toy, tmp_path: Path) -> None:
    huge = replace(toy, zip_bytes=10**18)
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        with pytest.raises(StoreError, match="GB are free"):
            fetch_dataset(huge, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
        assert server.requests == []


def test_two_at_once(toy, tmp_path: Path) -> None:
    """One does the work, both succeed."""
    results: list[object] = []
    with serving(lambda h, _: h.send_from(ZIP)) as server:

        def work() -> None:
            results.append(
                fetch_dataset(toy, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
            )

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [dataset.n_documents for dataset in results] == [300, 300]
        assert len(server.requests) <= 2


def test_mirrors_are_tried_when_the_server_is_down(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's files in their three shapes, put where the hub's own client would put them."""
    asked = []

    def hub_files(repository: str, revision: str | None, patterns: list[str], work: Path) -> None:
        asked.append((repository, revision))
        if repository == "BeIR/toy":
            raise FetchError("BeIR/toy could not be fetched from the hub (HfHubHTTPError)")
        work.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(ZIP)) as packed:
            for name in ("corpus.jsonl", "queries.jsonl"):
                (work / name).write_bytes(packed.read(f"toy/{name}"))
        (work / "qrels").mkdir()
        (work / "qrels" / "test.jsonl").write_text(
            '{"query-id": "q1", "corpus-id": "d7", "score": 1.0}\n'
        )

    monkeypatch.setattr(mirrors, "_hub_files", hub_files)
    monkeypatch.setattr(mirrors, "hub_is_reachable", lambda: True)
    hub = {"beir": "BeIR/toy", "mteb": "mteb/toy", "mteb_revision": "abc"}
    with serving(lambda h, _: h.send(b"", 503)) as server:
        spec = replace(toy, hub=hub, zip_url=f"{server.url}/toy.zip")
        dataset = fetch_dataset(spec, datasets_dir=tmp_path, patience=QUICK)
    assert dataset.n_documents == 300
    assert asked == [("BeIR/toy", None), ("mteb/toy", "abc")]


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No host is found: every command ends soon, in one sentence that says what to do instead."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    monkeypatch.setenv("GTR_BEIR_DATASETS", str(tmp_path / "datasets"))
    commands = {
        ("datasets", "fetch", "scifact"): r"datasets import PATH --name scifact",
        ("run", "gtr-base", "-d", "demo"): r"a mirror in HF_ENDPOINT",
        ("run", "colbert", "-d", "demo"): r"a mirror in HF_ENDPOINT",
        ("models", "fetch", "gtr-large"): r"a mirror in HF_ENDPOINT",
    }
    for command, sentence in commands.items():
        start = time.monotonic()
        line = [sys.executable, "-c", NO_NETWORK, *command]
        done = subprocess.run(
            line, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
        )
        assert time.monotonic() - start < 15, command
        assert done.returncode == 1, done.stderr
        told = re.sub(r"\Aloading (gtr-base|colbert)\n", "", done.stderr)
        assert re.fullmatch(rf"gtr-beir: [^\n]*{sentence}[^\n]*\n", told), done.stderr


NO_NETWORK = """
import socket, sys
def nowhere(*_, **__):
    raise socket.gaierror(-2, "Name or service not known")
socket.getaddrinfo = nowhere
from gtr_beir.__main__ import main
sys.exit(main())
"""


def test_a_suite_goes_on_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def fetch(spec, **_: object) -> Dataset:
        asked.append(spec.name)
        raise FetchError(f"{spec.name} could not be fetched")

    monkeypatch.setattr(mirrors, "fetch_dataset", fetch)
    store = ["--datasets-dir", str(tmp_path)]
    assert main(["datasets", "fetch", "scifact", "nfcorpus", *store]) == 1
    assert asked == ["scifact", "nfcorpus"]
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "gtr-beir: scifact could not be fetched"
    assert told[1] == "gtr-beir: nfcorpus could not be fetched"
    assert "2 of 2 datasets could not be fetched (scifact, nfcorpus)" in told[2]
    assert main(["datasets", "fetch", "scifact", *store]) == 1
    assert capsys.readouterr().err == "gtr-beir: scifact could not be fetched\n"
