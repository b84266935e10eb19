"""What is odd in a dataset and yet right is imported, counted and told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from good_input import CORPUS, HEADER, QRELS, QUERY_FILE
from gtr_beir import cli, load_dataset
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.records import RUN
from mistakes import added, field, line, whole

pytestmark = pytest.mark.usefixtures("no_network")


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
