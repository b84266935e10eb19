"""What import refuses is one sentence, one exit code, and nothing left half-written.

Peers take most of these silently or answer with a traceback (measured in beir 2.2.0 and mteb 2.26);
here every mistake names the file, the line where there is one, and what to do.
"""

from __future__ import annotations

import errno
import gzip
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.data.bad_archives import ARCHIVES
from tests.data.bad_files import FILES, BadDataset
from tests.data.bad_places import PLACES

from good_input import CORPUS, QRELS, QUERY_FILE
from gtr_beir import cli, load_dataset
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.errors import InputError
from mistakes import field
from refusal import Refused, files_in, leftovers

pytestmark = pytest.mark.usefixtures("no_network")
DATASETS = (*FILES, *PLACES, *ARCHIVES)


def import_arguments(case: BadDataset, given: Path, datasets: Path) -> list[str | Path]:
    name = () if case.name is None else ("--name", case.name)
    return ["datasets", "import", given, *name, *case.options, "--datasets-dir", datasets]


@pytest.mark.parametrize("case", DATASETS, ids=lambda case: case.id)
def test_import_says_what_is_wrong_and_leaves_nothing(
    case: BadDataset, source: Path, datasets: Path, refused: Refused
) -> None:
    given = case.mistake(source) or source
    before = files_in(source.parent)
    refused(
        case.sentence.replace("{source}", str(given)),
        *import_arguments(case, given, datasets),
        code=case.code,
    )
    assert files_in(datasets) == {}
    assert leftovers(datasets) == []
    assert not (datasets / (case.name or given.name)).exists()
    assert files_in(source.parent) == before
    assert not (source / "executed").exists()


@pytest.mark.parametrize(
    "case", [c for c in DATASETS if c.name == "mine"], ids=lambda case: case.id
)
def test_a_failed_import_keeps_the_dataset_that_was_there(
    case: BadDataset, mine: Dataset, source: Path, datasets: Path, refused: Refused
) -> None:
    before = files_in(datasets)
    given = case.mistake(source) or source
    refused("…", *import_arguments(case, given, datasets), code=case.code)
    assert files_in(datasets) == before
    assert leftovers(datasets) == []
    assert cli.main(["datasets", "check", "mine"]) == 0
    assert load_dataset("mine").fingerprint == mine.fingerprint


def test_import_error_names_path_and_line_as_attributes(source: Path, datasets: Path) -> None:
    field(CORPUS, 3, _id="d1")(source)
    with pytest.raises(InputError) as caught:
        import_beir(source, name="mine", datasets_dir=datasets)
    assert (caught.value.path, caught.value.line) == (str(source / CORPUS), 3)


@pytest.mark.parametrize("kind", ["zip", "gzip"])
def test_import_of_a_bomb_is_refused_in_little_memory(
    kind: str, source: Path, datasets: Path, refused: Refused
) -> None:
    """200 MB of one letter, 1 MB packed: it is never unpacked, neither to disk nor as a line."""
    if kind == "zip":
        given = source.parent / "bomb.zip"
        with zipfile.ZipFile(given, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in (QUERY_FILE, QRELS):
                archive.write(source / file, file)
            with archive.open(CORPUS, "w") as member:
                for _ in range(200):
                    member.write(b"a" * 1_000_000)
    else:
        given = source
        (source / CORPUS).unlink()
        with gzip.open(source / f"{CORPUS}.gz", "wb", compresslevel=1) as packed:
            for _ in range(200):
                packed.write(b"a" * 1_000_000)
    assert sum(map(len, files_in(source.parent).values())) < 4_000_000
    tracemalloc.start()
    try:
        refused(f"{given}…{CORPUS}…", "datasets", "import", given, "--name", "mine")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert files_in(datasets) == {}
    assert leftovers(datasets) == []
    assert peak < 200_000_000


@pytest.mark.parametrize("stops", ["full disk", "interrupted"])
def test_import_that_is_stopped_leaves_nothing(
    stops: str,
    source: Path,
    datasets: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device") if stops == "full disk" else None

    def stop(*_: Any) -> None:
        raise error or KeyboardInterrupt

    monkeypatch.setattr("gtr_beir.data.importing.write_json", stop)
    code = cli.main(["datasets", "import", str(source), "--name", "mine"])
    told = capsys.readouterr().err.strip()
    if error:
        assert code == 1
        assert told == (
            f"gtr-beir: the disk is full while writing {datasets / 'mine'}; free some space and "
            "run the same command again to continue where it stopped"
        )
    else:
        assert code == 130
        assert told == "gtr-beir: stopped; the same command continues from there"
    assert files_in(datasets) == {}
    assert leftovers(datasets) == []


def test_import_never_replaces_a_folder_that_is_not_a_dataset(
    source: Path, datasets: Path, refused: Refused
) -> None:
    """The released files themselves, unpacked where the store lies, as beir's loader does it."""
    datasets.mkdir()
    unpacked = source.rename(datasets / "mine")
    before = files_in(datasets)
    refused(
        f"{unpacked} exists already and …; …--name…",
        *("datasets", "import", unpacked),
        code=2,
    )
    assert files_in(datasets) == before
    assert leftovers(datasets) == []


def test_a_datasets_folder_that_is_a_file_is_one_sentence(
    source: Path, tmp_path: Path, refused: Refused
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file\n")
    refused(
        f"…{taken}…",
        *("datasets", "import", source, "--name", "mine", "--datasets-dir", taken),
    )
    assert taken.read_text() == "a file\n"


def test_a_corpus_that_may_not_be_read_is_named(
    source: Path, datasets: Path, refused: Refused
) -> None:
    for file in (CORPUS, QUERY_FILE):
        (source / file).chmod(0)
        if os.access(source / file, os.R_OK):
            pytest.skip("this user may read everything")
        refused(f"…{source / file}…", "datasets", "import", source, "--name", "mine")
        assert files_in(datasets) == {}
        (source / file).chmod(0o644)
