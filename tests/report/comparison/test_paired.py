"""Comparisons of results that have too little in common, or are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from good_input import GOOD_RUN
from gtr_beir import cli
from gtr_beir.records import PER_QUERY
from refusal import Refused

pytestmark = pytest.mark.usefixtures("no_network")


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
        f"{a / 'mine' / PER_QUERY} has no measure 'ndcg@7'; it has ndcg@10, recall@100",
        *("compare", a, b, "--measure", "nDCG@7"),
        code=2,
    )


def test_compare_of_other_queries(values: Callable[..., Path], refused: Refused) -> None:
    a, b = values("a", "q1,0.5,1"), values("b", "q2,0.5,1")
    refused(
        f"{b / 'mine' / PER_QUERY}: not over the same queries as {a / 'mine' / PER_QUERY}, which "
        "paired tests need; run both on the same dataset",
        *("compare", a, b),
    )


@pytest.mark.parametrize("place", ["nothing-here", "empty"])
def test_compare_of_a_folder_without_results(
    place: str, values: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "empty").mkdir()
    refused(
        f"there is no queries.csv in {place}; give a folder that a run has written",
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
