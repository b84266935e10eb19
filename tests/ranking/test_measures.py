"""Measures beside `trec_eval -c`, beir's EvaluateRetrieval and numbers worked out by hand."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from beir.retrieval.evaluation import EvaluateRetrieval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doubles import write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.errors import NumericalError
from gtr_beir.ranking import measures
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import TopK, sort_and_cut

DOCUMENTS = [f"d{number:02}" for number in range(30)]


def dataset_of(folder: Path, qrels: dict[str, dict[str, int]]) -> Dataset:
    source = write_beir(
        folder / "source",
        [{"_id": d, "title": "", "text": "x"} for d in [*DOCUMENTS, "self"]],
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


def trec_eval_c(qrels, results):
    """`trec_eval -c`: every judged query counts, missing ones as an empty ranking."""
    names = {f"{name}.{','.join(map(str, measures.CUTS))}" for name in ("ndcg_cut", "recall")}
    names |= {f"{name}.{','.join(map(str, measures.CUTS))}" for name in ("map_cut", "P")}
    full = {query: results.get(query, {}) for query in qrels}
    return pytrec_eval.RelevanceEvaluator(qrels, names).evaluate(full)


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
    theirs = trec_eval_c(qrels, results)
    assert list(values.index) == list(qrels)
    for query in qrels:
        for ours, trec in (
            ("ndcg", "ndcg_cut"),
            ("recall", "recall"),
            ("map", "map_cut"),
            ("p", "P"),
        ):
            for cut in measures.CUTS:
                expected = theirs[query][f"{trec}_{cut}"]
                assert values.loc[query, f"{ours}@{cut}"] == expected, (query, ours, cut)


@pytest.mark.parametrize("name", CASES)
def test_beside_beir(name: str, tmp_path: Path) -> None:
    """beir is right but for what it averages over: it leaves out queries that the run lacks, so its
    mean is over fewer; and it rounds to five digits."""
    qrels, results = CASES[name]
    dataset = dataset_of(tmp_path, qrels)
    means = measures.mean(measures.per_query(run_of(dataset, results), dataset))
    ndcg, mapped, recall, precision = EvaluateRetrieval.evaluate(
        qrels, copy.deepcopy(results), list(measures.CUTS)
    )
    share = len(results) / len(qrels)
    for cut in measures.CUTS:
        assert means[f"ndcg@{cut}"] == pytest.approx(ndcg[f"NDCG@{cut}"] * share, abs=1e-5)
        assert means[f"map@{cut}"] == pytest.approx(mapped[f"MAP@{cut}"] * share, abs=1e-5)
        assert means[f"recall@{cut}"] == pytest.approx(recall[f"Recall@{cut}"] * share, abs=1e-5)
        assert means[f"p@{cut}"] == pytest.approx(precision[f"P@{cut}"] * share, abs=1e-5)
    # beir's own MRR and capped recall divide by all judged queries, as we do.
    mrr = EvaluateRetrieval.evaluate_custom(qrels, results, [10], "mrr")
    if "tie" not in name:  # beir sorts by score alone there, without trec_eval's tie rule
        assert means["mrr@10"] == pytest.approx(mrr["MRR@10"], abs=1e-5)
    if all(any(g > 0 for g in judged.values()) for judged in qrels.values()):
        capped = EvaluateRetrieval.evaluate_custom(qrels, results, [100], "recall_cap")
        assert means["recall_cap@100"] == pytest.approx(capped["R_cap@100"], abs=1e-5)


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


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_random_runs_equal_trec_eval_c(tmp_path_factory, data) -> None:
    grades = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 3), min_size=1, max_size=8)
    qrels = data.draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), grades, min_size=1))
    ranked = st.dictionaries(
        st.sampled_from(DOCUMENTS), st.sampled_from([0.0, 0.5, 1.0]), min_size=1
    )
    results = data.draw(st.dictionaries(st.sampled_from(sorted(qrels)), ranked, min_size=1))
    dataset = dataset_of(tmp_path_factory.mktemp("case"), qrels)
    values = measures.per_query(run_of(dataset, results), dataset)
    theirs = trec_eval_c(qrels, results)
    for query in qrels:
        for cut in measures.CUTS:
            assert values.loc[query, f"ndcg@{cut}"] == theirs[query][f"ndcg_cut_{cut}"]
            assert values.loc[query, f"map@{cut}"] == theirs[query][f"map_cut_{cut}"]


def test_values_outside_of_0_and_1_stop(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = np.full((3, len(measures.MEASURES)), 1.5)
    monkeypatch.setattr(measures, "_evaluate", lambda *_: wrong)
    run = Run(["q1"], np.array([[0]], np.int32), np.array([[1.0]], np.float32))
    with pytest.raises(NumericalError, match="not between 0 and 1"):
        measures.per_query(run, small)
