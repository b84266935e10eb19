"""Of each dataset: the queries that tell most, the contrast, warnings and intervals, by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.intervals import mean_interval
from tests.report.results import record, write, write_queries

from doubles import write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.lengths import Lengths
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import PER_QUERY, Record
from gtr_beir.report.findings import QueryLine, Section
from gtr_beir.report.naming import names_of
from gtr_beir.report.own import own_results
from gtr_beir.report.per_query import PerQuery
from gtr_beir.report.sections import SHOWN, sections_of

NDCG, RECALL = Measure("ndcg", 10), Measure("recall", 100)
VALUES = {
    "a": [0.0, 1.0, 0.5, 0.25, 0.5],
    "b": [0.5, 0.0, 0.5, 0.25, 0.5],
    "c": [0.25, 0.5, 0.0, 0.25, 1.0],
}


def results(folder: Path, values: dict[str, list[float]], dataset: str = "own-set") -> list[Record]:
    made = []
    for system, of in values.items():
        one = record(system, dataset, float(np.mean(of)), weights=system)
        one = replace(one, n_queries=len(of))
        write(folder, one)
        written = write_queries(folder, system, dataset, of)
        assert written is not None
        made.append(written)
    return made


def section(folder: Path, records: list[Record], baseline: str = "", **how: object) -> Section:
    names, per_query = names_of(records), PerQuery(folder, records, [NDCG])
    pairs = own_results(names, per_query, [], [NDCG], baseline).pairs
    (found,) = sections_of(names, per_query, NDCG, pairs, baseline, **how)  # type: ignore[arg-type]
    return found


def ids(lines: tuple[QueryLine, ...]) -> list[str]:
    return [line.query_id for line in lines]


def test_hardest_and_disagreements_by_hand(tmp_path: Path) -> None:
    """Means .25 .5 .33 .25 .67, ranges .5 1 .5 0 .5: of equal means the wider range comes first, of
    equal ranges the first id."""
    found = section(tmp_path, results(tmp_path, VALUES))
    assert ids(found.hardest) == ["q0", "q3", "q2", "q1", "q4"]
    assert ids(found.disagreements) == ["q1", "q0", "q2", "q4"], "on q3 all agree"
    seen = {column.name: value for column, value in found.hardest[0].values.items()}
    assert seen == {"a": 0.0, "b": 0.5, "c": 0.25}
    assert all(line.text == "" for line in found.hardest)


def test_ties_stand_by_query_id_and_ten_at_most(tmp_path: Path) -> None:
    found = section(tmp_path, results(tmp_path, {"a": [0.5] * 12, "b": [0.5] * 12}))
    assert ids(found.hardest) == sorted(f"q{n}" for n in range(12))[:SHOWN]
    assert found.disagreements == ()


def test_the_contrast_is_the_baseline_with_the_best_other(tmp_path: Path) -> None:
    """Means: a .45, b .35, c .40."""
    records = results(tmp_path, VALUES)
    two_best = section(tmp_path, records).contrast
    assert two_best is not None
    assert (two_best.a, two_best.b) == ("c", "a")
    for baseline, best in (("b", "a"), ("a", "c")):
        found = section(tmp_path, records, baseline).contrast
        assert found is not None
        assert (found.a, found.b) == (baseline, best)
        difference = np.array(VALUES[best]) - np.array(VALUES[baseline])
        assert list(found.differences) == sorted(difference.tolist(), reverse=True)
        assert found.mean == pytest.approx(float(difference.mean()))
        assert (found.low, found.high) == pytest.approx(mean_interval(difference))
    assert section(tmp_path, records[:1]).contrast is None
    away = section(tmp_path, records, "elsewhere").contrast
    assert away == two_best, "a baseline that was not run here"


def test_systems_of_other_queries_have_no_contrast(tmp_path: Path) -> None:
    records = results(tmp_path, {"a": [0.5, 0.25], "b": [0.5, 0.25, 0.75]})
    assert section(tmp_path, records).contrast is None


def test_intervals_are_of_the_mean(tmp_path: Path) -> None:
    records = results(tmp_path, VALUES)
    found = section(tmp_path, records)
    for column, cells in found.cells.items():
        cell = cells[NDCG]
        assert (cell.value, cell.n) == (float(np.mean(VALUES[column.name])), 5)
        expected = mean_interval(np.array(VALUES[column.name]))
        assert (cell.low, cell.high) == pytest.approx(np.clip(expected, 0, 1))
        assert cells[Measure("map", 10)].low is None, "not in the per-query file"


def test_a_measure_beyond_the_depth_has_no_cell(tmp_path: Path) -> None:
    shallow = replace(record("a", "own-set", 0.5), depth=50)
    (cells,) = section(tmp_path, [shallow]).cells.values()
    assert NDCG in cells
    assert RECALL not in cells
    assert section(tmp_path, [shallow]).hardest == (), "nothing is known of its queries"


def test_warnings_say_what_was_cut_and_kept(tmp_path: Path) -> None:
    one = record("a", "own-set", 0.5)
    cut = replace(
        one,
        n_documents=12_345,
        identity=replace(one.identity, lengths=Lengths("paper", 512, 512)),
        facts={"documents_truncated": 1_234, "queries_truncated": 0},
    )
    old = replace(record("b", "own-set", 0.5), measures={"ndcg@10": 0.5, "recall@100": 0.5})
    kept = replace(record("c", "own-set", 0.5), self_matches={"policy": "keep", "queries": 3})
    bm25 = replace(cut, system="d", identity=replace(one.identity, lengths=None))
    assert section(tmp_path, [cut, old, kept, bm25]).warnings == (
        "a read 1,234 of 12,345 documents only to 512 tokens",
        "b: the record is of an older version; the same run adds measures",
        "c keeps documents with the query's own id",
    )
    arguana = replace(cut, dataset="arguana", facts={"queries_truncated": 7})
    (said,) = section(tmp_path, [arguana]).warnings
    assert said == "a read 7 of 10 queries only to 512 tokens", "ArguAna's own length"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    texts = {f"q{n}": f"text {n}" for n in range(5)}
    judged = [(query, "d", 1) for query in texts]
    documents = [{"_id": "d", "title": "", "text": "soup"}]
    source = write_beir(tmp_path / "source", documents, texts, judged)
    made = import_beir(source, name="own-set", datasets_dir=tmp_path / "datasets")
    assert isinstance(made, Dataset)
    return made


def test_texts_are_those_of_the_very_dataset(dataset: Dataset, tmp_path: Path) -> None:
    records = results(tmp_path / "results", VALUES)
    folder = dataset.path.parent

    def texts(fingerprint: str, *, where: Path | None = folder) -> set[str]:
        prints = {**records[0].fingerprints, "dataset": fingerprint}
        same = [replace(one, fingerprints=prints) for one in records]
        found = section(tmp_path / "results", same, datasets_dir=where)
        return {f"{line.query_id} {line.text}" for line in found.hardest}

    assert texts(dataset.fingerprint) == {f"q{n} text {n}" for n in range(5)}
    nothing = {f"q{n} " for n in range(5)}
    assert texts("another") == nothing
    assert texts(dataset.fingerprint, where=None) == nothing
    assert texts(dataset.fingerprint, where=tmp_path / "nowhere") == nothing
    (dataset.path / "queries.arrow").write_bytes(b"damaged")
    (dataset.path / "manifest.json").write_text("{}")
    assert texts(dataset.fingerprint) == nothing
    said: list[str] = []
    section(tmp_path / "results", records, datasets_dir=folder, say=said.append)
    assert [line.startswith(f"without texts of queries: {dataset.path}") for line in said] == [True]


def test_datasets_of_one_name_are_sections_of_their_own(tmp_path: Path) -> None:
    one = record("a", "own-set", 0.5, fingerprint="1" * 64)
    two = record("b", "own-set", 0.5, fingerprint="2" * 64)
    found = sections_of(names_of([one, two]), PerQuery(None, [one, two]), NDCG)
    assert [section.title for section in found] == ["own-set [11111111]", "own-set [22222222]"]
    assert ("fingerprint", "2" * 64) in found[1].about


def test_queries_of_forums_have_their_own_values(tmp_path: Path) -> None:
    """The mean is the mean of the forums' means; a query's value is what it is."""
    forums = {"cqadupstack/gis": [0.0, 1.0, 0.5], "cqadupstack/unix": [0.75]}
    records = []
    for system, shift in (("a", 0.0), ("b", 0.25)):
        whole = record(system, "cqadupstack", 0.625 - 0.625 * shift, weights=system)
        whole = replace(whole, parts=dict.fromkeys(forums, whole.measures), n_queries=4)
        for at, (name, values) in enumerate(forums.items()):
            lines = [f"{at}{n},{value * (1 - shift)!r}" for n, value in enumerate(values)]
            folder = tmp_path / system / name
            folder.mkdir(parents=True)
            (folder / PER_QUERY).write_text("\n".join(["query_id,ndcg@10", *lines, ""]))
        records.append(whole)
    found = section(tmp_path, records, "b")
    assert [max(line.values.values()) for line in found.hardest] == pytest.approx([0, 0.5, 0.75, 1])
    assert ids(found.hardest) == ["00", "02", "10", "01"]
    assert found.contrast is not None
    assert list(found.contrast.differences) == pytest.approx([0.25, 0.1875, 0.125, 0.0])
    assert found.contrast.mean == pytest.approx((0.125 + 0.1875) / 2), "of the forums' means"
    assert found.contrast.low <= found.contrast.mean <= found.contrast.high
