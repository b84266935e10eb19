"""Imports that are killed, run twice at once, or run out of disk: nothing half-made is trusted."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles import write_beir
from gtr_beir.cli import main
from gtr_beir.data.store import check_files, names_here

COUNT = 60_000


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 60,000 documents."""
    folder = tmp_path_factory.mktemp("big")
    documents = [
        {"_id": f"d{row}", "title": f"title {row}", "text": f"text {row * 7919 % COUNT} " * 10}
        for row in range(COUNT)
    ]
    source = write_beir(folder / "big", documents, {"q": "text"}, [("q", "d5", 1)])
    target = folder / "big.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for file in sorted(source.rglob("*")):
            packed.write(file, Path("big") / file.relative_to(source))
    return target


def importing(archive: Path, store: Path) -> list[str]:
    command = [sys.executable, "-m", "gtr_beir", "datasets", "import", str(archive), "-q"]
    return [*command, "--datasets-dir", str(store)]


def whole(store: Path) -> bool:
    return names_here(store) == ("big",) and list(check_files(store / "big")) == []


def test_killed_at_random_moments(archive: Path, tmp_path: Path) -> None:
    chance = random.Random(3)
    for _ in range(6):
        process = subprocess.Popen(importing(archive, tmp_path))
        time.sleep(chance.uniform(0.3, 1.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if names_here(tmp_path):
            assert whole(tmp_path)
    subprocess.run(importing(archive, tmp_path), check=True)
    assert whole(tmp_path)
    assert not list(tmp_path.glob(".tmp-*")), "what the killed ones left is gone"


def test_two_at_once(archive: Path, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(importing(archive, tmp_path), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(output.startswith("big: 60,000 documents") for output in outputs)
    assert whole(tmp_path)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(archive: Path, tiny_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, nothing under the name, and the next run (with space) succeeds."""
    command = ["datasets", "import", str(archive), "-q", "--datasets-dir", str(tiny_disk)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "the disk is full while writing" in error
    assert error.count("\n") == 1
    assert names_here(tiny_disk) == ()
    assert not list(tiny_disk.glob(".tmp-*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(tiny_disk)], check=True)
    assert main(command) == 0
    assert whole(tiny_disk)
