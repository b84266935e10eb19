"""Evaluations that fail, or whose folders cannot be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles import FixedSystem
from good_input import DOCUMENTS, json_lines
from gtr_beir import benchmark
from gtr_beir.data.store import Dataset
from gtr_beir.ranking.measures import MEASURES
from gtr_beir.records import PER_QUERY, RECORD
from gtr_beir.systems.dense import DenseOptions
from refusal import Refused, leftovers

pytestmark = pytest.mark.usefixtures("no_network")


def test_a_good_dataset_scores(mine: Dataset, results: Path) -> None:
    """What all the cases are mistakes of."""
    assert json_lines(DOCUMENTS).count("\n") == mine.n_documents
    found = benchmark(FixedSystem("fixed", DenseOptions()), mine, results_dir=results)
    assert set(found.measures) == set(map(str, MEASURES))
    assert found.measures["mrr@10"] == pytest.approx((1 + 1 / 3) / 2)


@pytest.mark.usefixtures("mine")
def test_a_system_that_fails_leaves_no_record(
    results: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pandas.DataFrame.to_csv", fail)
    place = results / "fixed" / "mine"
    refused(
        f"the disk is full while writing {place}/.tmp-…-staged/{PER_QUERY}; free some space and "
        "run the same command again to continue where it stopped",
        *("run", "fixed", "-d", "mine", "-q"),
    )
    assert not (place / RECORD).exists()
    assert not (place / PER_QUERY).exists()
    assert leftovers(results) == []


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that nobody, not even root, may make folders or files in."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    make_folder = os.mkdir

    def refuse(path: str | Path, mode: int = 0o777, **options: Any) -> None:
        if folder in Path(path).parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        make_folder(path, mode, **options)

    monkeypatch.setattr(os, "mkdir", refuse)
    yield folder
    folder.chmod(0o755)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("below", ["", "below"])
@pytest.mark.parametrize("command", ["import", "run", "leaderboard"])
def test_a_folder_that_may_not_be_written_is_named(
    command: str, below: str, closed: Path, source: Path, refused: Refused
) -> None:
    if command == "leaderboard" and not below and os.access(closed, os.W_OK):
        pytest.skip("this user may write everywhere")
    place = closed / below
    arguments: dict[str, tuple[str | Path, ...]] = {
        "import": ("datasets", "import", source, "--name", "mine", "--datasets-dir", place),
        "run": ("run", "fixed", "-d", "mine", "-q", "--results-dir", place),
        "leaderboard": ("leaderboard", "--results-dir", place),
    }
    refused(
        f"no permission to write {place}…; choose another folder with --results-dir, "
        "--datasets-dir or -o",
        *arguments[command],
    )
    assert list(closed.iterdir()) == []


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("command", ["run", "leaderboard"])
def test_a_results_folder_that_is_a_file_is_one_sentence(
    command: str, tmp_path: Path, refused: Refused
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file\n")
    arguments = ("run", "fixed", "-d", "mine", "-q") if command == "run" else ("leaderboard",)
    refused(f"…{taken}…", *arguments, "--results-dir", taken)
    assert taken.read_text() == "a file\n"
