"""What a user does wrong is one sentence, one exit code, and nothing left half-written.

Peers take most of these silently or answer with a traceback (measured in beir 2.2.0 and mteb 2.26);
here every mistake names the file, the line where there is one, and what to do.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bad_input_cases import (
    CORPUS,
    DATASETS,
    DOCUMENTS,
    HEADER,
    QRELS,
    QUERY_FILE,
    BadDataset,
    Trap,
    added,
    field,
    json_lines,
    line,
    whole,
    write_beir,
)
from gtr_beir import benchmark, cli, load_dataset
from gtr_beir.checkpoints.hub import GTR_PARTS, inspect_folder
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.encoders.base import Settings
from gtr_beir.errors import CheckpointError, InputError, StoreError, UsageError
from gtr_beir.files import TEMPORARY_PREFIX
from gtr_beir.ranking.measures import MEASURES
from gtr_beir.ranking.runs import Run
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record
from gtr_beir.systems import base
from gtr_beir.systems.base import Found, SearchOptions


class FixedSystem:
    """Ranks the first documents of the corpus in their order, whatever the query."""

    def __init__(self, name: str, settings: Settings, ranked: int = 3):
        self.name = name
        self.settings = {"ranked": ranked, "protocol": settings.protocol}
        self.fingerprint = f"fixed-{ranked}-{settings.protocol}"
        self._ranked = ranked

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        depth = min(self._ranked, options.k, dataset.n_documents)
        rows = np.tile(np.arange(depth, dtype=np.int32), (len(dataset.query_ids), 1))
        return Found(Run(dataset.query_ids, rows, -rows.astype(np.float32)))


@pytest.fixture(autouse=True)
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
    monkeypatch.setitem(base.SYSTEMS, "fixed", f"{__name__}:FixedSystem")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_beir(tmp_path / "given" / "beir")


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


Refused = Callable[..., None]


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


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; locks are not looked at."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lock" not in str(path.relative_to(folder))
    }


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


# import: every mistake, fresh and over a dataset that is there ------------------------------------


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
            "run the same command again, it goes on where it stopped"
        )
    else:
        assert code == 130
        assert told == "gtr-beir: stopped; the same command goes on where it was"
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
        f"{unpacked} is there already and …; …--name…",
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


# import: what is odd and yet right ----------------------------------------------------------------


@dataclass(frozen=True)
class OddDataset:
    """Input that is accepted, with the facts that the manifest must hold."""

    id: str
    mistake: Callable[[Path], Path | None]
    facts: dict[str, int]
    told: str = ""


def with_carriage_returns(folder: Path) -> None:
    for file in (CORPUS, QUERY_FILE, QRELS):
        data = (folder / file).read_bytes().replace(b"\n", b"\r\n")
        (folder / file).write_bytes(data)


def with_byte_order_marks(folder: Path) -> None:
    for file in (CORPUS, QUERY_FILE, QRELS):
        (folder / file).write_bytes(b"\xef\xbb\xbf" + (folder / file).read_bytes())


def without_last_line_ends(folder: Path) -> None:
    for file in (CORPUS, QUERY_FILE, QRELS):
        (folder / file).write_bytes((folder / file).read_bytes().rstrip(b"\n"))


ODD = (
    OddDataset("null title", field(CORPUS, 1, title=None), {"blank_titles": 2}),
    OddDataset("title missing", field(CORPUS, 1, title=...), {"blank_titles": 2}),
    OddDataset(
        "one query",
        whole(QRELS, f"{HEADER}\nq1\td1\t2\n"),
        {"queries": 1},
        "1 queries have no judgement and are left out",
    ),
    OddDataset("carriage returns", with_carriage_returns, {"blank_documents": 0}),
    OddDataset("byte order marks", with_byte_order_marks, {"documents": 4}),
    OddDataset("no line end at the end", without_last_line_ends, {"judgements": 3}),
    OddDataset("blank line at the end", added(CORPUS, ""), {"documents": 4}),
    OddDataset(
        "blank document",
        field(CORPUS, 2, title="", text=" "),
        {"blank_documents": 1, "blank_texts": 1, "blank_titles": 2},
        "1 documents have neither title nor text",
    ),
    OddDataset(
        "null text",
        field(CORPUS, 2, title=None, text=None),
        {"blank_documents": 1},
        "1 documents have neither title nor text",
    ),
    OddDataset(
        "judged document missing",
        added(QRELS, "q2\td9\t1"),
        {"judgements": 4, "judged_documents_missing": 1},
        "1 judgements name documents that the corpus lacks",
    ),
    OddDataset(
        "query without judgement",
        added(QUERY_FILE, '{"_id": "q3", "text": ""}'),
        {"queries": 2, "unjudged_queries": 1},
        "1 queries have no judgement and are left out",
    ),
    OddDataset("negative grade", added(QRELS, "q2\td1\t-1"), {"judgements": 4}),
)


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.id)
def test_import_accepts_and_counts(
    case: OddDataset, source: Path, datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case.mistake(source)
    assert cli.main(["datasets", "import", str(source), "--name", "mine", "-q"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    dataset = load_dataset("mine", datasets_dir=datasets)
    assert isinstance(dataset, Dataset)
    assert {key: dataset.manifest[key] for key in case.facts} == case.facts
    assert [text.strip() for text in told.out.splitlines()[1:]] == ([case.told] * bool(case.told))
    assert cli.main(["run", "fixed", "-d", "mine", "-q"]) == 0
    assert cli.main(["datasets", "check", "mine"]) == 0


@pytest.mark.parametrize("mistake", [with_carriage_returns, with_byte_order_marks])
def test_line_ends_and_marks_do_not_change_a_dataset(
    mistake: Callable[[Path], None], mine: Dataset, source: Path, tmp_path: Path
) -> None:
    mistake(source)
    again = import_beir(source, name="mine", datasets_dir=tmp_path / "again")
    assert again.fingerprint == mine.fingerprint


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2028", "\u0085"])
def test_ids_with_blanks_beyond_ascii_come_back_from_a_run_file(
    blank: str, source: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    field(CORPUS, 1, _id=f"d{blank}1")(source)
    line(QRELS, 2, f"q1\td{blank}1\t2")(source)
    assert cli.main(["datasets", "import", str(source), "--name", "mine", "-q"]) == 0
    assert cli.main(["run", "fixed", "-d", "mine", "-q"]) == 0
    capsys.readouterr()
    assert cli.main(["score", str(results / "fixed" / "mine" / RUN), "-d", "mine"]) == 0
    assert re.search(r"^mrr@10 +0\.6667$", capsys.readouterr().out, re.MULTILINE)


# the store: what was damaged after import ---------------------------------------------------------


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


def take_away(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


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


MEND = "mine: damaged; mend it with `gtr-beir datasets import PATH --name mine`"
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
        f"{{folder}}/texts.arrow is damaged or not there (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "texts missing",
        take_away("texts.arrow"),
        f"{{folder}}/texts.arrow is damaged or not there (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "texts empty",
        truncate("texts.arrow", 0),
        f"{{folder}}/texts.arrow is damaged or not there (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "texts with a damaged batch",
        overwrite("texts.arrow", 288, b"\xff" * 8),
        f"{{folder}}/texts.arrow is damaged or not there (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "queries with bytes that are no text",
        lambda folder: overwrite(
            "queries.arrow", (folder / "queries.arrow").read_bytes().index(b"what is tea"), b"\xff"
        )(folder),
        f"{{folder}}/queries.arrow is damaged or not there (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "id ranks cut off",
        truncate("id_rank.npy", 0.95),
        f"{{folder}}/id_rank.npy is damaged or not there (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "id ranks empty",
        truncate("id_rank.npy", 0),
        f"{{folder}}/id_rank.npy is damaged or not there (…); {CHECK}",
        MEND,
    ),
    DamagedStore(
        "id ranks a pickle",
        lambda folder: (
            (folder / "id_rank.npy").write_bytes(pickle.dumps(Trap(folder / "executed"))) and None
        ),
        f"{{folder}}/id_rank.npy is damaged or not there (…); {CHECK}",
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
        dataset.texts(0, 4), dataset.query_texts, dataset.qrels, dataset.own_rows
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
        cwd=Path(__file__).parents[1],
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
    assert told.out == f"mine: {path} has other bytes than were written\n"
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
    assert capsys.readouterr().out.endswith("mine: whole\n")


def test_what_a_killed_import_left_is_no_dataset(
    mine: Dataset, datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A temporary name is never read, not even that of a forum."""
    for place in (datasets, datasets / "cqadupstack"):
        shutil.copytree(mine.path, place / f"{TEMPORARY_PREFIX}1-abcdef12-mine")
    assert cli.main(["datasets", "list"]) == 0
    assert TEMPORARY_PREFIX not in capsys.readouterr().out
    assert cli.main(["datasets", "check"]) == 0
    assert capsys.readouterr().out == "mine: whole\n"


# datasets and options by wrong names --------------------------------------------------------------


@dataclass(frozen=True)
class WrongUse:
    """Arguments that cannot be meant, and what is said; {datasets}, {results}: the folders."""

    id: str
    arguments: tuple[str, ...]
    sentence: str
    code: int = 2


RUN_MINE = ("run", "fixed", "-d", "mine")
WRONG_USE = (
    WrongUse(
        "run without a dataset",
        ("run", "fixed"),
        "no dataset was named; give -d NAME (as often as you like) or --suite NAME",
    ),
    WrongUse(
        "run on a registered dataset that is not here",
        ("run", "fixed", "-d", "scifact", "--offline"),
        "scifact is not in {datasets}; bring it with …`gtr-beir datasets import PATH --name "
        "scifact`",
    ),
    WrongUse(
        "run on a name with a slip",
        ("run", "fixed", "-d", "scifcat"),
        "there is no dataset 'scifcat' in {datasets}; did you mean 'scifact'?; `gtr-beir datasets "
        "import PATH --name scifcat` brings one of your own",
    ),
    WrongUse(
        "run on an own name with a slip",
        ("run", "fixed", "-d", "mien"),
        "there is no dataset 'mien' in {datasets}; did you mean 'mine'?; `gtr-beir datasets "
        "import PATH --name mien` brings one of your own",
    ),
    WrongUse(
        "run on a name that is far off",
        ("run", "fixed", "-d", "weather-2031"),
        "there is no dataset 'weather-2031' in {datasets}; `gtr-beir datasets import PATH --name "
        "weather-2031` brings one of your own",
    ),
    WrongUse(
        "run on CQADupStack without its forums",
        ("run", "fixed", "-d", "cqadupstack", "--offline"),
        "…cqadupstack/android is not in {datasets}; bring …`gtr-beir datasets import PATH --name "
        "cqadupstack`",
    ),
    WrongUse(
        "second dataset unknown, the first is not begun",
        (*RUN_MINE, "-d", "nfcorpus", "--offline"),
        "nfcorpus is not in {datasets}; bring it with …`gtr-beir datasets import PATH --name "
        "nfcorpus`",
    ),
    WrongUse(
        "unknown suite",
        ("run", "fixed", "--suite", "beir"),
        "there is no suite 'beir'; the suites are all, zero-shot, public, demo",
    ),
    *(
        WrongUse(
            f"{flag} {value}",
            (*RUN_MINE, flag, value),
            f"{flag} {value} is not possible; give 1 or more",
        )
        for flag, value in (
            ("--depth", "0"),
            ("--depth", "-5"),
            ("--block-documents", "0"),
            ("--batch-tokens", "0"),
            ("--threads", "0"),
        )
    ),
    WrongUse(
        "fp16",
        (*RUN_MINE, "--dtype", "fp16"),
        "fp16 is refused, T5 overflows in it; choose 'fp32' or 'bf16'",
    ),
    WrongUse(
        "unknown dtype",
        (*RUN_MINE, "--dtype", "int8"),
        "there is no dtype 'int8'; choose 'fp32' or 'bf16'",
    ),
    *(
        WrongUse(f"label {label!r}", (*RUN_MINE, "--label", label), f"…'{label}'…label…")
        for label in ("../outside", "{tmp}/outside", "a/b", "..", ".tmp-1-mine", "two words")
    ),
    WrongUse(
        "a checkpoint folder that does not exist",
        ("run", "./no-such-model", "-d", "mine"),
        "there is no checkpoint folder ./no-such-model",
    ),
    WrongUse(
        "a checkpoint folder of nobody's home",
        ("run", "~nobody-has-this-name/model", "-d", "mine"),
        "there is no checkpoint folder ~nobody-has-this-name/model",
    ),
    WrongUse(
        "a system that no hub could have",
        ("run", "what is this?", "-d", "mine"),
        "'what is this?' is neither a system, a folder nor a Hugging Face id; `gtr-beir run "
        "--help` lists the systems",
    ),
    WrongUse(
        "a hub id that is not in the cache, offline",
        ("run", "nobody/no-such-model", "-d", "mine", "--offline"),
        "'nobody/no-such-model' is not a folder here and not in the Hugging Face cache, and "
        "--offline forbids to fetch it; run once without --offline",
    ),
    WrongUse(
        "check without a dataset of this name",
        ("datasets", "check", "scifcat"),
        "there is no dataset 'scifcat' in {datasets}; did you mean 'scifact'?; `gtr-beir datasets "
        "import PATH --name scifcat` brings one of your own",
    ),
    WrongUse(
        "check of an empty folder",
        ("datasets", "check", "--datasets-dir", "nowhere"),
        "there is no dataset in nowhere; `gtr-beir datasets import PATH`",
    ),
    WrongUse(
        "score against a dataset that is not here",
        ("score", "some.run", "-d", "scifact"),
        "scifact is not in {datasets}; bring it with …`gtr-beir datasets import PATH --name "
        "scifact`",
    ),
    WrongUse(
        "leaderboard of an unknown format",
        ("leaderboard", "--format", "md,pdf"),
        "there is no format 'pdf'; choose of md, csv, html, latex",
    ),
    WrongUse(
        "leaderboard of no format",
        ("leaderboard", "--format", ","),
        "…format…md, csv, html, latex",
    ),
)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("case", WRONG_USE, ids=lambda case: case.id)
def test_wrong_use_is_told_before_anything_is_written(
    case: WrongUse, datasets: Path, tmp_path: Path, refused: Refused
) -> None:
    before = files_in(tmp_path)
    sentence = case.sentence.replace("{datasets}", str(datasets))
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in case.arguments]
    refused(sentence.replace("{tmp}", str(tmp_path)), *arguments, code=case.code)
    assert files_in(tmp_path) == before
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("run",),
        ("datasets",),
        ("datasets", "import"),
        ("score", "some.run"),
        (*RUN_MINE, "--depth", "ten"),
        (*RUN_MINE, "--self-matches", "maybe"),
        (*RUN_MINE, "--protocol", "mteb"),
        (*RUN_MINE, "--no-such-option"),
    ],
    ids=" ".join,
)
def test_arguments_that_do_not_parse_exit_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], results: Path
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: gtr-beir")
    assert "error: " in told.splitlines()[-1]
    assert not results.exists()


# checkpoints --------------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    {
        "idx": 3,
        "name": "3",
        "path": "3_Normalize",
        "type": "sentence_transformers.models.Normalize",
    },
]
POOLING = "1_Pooling/config.json"
DENSE = "2_Dense/config.json"
T5 = {"model_type": "t5", "architectures": ["T5EncoderModel"]}
IDENTITY = "torch.nn.modules.linear.Identity"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder in GTR's layout, with configuration files and weights that are none."""
    folder = tmp_path / "gtr-toy"
    write_json(folder / "modules.json", MODULES)
    write_json(folder / "config.json", T5)
    write_json(
        folder / POOLING,
        {
            "word_embedding_dimension": 8,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
        },
    )
    write_json(
        folder / DENSE,
        {"in_features": 8, "out_features": 8, "bias": False, "activation_function": IDENTITY},
    )
    (folder / "3_Normalize").mkdir()
    (folder / "model.safetensors").write_bytes(b"cut off")
    (folder / "2_Dense" / "model.safetensors").write_bytes(b"cut off")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def json_with(file: str, **values: Any) -> Callable[[Path], None]:
    def mistake(folder: Path) -> None:
        value = json.loads((folder / file).read_text(encoding="utf-8"))
        write_json(folder / file, {**value, **values})

    return mistake


def modules(*names: str, **other: str) -> Callable[[Path], None]:
    """Only these modules (by class name); `other` are fields of the last one."""

    def mistake(folder: Path) -> None:
        kept = [dict(entry) for entry in MODULES if entry["type"].rpartition(".")[2] in names]
        kept[-1].update(other)
        write_json(folder / "modules.json", kept)

    return mistake


def file_with(file: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text(text) and None


def together(*mistakes: Callable[[Path], None]) -> Callable[[Path], None]:
    def mistake(folder: Path) -> None:
        for part in mistakes:
            part(folder)

    return mistake


def code_of_its_own(folder: Path) -> None:
    """A module of the folder's own, which leaves a mark when it is imported."""
    (folder / "pooling_of_mine.py").write_text(
        f"from pathlib import Path\nPath({str(folder / 'executed')!r}).touch()\n"
    )
    modules("Transformer", "Pooling", type="pooling_of_mine.Pooling")(folder)


def inner_t5(folder: Path) -> None:
    """The real transformer lies in a folder of its own, below a harmless configuration."""
    write_json(folder / "config.json", {"model_type": "bert"})
    write_json(folder / "0_Transformer" / "config.json", T5)
    kept = [{**MODULES[0], "path": "0_Transformer"}, MODULES[1]]
    write_json(folder / "modules.json", kept)


@dataclass(frozen=True)
class BadCheckpoint:
    id: str
    mistake: Callable[[Path], None]
    sentence: str


NO_GTR = "{folder} is no GTR checkpoint: it"
AGAIN = "get the checkpoint again"
CHECKPOINTS = (
    BadCheckpoint(
        "no modules.json",
        take_away("modules.json"),
        "{folder} has no modules.json, so its pooling is unknown; a GTR checkpoint is a "
        f"sentence-transformers folder with {GTR_PARTS}",
    ),
    BadCheckpoint(
        "modules.json broken",
        file_with("modules.json", "[{"),
        f"the checkpoint cannot be used: {{folder}}/modules.json is damaged (…); {AGAIN}",
    ),
    BadCheckpoint(
        "modules.json without types",
        file_with("modules.json", '[{"path": ""}]'),
        "{folder}/modules.json is not a list of modules with type and path",
    ),
    BadCheckpoint(
        "modules.json a number",
        file_with("modules.json", "7"),
        "{folder}/modules.json is not a list of modules with type and path",
    ),
    BadCheckpoint(
        "modules.json empty",
        file_with("modules.json", "[]"),
        "{folder} begins with nothing instead of a Transformer module",
    ),
    BadCheckpoint(
        "code of its own",
        code_of_its_own,
        "{folder}/modules.json wants code of its own (pooling_of_mine.Pooling), which is not run; "
        "only sentence-transformers' own modules are",
    ),
    BadCheckpoint(
        "auto_map",
        json_with("config.json", auto_map={"AutoModel": "modeling.Model"}),
        "{folder}/config.json wants code of its own (auto_map), which is not run",
    ),
    BadCheckpoint(
        "module outside of the folder",
        modules("Transformer", "Pooling", path="../1_Pooling"),
        "{folder}/modules.json names a module outside of the folder: {folder}/../1_Pooling",
    ),
    BadCheckpoint(
        "no config.json",
        take_away("config.json"),
        f"the checkpoint cannot be used: {{folder}}/config.json is not there; {AGAIN}",
    ),
    BadCheckpoint(
        "config.json a list",
        file_with("config.json", "[]"),
        f"the checkpoint cannot be used: {{folder}}/config.json …; {AGAIN}",
    ),
    BadCheckpoint(
        "pooling configuration a list",
        file_with(POOLING, "[]"),
        f"the checkpoint cannot be used: {{folder}}/{POOLING} …; {AGAIN}",
    ),
    BadCheckpoint(
        "Pooling first",
        modules("Pooling", "Dense"),
        "{folder} begins with Pooling instead of a Transformer module",
    ),
    BadCheckpoint(
        "T5 without Dense",
        modules("Transformer", "Pooling", "Normalize"),
        f"{NO_GTR} lacks Dense; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 without Dense and Normalize",
        modules("Transformer", "Pooling"),
        f"{NO_GTR} lacks Dense and Normalize; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with its parts in another order",
        lambda folder: write_json(
            folder / "modules.json", [MODULES[0], MODULES[2], MODULES[1], MODULES[3]]
        ),
        f"{NO_GTR} has Transformer > Dense > Pooling > Normalize; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 without Dense in a folder of its own",
        inner_t5,
        f"{NO_GTR} lacks Dense and Normalize; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with a bias",
        json_with(DENSE, bias=True),
        f"{NO_GTR}s Dense has a bias; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with CLS pooling",
        json_with(POOLING, pooling_mode_cls_token=True, pooling_mode_mean_tokens=False),
        f"{NO_GTR} pools with pooling_mode_cls_token; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with CLS pooling, new spelling",
        lambda folder: write_json(folder / POOLING, {"pooling_mode": "cls"}),
        f"{NO_GTR} pools with pooling_mode_cls…; GTR is {GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with mean and max pooling",
        json_with(POOLING, pooling_mode_max_tokens=True),
        f"{NO_GTR} pools with pooling_mode_max_tokens, pooling_mode_mean_tokens; GTR is "
        f"{GTR_PARTS}",
    ),
    BadCheckpoint(
        "T5 with an activation",
        json_with(DENSE, activation_function="torch.nn.modules.activation.Tanh"),
        f"{NO_GTR}s Dense has the activation torch.nn.modules.activation.Tanh; GTR's has none",
    ),
    BadCheckpoint(
        "no tokenizer",
        take_away("tokenizer.json"),
        "{folder} has no tokenizer (tokenizer.json or spiece.model); get the checkpoint again",
    ),
    BadCheckpoint(
        "no weights",
        take_away("model.safetensors"),
        "{folder} has no weights (model.safetensors); get the checkpoint again",
    ),
)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("case", CHECKPOINTS, ids=lambda case: case.id)
def test_a_checkpoint_that_is_no_gtr_is_refused_by_name(
    case: BadCheckpoint, checkpoint: Path, results: Path, refused: Refused
) -> None:
    case.mistake(checkpoint)
    sentence = case.sentence.replace("{folder}", str(checkpoint))
    refused(sentence, "run", checkpoint, "-d", "mine", "-q", "--offline")
    assert files_in(results) == {}
    assert leftovers(results) == []
    assert not (checkpoint / "executed").exists()


def test_the_good_layout_passes(checkpoint: Path) -> None:
    """So that every case above is refused for its own mistake."""
    assert inspect_folder(checkpoint).gtr


def test_a_bad_checkpoint_is_a_checkpoint_error(checkpoint: Path) -> None:
    json_with(DENSE, bias=True)(checkpoint)
    with pytest.raises(CheckpointError, match=r"its Dense has a bias; GTR is T5 encoder"):
        inspect_folder(checkpoint)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("cuda", "there is no cuda on this machine; use --device cpu"),
        ("cuda:1", "there is no cuda:1 on this machine; use --device cpu"),
        ("tpu", "there is no device 'tpu'; use cpu or cuda"),
        ("cpux", "there is no device 'cpux'; use cpu or cuda"),
        ("cuda:x", "there is no device 'cuda:x'; use cpu or cuda"),
    ],
)
def test_a_device_that_is_not_there_is_wrong_use(
    device: str,
    sentence: str,
    checkpoint: Path,
    results: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(sentence, "run", checkpoint, "-d", "mine", "-q", "--device", device, code=2)
    assert files_in(results) == {}


@pytest.mark.usefixtures("mine")
def test_a_revision_of_a_folder_is_wrong_use(
    checkpoint: Path, results: Path, refused: Refused
) -> None:
    """It would be recorded nowhere and change nothing."""
    refused("…revision…", "run", checkpoint, "-d", "mine", "-q", "--revision", "main", code=2)
    assert files_in(results) == {}


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("weights", ["safetensors cut off", "pickle that executes"])
def test_weights_that_are_none_are_refused_and_not_executed(
    weights: str, checkpoint: Path, results: Path, refused: Refused
) -> None:
    write_json(
        checkpoint / "config.json",
        {
            **T5,
            **{"d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2, "num_layers": 1},
            **{"vocab_size": 8, "feed_forward_proj": "relu", "pad_token_id": 0},
        },
    )
    if weights == "pickle that executes":
        (checkpoint / "model.safetensors").unlink()
        (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(checkpoint / "executed")))
    sentence = {
        "safetensors cut off": f"{checkpoint}/model.safetensors cannot be read (…); {AGAIN}",
        "pickle that executes": f"{checkpoint}/pytorch_model.bin holds more than weights, and "
        "nothing of it was executed; get the checkpoint as safetensors, or from somebody you trust",
    }[weights]
    refused(sentence, "run", checkpoint, "-d", "mine", "-q")
    assert files_in(results) == {}
    assert not (checkpoint / "executed").exists()


# run files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BadRun:
    """The bytes of a run file, and what score says ({run}: its path)."""

    id: str
    content: bytes
    sentence: str
    code: int = 1


GOOD_RUN = b"q1 Q0 d1 1 3.0 me\nq1 Q0 d2 2 2.0 me\nq2 Q0 d3 1 1.0 me\n"
SIX = "columns where a run has six: query id, Q0, document id, rank, score, tag"
RUNS = (
    BadRun("empty", b"", "{run}: there is no line in it"),
    BadRun("only blank lines", b"\n\n", "{run}: there is no line in it"),
    BadRun("five columns", b"q1 Q0 d1 1 3.0\n", f"{{run}}:1: 5 {SIX}"),
    BadRun("seven columns", GOOD_RUN + b"q2 Q0 d1 1 3.0 my tag\n", f"{{run}}:4: 7 {SIX}"),
    BadRun("qrels for a run", b"q1 0 d1 1\n", f"{{run}}:1: 4 {SIX}"),
    *(
        BadRun(
            f"score {score}",
            GOOD_RUN + f"q2 Q0 d1 2 {score} me\n".encode(),
            f"{{run}}:4: score '{score}' is not a finite number",
        )
        for score in ("high", "nan", "inf", "-inf", "1e39", "1e400", "0x10", "1_0", "１")
    ),
    BadRun(
        "document twice",
        GOOD_RUN + b"q1 Q0 d1 3 1.0 me\n",
        "{run}:4: document 'd1' is ranked twice for query 'q1'; keep one",
    ),
    BadRun(
        "unknown document",
        GOOD_RUN + b"q1 Q0 d9 3 1.0 me\n",
        "{run}:4: document 'd9' is not in mine; is the run for another dataset, or for another "
        "copy of the corpus?",
    ),
    BadRun(
        "no query in common",
        b"x1 Q0 d1 1 3.0 me\n",
        "{run}: none of its queries is judged in mine; is the run for another dataset?",
    ),
    BadRun(
        "not UTF-8",
        GOOD_RUN + b"q1 Q0 d\xe9 3 1.0 me\n",
        "{run}:4: not UTF-8; save it as UTF-8",
    ),
    BadRun(
        "gzip cut off",
        cut_gzip := gzip.compress(GOOD_RUN)[:-12],
        "{run}: the gzip file is damaged (…)",
    ),
    BadRun(
        "gzip damaged",
        gzip.compress(GOOD_RUN)[:10] + b"\xff" * 16 + gzip.compress(GOOD_RUN)[26:],
        "{run}: the gzip file is damaged (…)",
    ),
    BadRun(
        "gzip with a wrong checksum",
        gzip.compress(GOOD_RUN)[:-8] + bytes(4) + gzip.compress(GOOD_RUN)[-4:],
        "{run}: the gzip file is damaged (…)",
    ),
)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("case", RUNS, ids=lambda case: case.id)
def test_score_says_what_is_wrong_with_a_run_file(
    case: BadRun, tmp_path: Path, refused: Refused
) -> None:
    run = tmp_path / "some.run"
    run.write_bytes(case.content)
    before = files_in(tmp_path)
    refused(
        case.sentence.replace("{run}", str(run)),
        *("score", run, "-d", "mine", "--per-query", tmp_path / "values.csv"),
        code=case.code,
    )
    assert files_in(tmp_path) == before
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("place", ["missing.run", "."])
def test_score_of_a_path_that_is_no_file(place: str, refused: Refused) -> None:
    refused(f"{place} does not exist; give a TREC run file", "score", place, "-d", "mine", code=2)


def test_a_run_file_error_is_an_input_error_with_its_line(mine: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "some.run"
    run.write_bytes(GOOD_RUN + b"q1 Q0 d9 3 1.0 me\n")
    with pytest.raises(InputError) as caught:
        Run.read(run, mine)
    assert (caught.value.path, caught.value.line) == (str(run), 4)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    "content",
    [
        GOOD_RUN.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD_RUN,
        GOOD_RUN.rstrip(b"\n"),
        GOOD_RUN.replace(b" ", b"\t"),
        GOOD_RUN + b"other Q0 d1 1 3.0 me\n",
        gzip.compress(GOOD_RUN),
    ],
    ids=["carriage returns", "byte order mark", "no line end", "tabs", "unjudged query", "gzip"],
)
def test_run_files_that_mean_the_same_score_the_same(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = []
    for number, data in enumerate((GOOD_RUN, content)):
        run = tmp_path / f"{number}.run"
        run.write_bytes(data)
        assert cli.main(["score", str(run), "-d", "mine"]) == 0
        scores.append(capsys.readouterr().out)
    assert scores[0] == scores[1]
    assert re.search(r"^mrr@10 +1\.0000$", scores[0], re.MULTILINE)


@pytest.mark.usefixtures("mine")
def test_per_query_values_that_cannot_be_written(tmp_path: Path, refused: Refused) -> None:
    run = tmp_path / "some.run"
    run.write_bytes(GOOD_RUN)
    folder = tmp_path / "values"
    folder.mkdir()
    refused(f"…{folder}…", "score", run, "-d", "mine", "--per-query", folder)
    assert leftovers(tmp_path) == []


# results: records, per-query files, folders -------------------------------------------------------


@pytest.fixture
def record(mine: Dataset, results: Path) -> Path:
    """The record of a run of `fixed` on `mine`."""
    benchmark(FixedSystem("fixed", Settings()), mine, results_dir=results)
    return results / "fixed" / "mine" / RECORD


def record_with(**values: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        value = json.loads(path.read_text(encoding="utf-8"))
        value.update(values)
        path.write_text(json.dumps({k: v for k, v in value.items() if v is not ...}))

    return damage


DAMAGED_RECORDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut off": (
        lambda path: path.write_bytes(path.read_bytes()[:100]) and None,
        "{record} is damaged (…); delete it and run again",
    ),
    "not UTF-8": (
        lambda path: path.write_bytes(b'{"system": "\xff"}') and None,
        "{record} is damaged (…); delete it and run again",
    ),
    "of another version": (
        record_with(format=0),
        "{record} was written by another version; run again with --again",
    ),
    "a list": (
        lambda path: path.write_text("[]") and None,
        "{record} was written by another version; run again with --again",
    ),
    "without measures": (
        record_with(measures=...),
        "{record} is damaged (…); run again with --again",
    ),
    "with no measure": (
        record_with(measures={}),
        "{record} is damaged (…); run again with --again",
    ),
    "with measures that are null": (
        record_with(measures=None),
        "{record} is damaged (…); run again with --again",
    ),
    "without fingerprints": (
        record_with(fingerprints={}),
        "{record} is damaged (…); run again with --again",
    ),
    "with an unknown field": (
        record_with(colour="red"),
        "{record} is damaged (…); run again with --again",
    ),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGED_RECORDS.values(), ids=DAMAGED_RECORDS)
def test_a_damaged_record_stops_the_leaderboard_and_is_made_again_by_run(
    damage: Callable[[Path], None], sentence: str, record: Path, results: Path, refused: Refused
) -> None:
    good = Record.read(record.parent)
    damage(record)
    before = files_in(results)
    refused(sentence.replace("{record}", str(record)), "leaderboard")
    assert files_in(results) == before
    assert leftovers(results) == []
    assert cli.main(["run", "fixed", "-d", "mine", "-q"]) == 0
    assert Record.read(record.parent).measures == good.measures


def test_a_record_of_other_settings_needs_again(
    record: Path, results: Path, refused: Refused
) -> None:
    before = files_in(results)
    signature = Record.read(record.parent).signature
    for changed in (("--protocol", "hub"), ("--depth", "10"), ("--self-matches", "keep")):
        refused(
            f"{record.parent} holds a record of other weights, data or settings ({signature}); "
            "name this one with --label, or replace it with --again",
            *("run", "fixed", "-d", "mine", "-q", *changed),
            code=2,
        )
        assert files_in(results) == before
    assert cli.main(["run", "fixed", "-d", "mine", "-q", "--depth", "10", "--again"]) == 0
    assert Record.read(record.parent).depth == 10
    assert leftovers(results) == []


def test_a_system_with_blanks_in_its_name_leaves_a_run_file_that_can_be_read(
    mine: Dataset, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint folder may be called so, and the sixth column of a run is its name."""
    benchmark(FixedSystem("my model", Settings()), mine, results_dir=results)
    assert cli.main(["score", str(results / "my model" / "mine" / RUN), "-d", "mine"]) == 0
    assert "ndcg@10" in capsys.readouterr().out


@pytest.mark.parametrize("missing", [RUN, PER_QUERY])
def test_a_record_without_its_files_is_made_again(
    missing: str, record: Path, results: Path
) -> None:
    before = {name: data for name, data in files_in(results).items() if not name.endswith(RECORD)}
    (record.parent / missing).unlink()
    assert cli.main(["run", "fixed", "-d", "mine", "-q"]) == 0
    after = {name: data for name, data in files_in(results).items() if not name.endswith(RECORD)}
    assert after == before


@pytest.mark.usefixtures("mine")
def test_a_system_that_fails_leaves_no_record(
    results: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pandas.DataFrame.to_csv", fail)
    place = results / "fixed" / "mine"
    refused(
        f"the disk is full while writing {place / PER_QUERY}; free some space and run the same "
        "command again, it goes on where it stopped",
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
        f"no permission to write {place}…; choose another folder with --results-dir or "
        "--datasets-dir",
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


# compare ------------------------------------------------------------------------------------------


@pytest.fixture
def values(tmp_path: Path) -> Callable[..., Path]:
    """Writes <system>/<dataset>/queries.csv with these lines; returns the system's folder."""

    def write(system: str, *lines: str, dataset: str = "mine") -> Path:
        path = tmp_path / "compared" / system / dataset / PER_QUERY
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(("query_id,ndcg@10,recall@100", *lines)) + "\n")
        return tmp_path / "compared" / system

    return write


def test_compare_of_the_good_files(
    values: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """So that every case below is refused for its own mistake; one query is enough."""
    for number, lines in enumerate((["q1,0.5,1"], ["q1,0.5,1", "q2,0.25,1", "q3,0,1"])):
        a, b = values(f"a{number}", *lines), values(f"b{number}", *lines)
        assert cli.main(["compare", str(a), str(b)]) == 0
    assert "mine" in capsys.readouterr().out


def test_compare_without_a_dataset_in_common(values: Callable[..., Path], refused: Refused) -> None:
    """The same query ids in two datasets are not the same queries."""
    a = values("a", "q1,0.5,1", "q2,0.5,1", dataset="scifact")
    b = values("b", "q1,0.5,1", "q2,0.5,1", dataset="nfcorpus")
    sentence = f"{a} and {b} have no dataset in common"
    refused(sentence, "compare", a, b, code=2)
    values("a2", "q1,0.5,1", dataset="fiqa")
    shutil.copytree(a.parent / "a2" / "fiqa", a / "fiqa")
    refused(sentence, "compare", a, b, code=2)


def test_compare_by_an_unknown_measure(values: Callable[..., Path], refused: Refused) -> None:
    a, b = values("a", "q1,0.5,1"), values("b", "q1,0.5,1")
    refused(
        f"{a / 'mine' / PER_QUERY} has no measure 'bpref'; it has ndcg@10, recall@100",
        *("compare", a, b, "--measure", "bpref"),
        code=2,
    )


def test_compare_of_other_queries(values: Callable[..., Path], refused: Refused) -> None:
    a, b = values("a", "q1,0.5,1"), values("b", "q2,0.5,1")
    refused(
        f"{b / 'mine' / PER_QUERY}: not over the same queries as {a / 'mine' / PER_QUERY}; paired "
        "tests need that",
        *("compare", a, b),
    )


@pytest.mark.parametrize("place", ["nothing-here", "empty"])
def test_compare_of_a_folder_without_results(
    place: str, values: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "empty").mkdir()
    refused(
        f"there is no queries.csv in {place}; give a folder that a run has left",
        *("compare", place, values("b", "q1,0.5,1")),
        code=2,
    )


@pytest.mark.parametrize(
    "lines",
    [("q1,high,1",), ("q1,,1",), ("q1,nan,1",), ("q1,0.5,1", "q1,0.5,1"), ("q1,0.5,1,7,8",), ()],
    ids=["a word", "nothing", "nan", "query twice", "too many fields", "no query"],
)
def test_compare_of_values_that_are_none(
    lines: tuple[str, ...], values: Callable[..., Path], refused: Refused
) -> None:
    for b in (values("b", "q1,0.5,1"), values("also-bad", *lines)):
        a = values(f"a-{b.name}", *lines)
        refused(f"…{a / 'mine' / PER_QUERY}…", "compare", a, b)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", GOOD_RUN])
def test_compare_of_files_that_are_no_tables(
    content: bytes, values: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    path = tmp_path / "values.csv"
    path.write_bytes(content)
    refused(f"{path}: not a per-query file (…)", "compare", path, values("b", "q1,0.5,1"))


# the tree of errors -------------------------------------------------------------------------------


def test_exit_codes_of_the_tree() -> None:
    assert (InputError("x").exit_code, StoreError("x").exit_code) == (1, 1)
    assert (CheckpointError("x").exit_code, UsageError("x").exit_code) == (1, 2)


def test_a_message_of_several_lines_is_told_on_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise InputError("first\n  second", path="some\nfile", line=3)

    monkeypatch.setattr("gtr_beir.cli.data._datasets_list", fail)
    assert cli.main(["datasets", "list"]) == 1
    assert capsys.readouterr().err == "gtr-beir: some file:3: first second\n"


def test_a_good_dataset_scores(mine: Dataset, results: Path) -> None:
    """What all the cases are mistakes of."""
    assert json_lines(DOCUMENTS).count("\n") == mine.n_documents
    found = benchmark(FixedSystem("fixed", Settings()), mine, results_dir=results)
    assert set(found.measures) == set(MEASURES)
    assert found.measures["mrr@10"] == pytest.approx((1 + 1 / 3) / 2)
