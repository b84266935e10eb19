"""What a number is of: names derived, comparisons made only between like and like."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gtr_beir.identity import (
    WHOLE_CORPUS,
    Identity,
    Model,
    Scoring,
    related,
    why_not_compared,
)
from gtr_beir.lengths import Lengths
from gtr_beir.published import PublishedValue, published_values

GTR = Identity(
    Model("gtr-base", "sentence-transformers/gtr-t5-base", "7027e95", "ab", "gtr-base"),
    lengths=Lengths("paper", 512, 512),
    precision="fp32",
    self_matches="none",
    dataset="scifact",
)
COLBERT = Identity(
    Model("colbert", "colbert-ir/colbertv2.0", "c1e8412", "cd", "colbertv2"),
    lengths=Lengths("checkpoint", 32, 180),
    precision="fp32",
    self_matches="none",
    dataset="scifact",
)
BM25 = Identity(
    Model("bm25-multifield", family="bm25-lucene-multifield"),
    self_matches="none",
    dataset="scifact",
)


def published(source: str, system: str, dataset: str, metric: str = "ndcg@10") -> PublishedValue:
    (value,) = (
        v
        for v in published_values()
        if (v.source, v.system, v.dataset, v.metric) == (source, system, dataset, metric)
    )
    return value


def verdict(own: Identity, value: PublishedValue, shown_as: str = "", cut: int = 10) -> str | None:
    """None if nobody would hold them against each other, else why they are not compared."""
    named = shown_as or own.name
    return why_not_compared(own, value, cut) if related(own, named, value) else None


def test_names_are_derived() -> None:
    assert GTR.name == "gtr-base"
    assert (
        replace(GTR, lengths=Lengths("hub", 512, 512), precision="bf16").name == "gtr-base@hub@bf16"
    )
    assert replace(BM25, options={"k1": "k1=1.2"}).name == "bm25-multifield@k1=1.2"
    reranked = replace(COLBERT, scoring=Scoring("bm25-flat", 100, "ef"))
    assert reranked.name == "colbert@rerank-100-bm25-flat"
    assert replace(GTR, model=Model("org/name")).name == "org--name"


def test_it_comes_back_from_json() -> None:
    for own in (GTR, BM25, replace(COLBERT, scoring=Scoring("a", 5, "b"), options={"q": "q=3"})):
        assert Identity.of_json(own.as_json()) == own
    with pytest.raises(KeyError):
        Identity.of_json({"lengths": None})


def test_the_same_model_under_the_same_lengths_is_compared() -> None:
    assert verdict(GTR, published("gtr-paper", "gtr-base", "scifact")) == ""
    assert verdict(BM25, published("anserini", "bm25-multifield", "scifact")) == ""
    assert verdict(BM25, published("beir-paper", "bm25", "scifact")) == ""
    assert verdict(BM25, published("anserini", "bm25-flat", "scifact")) is None
    assert verdict(GTR, published("gtr-paper", "gtr-large", "scifact")) is None


def test_a_label_changes_nothing() -> None:
    value = published("gtr-paper", "gtr-base", "scifact")
    assert verdict(GTR, value, shown_as="x") == ""


def test_a_fine_tune_with_the_name_of_gtr_is_not_gtr() -> None:
    value = published("gtr-paper", "gtr-base", "scifact")
    why = "its weights or its tokenizer are not those of the released GTR-Base"
    akin = replace(GTR, model=Model("tuned", weights="x", akin="gtr-base", why_not=why))
    assert verdict(akin, value) == why
    other = replace(GTR, model=Model("tuned", weights="x"))
    assert verdict(other, value, shown_as="gtr-base") == "tuned is not the released GTR-Base"
    assert verdict(other, value) is None


def test_hub_lengths_are_not_the_papers() -> None:
    hub = replace(GTR, lengths=Lengths("hub", 512, 512))
    assert verdict(hub, published("gtr-paper", "gtr-base", "scifact")) == (
        "hub lengths (512 and 512 tokens) here, paper lengths (64 and 512) there"
    )
    assert verdict(hub, published("mteb-results", "gtr-base", "scifact")) == ""
    assert "paper lengths (64 and 512 tokens) here" in (
        verdict(GTR, published("mteb-results", "gtr-base", "scifact")) or ""
    )
    arguana = replace(GTR, dataset="arguana", self_matches="drop")
    assert verdict(arguana, published("mteb-results", "gtr-base", "arguana")) == "", (
        "both allow 512 tokens on ArguAna"
    )


def test_a_shortened_checkpoint_is_not_what_mteb_ran() -> None:
    short = replace(GTR, lengths=Lengths("hub", 128, 128))
    why = verdict(short, published("mteb-results", "gtr-base", "scifact"))
    assert why == "hub lengths (128 and 128 tokens) here, hub lengths (512 and 512) there"


def test_reranking_is_not_the_whole_corpus() -> None:
    reranked = replace(COLBERT, scoring=Scoring("bm25-flat", 100, "ef"))
    value = published("colbertv2-paper", "colbertv2", "scifact")
    assert verdict(COLBERT, value) == ""
    assert verdict(reranked, value) == (
        "reranked the first 100 of bm25-flat here, the whole corpus there"
    )
    assert replace(reranked, scoring=WHOLE_CORPUS) == COLBERT


def test_colbert_v2_is_never_compared_with_v1() -> None:
    assert verdict(COLBERT, published("beir-paper", "colbert", "scifact")) == (
        "ColBERTv2 here, ColBERT v1 there"
    )
    arguana = replace(COLBERT, dataset="arguana")
    assert verdict(arguana, published("colbertv2-paper", "colbertv2", "arguana")) == (
        "queries of 300 tokens there"
    )


def test_colbert_v2_is_compared_within_a_point() -> None:
    value = published("colbertv2-paper", "colbertv2", "scifact")
    assert value.agrees(value.value + 0.0104)
    assert not value.agrees(value.value + 0.0106)


def test_the_first_touche_is_shown_and_not_compared() -> None:
    own = replace(GTR, dataset="webis-touche2020", version="v2")
    assert verdict(own, published("gtr-paper", "gtr-base", "webis-touche2020")) == (
        "dataset v2 here, v1 there"
    )
    recall = published("t5x_retrieval-readme", "gtr-base", "webis-touche2020", "recall@100")
    assert verdict(own, recall, cut=100) == "dataset v2 here, v1 there"
    bm25 = replace(BM25, dataset="webis-touche2020", version="v2")
    assert verdict(bm25, published("beir-paper", "bm25", "webis-touche2020")) == ""


def test_another_count_of_documents_is_another_version() -> None:
    own = replace(BM25, dataset="trec-news", version="with 595,037 documents")
    assert verdict(own, published("anserini", "bm25-multifield", "trec-news")) == (
        "dataset with 595,037 documents here, as BEIR released it there"
    )


def test_own_ids_matter_where_there_are_any() -> None:
    kept = published("beir-paper", "bm25", "arguana")
    own = replace(BM25, dataset="arguana", self_matches="drop")
    assert verdict(own, kept) == ("documents with the query's own id are dropped here, kept there")
    assert verdict(replace(own, self_matches="keep"), kept) == ""
    mteb = published("mteb-results", "gtr-base", "scidocs")
    hub = replace(GTR, lengths=Lengths("hub", 512, 512), dataset="scidocs")
    assert verdict(hub, mteb) == "", "none where no query has a document of its own id"
    assert verdict(replace(hub, self_matches="drop"), mteb) == (
        "documents with the query's own id are dropped here, kept there"
    )


def test_options_precision_and_depth() -> None:
    value = published("anserini", "bm25-multifield", "scifact")
    assert verdict(replace(BM25, options={"k1": "k1=1.2"}), value) == (
        "k1=1.2 here, the defaults there"
    )
    shallow = verdict(
        replace(BM25, depth=10),
        published("anserini", "bm25-multifield", "scifact", "recall@100"),
        cut=100,
    )
    assert shallow == "ranked to depth 10 here, which is less than the cut"
    hub = replace(GTR, lengths=Lengths("hub", 512, 512), precision="bf16")
    assert verdict(hub, published("mteb-results", "gtr-base", "scifact")) == "bf16 here, fp32 there"
    assert (
        verdict(replace(GTR, precision="bf16"), published("gtr-paper", "gtr-base", "scifact")) == ""
    )


def test_every_row_says_what_it_is_of() -> None:
    for value in published_values():
        assert value.family
        assert value.scoring in ("whole", "reranked")
        assert value.lengths in ("", "paper", "hub")
        assert (value.own_length > 0) == bool(value.lengths)
        assert value.self_matches in ("", "drop", "keep")
        assert value.version in ("", "v1", "v2")
        assert (value.version != "") == (value.dataset == "webis-touche2020")
