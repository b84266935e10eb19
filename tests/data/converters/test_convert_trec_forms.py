"""TREC's topics and qrels: every real file there is, and every way a line can be wrong."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gtr_beir.data.beir_format import Judgement
from gtr_beir.data.converters.trec_forms import (
    is_topics_table,
    judged_only,
    read_qrels,
    read_topics,
    recoded,
)
from gtr_beir.data.registry import benchmark_names, registered
from gtr_beir.errors import InputError, UsageError

# Dataset or forum -> what stands between "qrels." and ".txt.gz".
NAMES = {
    name: "msmarco-passage.dev-subset"
    if name == "msmarco"
    else f"beir-v1.0.0-{name.replace('/', '-')}.test"
    for row in benchmark_names()
    for name in (getattr(registered(row), "parts", ()) or (row,))
}


def present(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the real files")
    return path


def test_the_names_are_all_there_are(judgement_files: Path) -> None:
    topics = {path.name for path in judgement_files.glob("topics.*")}
    qrels = {path.name for path in judgement_files.glob("qrels.*")}
    assert topics <= {f"topics.{stem}.tsv.gz" for stem in NAMES.values()}
    assert qrels <= {f"qrels.{stem}.txt.gz" for stem in NAMES.values()}


@pytest.mark.parametrize("name", list(NAMES))
def test_real_topics(judgement_files: Path, name: str) -> None:
    topics = read_topics(present(judgement_files / f"topics.{NAMES[name]}.tsv.gz"))
    spec = registered(name)
    assert spec is not None
    assert len(topics) == spec.queries


@pytest.mark.parametrize("name", list(NAMES))
def test_real_qrels(judgement_files: Path, name: str) -> None:
    judgements = read_qrels(present(judgement_files / f"qrels.{NAMES[name]}.txt.gz"))
    spec = registered(name)
    assert spec is not None
    # Touche-2020 and TREC-COVID have a state for BEIR's zip and one for these files.
    states = {state.source: state for state in spec.judgements}
    state = states.get("anserini") or states["all"]
    assert len(judgements) == state.lines
    assert Counter(judgement.grade for judgement in judgements) == dict(state.grades)
    assert [judgement.line for judgement in judgements] == list(range(1, state.lines + 1))
    topics = read_topics(present(judgement_files / f"topics.{NAMES[name]}.tsv.gz"))
    assert {judgement.query_id for judgement in judgements} == set(topics)


def test_real_topic_with_a_tab(judgement_files: Path) -> None:
    path = present(judgement_files / "topics.beir-v1.0.0-robust04.test.tsv.gz")
    topics = read_topics(path)
    assert topics["350"] == (
        "Is it hazardous to the health of individuals to\twork with computer terminals on a daily "
        "basis?"
    )
    assert [key for key, text in topics.items() if "\t" in text] == ["350"]


def test_real_ids_keep_their_bytes(judgement_files: Path) -> None:
    path = present(judgement_files / "qrels.beir-v1.0.0-fever.test.txt.gz")
    written = {line.split()[2] for line in gzip.decompress(path.read_bytes()).splitlines()}
    assert {judgement.document_id.encode() for judgement in read_qrels(path)} == written


@pytest.mark.parametrize("gzipped", [False, True])
def test_topics(tmp_path: Path, gzipped: bool) -> None:
    data = "\ufeff7\tseven\tand a tab \r\n8\tacht ü\n".encode()
    path = tmp_path / ("t.tsv.gz" if gzipped else "t.tsv")
    path.write_bytes(gzip.compress(data) if gzipped else data)
    assert is_topics_table(path)
    assert not is_topics_table(tmp_path / "04.testset.gz")
    assert read_topics(path) == {"7": "seven\tand a tab ", "8": "acht ü"}
    assert read_topics(path, {"8", "9"}) == {"8": "acht ü"}
    assert judged_only({"1": "a", "2": "b"}, None) == {"1": "a", "2": "b"}


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", None, "no query"),
        (b"1\ta\n2 b\n", 2, "no TAB"),
        (b"1\ta\n\n2\tb\n", 2, "no TAB"),
        (b"\ta\n", 1, "id '' is empty"),
        (b"1 x\ta\n", 1, "id '1 x'"),
        (b"1\ta\n2\tb\n1\tc\n", 3, "'1' is already on line 1"),
        (b"1\t \n", 1, "has no text"),
        (b"1\ta\n2\t\xff\n", 2, "not UTF-8"),
    ],
)
def test_wrong_topics(tmp_path: Path, data: bytes, line: int | None, reason: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as caught:
        read_topics(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_qrels(tmp_path: Path, compressed: Callable[..., bytes]) -> None:
    # A no-break space belongs to an id; blanks and tabs part the columns.
    data = "q1 0 d1 1\nq1\tQ0  d\u00a02 \t-2\r\nq2 0 d1 +3\n".encode()
    wanted = [
        Judgement("q1", "d1", 1, 1),
        Judgement("q1", "d\u00a02", -2, 2),
        Judgement("q2", "d1", 3, 3),
    ]
    for name, bytes_ in (
        ("q.txt", data),
        ("with mark.txt", b"\xef\xbb\xbf" + data),
        ("q.gz", gzip.compress(data)),
        ("q.Z", compressed(data)),
    ):
        (tmp_path / name).write_bytes(bytes_)
        assert read_qrels(tmp_path / name) == wanted


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", None, "no judgement"),
        (b"1 0 a 1\n1 0 b\n", 2, "3 columns instead of four"),
        (b"1 0 a 1\n\n1 0 b 1\n", 2, "0 columns instead of four"),
        (b"1 0 a b 1\n", 1, "5 columns"),
        (b"1 0 a 1.0\n", 1, "grade '1.0' is not a whole number"),
        (b"1 0 a 1\n2 0 a 1\n1 0 a 2\n", 3, "judged on line 1 already"),
        (b"1 0 \xe9 1\n", 1, "not UTF-8"),
    ],
)
def test_wrong_qrels(tmp_path: Path, data: bytes, line: int | None, reason: str) -> None:
    path = tmp_path / "q.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as caught:
        read_qrels(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_recoding(tmp_path: Path) -> None:
    judgements = [Judgement("1", "a", 0, 1), Judgement("1", "b", 16, 2)]
    grades = {0: 0, 16: 4}
    assert recoded(judgements, grades, tmp_path) == [
        Judgement("1", "a", 0, 1),
        Judgement("1", "b", 4, 2),
    ]
    with pytest.raises(InputError, match="grade 3 where the original has 0, 16") as caught:
        recoded([*judgements, Judgement("1", "c", 3, 3)], grades, tmp_path)
    assert caught.value.line == 3


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_qrels(tmp_path / "none")
    with pytest.raises(UsageError, match="is a folder"):
        read_topics(tmp_path)
