"""Inspections name the right queries, ranks, marks and reasons."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.report.results import edit

from doubles import write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR, DATASET_DIR
from gtr_beir.errors import StoreError, UsageError
from gtr_beir.evaluation import benchmark
from gtr_beir.identity import Identity, Model
from gtr_beir.ranking.runs import Run
from gtr_beir.records import PER_QUERY, RECORD, RUN
from gtr_beir.report.inspection.inspection import Inspection, inspect_results
from gtr_beir.systems.base import Found, SearchOptions, load_system
from gtr_beir.systems.options import Options

FAILING, ANSWER = "q15", "eggs-5"
"""A query of the demonstration that the toy answers, and its only relevant document."""


def ranks_in(path: Path) -> dict[str, dict[str, int]]:
    """query -> document -> rank, read from a run file without this program."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            query, _, document, rank, _, _ = line.split()
            found[query][document] = int(rank)
    return found


def agrees(found: Inspection, runs: Sequence[Path]) -> bool:
    """Whether every rank is that of the run file."""
    expected = [ranks_in(run) for run in runs]
    for query in found.queries:
        for document in (*query.judged, *query.top):
            ranks = tuple(run[query.id].get(document.id) for run in expected)
            assert document.ranks == ranks, (query.id, document.id)
    return True


@dataclass(frozen=True)
class Planted:
    """The demonstration, in which one answer stands behind more text than an encoder reads."""

    datasets: Path
    results: Path

    def inspect(self, *names: str, worst: int = 5) -> Inspection:
        return inspect_results(
            names, "planted", worst=worst, results_dir=self.results, datasets_dir=self.datasets
        )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("planted")
    source = folder / "source"
    shutil.copytree(DATASET_DIR, source)
    corpus = source / "corpus.jsonl"
    documents = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    filler = " ".join(d["text"] for d in documents if d["_id"].startswith("tyres-"))
    for document in documents:
        if document["_id"] == ANSWER:
            document["text"] = f"{filler} {filler} {document['text']}"
    lines = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents)
    corpus.write_text(lines, "utf-8")
    dataset = import_beir(source, name="planted", split="test", datasets_dir=folder / "datasets")
    assert isinstance(dataset, Dataset)
    toy = load_system(str(CHECKPOINT_DIR), device="cpu")
    results = folder / "results"
    benchmark(toy, dataset, results_dir=results, label="toy")
    benchmark(load_system("bm25-flat", processes=1), dataset, results_dir=results)
    return Planted(folder / "datasets", results)


def test_a_document_that_was_cut_comes_first(planted: Planted) -> None:
    """Many queries score 0; the one whose answer was cut off is shown before all of them."""
    found = planted.inspect("toy")
    values = pd.read_csv(planted.results / "toy" / "planted" / PER_QUERY, index_col="query_id")
    assert (values["ndcg@10"] == 0).sum() > 10
    assert values.loc[FAILING, "ndcg@10"] == 0
    first = found.queries[0]
    assert first.id == FAILING
    answer = first.judged[0]
    assert (answer.id, answer.grade) == (ANSWER, 2)
    assert answer.tokens[0] is not None
    assert answer.tokens[0].limit == 512
    assert answer.tokens[0].cut > 50
    assert agrees(found, [planted.results / "toy" / "planted" / RUN])
    assert all(query.values[0] == 0 for query in found.queries)


def test_what_the_other_system_found(planted: Planted) -> None:
    found = planted.inspect("toy", "bm25-flat", worst=90)
    runs = [planted.results / name / "planted" / RUN for name in ("toy", "bm25-flat")]
    assert agrees(found, runs)
    by_id = {query.id: query for query in found.queries}
    answer = by_id[FAILING].judged[0]
    assert answer.ranks[0] is not None
    assert answer.ranks[1] is not None
    assert answer.ranks[1] < answer.ranks[0]
    assert answer.tokens[1] is None
    changes = [abs(query.values[1] - query.values[0]) for query in found.queries]
    assert changes == sorted(changes, reverse=True)
    for place, name in enumerate(("toy", "bm25-flat")):
        values = pd.read_csv(planted.results / name / "planted" / PER_QUERY, index_col="query_id")
        for query in found.queries:
            assert query.values[place] == values.loc[query.id, "ndcg@10"]


class Told:
    """Ranks as it is told: query -> documents, best first."""

    title = "told"
    options_type = Options
    reranks = False

    def __init__(self, name: str, rankings: dict[str, str]):
        self.identity = Identity(Model(name))
        self.settings: dict[str, object] = {}
        self.fingerprint = f"{name} {sorted(rankings.items())}"
        self._rankings = rankings

    def search(self, dataset: Dataset, options: SearchOptions) -> Found:
        rows = np.full((len(dataset.query_ids), 4), -1, dtype=np.int32)
        for place, query in enumerate(dataset.query_ids):
            ranked = dataset.rows_of(self._rankings.get(query, "").split())
            rows[place, : len(ranked)] = ranked
        scores = np.where(rows < 0, -np.inf, -np.arange(4, dtype=np.float32))
        return Found(Run(dataset.query_ids, rows, scores.astype(np.float32)))


@dataclass(frozen=True)
class World:
    """A dataset of which every rank can be written down, and the results of two systems."""

    dataset: Dataset
    datasets: Path
    results: Path

    def told(self, name: str, **rankings: str) -> str:
        benchmark(Told(name, rankings), self.dataset, results_dir=self.results)
        return name

    def inspect(
        self, *names: str | Path, queries: Sequence[str] = (), **choices: int | str
    ) -> Inspection:
        return inspect_results(
            names,
            "own",
            queries=queries,
            results_dir=self.results,
            datasets_dir=self.datasets,
            **choices,  # type: ignore[arg-type]
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = write_beir(
        tmp_path / "source",
        [
            {"_id": "d1", "title": "The Wheels", "text": "of a bicycle"},
            {"_id": "d2", "title": "", "text": "soup"},
            {"_id": "d3", "title": "bread", "text": ""},
            {"_id": "q4", "title": "", "text": "a wheel"},
        ],
        {"q1": "the wheel's soup wheel", "q2": "soup", "q3": "bread", "q4": "a wheel"},
        [
            *(("q1", "d2", 1), ("q1", "d1", 2), ("q1", "d3", 0), ("q1", "gone", 1)),
            *(("q2", "d2", 1), ("q3", "d3", 1), ("q4", "d1", 1)),
        ],
    )
    dataset = import_beir(folder, name="own", datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    return World(dataset, tmp_path / "datasets", tmp_path / "results")


def test_documents_of_a_query(world: World) -> None:
    a = world.told("a", q1="d3 q4 d1", q2="d2", q3="d3", q4="d1")
    b = world.told("b", q1="d2 d1")
    found = world.inspect(a, b, queries=["q1"])
    (query,) = found.queries
    assert found.chosen == "the named queries"
    assert [d.id for d in query.judged] == ["d1", "d2", "gone", "d3"]
    assert [d.grade for d in query.judged] == [2, 1, 1, 0]
    assert [d.ranks for d in query.judged] == [(3, 2), (None, 1), (None, None), (1, None)]
    assert [d.in_corpus for d in query.judged] == [True, True, False, True]
    assert [d.id for d in query.top] == ["d2", "d3", "d1", "q4"]
    assert [d.grade for d in query.top] == [1, 0, 2, None]
    assert query.words == ("wheel's", "soup")
    assert {d.id: d.shared for d in query.top} == {
        "d1": ("wheel's",),
        "d2": ("soup",),
        "d3": (),
        "q4": ("wheel's",),
    }
    assert (query.relevant, query.found) == (3, (1, 2))


def test_a_document_of_the_query_s_own_id(world: World) -> None:
    found = world.inspect(world.told("a", q1="q4 d1", q4="q4"), queries=["q1", "q4"])
    one, own = found.queries
    assert (one.own_document, own.own_document) == (False, True)
    assert [d.own_id for d in one.top] == [False, False]
    assert [d.own_id for d in own.top] == [True]


def test_worst_first_then_the_deepest_then_the_id(world: World) -> None:
    """q1 has half of its gain; of those with nothing, q3's answer was found, q2's and q4's not."""
    a = world.told("a", q1="d2", q2="d1 d3", q3="d1 d2 q4 d3", q4="d2")
    found = world.inspect(a, worst=3, measure="ndcg@3")
    assert [query.id for query in found.queries] == ["q2", "q4", "q3"]
    assert found.chosen == "the 3 queries with the lowest NDCG@3 of A"


def test_changed_most_first_and_losses_before_gains(world: World) -> None:
    a = world.told("a", q1="d1", q2="d2", q3="d1", q4="d1")
    b = world.told("b", q1="d1", q2="d1", q3="d3", q4="d2")
    found = world.inspect(a, b, worst=4)
    assert [query.id for query in found.queries] == ["q2", "q4", "q3", "q1"]
    c = world.told("c", q1="d3", q2="d2", q3="d1", q4="d1")
    assert world.inspect(a, a, c).queries[0].id == "q1"


def test_of_equal_losses_the_deepest_comes_first(world: World) -> None:
    """B has q2's answer in rank 4, and q3's nowhere."""
    a = world.told("a", q2="d2", q3="d3")
    b = world.told("b", q2="d1 d3 q4 d2", q3="d1")
    found = world.inspect(a, b, worst=1, measure="ndcg@3")
    assert [query.id for query in found.queries] == ["q3"]


def test_frame_has_a_line_for_each_query_document_and_system(world: World) -> None:
    a = world.told("a", q1="d3 q4 d1", q2="d2")
    b = world.told("b", q1="d2 d1")
    frame = world.inspect(a, b, queries=["q1", "q2"]).frame()
    assert len(frame) == 2 * (5 + 1)
    assert not frame.duplicated(["query_id", "document_id", "label"]).any()
    one = frame[(frame.query_id == "q1") & (frame.document_id == "d1")].set_index("label")
    assert one["rank"].tolist() == [3, 2]
    assert one["grade"].tolist() == [2, 2]
    assert one["system"].tolist() == ["a", "b"]
    unjudged = frame[frame.document_id == "q4"]
    assert unjudged["grade"].isna().all()
    assert unjudged["rank"].isna().tolist() == [False, True]
    assert frame["tokens"].isna().all()


def test_every_way_to_name_a_result(world: World, tmp_path: Path) -> None:
    world.told("a", q1="d3 d1", q2="d2")
    folder = world.results / "a"
    plain = tmp_path / "theirs.trec"
    plain.write_bytes(gzip.decompress((folder / "own" / RUN).read_bytes()))
    ways: list[str | Path] = ["a", folder, folder / "own", folder / "own" / RUN, plain]
    found = [world.inspect(way) for way in ways]
    assert all(one.queries == found[0].queries for one in found)
    assert [one.systems[0].name for one in found] == ["a"] * 4 + ["theirs.trec"]
    assert found[-1].systems[0].identity is None
    assert found[-1].systems[0].depth == 2
    assert found[0].systems[0].depth == 1000


def test_what_is_not_there(world: World) -> None:
    world.told("some-system", q1="d1")
    with pytest.raises(UsageError, match=r"no run of own in some-sistem.*mean 'some-system'\?"):
        world.inspect("some-sistem")
    with pytest.raises(UsageError, match="no judged query 'q'; without --query the worst"):
        world.inspect("some-system", queries=["q"])
    with pytest.raises(UsageError, match="--worst 0 is not possible"):
        world.inspect("some-system", worst=0)
    with pytest.raises(UsageError, match="9 results cannot be shown; give 1 to 6"):
        world.inspect(*["some-system"] * 9)


def test_another_copy_of_the_dataset(world: World, tmp_path: Path) -> None:
    a = world.told("a", q1="d1")
    record = world.results / "a" / "own" / RECORD
    edit(record, world.dataset.fingerprint, "f" * 64)
    with pytest.raises(
        UsageError, match=r"is of another dataset, or another copy of it, than .*own; give -d"
    ):
        world.inspect(a)


def test_a_run_that_is_not_the_record_s(world: World) -> None:
    a = world.told("a", q1="d1")
    b = world.told("b", q1="d2")
    shutil.copy(world.results / b / "own" / RUN, world.results / a / "own" / RUN)
    with pytest.raises(StoreError, match="is not the run of its record"):
        world.inspect(a)


def test_tokens_that_cannot_be_counted_stop_nothing(planted: Planted, tmp_path: Path) -> None:
    shutil.copytree(planted.results / "toy", tmp_path / "results" / "toy")
    record = tmp_path / "results" / "toy" / "planted" / RECORD
    edit(record, str(CHECKPOINT_DIR), "./moved")
    found = replace(planted, results=tmp_path / "results").inspect("toy")
    assert found.systems[0].tokens_unknown == "there is no checkpoint folder ./moved"
    assert found.queries[0].id != FAILING
    assert all(d.tokens == (None,) for query in found.queries for d in query.judged)


def test_one_result_and_one_query_need_no_list(planted: Planted) -> None:
    folders = {"results_dir": planted.results, "datasets_dir": planted.datasets}
    one = inspect_results("toy", "planted", queries=FAILING, **folders)
    assert one == inspect_results(["toy"], "planted", queries=[FAILING], **folders)
    assert [query.id for query in one.queries] == [FAILING]
