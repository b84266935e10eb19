"""Measures beside trec_eval on real ids, beir's EvaluateRetrieval and values worked out by hand."""

from __future__ import annotations

import copy
import gzip
import json
import math
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytrec_eval
from beir.retrieval.evaluation import EvaluateRetrieval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.report.results import record, write

from doubles import SHARED, write_beir
from gtr_beir import cli
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.errors import NumericalError, UsageError
from gtr_beir.ranking import measures
from gtr_beir.ranking.measures import CUTS, MEASURES, Measure
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import TopK, sort_and_cut

DOCUMENTS = [f"d{number:02}" for number in range(30)]
Qrels = dict[str, dict[str, int]]
Results = dict[str, dict[str, float]]


def dataset_of(folder: Path, qrels: Qrels, documents: list[str] | None = None) -> Dataset:
    source = write_beir(
        folder / "source",
        [{"_id": d, "title": "", "text": "x"} for d in documents or [*DOCUMENTS, "self"]],
        dict.fromkeys(qrels, "x"),
        [(q, d, g) for q, judged in qrels.items() for d, g in judged.items()],
    )
    dataset = import_beir(source, name="cases", datasets_dir=folder / "store")
    assert isinstance(dataset, Dataset)
    return dataset


def run_of(dataset: Dataset, results: dict[str, dict[str, float]]) -> Run:
    depth = max((len(ranked) for ranked in results.values()), default=0) or 1
    rows = np.full((len(results), depth), -1, np.int32)
    scores = np.full((len(results), depth), -np.inf, np.float32)
    for place, ranked in enumerate(results.values()):
        rows[place, : len(ranked)] = dataset.rows_of(list(ranked))
        scores[place, : len(ranked)] = list(ranked.values())
    ranks = np.where(rows >= 0, dataset.id_rank[rows], -1).astype(np.int32)
    return Run.of(list(results), sort_and_cut(TopK(rows, scores, ranks), depth))


TREC = {"ndcg": "ndcg_cut", "recall": "recall", "map": "map_cut", "p": "P", "success": "success"}


def trec_eval_c(
    qrels: Qrels, results: Results, wanted: tuple[Measure, ...] = MEASURES
) -> pd.DataFrame:
    """`trec_eval -c` with real ids: every judged query counts, missing ones as an empty ranking.

    MRR is trec_eval's recip_rank of the ranking cut, after trec_eval's own order, at the measure's
    cut; capped recall is none of trec_eval's.
    """
    full = {query: results.get(query, {}) for query in qrels}
    found = {}
    for measure in wanted:
        if measure.name == "recall_cap":
            continue
        name, run = f"{TREC.get(measure.name)}_{measure.cut}", full
        if measure.name == "mrr":
            ordered = {
                q: sorted(r, key=lambda d, r=r: (np.float32(r[d]), d), reverse=True)
                for q, r in full.items()
            }
            run = {q: {d: full[q][d] for d in ids[: measure.cut]} for q, ids in ordered.items()}
            name = "recip_rank"
        values = pytrec_eval.RelevanceEvaluator(qrels, {name}, measure.rel).evaluate(run)
        found[str(measure)] = [values[query][name] for query in qrels]
    return pd.DataFrame(found, index=pd.Index(list(qrels), name="query_id"))


def assert_equals_trec_eval(
    values: pd.DataFrame, qrels: Qrels, results: Results, wanted: tuple[Measure, ...] = MEASURES
) -> None:
    """Bit for bit."""
    theirs = trec_eval_c(qrels, results, wanted)
    pd.testing.assert_frame_equal(values[list(theirs.columns)], theirs, check_exact=True)


# --- a measure is a value ---


def test_every_measure_prints_parses_and_hashes_as_itself() -> None:
    for measure in (*MEASURES, Measure("p", 5, rel=2), Measure("mrr", 7), Measure("success", 2, 3)):
        for text in (str(measure), measure.title):
            for said in (text, text.upper(), text.lower(), f" {text} "):
                assert Measure.parse(said) == measure
        assert {measure: 1}[Measure.parse(str(measure))] == 1
        assert pickle.loads(pickle.dumps(measure)) == measure  # noqa: S301
    assert len(set(MEASURES)) == len(set(map(str, MEASURES))) == len(MEASURES)


@pytest.mark.parametrize(
    ("measure", "key", "title"),
    [
        (Measure("ndcg", 10), "ndcg@10", "NDCG@10"),
        (Measure("recall", 100), "recall@100", "Recall@100"),
        (Measure("map", 100), "map@100", "MAP@100"),
        (Measure("p", 5), "p@5", "P@5"),
        (Measure("p", 5, rel=2), "p(rel=2)@5", "P(rel=2)@5"),
        (Measure("mrr", 10), "mrr@10", "MRR@10"),
        (Measure("success", 5), "success@5", "Success@5"),
        (Measure("recall_cap", 100), "recall_cap@100", "capped Recall@100"),
    ],
)
def test_keys_and_titles(measure: Measure, key: str, title: str) -> None:
    """Keys stand in records that are written already: they do not change."""
    assert (str(measure), f"{measure}", measure.title) == (key, key, title)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("nDCG@10", "ndcg@10"),
        ("ndcg_cut_10", "ndcg@10"),
        ("ndcg_cut.10", "ndcg@10"),
        ("ndcg_at_10", "ndcg@10"),
        ("recall_1000", "recall@1000"),
        ("R@100", "recall@100"),
        ("R(rel=1)@100", "recall@100"),
        ("map_cut_100", "map@100"),
        ("AP(rel=2)@100", "map(rel=2)@100"),
        ("P_5", "p@5"),
        ("precision@5", "p@5"),
        ("P(rel=2)@5", "p(rel=2)@5"),
        ("recip_rank@10", "mrr@10"),
        ("RR@10", "mrr@10"),
        ("success_5", "success@5"),
        ("hit_rate@5", "success@5"),
        ("hit_rate_at_5", "success@5"),
        ("Accuracy@5", "success@5"),
        ("R_cap@100", "recall_cap@100"),
        ("recall_cap_100", "recall_cap@100"),
    ],
)
def test_parses_what_others_write(text: str, key: str) -> None:
    assert str(Measure.parse(text)) == key


@pytest.mark.parametrize(
    "text",
    [
        *("bpref", "bpref@10", "", "@10", "recip_rank", "ndcg@10 @10"),
        *("ndcg", "ndcg@", "ndcg10", "ndcg@0", "ndcg@-1", "ndcg@1.5", "ndcg@010", "ndcg@1٠"),
        *("ndcg@1234567890", "p(rel=0)@5", "p(rel=)@5", "p(rel=2)", "p(dcg=exp)@5"),
    ],
)
def test_what_is_no_measure_is_told_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as told:
        Measure.parse(text)
    assert str(told.value) == (
        f"there is no measure '{text}'; the measures are ndcg, recall, map, p, mrr, success and "
        "recall_cap, each at a cut, such as ndcg@10, or p(rel=2)@5 if only grades from 2 on are "
        "relevant"
    )


@pytest.mark.parametrize("wrong", [("NDCG", 10), ("ndcg", 0), ("p", 5, 0), ("p", -5)])
def test_a_measure_that_there_is_not_cannot_be_made(wrong: tuple[str, int]) -> None:
    with pytest.raises(UsageError, match="there is no measure"):
        Measure(*wrong)


def test_ndcg_has_no_least_relevant_grade() -> None:
    with pytest.raises(UsageError, match=r"its gain is the grade; ask for ndcg@10$"):
        Measure.parse("NDCG(rel=2)@10")


def test_measures_are_in_the_order_of_the_table() -> None:
    backwards = list(reversed(MEASURES))
    assert sorted(backwards) == list(MEASURES)
    names = [m for m in ("ndcg", "recall", "map", "p", "mrr", "success") for _ in CUTS]
    assert [m.name for m in MEASURES] == [*names, "recall_cap"]
    assert [m.cut for m in MEASURES] == [*(1, 3, 5, 10, 20, 100, 1000) * 6, 100]
    assert Measure("p", 1000) < Measure("p", 5, rel=2) < Measure("mrr", 1) <= Measure("mrr", 1)
    with pytest.raises(TypeError):
        sorted([Measure("p", 5), "p@5"])  # type: ignore[type-var]


def test_compare_understands_a_measure_as_it_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        (tmp_path / name / "mine").mkdir(parents=True)
        (tmp_path / name / "mine" / "queries.csv").write_text("query_id,ndcg@10\nq1,0.25\n")
        write(tmp_path, replace(record(name, "mine", 0.25), n_queries=1))
    folders = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--measure"]
    assert cli.main([*folders, "NDCG@10"]) == 0
    assert "0.2500" in capsys.readouterr().out
    assert cli.main([*folders, "bpref"]) == 2
    assert "there is no measure 'bpref'" in capsys.readouterr().err


# --- beside trec_eval and beir ---


CASES = {
    "graded": (
        {"q1": {"d00": 2, "d01": 1, "d05": 0}},
        {"q1": {"d01": 3.0, "d00": 2.0, "d05": 1.0}},
    ),
    "ties": (
        {"q1": {"d00": 1, "d03": 2}},
        {"q1": {"d00": 1.0, "d01": 1.0, "d02": 1.0, "d03": 1.0}},
    ),
    "all tied at the cut": (
        {"q1": dict.fromkeys(DOCUMENTS[:4], 1)},
        {"q1": dict.fromkeys(DOCUMENTS, 0.5)},
    ),
    "ties in single precision": ({"q1": {"d00": 1}}, {"q1": {"d00": 1.0 + 1e-12, "d01": 1.0}}),
    "missing query": ({"q1": {"d00": 1}, "q2": {"d01": 1}}, {"q1": {"d00": 1.0}}),
    "only zero judgements": (
        {"q1": {"d00": 1}, "q2": {"d01": 0}},
        {"q1": {"d00": 1.0}, "q2": {"d01": 1.0}},
    ),
    "negative grade": ({"q1": {"d00": -1, "d01": 2}}, {"q1": {"d00": 2.0, "d01": 1.0}}),
    "judged document not in the corpus": ({"q1": {"gone": 1, "d01": 1}}, {"q1": {"d01": 1.0}}),
    "nothing relevant found": ({"q1": {"d29": 1}}, {"q1": {"d00": 1.0}}),
    "more relevant than the cut": (
        {"q1": {d: 1 + (n % 2) for n, d in enumerate(DOCUMENTS)}},
        {"q1": {d: float(n) for n, d in enumerate(DOCUMENTS)}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_to_trec_eval_c(name: str, tmp_path: Path) -> None:
    qrels, results = CASES[name]
    dataset = dataset_of(tmp_path, qrels)
    values = measures.per_query(run_of(dataset, results), dataset)
    assert list(values.index) == list(qrels)
    assert list(values.columns) == [str(measure) for measure in MEASURES]
    assert_equals_trec_eval(values, qrels, results)


@pytest.mark.parametrize("name", CASES)
def test_beside_beir(name: str, tmp_path: Path) -> None:
    """beir is right but for what it averages over: it leaves out queries that the run lacks, so its
    mean is over fewer; and it rounds to five digits."""
    qrels, results = CASES[name]
    dataset = dataset_of(tmp_path, qrels)
    means = measures.mean(measures.per_query(run_of(dataset, results), dataset))
    theirs = EvaluateRetrieval.evaluate(qrels, copy.deepcopy(results), list(CUTS))
    share = len(results) / len(qrels)
    for title, value in ((title, v) for values in theirs for title, v in values.items()):
        assert means[str(Measure.parse(title))] == pytest.approx(value * share, abs=1e-5), title
    # What beir calls custom divides by all judged queries, as we do.
    custom = {}
    if "tie" not in name:  # beir sorts by score alone there, without trec_eval's tie rule
        custom |= EvaluateRetrieval.evaluate_custom(qrels, results, list(CUTS), "mrr")
        custom |= EvaluateRetrieval.evaluate_custom(qrels, results, list(CUTS), "top_k_accuracy")
    if all(any(g > 0 for g in judged.values()) for judged in qrels.values()):
        custom |= EvaluateRetrieval.evaluate_custom(qrels, results, [100], "recall_cap")
    for title, value in custom.items():
        assert means[str(Measure.parse(title))] == pytest.approx(value, abs=1e-5), title


OTHERS = (
    Measure("recall_cap", 3),
    Measure("ndcg", 2),
    Measure("p", 5, rel=2),
    Measure("map", 7, rel=2),
    Measure("recall", 2000, rel=3),
    Measure("mrr", 2, rel=2),
    Measure("success", 4, rel=3),
    Measure("ndcg", 4000),
    Measure("p", 5),
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_random_runs_equal_trec_eval_c(tmp_path_factory, data) -> None:
    """Ties and all grades, also with cuts and least relevant grades that no record holds. A grade
    of 0 among them keeps trec_eval from reading what is not its own."""
    grades = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-4, 4), max_size=8)
    drawn = data.draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), grades, min_size=1))
    qrels = {query: {**judged, "self": 0} for query, judged in drawn.items()}
    ranked = st.dictionaries(
        st.sampled_from(DOCUMENTS), st.sampled_from([0.0, 0.5, 1.0]), min_size=1
    )
    results = data.draw(st.dictionaries(st.sampled_from(sorted(qrels)), ranked, min_size=1))
    dataset = dataset_of(tmp_path_factory.mktemp("case"), qrels)
    run = run_of(dataset, results)
    assert_equals_trec_eval(measures.per_query(run, dataset), qrels, results)
    values = measures.per_query(run, dataset, OTHERS)
    assert list(values.columns) == [str(measure) for measure in OTHERS]
    assert_equals_trec_eval(values, qrels, results, OTHERS)


@pytest.mark.parametrize("name", ["nfcorpus", "webis-touche2020", "dbpedia-entity"])
def test_real_judgements(name: str, tmp_path: Path) -> None:
    """Real judgements of 40 queries; rankings of judged and unjudged documents, with ties."""
    path = SHARED / "judgements" / f"qrels.beir-v1.0.0-{name}.test.txt.gz"
    if not path.is_file():
        pytest.skip(f"real judgements are not at {path}")
    qrels: Qrels = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        query, _, document, grade = line.split()
        if query in qrels or len(qrels) < 40:
            qrels.setdefault(query, {})[document] = int(grade)
    documents = sorted({document for judged in qrels.values() for document in judged})
    random = np.random.default_rng(3)
    results: Results = {}
    for query, judged in list(qrels.items())[:-1]:
        others = random.choice(documents, min(800, len(documents)), replace=False).tolist()
        scores = random.integers(0, 400, len(others) + len(judged)) / 8
        scores[len(others) :] += 10
        results[query] = dict(zip([*others, *judged], scores.tolist(), strict=True))
    dataset = dataset_of(tmp_path, qrels, documents)
    run = run_of(dataset, results)
    values = measures.per_query(run, dataset)
    assert_equals_trec_eval(values, qrels, results)
    assert 0 < values["ndcg@10"].mean() < 1
    assert 0 < values["mrr@1"].mean() < values["mrr@1000"].mean() < 1
    assert_equals_trec_eval(measures.per_query(run, dataset, OTHERS), qrels, results, OTHERS)


# --- by hand ---


def test_by_hand(tmp_path: Path) -> None:
    """Grades 2 and 1 at ranks 3 and 1 of one query; the other query is missing."""
    qrels = {"q1": {"d00": 2, "d01": 1}, "q2": {"d02": 1}}
    dataset = dataset_of(tmp_path, qrels)
    run = run_of(dataset, {"q1": {"d01": 9.0, "d10": 8.0, "d00": 7.0}})
    values = measures.per_query(run, dataset)
    gain = 1 / math.log2(2) + 2 / math.log2(4)
    best = 2 / math.log2(2) + 1 / math.log2(3)
    assert values.loc["q1", "ndcg@10"] == pytest.approx(gain / best, abs=1e-12)
    assert values.loc["q1", "mrr@10"] == 1.0
    assert values.loc["q1", "map@10"] == pytest.approx((1 + 2 / 3) / 2)
    assert values.loc["q1", "p@10"] == pytest.approx(0.2)
    assert values.loc["q1", "recall@1"] == 0.5
    assert values.loc["q1", "recall_cap@100"] == 1.0
    assert measures.mean(values)["mrr@10"] == 0.5


def test_capped_recall_is_not_recall(tmp_path: Path) -> None:
    """More relevant documents than the cut: recall cannot reach 1, capped recall can."""
    documents = [f"d{number:03}" for number in range(150)]
    source = write_beir(
        tmp_path / "s",
        [{"_id": d, "text": "x"} for d in documents],
        {"q": "x"},
        [("q", d, 1) for d in documents],
    )
    dataset = import_beir(source, name="many", datasets_dir=tmp_path / "store")
    run = run_of(dataset, {"q": dict.fromkeys(documents[:100], 1.0)})
    values = measures.per_query(run, dataset)
    assert values.loc["q", "recall@100"] == pytest.approx(100 / 150)
    assert values.loc["q", "recall_cap@100"] == pytest.approx(1.0)


FOURTH = {"q": dict(zip(DOCUMENTS, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0], strict=False))}
"""The relevant document of these tests stands at rank 4 of 6."""


def test_success_and_mrr_at_every_cut_by_hand(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, {"q": {"d03": 1, "d01": 0, "d29": 2}})
    values = measures.per_query(run_of(dataset, FOURTH), dataset).loc["q"]
    assert [values[f"success@{cut}"] for cut in CUTS] == [0, 0, 1, 1, 1, 1, 1]
    assert [values[f"mrr@{cut}"] for cut in CUTS] == [0, 0, 0.25, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5, 6, 10, 11, 20, 21, 49, 100, 101, 999, 1000, 1001])
def test_first_relevant_document_at_the_edge_of_every_cut(rank: int, tmp_path: Path) -> None:
    documents = [f"d{number:04}" for number in range(1100)]
    dataset = dataset_of(tmp_path, {"q": {documents[rank - 1]: 1}}, documents)
    results = {"q": {d: float(-place) for place, d in enumerate(documents)}}
    wanted = tuple(Measure(name, cut) for name in ("mrr", "success") for cut in (*CUTS, 49, 1001))
    values = measures.per_query(run_of(dataset, results), dataset, wanted).loc["q"]
    for measure in wanted:
        expected = 1 / rank if measure.name == "mrr" else 1
        assert values[str(measure)] == (expected if rank <= measure.cut else 0), measure


def test_only_grades_from_2_on_by_hand(tmp_path: Path) -> None:
    """Grades 1, 2, 3 at ranks 1, 4, 5 of 6, and a document of grade 2 that is not found."""
    dataset = dataset_of(tmp_path, {"q": {"d00": 1, "d03": 2, "d04": 3, "d20": 2}})
    run = run_of(dataset, FOURTH)
    expected = {
        "p@5": 3 / 5,
        "p(rel=2)@5": 2 / 5,
        "p(rel=3)@5": 1 / 5,
        "p(rel=4)@5": 0,
        "recall@4": 2 / 4,
        "recall(rel=2)@4": 1 / 3,
        "recall_cap(rel=2)@2": 0,
        "recall_cap(rel=2)@5": 2 / 3,
        "recall_cap@2": 1 / 2,
        "map(rel=2)@10": (1 / 4 + 2 / 5) / 3,
        "mrr(rel=2)@10": 1 / 4,
        "mrr(rel=2)@3": 0,
        "mrr(rel=3)@10": 1 / 5,
        "mrr@3": 1,
        "success(rel=2)@3": 0,
        "success(rel=2)@5": 1,
        "success(rel=4)@5": 0,
    }
    wanted = [Measure.parse(text) for text in expected]
    values = measures.per_query(run, dataset, wanted)
    assert list(values.columns) == list(expected)
    for text, value in expected.items():
        assert values.loc["q", text] == pytest.approx(value, abs=1e-15), text


def test_ties_go_to_the_greater_id(tmp_path: Path) -> None:
    """trec_eval's rule: d03 is first of four with one score, and the relevant d00 the last."""
    dataset = dataset_of(tmp_path, {"q": {"d00": 1}})
    run = run_of(dataset, {"q": dict.fromkeys(DOCUMENTS[:4], 1.0)})
    values = measures.per_query(run, dataset).loc["q"]
    assert (values["success@3"], values["mrr@5"], values["p@5"]) == (0, 0.25, 0.2)


# --- what trec_eval cannot take ---


_SCORE = """
import json, sys
from pathlib import Path
import numpy as np
from gtr_beir.data.store import Dataset
from gtr_beir.ranking.measures import per_query
from gtr_beir.ranking.runs import Run
dataset = Dataset(Path(sys.argv[1]))
rows = np.tile(dataset.rows_of(["d00", "d01", "d02"]), (len(dataset.query_ids), 1))
run = Run(dataset.query_ids, rows, np.tile(np.float32([3, 2, 1]), (len(rows), 1)))
print(json.dumps(per_query(run, dataset).T.to_dict()))
"""


def scored_apart(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Query -> values of the ranking d00, d01, d02, from a process that may die."""
    done = subprocess.run(
        [sys.executable, "-c", _SCORE, str(dataset.path)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    values: dict[str, dict[str, float]] = json.loads(done.stdout)
    return values


@pytest.mark.parametrize("grade", [-1, -2, -9])
def test_query_whose_grades_are_all_below_0(grade: int, tmp_path: Path) -> None:
    """pytrec_eval ends the process with a segmentation fault for grades of -2 or less, and reads
    before its table for -1. Such a query scores 0, and its neighbours score what they score."""
    others = {"d00": 1, "d01": -1, "d02": grade}
    qrels = {"before": others, "below": {"d00": grade, "d05": grade}, "after": others}
    values = scored_apart(dataset_of(tmp_path, qrels))
    assert set(values["below"].values()) == {0.0}
    assert len(values["below"]) == len(MEASURES)
    assert values["before"] == values["after"]
    assert values["after"]["ndcg@10"] == values["after"]["map@100"] == 1
    assert values["after"]["p@3"] == pytest.approx(1 / 3)


def test_query_ids_mean_nothing_to_trec_eval(tmp_path: Path) -> None:
    """pytrec_eval calls the last query "no_query" once it is done with it, and gives a query of
    that name values of memory that is not its own (NDCG of 1e18)."""
    qrels = {"no_query": {"d01": 1}, "other": {"d01": 1}}
    values = scored_apart(dataset_of(tmp_path / "apart", qrels))
    assert values["no_query"] == values["other"]
    assert values["other"]["ndcg@10"] == 1 / math.log2(3)
    dataset = dataset_of(tmp_path / "again", {"no_query": {"d01": 1}})
    run = run_of(dataset, {"no_query": {"d00": 2.0, "d01": 1.0}})
    for _ in range(3):
        assert measures.per_query(run, dataset).loc["no_query"].to_dict() == values["other"]


def test_values_outside_of_0_and_1_stop(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = np.zeros((3, len(MEASURES)))
    wrong[1, 4] = 1.5
    monkeypatch.setattr(measures, "_evaluate", lambda *_: wrong)
    run = Run(["q1"], np.array([[0]], np.int32), np.array([[1.0]], np.float32))
    with pytest.raises(
        NumericalError, match=r"ndcg@20 of query 'q2' is 1\.5, which is not between"
    ):
        measures.per_query(run, small)
