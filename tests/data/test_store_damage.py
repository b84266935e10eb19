"""A dataset damaged after its import is named, and never half-read."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doubles import FixedSystem
from gtr_beir import cli
from gtr_beir.data.store import Dataset
from gtr_beir.files import TEMPORARY_PREFIX
from gtr_beir.systems import base
from gtr_beir.systems.base import Found, SearchOptions
from mistakes import Trap, removed
from refusal import Refused, files_in, leftovers

pytestmark = pytest.mark.usefixtures("no_network")


def overwrite(file: str, start: int, data: bytes) -> Callable[[Path], None]:
    """Other bytes from `start` on (negative: from the end)."""

    def damage(folder: Path) -> None:
        content = bytearray((folder / file).read_bytes())
        at = start if start >= 0 else len(content) + start
        content[at : at + len(data)] = data
        (folder / file).write_bytes(content)

    return damage


def truncate(file: str, keep: float) -> Callable[[Path], None]:
    """Keep this share of the file."""

    def damage(folder: Path) -> None:
        data = (folder / file).read_bytes()
        (folder / file).write_bytes(data[: int(len(data) * keep)])

    return damage


def manifest_with(**values: Any) -> Callable[[Path], None]:
    """Fields of the manifest get other values; `...` takes the field away."""

    def damage(folder: Path) -> None:
        path = folder / "manifest.json"
        value = {**json.loads(path.read_text(encoding="utf-8")), **values}
        path.write_text(json.dumps({k: v for k, v in value.items() if v is not ...}))

    return damage


@dataclass(frozen=True)
class DamagedStore:
    """Damage to an imported dataset; what `run` says ({folder}: the dataset's), and `check`."""

    id: str
    damage: Callable[[Path], None]
    run: str
    check: str


MEND = "mine: damaged; repair it with `gtr-beir datasets import PATH --name mine`"
CHECK = "run `gtr-beir datasets check`"
STORE = (
    DamagedStore(
        "manifest cut off",
        truncate("manifest.json", 0.5),
        "{folder}/manifest.json is damaged (…); …import…",
        "{folder}/manifest.json is damaged (…); …import…",
    ),
    DamagedStore(
        "manifest of another version",
        manifest_with(format=0),
        "{folder} was written by another version of gtr-beir; import the dataset again",
        "{folder} was written by another version of gtr-beir; import the dataset again",
    ),
    DamagedStore(
        "manifest a list",
        lambda folder: (folder / "manifest.json").write_text("[1]") and None,
        "{folder} was written by another version of gtr-beir; import the dataset again",
        "{folder} was written by another version of gtr-beir; import the dataset again",
    ),
    DamagedStore(
        "manifest without a name",
        manifest_with(name=...),
        "{folder}/manifest.json is damaged (…); …import…",
        "{folder}/manifest.json is damaged (…); …import…",
    ),
    DamagedStore(
        "manifest of another name",
        manifest_with(name="../../elsewhere"),
        "{folder}…'../../elsewhere'…",
        "{folder}…'../../elsewhere'…",
    ),
    DamagedStore(
        "texts cut off",
        truncate("texts.arrow", 0.5),
        f"{{folder}}/texts.arrow is damaged or missing (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "texts missing",
        removed("texts.arrow"),
        f"{{folder}}/texts.arrow is damaged or missing (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "texts empty",
        truncate("texts.arrow", 0),
        f"{{folder}}/texts.arrow is damaged or missing (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "texts with a damaged batch",
        overwrite("texts.arrow", 288, b"\xff" * 8),
        f"{{folder}}/texts.arrow is damaged or missing (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "queries with bytes that are no text",
        lambda folder: overwrite(
            "queries.arrow", (folder / "queries.arrow").read_bytes().index(b"what is tea"), b"\xff"
        )(folder),
        f"{{folder}}/queries.arrow has changed since it was written; {CHECK}",
        MEND,
    ),
    DamagedStore(
        "id ranks cut off",
        truncate("id_rank.npy", 0.95),
        f"{{folder}}/id_rank.npy has … bytes instead of …; {CHECK}",
        MEND,
    ),
    DamagedStore(
        "id ranks empty",
        truncate("id_rank.npy", 0),
        f"{{folder}}/id_rank.npy has 0 bytes instead of …; {CHECK}",
        MEND,
    ),
    DamagedStore(
        "id ranks a pickle",
        lambda folder: (
            (folder / "id_rank.npy").write_bytes(pickle.dumps(Trap(folder / "executed"))) and None
        ),
        f"{{folder}}/id_rank.npy has … bytes instead of …; {CHECK}",
        MEND,
    ),
)


class ReadingSystem(FixedSystem):
    """Reads everything that a system may read of a dataset."""

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        dataset.texts(0, dataset.n_documents)
        assert len(dataset.query_texts) == len(dataset.query_ids)
        assert len(dataset.id_rank) == dataset.n_documents
        return super().search(dataset, options)


@pytest.mark.parametrize("case", STORE, ids=lambda case: case.id)
def test_a_damaged_dataset_is_named_by_run_and_by_check(
    case: DamagedStore,
    mine: Dataset,
    results: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case.damage(mine.path)
    before = files_in(mine.path)
    monkeypatch.setitem(base.SYSTEMS, "reading", f"{__name__}:ReadingSystem")
    refused(case.run.replace("{folder}", str(mine.path)), "run", "reading", "-d", "mine", "-q")
    refused(case.check.replace("{folder}", str(mine.path)), "datasets", "check")
    assert files_in(results) == {}
    assert leftovers(results) == []
    assert files_in(mine.path) == before
    assert not (mine.path / "executed").exists()


_READ_ALL = """
import sys
from pathlib import Path
import numpy as np
from gtr_beir.data.store import Dataset
from gtr_beir.errors import StoreError

folder, file = Path(sys.argv[1]), Path(sys.argv[1]) / sys.argv[2]
good = file.read_bytes()
for start in range(0, len(good), 8):
    file.unlink()
    file.write_bytes(good[:start] + (bytes([255, 255, 255, 127]) * 2 + good[start + 8 :]))
    print(start, end=" ", flush=True)
    try:
        dataset = Dataset(folder)
        dataset.texts(0, 4), dataset.query_texts, dataset.qrels, dataset.self_rows
        dataset.document_ids(np.arange(4))
    except StoreError:
        pass
"""


@pytest.mark.parametrize("file", ["ids.arrow", "texts.arrow", "queries.arrow", "qrels.arrow"])
def test_no_damage_to_a_column_ends_in_a_crash(file: str, mine: Dataset) -> None:
    """Each eight bytes in turn are others: a StoreError, or a reading that goes through.

    In a process of its own, for offsets that point outside of the file have killed it.
    """
    done = subprocess.run(
        [sys.executable, "-c", _READ_ALL, str(mine.path), file],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"at byte {done.stdout.split()[-1]}"


@pytest.mark.parametrize(
    "file",
    ["ids.arrow", "texts.arrow", "id_rank.npy", "unit_digests.npy", "queries.arrow", "qrels.arrow"],
)
def test_check_finds_one_flipped_byte(
    file: str, mine: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    path = mine.path / file
    overwrite(file, -1, bytes([path.read_bytes()[-1] ^ 1]))(mine.path)
    assert cli.main(["datasets", "check", "mine"]) == 1
    told = capsys.readouterr()
    assert told.out == f"mine: {path} has changed since it was written\n"
    assert told.err == f"gtr-beir: {MEND}\n"


def test_check_says_which_file_is_missing_or_short(
    mine: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine.path / "qrels.arrow").unlink()
    size = (mine.path / "texts.arrow").stat().st_size
    truncate("texts.arrow", 0.5)(mine.path)
    assert cli.main(["datasets", "check"]) == 1
    told = capsys.readouterr()
    assert f"{mine.path}/qrels.arrow is missing" in told.out
    assert f"{mine.path}/texts.arrow has {size // 2:,} bytes instead of {size:,}" in told.out
    assert told.err == f"gtr-beir: {MEND}\n"


def test_import_mends_what_check_has_found(
    mine: Dataset, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_in(mine.path)
    truncate("texts.arrow", 0.5)(mine.path)
    assert cli.main(["datasets", "check"]) == 1
    assert cli.main(["datasets", "import", str(source), "--name", "mine", "-q"]) == 0
    assert cli.main(["datasets", "check"]) == 0
    assert files_in(mine.path) == before
    assert capsys.readouterr().out.endswith("mine: intact\n")


def test_what_a_killed_import_left_is_no_dataset(
    mine: Dataset, datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A temporary name is never read, not even that of a forum."""
    for place in (datasets, datasets / "cqadupstack"):
        shutil.copytree(mine.path, place / f"{TEMPORARY_PREFIX}1-abcdef12-mine")
    assert cli.main(["datasets", "list"]) == 0
    assert TEMPORARY_PREFIX not in capsys.readouterr().out
    assert cli.main(["datasets", "check"]) == 0
    assert capsys.readouterr().out == "mine: intact\n"
