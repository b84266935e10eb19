"""Values by length, against what is counted by hand."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.results import record
from tokenizers import Tokenizer

from doubles import write_beir
from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.lengths import Lengths
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import RUN, Record
from gtr_beir.report.board import OWN, Column
from gtr_beir.report.findings import LengthBin
from gtr_beir.report.naming import names_of
from gtr_beir.report.per_query import PerQuery, Values
from gtr_beir.report.sections import sections_of
from gtr_beir.report.texts.by_length import NO_LENGTHS, lengths_of

BM25, TOY = Column("bm25-flat", OWN, "own run"), Column("toy", OWN, "own run")


def imported(
    folder: Path,
    queries: Mapping[str, int],
    judged: Sequence[tuple[str, str, int]],
    documents: Mapping[str, int],
) -> Dataset:
    """Queries and documents of so many words; a document's first word is its title."""
    source = write_beir(
        folder / "source",
        [
            {"_id": name, "title": "soup", "text": " ".join(["soup"] * (words - 1))}
            for name, words in documents.items()
        ],
        {query: " ".join(["wheel"] * words) for query, words in queries.items()},
        list(judged),
    )
    dataset = import_beir(source, name="own-set", datasets_dir=folder / "datasets")
    assert isinstance(dataset, Dataset)
    return dataset


def plain(system: str = "bm25-flat") -> Record:
    made = record(system, "own-set", 0.5)
    return replace(made, identity=replace(made.identity, lengths=None))


def toy() -> Record:
    """Of the demo's checkpoint, cut to 64 tokens of a query and 512 of a document."""
    made = record("toy", "own-set", 0.5, weights=open_checkpoint(str(CHECKPOINT_DIR)).fingerprint)
    return replace(
        made,
        identity=replace(made.identity, lengths=Lengths("paper", 512, 512)),
        facts={"given": str(CHECKPOINT_DIR)},
        settings={"prompts": {"query": "", "document": ""}},
    )


def values_of(values: Mapping[str, float]) -> Values:
    ids = tuple(sorted(values))
    return Values(ids, np.array([values[query] for query in ids]), (len(ids),))


def told(dataset: Dataset, values: Mapping[str, float]) -> tuple[list[LengthBin], list[LengthBin]]:
    """Bins of BM25."""
    found = lengths_of(dataset, {BM25: plain()}, {BM25: values_of(values)}, None, {}, str)
    return list(found.by_query), list(found.by_document)


def ranges(bins: Sequence[LengthBin]) -> list[tuple[int, int, int]]:
    return [(one.low, one.high, one.n) for one in bins]


def with_lengths(folder: Path, lengths: Sequence[int]) -> tuple[Dataset, dict[str, float]]:
    """A query of each length, whose relevant document has ten times as many words; its value is a
    hundredth of its length."""
    queries = {f"q{at:03}": words for at, words in enumerate(lengths)}
    documents = {f"d{words}": 10 * words for words in lengths}
    judged = [(query, f"d{words}", 1) for query, words in queries.items()]
    values = {query: words / 100 for query, words in queries.items()}
    return imported(folder, queries, judged, documents), values


def test_bins_means_and_every_query_in_one(tmp_path: Path) -> None:
    lengths = [1] * 3 + [2] * 3 + [3] * 8 + [4] * 6 + [5] * 6 + [6, 7, 8, 9]  # 30 queries, 6 a bin
    dataset, values = with_lengths(tmp_path, lengths)
    by_query, by_document = told(dataset, values)
    assert ranges(by_query) == [(1, 2, 6), (3, 3, 8), (4, 4, 6), (5, 9, 10)]
    assert [one.values[BM25] for one in by_query] == pytest.approx(
        [0.015, 0.03, 0.04, statistics.mean([5] * 6 + [6, 7, 8, 9]) / 100]
    )
    assert ranges(by_document) == [(10, 20, 6), (30, 30, 8), (40, 40, 6), (50, 90, 10)]
    assert all(one.cut == {} for one in (*by_query, *by_document)), "BM25 cuts nothing"
    assert sum(one.n for one in by_query) == 30


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([4] * 12, [(4, 4, 12)]),
        ([1, 2, 3, 4], []),
        ([1, 2, 3, 4, 5], [(1, 5, 5)]),
        ([1] * 6 + [9] * 6, [(1, 1, 6), (9, 9, 6)]),
        (range(1, 13), [(1, 5, 5), (6, 12, 7)]),
        (range(1, 101), [(1 + 20 * n, 20 + 20 * n, 20) for n in range(5)]),
        ([1] * 99 + [200], [(1, 200, 100)]),
    ],
)
def test_bins_of_few_and_of_equal_lengths(
    lengths: Sequence[int], expected: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    by_query, _ = told(*with_lengths(tmp_path, lengths))
    assert ranges(by_query) == expected


def test_a_query_without_a_relevant_document_here(tmp_path: Path) -> None:
    """Of the longest relevant document: the longest counts, grade 0 and missing ones do not."""
    queries = {f"q{n}": 3 for n in range(8)}
    judged = [(f"q{n}", "short", 1) for n in range(6)]
    judged += [("q0", "long", 2), ("q1", "long", 0), ("q2", "gone", 1)]
    judged += [("q6", "gone", 1), ("q7", "short", 0)]
    dataset = imported(tmp_path, queries, judged, {"short": 7, "long": 30})
    values = {f"q{n}": n / 10 for n in range(8)}
    by_query, by_document = told(dataset, values)
    assert ranges(by_query) == [(3, 3, 8)]
    assert by_query[0].values[BM25] == pytest.approx(0.35)
    assert ranges(by_document) == [(7, 30, 6)], "q6 and q7 have no relevant document"
    assert by_document[0].values[BM25] == pytest.approx(0.25)


def test_shares_that_were_cut_are_the_tokenizers(tmp_path: Path) -> None:
    """Against the tokenizer's own file; a query has two relevant documents, one of which is cut."""
    queries = {f"q{n}": 90 if n >= 5 else 2 for n in range(10)}
    judged = [(query, "long" if words > 2 else "short", 1) for query, words in queries.items()]
    judged += [("q9", "short", 1)]
    dataset = imported(tmp_path, queries, judged, {"short": 5, "long": 900})
    of = values_of(dict.fromkeys(queries, 0.5))
    said: list[str] = []
    records = {TOY: toy(), BM25: plain()}
    found = lengths_of(dataset, records, {TOY: of, BM25: of}, None, {}, said.append)
    tokenizer = Tokenizer.from_file(str(CHECKPOINT_DIR / "tokenizer.json"))
    tokens = {words: len(tokenizer.encode("wheel " * words).ids) for words in (2, 90)}
    assert tokens[2] <= 64 < tokens[90]
    assert ranges(found.by_query) == [(2, 2, 5), (90, 90, 5)]
    assert [one.cut for one in found.by_query] == [{TOY: 0.0}, {TOY: 1.0}]
    assert ranges(found.by_document) == [(5, 5, 5), (900, 900, 5)]
    assert [one.cut[TOY] for one in found.by_document] == [0.0, (4 + 0.5) / 5]
    assert said == ["counting tokens of toy on own-set"]
    assert set(found.by_query[0].values) == {TOY, BM25}


def test_only_systems_with_every_query_count(tmp_path: Path) -> None:
    dataset, values = with_lengths(tmp_path, [1] * 6)
    fewer = {query: value for query, value in values.items() if query != "q000"}
    both = {BM25: values_of(values), TOY: values_of(fewer)}
    found = lengths_of(dataset, {BM25: plain(), TOY: plain("toy")}, both, None, {}, str)
    assert set(found.by_query[0].values) == {BM25}
    some = {TOY: values_of(fewer)}
    assert lengths_of(dataset, {TOY: plain("toy")}, some, None, {}, str) == NO_LENGTHS


def test_median_words_of_what_is_ranked_first(tmp_path: Path) -> None:
    """Title and text; a run of another corpus, an empty one and none are left out."""
    dataset, values = with_lengths(tmp_path, [1, 2, 3, 4, 5])
    ranked = {
        "bm25-flat": ["q000 Q0 d1 1 2 x", "q000 Q0 d2 2 1 x", "q001 Q0 d5 1 1 x"],
        "toy": ["q000 Q0 elsewhere 1 2 x"],
        "empty": [],
        "away": None,
    }
    records, known = {}, {}
    for system, lines in ranked.items():
        column = Column(system, OWN, "own run")
        records[column], known[column] = plain(system), values_of(values)
        if lines is not None:
            folder = tmp_path / "results" / system / "own-set"
            folder.mkdir(parents=True)
            (folder / RUN).write_text("".join(f"{line}\n" for line in lines))
    found = lengths_of(dataset, records, known, tmp_path / "results", {}, str)
    assert found.top_words == {BM25: statistics.median([10, 20, 50])}


def test_forums_have_no_texts_here(tmp_path: Path) -> None:
    """CQADupStack is read as a mean of its parts, whose texts lie elsewhere."""
    whole = record("one", "cqadupstack", 0.5)
    forum = replace(whole, parts={"cqadupstack/gis": whole.measures})
    (section,) = sections_of(
        names_of([forum]),
        PerQuery(None, [forum]),
        Measure("ndcg", 10),
        datasets_dir=tmp_path,
        lengths=True,
    )
    assert (section.by_query, section.by_document, dict(section.top_words)) == ((), (), {})
