"""Segments and search: against a float64 formula, against brute force, and for any cut."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gtr_beir.systems.lucene import search as search_module
from gtr_beir.systems.lucene.analysis import TermTable, analyze, term_hash
from gtr_beir.systems.lucene.loops import Loops, compiled
from gtr_beir.systems.lucene.scoring import (
    FieldStatistics,
    Parameters,
    field_statistics,
    inverse_document_frequency,
    norm_inverses,
    term_statistics,
)
from gtr_beir.systems.lucene.search import (
    BestDocuments,
    Candidates,
    FieldScoring,
    Queries,
    _exact_in_every_order,
    score_segment,
)
from gtr_beir.systems.lucene.segment import MAXIMUM_DOCUMENTS, Segment, build_segment
from gtr_beir.systems.lucene.smallfloat import DECODED_LENGTHS, encode_lengths

needs_numba = pytest.mark.skipif(compiled() is None, reason="numba is not installed")


def search(
    fields: Sequence[Sequence[str]],
    queries: Sequence[str],
    *,
    k: int,
    size: int = MAXIMUM_DOCUMENTS,
    id_rank: npt.NDArray[np.int32] | None = None,
    self_rows: Sequence[int] | None = None,
    parameters: Parameters | None = None,
    weights: Sequence[float] | None = None,
    loops: Loops | None = None,
    threads: int = 1,
) -> tuple[npt.NDArray[np.int32], Candidates]:
    """Index `fields` (the first one is the contents) in segments of `size`, and search them."""
    count = len(fields[0])
    rank = np.arange(count, dtype=np.int32) if id_rank is None else id_rank
    own = np.full(len(queries), -1) if self_rows is None else np.array(self_rows)
    table = TermTable()
    starts = range(0, count, size)
    segments: list[list[Segment]] = []
    for start in starts:
        contents = build_segment(fields[0][start : start + size], table=table)
        others = [
            build_segment(field[start : start + size], left_out=contents["blank"], table=table)
            for field in fields[1:]
        ]
        segments.append([Segment.of(arrays) for arrays in (contents, *others)])
    analysed = Queries.of(queries)
    scorings = [
        FieldScoring.of(
            analysed,
            field_statistics(of_field),
            term_statistics(of_field, analysed.hashes),
            parameters=parameters,
            field_weight=weight,
        )
        for of_field, weight in zip(
            zip(*segments, strict=True), weights or [1.0] * len(fields), strict=True
        )
    ]
    best = BestDocuments(len(queries), k)
    for start, of_fields in zip(starts, segments, strict=True):
        inside = (own >= start) & (own < start + len(of_fields[0]))
        score_segment(
            best,
            analysed,
            of_fields,
            scorings,
            rank[start : start + size],
            excluded=np.where(inside, own - start, -1).astype(np.int32),
            loops=loops,
            threads=threads,
        )
    found = best.found()
    return found.rows(rank), found


def formula(
    fields: Sequence[Sequence[str]], query: str, weights: Sequence[float], k1: float, b: float
) -> dict[int, float]:
    """Lucene's BM25 in float64, written from its definition: row -> score."""
    scores: Counter[int] = Counter()
    blank = {row for row, text in enumerate(fields[0]) if not text.strip()}
    for field, weight in zip(fields, weights, strict=True):
        documents = [[] if row in blank else analyze(text) for row, text in enumerate(field)]
        filled = [terms for terms in documents if terms]
        average = sum(map(len, filled)) / len(filled)
        for term, query_count in Counter(analyze(query)).items():
            df = sum(term in terms for terms in filled)
            idf = math.log(1 + (len(filled) - df + 0.5) / (df + 0.5))
            for row, terms in enumerate(documents):
                if tf := terms.count(term):
                    length = max(value for value in DECODED_LENGTHS.tolist() if value <= len(terms))
                    norm = k1 * (1 - b + b * length / average)
                    scores[row] += weight * query_count * idf * tf / (tf + norm)
    return dict(scores)


CONTENTS = [
    "The cat sat on the mat. The cat's mat was red.",
    "Dogs and cats: 1,000 of them!",
    "",
    " \t\n",
    "the of and",
    "A mat " * 300 + "cat",
    "na\u00efve cats don't sit; naive dogs do",
    "mat " * 41,
]
TITLES = [
    "Cats",
    "",
    "Cats in a document without contents",
    "cat",
    "mat",
    "On mats",
    "dogs",
    "Mats",
]
QUERIES = ["cat mat", "cats cats cats dog", "na\u00efve", "1,000 red", "the of", "", "unicorn"]


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.0, 0.0), (2.0, 1.0)])
@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0), (1.5, 0.25)])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_scores_equal_the_formula(
    k1: float, b: float, weights: tuple[float, ...], size: int
) -> None:
    fields = [CONTENTS, TITLES][: len(weights)]
    rows, found = search(
        fields, QUERIES, k=10, size=size, parameters=Parameters(k1, b), weights=weights
    )
    for index, query in enumerate(QUERIES):
        expected = formula(fields, query, weights, k1, b)
        held = rows[index] >= 0
        got = dict(zip(rows[index][held].tolist(), found.scores[index][held].tolist(), strict=True))
        assert got == pytest.approx(expected, rel=2e-6)
        assert not set(got) & {2, 3}
        assert (found.scores[index][~held] == -np.inf).all()
        assert (found.id_ranks[index][~held] == -1).all()


def test_the_sum_of_a_weighted_field_is_rounded_by_itself() -> None:
    """As of Lucene's query of a boosted field; without a boost, all terms are one sum."""
    # A text without words would leave the document out of the other field too.
    texts = [[f"filler {text}" for text in random_texts(400, 30, 12, seed=s)] for s in (1, 2)]
    queries = ["w1x w2x w3x w4x w5x w6x w7x", "w2x w9x w11x w4x w1x"]
    both = [(texts[0], 1.5), (texts[1], 0.3)]
    alone = [_scores([field], queries, [weight]) for field, weight in both]
    together = _scores(texts, queries, [1.5, 0.3])
    assert (together > 0).sum() > 400
    assert (together == alone[0] + alone[1]).all()


def _scores(
    fields: Sequence[Sequence[str]], queries: Sequence[str], weights: Sequence[float]
) -> npt.NDArray[np.float32]:
    """float32[Q, n], 0 where a document is not found."""
    rows, found = search(fields, queries, k=len(fields[0]), weights=weights, loops=compiled())
    scores = np.zeros((len(queries), len(fields[0])), dtype=np.float32)
    for query in range(len(queries)):
        held = rows[query] >= 0
        scores[query, rows[query][held]] = found.scores[query][held]
    return scores


def test_one_score_by_hand() -> None:
    # Two documents, "cat" in one of them: idf = ln(1 + 1.5 / 1.5); both lengths are the average.
    rows, found = search([["cat mat", "dog mat"]], ["cat"], k=1)
    assert rows.tolist() == [[0]]
    assert found.scores[0, 0] == pytest.approx(math.log(2) * (1 - 1 / (1 + 1 / 0.9)), rel=1e-6)


def random_texts(count: int, words: int, longest: int, seed: int) -> list[str]:
    source = np.random.default_rng(seed)
    chosen = [source.zipf(1.4, source.integers(0, longest + 1)) % words for _ in range(count)]
    return [" ".join(f"w{number}x" for number in numbers) for numbers in chosen]


def brute_force(
    texts: Sequence[str], rank: npt.NDArray[np.int32], query: str, own: int, k: int
) -> list[tuple[int, float]]:
    """All documents scored one by one in float32, summed in float64, and sorted."""
    documents = [Counter(analyze(text)) for text in texts]
    lengths = np.array([sum(counts.values()) for counts in documents])
    statistics = FieldStatistics(int((lengths > 0).sum()), int(lengths.sum()))
    inverses = norm_inverses(Parameters(), statistics.average_length)[encode_lengths(lengths)]
    sums: Counter[int] = Counter()
    for term, query_count in Counter(analyze(query)).items():
        df = np.array([sum(term in counts for counts in documents)])
        idf = inverse_document_frequency(df, statistics.documents)[0]
        weight = np.float32(query_count) * idf
        for row, counts in enumerate(documents):
            if counts[term]:
                rest = np.float32(1) + np.float32(counts[term]) * inverses[row]
                sums[row] += float(weight - weight / rest)
    ranked = [(float(np.float32(total)), row) for row, total in sums.items() if row != own]
    ranked.sort(key=lambda pair: (-pair[0], -rank[pair[1]]))
    return [(row, score) for score, row in ranked[:k]]


@pytest.mark.parametrize("k", [1, 7, 100, 5000])
@pytest.mark.parametrize("size", [37, 1000, MAXIMUM_DOCUMENTS])
def test_top_k_equals_brute_force(k: int, size: int) -> None:
    # Few words and short texts: most scores are shared by many documents, and order goes by id.
    texts = random_texts(3000, 40, 6, seed=k)
    rank = np.random.default_rng(size).permutation(len(texts)).astype(np.int32)
    queries = ["w1x", "w1x w2x w2x", "w3x w39x w17x w5x", "w999x"]
    own = [-1, 5, 2999, 0]
    rows, found = search([texts], queries, k=k, size=size, id_rank=rank, self_rows=own)
    for index, query in enumerate(queries):
        expected = brute_force(texts, rank, query, own[index], k)
        held = int((rows[index] >= 0).sum())
        assert rows[index, :held].tolist() == [row for row, _ in expected]
        assert found.scores[index, :held].tolist() == [score for _, score in expected]


def test_guessed_floor_changes_nothing() -> None:
    # Large enough for the guess that a segment of few documents never makes.
    texts = random_texts(20_000, 300, 8, seed=2)
    queries = [f"w1x w2x w{number}x" for number in range(3, 30)]
    one_rows, one = search([texts], queries, k=200)
    many_rows, many = search([texts], queries, k=200, size=500)
    deep_rows, deep = search([texts], queries, k=20_000)
    for rows, found in ((many_rows, many), (deep_rows[:, :200], deep)):
        np.testing.assert_array_equal(rows, one_rows)
        np.testing.assert_array_equal(found.scores[:, :200], one.scores)


def test_floors_keep_what_is_rounded_up_to_them() -> None:
    # All sums are the same score in float32, so the id ranks decide; half of them are less.
    sums = np.where(np.arange(4096) % 2, 1.0, 1.0 - 2.0**-26)
    assert (sums.astype(np.float32) == 1).all()
    assert (sums >= search_module._guessed_floor(sums, 100)).all()
    best = BestDocuments(1, 1)
    best.add(0, np.ones(1, dtype=np.float32), np.zeros(1, dtype=np.int32))
    assert (sums >= best.floor(0)).all()


def test_arrays_depend_on_the_texts_alone() -> None:
    texts = random_texts(500, 2000, 60, seed=1)
    shared = TermTable()
    build_segment(["unrelated words", *texts[::-1]], table=shared)
    expected = build_segment(texts)
    again = build_segment(iter(texts), table=shared)
    as_bytes = build_segment([text.encode() for text in texts], table=TermTable(limit=0))
    for arrays in (again, as_bytes):
        assert arrays.keys() == expected.keys()
        for name, array in expected.items():
            assert arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(arrays[name], array)


def documented_arrays() -> dict[str, Any]:
    return {
        "hashes": np.uint64,
        "offsets": np.uint32,
        "documents": np.uint16,
        "frequencies": np.uint8,
        "long_positions": np.uint32,
        "long_frequencies": np.uint32,
        "norms": np.uint8,
        "blank": np.bool_,
        "totals": np.int64,
    }


def test_segment_of_two_documents() -> None:
    arrays = build_segment(["cat mat cat", "the mat"])
    assert {name: array.dtype.type for name, array in arrays.items()} == documented_arrays()
    postings = {term_hash("cat"): [(0, 2)], term_hash("mat"): [(0, 1), (1, 1)]}
    assert arrays["hashes"].tolist() == sorted(postings)
    pairs = list(zip(arrays["documents"].tolist(), arrays["frequencies"].tolist(), strict=True))
    for place, value in enumerate(sorted(postings)):
        low, high = arrays["offsets"][place : place + 2]
        assert pairs[low:high] == postings[value]
    assert arrays["norms"].tolist() == [3, 1]
    assert arrays["totals"].tolist() == [2, 4]
    assert arrays["blank"].tolist() == [False, False]


def test_blank_is_what_java_trims_to_nothing() -> None:
    texts = ["", " \t\r\n\x00\x1f", "\u00a0", "\u3000", ".", "x"]
    expected = [True, True, False, False, False, False]
    assert build_segment(texts)["blank"].tolist() == expected
    assert build_segment([text.encode() for text in texts])["blank"].tolist() == expected


def test_left_out_documents_have_no_terms() -> None:
    arrays = build_segment(["cat", "cat", "cat"], left_out=np.array([False, True, False]))
    assert arrays["documents"].tolist() == [0, 2]
    assert arrays["totals"].tolist() == [2, 2]
    assert arrays["norms"].tolist() == [1, 0, 1]


def test_frequencies_above_255() -> None:
    texts = ["few many", "many " * 255, "many " * 256 + "few", "none", "more " * 70_000 + "many"]
    segment = Segment.of(build_segment(texts))
    assert segment.long_frequencies.tolist() in ([256, 70_000], [70_000, 256])
    places = segment.find(
        np.array([term_hash("mani"), term_hash("few"), term_hash("more")], np.uint64)
    )
    documents, frequencies = segment.postings(places)
    assert segment.sizes(places).tolist() == [4, 2, 1]
    assert documents.tolist() == [0, 1, 2, 4, 0, 2, 4]
    assert frequencies.tolist() == [1, 255, 256, 1, 1, 1, 70_000]


def test_terms_that_a_segment_does_not_have() -> None:
    segment = Segment.of(build_segment(["cat"]))
    unknown = np.array([0, term_hash("cat"), 2**64 - 1], dtype=np.uint64)
    assert segment.find(unknown).tolist() == [-1, 0, -1]
    assert term_statistics([segment, segment], unknown).tolist() == [0, 2, 0]
    empty = Segment.of(build_segment(["the", ""]))
    assert empty.find(unknown).tolist() == [-1, -1, -1]
    assert field_statistics([segment, empty]) == FieldStatistics(documents=1, terms=1)


def test_corpus_without_terms() -> None:
    rows, found = search([["the", "", "of"]], ["the cat", "cat"], k=2)
    assert (rows == -1).all()
    assert (found.scores == -np.inf).all()


def test_no_documents_and_no_queries() -> None:
    arrays = build_segment([])
    assert len(Segment.of(arrays)) == 0
    rows, _ = search([["cat"]], [], k=3)
    assert rows.shape == (0, 3)


def test_too_many_documents_are_refused() -> None:
    assert len(build_segment([b"x"] * MAXIMUM_DOCUMENTS)["norms"]) == MAXIMUM_DOCUMENTS
    with pytest.raises(ValueError, match="65536"):
        build_segment([b"x"] * (MAXIMUM_DOCUMENTS + 1))


def test_unusable_settings_are_refused() -> None:
    for k1, b in ((-0.1, 0.4), (math.inf, 0.4), (math.nan, 0.4), (0.9, 1.1), (0.9, -0.1)):
        with pytest.raises(ValueError, match="k1"):
            Parameters(k1, b)
    queries = Queries.of(["cat"])
    for weight in (0.0, -1.0, 1e30, math.inf, math.nan):
        with pytest.raises(ValueError, match="weight"):
            FieldScoring.of(queries, FieldStatistics(1, 1), np.array([1]), field_weight=weight)
    with pytest.raises(ValueError, match="k must be"):
        BestDocuments(1, 0)


def test_fields_of_different_length_are_refused() -> None:
    queries = Queries.of(["cat"])
    scoring = FieldScoring.of(queries, FieldStatistics(1, 1), np.array([1]))
    segments = [Segment.of(build_segment(["cat"])), Segment.of(build_segment(["cat", "cat"]))]
    with pytest.raises(ValueError, match="same length"):
        score_segment(
            BestDocuments(1, 1), queries, segments, [scoring] * 2, np.zeros(1, dtype=np.int32)
        )


@needs_numba
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (1e-30, 0.3)])
def test_compiled_loops_give_the_same_bits(threads: int, weights: tuple[float, ...]) -> None:
    """Also with own documents, several segments, no hit, and a score that vanishes."""
    draw = np.random.default_rng(threads)
    words = np.array([f"w{n}" for n in range(60)])
    common = 1 / np.arange(1, 61)

    def texts(count: int, longest: int) -> list[str]:
        sizes = draw.integers(0, longest, count)
        return [" ".join(draw.choice(words, size, p=common / common.sum())) for size in sizes]

    fields, asked = [texts(900, 40), texts(900, 6)], [*texts(40, 9), "nothing"]
    ranks, own = draw.permutation(900).astype(np.int32), draw.integers(-1, 900, len(asked)).tolist()
    found = [
        search(
            fields,
            asked,
            k=25,
            size=250,
            id_rank=ranks,
            self_rows=own,
            weights=weights,
            loops=loops,
            threads=threads,
        )[1]
        for loops in (None, compiled())
    ]
    assert (found[0].id_ranks == found[1].id_ranks).all()
    assert found[0].scores.tobytes() == found[1].scores.tobytes()
    assert (found[0].id_ranks[40] == -1).all()
    assert (found[0].id_ranks[:40, 0] >= 0).any()


@needs_numba
@pytest.mark.parametrize("seed", range(12))
def test_lists_that_are_not_gone_through(seed: int) -> None:
    """Frequent and rare terms, deep and shallow rankings, terms that occur more than 255 times."""
    draw = np.random.default_rng(seed)
    words = np.array([f"w{n}" for n in range(400)])
    common = 1 / np.arange(1, 401) ** (0.8 + 0.1 * (seed % 5))

    def texts(count: int, longest: int) -> list[str]:
        sizes = draw.integers(0, longest, count)
        return [" ".join(draw.choice(words, size, p=common / common.sum())) for size in sizes]

    held = texts(3000, 60)
    held[7], held[1500] = "w1 " * 300 + "w399", "w0 w2 " * 400
    asked = [*texts(60, 12), *words[:20].tolist(), "w0 w1 w2 w3", "w0 w399", "w398 w397"]
    k, ranks = (1, 4, 30, 700)[seed % 4], draw.permutation(3000).astype(np.int32)
    found = [
        search([held], asked, k=k, size=300 + 100 * (seed % 3), id_rank=ranks, loops=loops)[1]
        for loops in (None, compiled())
    ]
    assert (found[0].id_ranks == found[1].id_ranks).all()
    assert found[0].scores.tobytes() == found[1].scores.tobytes()


@needs_numba
@pytest.mark.parametrize("fields", [[["cat dog", "dog"], ["", ""]], [["", ""], ["cat", ""]]])
def test_a_field_without_any_term(fields: list[list[str]]) -> None:
    """As titles are on some datasets, in a whole segment."""
    ranks = np.arange(2, dtype=np.int32)
    found = [
        search(fields, ["cat dog", "cat", "mouse"], k=2, size=2, id_rank=ranks, loops=loops)[1]
        for loops in (None, compiled())
    ]
    assert (found[0].id_ranks == found[1].id_ranks).all()
    assert found[0].scores.tobytes() == found[1].scores.tobytes()


@needs_numba
def test_the_parts_of_the_compiled_search() -> None:
    from gtr_beir.systems.lucene import compiled as parts

    draw = np.random.default_rng(3)
    for _ in range(200):
        values = draw.integers(0, 30, draw.integers(1, 60))
        wanted = int(draw.integers(1, len(values) + 1))
        ordered = np.sort(values)
        parts._largest_last(values, len(values), wanted)
        assert np.sort(values[-wanted:]).tolist() == ordered[-wanted:].tolist()
        assert values[-wanted] == ordered[-wanted]
        at = int(draw.integers(-1, 31))
        assert parts._place(ordered, at) == np.searchsorted(ordered, at)
    # Of scores of at most 3, 2 and 1, a floor of 3.5 needs the first alone.
    order, rest = np.array([[0, 1], [0, 2], [0, 0], [0, 0]]), np.empty(4)
    most = np.array([[3, 1, 2]], np.float32)
    assert parts._needed(order, 3, most, 3.5, rest) == 1
    assert order[:3, 1].tolist() == [0, 2, 1]
    assert rest.tolist() == [6, 3, 1, 0]
    assert parts._needed(order, 3, most, 6.5, rest) == 0
    assert parts._needed(order, 3, most, 0.5, rest) == 3


def test_sums_that_depend_on_their_order_are_not_shortened() -> None:
    """Where a weight vanishes beside another, float64 may round, and the order matters."""
    queries = Queries.of(["cat dog", "the", "cat", "dog"])
    dog = int(np.flatnonzero(queries.hashes[queries.clause_terms] == term_hash("dog"))[0])
    weights = np.array([5.0, 5.0], np.float32)
    weights[dog] = 1e-7
    scoring = FieldScoring(weights, np.ones(256, np.float32))
    assert _exact_in_every_order(queries, [scoring]).tolist() == [False, False, True, True]


def test_queries_share_clauses() -> None:
    queries = Queries.of(["cat dog cat", "the", "dog", "cat cat"])
    assert len(queries) == 4
    assert queries.hashes.tolist() == sorted([term_hash("cat"), term_hash("dog")])
    clauses = [
        (int(queries.hashes[term]), count)
        for term, count in zip(
            queries.clause_terms.tolist(), queries.clause_counts.tolist(), strict=True
        )
    ]
    assert sorted(clauses) == sorted([(term_hash("cat"), 2), (term_hash("dog"), 1)])
    assert np.diff(queries.query_starts).tolist() == [2, 0, 1, 1]


# Lucene's published lengths (SmallFloat.byte4ToInt), and what lies between two of them.
PUBLISHED = [
    *range(40),
    40,
    42,
    44,
    46,
    48,
    50,
    52,
    54,
    56,
    60,
    64,
    68,
    72,
    76,
    80,
    84,
    88,
    96,
    104,
]
PUBLISHED += [112, 120, 128, 136, 144, 152, 168, 184, 200, 216, 232, 248, 264, 280, 312, 344, 376]
PUBLISHED += [408, 440, 472, 504, 536, 600, 664, 728, 792, 856, 920, 984, 1048, 1176, 1304, 1432]


def test_lengths_decode_to_the_published_values() -> None:
    assert DECODED_LENGTHS[: len(PUBLISHED)].tolist() == PUBLISHED
    assert DECODED_LENGTHS[255] == 2_013_265_944
    assert (np.diff(DECODED_LENGTHS) > 0).all()


def test_lengths_round_down_and_round_trip() -> None:
    np.testing.assert_array_equal(encode_lengths(DECODED_LENGTHS), np.arange(256))
    lengths = np.arange(100_000)
    decoded = DECODED_LENGTHS[encode_lengths(lengths)]
    assert (decoded <= lengths).all()
    assert (decoded[:41] == lengths[:41]).all()
    assert (lengths - decoded < np.maximum(lengths / 8, 1)).all()
    assert encode_lengths(np.array([41, 2**31 - 1])).tolist() == [40, 255]
