"""Words of the first ten documents, against what is counted by hand."""

from __future__ import annotations

import errno
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.results import record

from doubles import write_beir
from gtr_beir import files
from gtr_beir.data.importing import import_beir
from gtr_beir.data.store import Dataset
from gtr_beir.errors import InputError
from gtr_beir.published import published_values
from gtr_beir.records import RUN
from gtr_beir.report.claims import evidence as evidence_module
from gtr_beir.report.claims.checks import LONGER_ON
from gtr_beir.report.claims.claim import DIFFERS, NOT_RUN, REPRODUCED, Answer
from gtr_beir.report.claims.commands import commands
from gtr_beir.report.claims.evidence import Evidence
from gtr_beir.report.claims.parts import COVID, STATED, TOUCHE
from gtr_beir.report.claims.rows import claim_answers
from gtr_beir.report.claims.text import copies
from gtr_beir.report.texts import top_lengths as top_lengths_module
from gtr_beir.report.texts.top_lengths import (
    KEPT,
    NO_WORDS,
    TOP,
    kept_top_lengths,
    median_words,
    share_without_words,
    top_lengths,
)

SIZES = ("gtr-base", "gtr-large", "gtr-xl", "gtr-xxl")
TOY = "45b2e3aea435e218eb2616b6a97e9158628d9a87945143c2c9b31f65d77759e8"
"""Fingerprint of the toy corpus below."""


def run_of(path: Path, ranked: dict[str, list[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{query} Q0 {document} {rank} {-rank} x\n"
        for query, documents in ranked.items()
        for rank, document in enumerate(documents, start=1)
    ]
    path.write_text("".join(lines))
    return path


def test_words_by_hand(tmp_path: Path, small: Dataset) -> None:
    """d1 has 2 words, d2 2 without a title, d3 2, d4 a title alone, q3's own document 3."""
    run = run_of(tmp_path / "run.trec", {"q1": ["d1", "d4"], "q3": ["q3", "d2", "d4"]})
    found = top_lengths(run, small)
    rest = [NO_WORDS] * 10
    assert found.words.tolist() == [[2, 1, *rest[2:]], rest, [3, 2, 1, *rest[3:]]]
    assert found.text_words.tolist() == [[1, 0, *rest[2:]], rest, [3, 2, 0, *rest[3:]]]
    assert median_words(found.words) == 2
    assert median_words(found.text_words) == 1
    assert share_without_words(found.text_words) == 2 / 5
    assert share_without_words(found.words) == 0


def test_ten_documents_and_no_more(tmp_path: Path) -> None:
    source = write_beir(
        tmp_path / "source",
        [{"_id": f"d{n:02}", "title": "", "text": " ".join("w" * n)} for n in range(1, 31)],
        {"q": "w"},
        [("q", "d01", 1)],
    )
    dataset = import_beir(source, name="thirty", datasets_dir=tmp_path / "datasets")
    assert isinstance(dataset, Dataset)
    order = [f"d{n:02}" for n in range(30, 0, -1)]
    found = top_lengths(run_of(tmp_path / "run.trec", {"q": order}), dataset)
    assert found.words.tolist() == [list(range(30, 20, -1))]
    assert median_words(found.words) == statistics.median(range(21, 31))


def test_nothing_ranked_has_no_length() -> None:
    nothing = np.full((2, TOP), NO_WORDS, dtype=np.int32)
    assert np.isnan(median_words(nothing))
    assert np.isnan(share_without_words(nothing))


def test_what_was_counted_is_kept_for_this_very_run(tmp_path: Path, small: Dataset) -> None:
    folder = tmp_path / "results" / "gtr-base" / "small"
    run_of(folder / RUN, {"q1": ["d1"]})
    one, told = record("gtr-base", "small", 0.5), []
    first = kept_top_lengths(folder, one, small, told.append)
    assert (folder / KEPT).is_file()
    run_of(folder / RUN, {"q1": ["q3"]})
    again = kept_top_lengths(folder, one, small, told.append)
    assert len(told) == 1, "the run is not read again"
    assert (again.words == first.words).all()
    other = replace(one, fingerprints={**one.fingerprints, "run": "another"})
    assert kept_top_lengths(folder, other, small, told.append).words[0, 0] == 3
    for damage in (b"", b"PK\x03\x04 no archive", (folder / KEPT).read_bytes()[:-40]):
        (folder / KEPT).write_bytes(damage)
        assert kept_top_lengths(folder, other, small, told.append).words[0, 0] == 3
    assert len(told) == 5


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_a_folder_that_takes_nothing_is_no_failure(
    code: int, tmp_path: Path, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results" / "gtr-base" / "small"
    run_of(folder / RUN, {"q1": ["d1"]})

    def refuse(final: Path, _: str) -> None:
        raise OSError(code, "no", str(final))

    monkeypatch.setattr(files, "_new_file", refuse)
    found = kept_top_lengths(folder, record("gtr-base", "small", 0.5), small, lambda _: None)
    assert found.words[0, 0] == 2
    assert [path.name for path in folder.iterdir()] == [RUN]
    monkeypatch.setattr(top_lengths_module, "top_lengths", lambda path, _: refuse(path, "rb"))
    with pytest.raises(OSError, match="no"):  # a run that cannot be read is one
        kept_top_lengths(folder, record("gtr-base", "small", 0.5), small, lambda _: None)


def test_a_run_of_another_corpus_is_told(tmp_path: Path, small: Dataset) -> None:
    run = run_of(tmp_path / "run.trec", {"q1": ["elsewhere"]})
    with pytest.raises(InputError, match="'elsewhere' is not in small"):
        top_lengths(run, small)


# As claims ----------------------------------------------------------------------------------------


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """Every dataset is the same toy corpus: w5, w10, ... of as many words, some in the title, and
    t4, a title of four words. Base ranks w50 first everywhere, XXL w100, but w5 on TREC-COVID."""
    documents = [
        {"_id": f"w{n}", "title": " ".join("t" * (n // 5)), "text": " ".join("w" * (n - n // 5))}
        for n in range(5, 105, 5)
    ]
    documents.append({"_id": "t4", "title": "four words stand here", "text": ""})
    queries = {f"q{n}": "w" for n in range(4)}
    source = write_beir(tmp_path / "s", documents, queries, [(q, "w5", 1) for q in queries])
    dataset = import_beir(source, name="toy", datasets_dir=tmp_path / "toy")
    assert dataset.fingerprint == TOY
    monkeypatch.setattr(evidence_module, "load_dataset", lambda *_, **__: dataset)
    monkeypatch.setattr(evidence_module, "is_here", lambda *_: True)
    results = tmp_path / "results"
    for name in (*LONGER_ON, COVID):
        for size, words in zip(SIZES, (50, 60, 70, 100), strict=True):
            first = "w5" if (name, size) == (COVID, "gtr-xxl") else f"w{words}"
            ranked(results, size, name, first)
    return Evidence(results, tmp_path / "datasets", STATED)


def ranked(results: Path, size: str, name: str, *documents: str, copy: str = TOY) -> None:
    """A record, as published, and a run of these documents for every query."""
    version = "v2" if name == TOUCHE else ""
    one = record(size, name, published(size, name), family=size, version=version, fingerprint=copy)
    one.write(results / size / name)
    run_of(results / size / name / RUN, {f"q{n}": list(documents) for n in range(4)})
    (results / size / name / KEPT).unlink(missing_ok=True)


def published(size: str, name: str) -> float:
    (found,) = (
        v.value
        for v in published_values()
        if (v.source, v.system, v.dataset, v.metric) == ("gtr-paper", size, name, "ndcg@10")
    )
    return found


def judged(evidence: Evidence, claim: str) -> Answer:
    fresh = Evidence(evidence.results, evidence.datasets, STATED)
    (found,) = claim_answers(fresh, [claim])
    return found


def test_documents_of_a_larger_model_are_longer(evidence: Evidence) -> None:
    one = judged(evidence, "C14")
    assert one.verdict == REPRODUCED, one.because
    assert one.headline is not None
    assert (one.headline.own, one.headline.published) == (2.0, 2.0)
    assert (one.headline.low, one.headline.high) == (2.0, 2.0), "all queries are alike"
    shown = {q.title: q.own for q in one.quantities}
    assert shown["FEVER, Large"] == 60
    assert shown["FEVER, Large, no titles"] == 48
    assert (one.present, one.needed) == (24, 24)


def test_documents_that_are_hardly_longer_differ(evidence: Evidence) -> None:
    ranked(evidence.results, "gtr-xxl", TOUCHE, "w60")
    one = judged(evidence, "C14")
    assert one.verdict == DIFFERS
    assert one.because == (
        "too far from the paper: Touché words, XXL over Base",
        "what is said beside numbers holds",
    )
    ranked(evidence.results, "gtr-xxl", TOUCHE, "w100")
    ranked(evidence.results, "gtr-xxl", "fever", "w45")
    one = judged(evidence, "C14")
    assert one.because == ("it does not hold that XXL is above Base in median words on FEVER",)


def test_shorter_documents_on_trec_covid(evidence: Evidence) -> None:
    assert judged(evidence, "C15").verdict == REPRODUCED
    ranked(evidence.results, "gtr-xxl", COVID, "w5", "t4")
    shown = {q.title: q.own for q in judged(evidence, "C15").quantities}
    assert shown["COVID, XXL"] == 4.5
    assert shown["no abstract, XXL"] == 0.5
    assert shown["words, XXL over Base"] == pytest.approx(4.5 / 50)
    ranked(evidence.results, "gtr-xxl", COVID, "w55")
    one = judged(evidence, "C15")
    assert one.because == ("it does not hold that Base is above XXL in median words",)


def test_a_run_without_its_corpus_asks_for_the_corpus(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_module, "is_here", lambda *_: False)
    one = judged(evidence, "C15")
    assert (one.verdict, one.present) == (NOT_RUN, 0)
    assert commands(one.lacks, "r") == ["gtr-beir datasets fetch trec-covid"]
    assert commands(judged(evidence, "C14").lacks, "r") == [
        "gtr-beir datasets fetch hotpotqa webis-touche2020 dbpedia-entity fever",
        "gtr-beir datasets convert signal1m --source DIR",
        "gtr-beir datasets convert trec-news --source DIR",
    ]
    (evidence.results / "gtr-xl" / COVID / RUN).unlink()
    assert commands(judged(evidence, "C15").lacks, "r") == [
        "gtr-beir run gtr-xl -d trec-covid",
        "gtr-beir datasets fetch trec-covid",
    ]


def test_a_run_of_another_copy_than_the_one_here_is_not_counted(evidence: Evidence) -> None:
    """Its documents may have other texts; it is to be run again, not to be fetched."""
    ranked(evidence.results, "gtr-xl", COVID, "w70", copy="another")
    one = judged(evidence, "C15")
    assert (one.verdict, one.present, one.needed) == (NOT_RUN, 3, 4)
    assert commands(one.lacks, "r") == ["gtr-beir run gtr-xl -d trec-covid"]
    shown = {q.title: q.own for q in one.quantities}
    assert (shown["COVID, XL"], shown["XL"]) == (None, None)
    assert copies([one]) == [
        "gtr-xl on trec-covid does not count for C15: the datasets folder has another copy of the "
        f"data ({TOY[:8]}, not another); run it again on that one"
    ]
    others = [size for size in SIZES if size != "gtr-xl"]
    for size in others:
        ranked(evidence.results, size, COVID, "w70", copy="another")
    assert judged(evidence, "C15").present == 0, "also where most are of the other copy"
