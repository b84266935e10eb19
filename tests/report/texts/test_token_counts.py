"""Tokens are counted as the encoder counts them, or the reason why not is told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.results import record
from tokenizers import Tokenizer

from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.identity import Model
from gtr_beir.lengths import Lengths
from gtr_beir.records import Record
from gtr_beir.report.texts.token_counts import TokenCount, counter_of

pytestmark = pytest.mark.usefixtures("no_network")
TEXTS = ["the wheel", "囲碁 囲碁 玉露 😀 wheel", "soup " * 700, ""]


def of_checkpoint(given: str, *, lengths: Lengths, prompts: dict[str, str]) -> Record:
    """A record of a run of this checkpoint."""
    made = record("toy", "demo", 0.5, weights=open_checkpoint(given).fingerprint)
    return replace(
        made,
        identity=replace(made.identity, lengths=lengths),
        settings={"prompts": prompts},
        facts={"given": given},
    )


@pytest.fixture
def toy() -> Record:
    none = {"query": "", "document": ""}
    return of_checkpoint(str(CHECKPOINT_DIR), lengths=Lengths("paper", 512, 512), prompts=none)


def test_counts_of_the_tokenizer_file(toy: Record) -> None:
    """Against the tokenizer as `tokenizers` itself reads it."""
    counter, why = counter_of(toy)
    assert counter is not None
    assert why == ""
    expected = Tokenizer.from_file(str(CHECKPOINT_DIR / "tokenizer.json"))
    for kind, limit in (("query", 64), ("document", 512)):
        found = counter.count(TEXTS, kind)  # type: ignore[arg-type]
        assert [count.tokens for count in found] == [len(expected.encode(t).ids) for t in TEXTS]
        assert {count.limit for count in found} == {limit}
        assert [count.cut > 0 for count in found] == [False, False, True, False]
        assert found[2].cut == len(expected.encode(TEXTS[2]).ids) - limit
    assert counter.count(TEXTS, "document")[1].unknown == ("😀",)


def test_prompts_count_and_colbert_has_its_own_lengths() -> None:
    prompts = {"query": "[Q] ", "document": "[D] "}
    lengths = Lengths("checkpoint", 24, 180)
    given = f"colbert:{COLBERT_DIR}"
    counter, _ = counter_of(of_checkpoint(given, lengths=lengths, prompts=prompts))
    assert counter is not None
    expected = Tokenizer.from_file(str(COLBERT_DIR / "tokenizer.json"))
    expected.no_truncation()
    (found,) = counter.count(["wheel " * 200], "document")
    assert found.tokens == len(expected.encode("[D] " + "wheel " * 200).ids)
    assert found.limit == 180


@pytest.mark.parametrize(("tokens", "cut", "share"), [(5, 0, 0), (8, 0, 0), (10, 2, 0.2)])
def test_what_is_beyond_the_limit_is_cut(tokens: int, cut: int, share: float) -> None:
    count = TokenCount(tokens, 8)
    assert (count.cut, count.share_cut) == (cut, share)


def test_bm25_cuts_nothing(toy: Record) -> None:
    bm25 = replace(toy, identity=replace(toy.identity, lengths=None))
    assert counter_of(bm25) == (None, "")


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, "the record does not say where its checkpoint lies"),
        ({"given": "./moved"}, "there is no checkpoint folder ./moved"),
        ({"given": 7}, "the record does not say where its checkpoint lies"),
    ],
)
def test_a_checkpoint_that_is_not_here(facts: dict[str, object], why: str, toy: Record) -> None:
    assert counter_of(replace(toy, facts=facts)) == (None, why)


def test_another_checkpoint_in_the_same_place(toy: Record, tmp_path: Path) -> None:
    shutil.copytree(CHECKPOINT_DIR, tmp_path / "toy")
    moved = replace(toy, facts={"given": str(tmp_path / "toy")})
    assert counter_of(moved)[1] == ""
    with (tmp_path / "toy" / "tokenizer.json").open("a") as handle:
        handle.write("\n")
    counter, why = counter_of(moved)
    assert counter is None
    assert why == f"the checkpoint {tmp_path / 'toy'} is not the one that ran"


def test_a_hub_checkpoint_that_is_not_in_the_cache(toy: Record) -> None:
    model = Model("org/name", hub="org/name", commit="0" * 40)
    away = replace(toy, identity=replace(toy.identity, model=model), facts={})
    counter, why = counter_of(away)
    assert counter is None
    assert "org/name" in why
