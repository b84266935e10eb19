"""Options: types, limits and allowed values are checked, wherever they come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles import WordSystem
from gtr_beir import benchmark, cli, load_system
from gtr_beir.data.store import Dataset
from gtr_beir.errors import UsageError
from gtr_beir.evaluation import RunOptions
from gtr_beir.systems.base import make_options
from gtr_beir.systems.bm25 import Bm25Options
from gtr_beir.systems.colbert import ColbertOptions
from gtr_beir.systems.dense import DenseOptions


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"k1": "0.9"}, "--k1 '0.9' is not possible; give a number"),
        ({"processes": 1.5}, "--processes 1.5 is not possible; give a whole number"),
        ({"processes": 0}, "--processes 0 is not possible; give 1 or more"),
        ({"processes": True}, "--processes True is not possible; give a whole number"),
        ({"k1": None}, "--k1 None is not possible; give a number"),
        ({"kay": 1}, "bm25-flat has no --kay; its options are --k1, --b, --field-weights"),
        ({"dtype": "bf16"}, "--dtype belongs to dense encoders"),
    ],
)
def test_bm25_refuses(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence.replace("(", r"\(")):
        load_system("bm25-flat", **choices)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"protocol": "mteb"}, "there is no protocol 'mteb'; choose 'paper' or 'hub'"),
        ({"protocol": None}, "--protocol None is not possible; give a text"),
        ({"device": 3}, "--device 3 is not possible; give a text"),
        ({"offline": "no"}, "--offline 'no' is not possible; give True or False"),
        ({"dtype": "fp8"}, "there is no dtype 'fp8'"),
    ],
)
def test_encoders_refuse(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        DenseOptions.of("gtr-base", choices)


def test_options_of_another_system_are_refused() -> None:
    with pytest.raises(UsageError, match="bm25-flat takes options as Bm25Options or by name"):
        load_system("bm25-flat", DenseOptions())
    with pytest.raises(UsageError, match="and names as well"):
        load_system("bm25-flat", Bm25Options(), k1=1.2)


def test_a_default_that_is_given_changes_nothing() -> None:
    given = load_system("bm25-flat", k1=0.9, b=0.4, field_weights={"contents": 1.0})
    plain = load_system("bm25-flat")
    assert given.identity == plain.identity
    assert given.fingerprint == plain.fingerprint
    other = load_system("bm25-flat", k1=1.2)
    assert other.identity.name == "bm25-flat@k1=1.2"


def test_prefixes_are_told_apart_in_the_name() -> None:
    names = {
        tuple(make_options("colbert", {"query_prefix": text}).marks().values())
        for text in ("search: ", "query: ")
    }
    assert len(names) == 2
    both = ColbertOptions(query_prefix="a", document_prefix="b").marks()
    assert set(both) == {"query_prefix", "document_prefix"}


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"depth": 0}, "a depth of 0 is not possible; give 1 or more"),
        ({"depth": "10"}, "a depth of '10' is not possible"),
        ({"self_matches": "foo"}, "self_matches cannot be 'foo'; choose 'drop' or 'keep'"),
        ({"label": "../out"}, "'../out' cannot be a label"),
        ({"label": "a/b"}, "'a/b' cannot be a label"),
        ({"dept": 10}, "a run has no option dept; it has results_dir, label, depth"),
        ({"keep_embeddings": False}, "options of a system are given to load_system"),
    ],
)
def test_a_run_refuses(
    choices: dict[str, Any], sentence: str, small: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=sentence):
        benchmark(WordSystem(["pear"]), small, results_dir=tmp_path / "results", **choices)
    assert not (tmp_path / "results").exists()


def test_names_are_put_in_the_place_of_options(small: Dataset, tmp_path: Path) -> None:
    """They were ignored once, where both were given."""
    how = RunOptions(results_dir=tmp_path, depth=2)
    assert benchmark(WordSystem(["pear"]), small, how, label="two").depth == 2
    assert benchmark(WordSystem(["pear"]), small, how, depth=1, label="one").depth == 1
    assert replace(how, depth=1).depth == 1


def test_a_system_that_cannot_rerank_says_so(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="words searches the whole corpus"):
        benchmark(WordSystem(["pear"]), small, results_dir=tmp_path, rerank=tmp_path)


def test_a_value_that_cannot_be_parsed_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["run", "bm25-multifield", "-d", "demo", "--field-weights", "title=x"]
    assert cli.main(given) == 2
    said = capsys.readouterr().err
    assert said.startswith("gtr-beir: --field-weights 'title=x' is not of the form")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["t5-base", "t5-large", "st5-base", "c", "colbertv2.0-mine"])
def test_names_of_the_hub_that_are_only_alike(name: str) -> None:
    """They may be models; who has slipped is told when the hub does not know them."""
    assert make_options(name, {}) == DenseOptions()
