"""Comparisons of results that have too little in common, or are none."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.results import record

from good_input import GOOD_RUN
from gtr_beir import cli
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import PER_QUERY, Record
from gtr_beir.report.comparison.paired import compare_pairs, paired_results
from refusal import Refused

NDCG = Measure("ndcg", 10)
pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def values(tmp_path: Path) -> Callable[..., Path]:
    """Writes <system>/<dataset>/queries.csv with these lines; returns the system's folder."""

    def write(system: str, *lines: str, dataset: str = "mine") -> Path:
        path = tmp_path / "compared" / system / dataset / PER_QUERY
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(("query_id,ndcg@10,recall@100", *lines)) + "\n")
        try:
            columns = zip(*(map(float, line.split(",")[1:]) for line in lines), strict=True)
            ndcg, recall = (min(sum(column) / len(lines), 1) for column in columns)
        except ValueError:
            ndcg = recall = 0.5
        ndcg, recall = (0.5 if math.isnan(mean) else max(mean, 0) for mean in (ndcg, recall))
        one = record(system, dataset, ndcg, fingerprint=dataset)
        measures = {**one.measures, "recall@100": recall}
        replace(one, n_queries=len(lines), measures=measures).write(path.parent)
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
        f"there is no record.json in {place} or its datasets' folders; give a folder that a run "
        "has written",
        *("compare", place, values("b", "q1,0.5,1")),
        code=2,
    )


def test_compare_of_a_name_with_a_slip(
    tmp_path: Path, values: Callable[..., Path], refused: Refused
) -> None:
    """Of a system in the results folder."""
    results = tmp_path / "results"
    for name in ("bm25-flat", "toy"):
        place = results / name / "mine"
        place.mkdir(parents=True)
        (place / "record.json").write_text("{}")
    refused(
        f"there is no result of 'bm25-flt' in {results}; did you mean 'bm25-flat'?",
        *("compare", "bm25-flt", values("b", "q1,0.5,1")),
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


def test_cqadupstack_is_one_dataset_of_forums_that_count_the_same(tmp_path: Path) -> None:
    """Twelve forums weigh as one dataset, and a forum of many queries as one of few."""
    forums = {"cqadupstack/android": 2, "cqadupstack/gis": 6}
    for system, values in (("a", (0.5, 0.5)), ("b", (0.75, 0.5))):
        for (forum, queries), value in zip(forums.items(), values, strict=True):
            folder = tmp_path / system / forum
            folder.mkdir(parents=True)
            lines = [f"q{n},{value}" for n in range(queries)]
            (folder / PER_QUERY).write_text("\n".join(["query_id,ndcg@10", *lines, ""]))
        one = record(system, "cqadupstack", sum(values) / 2)
        one = replace(one, parts={forum: {} for forum in forums}, n_queries=8)
        one.write(tmp_path / system / "cqadupstack")
    pairing = paired_results(tmp_path / "a", tmp_path / "b", NDCG)
    (found,) = compare_pairs(pairing.pairs)
    assert found.dataset == "cqadupstack"
    assert found.comparison.difference == pytest.approx(0.125), "not 0.0625, the mean over queries"
    assert (found.comparison.wins, found.comparison.ties) == (2, 6)
    assert [part.dataset for part in pairing.pairs[0].parts] == list(forums)


def test_a_dataset_that_only_one_has_is_told_and_fails_the_gate(
    values: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = values("a", "q1,0.5,1"), values("b", "q1,0.5,1")
    values("a", "q1,0.5,1", dataset="lost")
    values("b", "q1,0.5,1", dataset="new")
    assert cli.main(["compare", str(a), str(b)]) == 0
    told = capsys.readouterr().out
    assert "Not compared, since only A has a result: lost." in told
    assert "Not compared, since only B has a result: new." in told
    assert cli.main(["compare", str(a), str(b), "--require", "ndcg@10 >= -0.5"]) == 1
    assert "is not met by lost (B has no result)" in capsys.readouterr().err


def test_a_ranking_that_ends_before_the_measure_is_refused(
    values: Callable[..., Path], refused: Refused
) -> None:
    a, b = values("a", "q1,0.5,1"), values("b", "q1,0.5,1")
    replace(Record.read(b / "mine"), depth=50).write(b / "mine")
    refused(
        "b keeps 50 documents of a query on mine, fewer than Recall@100 looks at; run it deeper, "
        "or compare by another measure",
        *("compare", a, b, "--measure", "recall@100"),
        code=2,
    )
    assert cli.main(["compare", str(a), str(b), "--measure", "ndcg@10"]) == 0


def test_values_of_fewer_queries_than_the_record_are_damage(
    values: Callable[..., Path], refused: Refused
) -> None:
    a, b = values("a", "q1,0.5,1", "q2,0.5,1"), values("b", "q1,0.5,1", "q2,0.5,1")
    for system in (a, b):
        path = system / "mine" / PER_QUERY
        path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n")
    refused(
        f"{a / 'mine' / PER_QUERY}: it has 1 queries and its record 2; one of the two was changed: "
        "run again with --again",
        *("compare", a, b),
    )


def test_results_of_different_policies_on_own_ids_are_refused(
    values: Callable[..., Path], refused: Refused
) -> None:
    for label, policy in (("a", "drop"), ("b", "keep")):
        folder = values(label, "q1,0.5,1") / "mine"
        one = Record.read(folder)
        replace(one, identity=replace(one.identity, self_matches=policy)).write(folder)
    compared = values("c", "q1,0.5,1").parent
    a, b = compared / "a", compared / "b"
    refused(
        "a ran with --self-matches drop on mine and b with keep; run both with the same",
        *("compare", a, b),
        code=2,
    )
