"""Run files that cannot be scored are refused with their line."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from good_input import GOOD_RUN
from gtr_beir import cli
from gtr_beir.data.store import Dataset
from gtr_beir.errors import InputError
from gtr_beir.ranking.runs import Run
from refusal import Refused, files_in, leftovers

pytestmark = pytest.mark.usefixtures("no_network")


@dataclass(frozen=True)
class BadRun:
    """The bytes of a run file, and what score says ({run}: its path)."""

    id: str
    content: bytes
    sentence: str
    code: int = 1


SIX = "columns where a run has six: query id, Q0, document id, rank, score, tag"
RUNS = (
    BadRun("empty", b"", "{run}: there are no lines in it"),
    BadRun("only blank lines", b"\n\n", "{run}: there are no lines in it"),
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
