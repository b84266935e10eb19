"""Wrong names and options are told before anything is written."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from gtr_beir import cli
from gtr_beir.data.store import Dataset
from gtr_beir.records import RUN
from refusal import Refused, files_in, leftovers

pytestmark = pytest.mark.usefixtures("no_network")


@dataclass(frozen=True)
class WrongUse:
    """Arguments that cannot be meant, and what is said; {datasets}, {results}: the folders."""

    id: str
    arguments: tuple[str, ...]
    sentence: str
    code: int = 2


RUN_MINE = ("run", "fixed", "-d", "mine")
WRONG_USE = (
    *(
        WrongUse(
            f"run {said}",
            ("run", said, "-d", "mine"),
            f"there is no system and no folder '{said}'; did you mean '{meant}'?",
        )
        for said, meant in (
            ("bm25-flt", "bm25-flat"),
            ("bm25", "bm25-flat"),
            ("GTR-base", "gtr-base"),
            ("gtr-bas", "gtr-base"),
            ("gtr-largee", "gtr-large"),
            ("ColBERT", "colbert"),
        )
    ),
    WrongUse(
        "run without a dataset",
        ("run", "fixed"),
        "no dataset was named; give -d NAME (as often as you like) or --suite NAME",
    ),
    WrongUse(
        "run on a registered dataset that is not here",
        ("run", "fixed", "-d", "scifact", "--offline"),
        "scifact is not in {datasets}; get it with …`gtr-beir datasets import PATH --name scifact`",
    ),
    WrongUse(
        "run on a name with a slip",
        ("run", "fixed", "-d", "scifcat"),
        "there is no dataset 'scifcat' in {datasets}; `gtr-beir datasets import PATH --name "
        "scifcat` imports one of your own; did you mean 'scifact'?",
    ),
    WrongUse(
        "run on an own name with a slip",
        ("run", "fixed", "-d", "mien"),
        "there is no dataset 'mien' in {datasets}; `gtr-beir datasets import PATH --name mien` "
        "imports one of your own; did you mean 'mine'?",
    ),
    WrongUse(
        "run on a name that is far off",
        ("run", "fixed", "-d", "weather-2031"),
        "there is no dataset 'weather-2031' in {datasets}; `gtr-beir datasets import PATH --name "
        "weather-2031` imports one of your own",
    ),
    WrongUse(
        "run on CQADupStack without its forums",
        ("run", "fixed", "-d", "cqadupstack", "--offline"),
        "…cqadupstack/android is not in {datasets}; get …`gtr-beir datasets import PATH --name "
        "cqadupstack`",
    ),
    WrongUse(
        "second dataset unknown, the first is not begun",
        (*RUN_MINE, "-d", "nfcorpus", "--offline"),
        "nfcorpus is not in {datasets}; get it with …`gtr-beir datasets import PATH --name "
        "nfcorpus`",
    ),
    WrongUse(
        "unknown protocol",
        (*RUN_MINE, "--protocol", "mteb"),
        "there is no protocol 'mteb'; choose 'paper' or 'hub'",
    ),
    WrongUse(
        "unknown suite",
        ("run", "fixed", "--suite", "beir"),
        "there is no suite 'beir'; the suites are all, zero-shot, public, unseen, nano, demo",
    ),
    *(
        WrongUse(
            f"{flag} {value}",
            (*RUN_MINE, flag, value),
            f"{flag} {value} is not possible; give 1 or more",
        )
        for flag, value in (
            ("--depth", "0"),
            ("--depth", "-5"),
            ("--block-documents", "0"),
            ("--batch-tokens", "0"),
            ("--threads", "0"),
        )
    ),
    WrongUse(
        "unknown dtype",
        (*RUN_MINE, "--dtype", "int8"),
        "there is no dtype 'int8'; choose 'fp32', 'tf32', 'fp16' or 'bf16'",
    ),
    *(
        WrongUse(f"label {label!r}", (*RUN_MINE, "--label", label), f"…'{label}'…label…")
        for label in ("../outside", "{tmp}/outside", "a/b", "..", ".tmp-1-mine", "two words")
    ),
    WrongUse(
        "a checkpoint folder that does not exist",
        ("run", "./no-such-model", "-d", "mine"),
        "there is no checkpoint folder ./no-such-model",
    ),
    WrongUse(
        "a checkpoint folder of nobody's home",
        ("run", "~nobody-has-this-name/model", "-d", "mine"),
        "there is no checkpoint folder ~nobody-has-this-name/model",
    ),
    WrongUse(
        "a system that no hub could have",
        ("run", "what is this?", "-d", "mine"),
        "'what is this?' is neither a system, a folder nor a Hugging Face id; `gtr-beir run "
        "--help` lists the systems",
    ),
    WrongUse(
        "a hub id that is not in the cache, offline",
        ("run", "nobody/no-such-model", "-d", "mine", "--offline"),
        "'nobody/no-such-model' is neither a folder here nor in the Hugging Face cache, and "
        "--offline forbids fetching it; run once without --offline",
    ),
    WrongUse(
        "check without a dataset of this name",
        ("datasets", "check", "scifcat"),
        "there is no dataset 'scifcat' in {datasets}; `gtr-beir datasets import PATH --name "
        "scifcat` imports one of your own; did you mean 'scifact'?",
    ),
    WrongUse(
        "check of an empty folder",
        ("datasets", "check", "--datasets-dir", "nowhere"),
        "there is no dataset in nowhere; get one with `gtr-beir datasets fetch NAME` or "
        "`gtr-beir datasets import PATH`",
    ),
    WrongUse(
        "score against a dataset that is not here",
        ("score", "some.run", "-d", "scifact"),
        "scifact is not in {datasets}; get it with …`gtr-beir datasets import PATH --name scifact`",
    ),
    WrongUse(
        "leaderboard of an unknown format",
        ("leaderboard", "--format", "md,pdf"),
        "there is no format 'pdf'; choose from md, csv, html, latex, figures",
    ),
    WrongUse(
        "leaderboard of no format",
        ("leaderboard", "--format", ","),
        "…format…md, csv, html, latex, figures",
    ),
)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("case", WRONG_USE, ids=lambda case: case.id)
def test_wrong_use_is_told_before_anything_is_written(
    case: WrongUse, datasets: Path, tmp_path: Path, refused: Refused
) -> None:
    before = files_in(tmp_path)
    sentence = case.sentence.replace("{datasets}", str(datasets))
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in case.arguments]
    refused(sentence.replace("{tmp}", str(tmp_path)), *arguments, code=case.code)
    assert files_in(tmp_path) == before
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("run",),
        ("datasets",),
        ("datasets", "import"),
        ("score", "some.run"),
        (*RUN_MINE, "--depth", "ten"),
        (*RUN_MINE, "--self-matches", "maybe"),
        (*RUN_MINE, "--no-such-option"),
    ],
    ids=" ".join,
)
def test_arguments_that_do_not_parse_exit_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], results: Path
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: gtr-beir")
    assert "error: " in told.splitlines()[-1]
    if arguments[0] == "run":
        assert told.startswith("usage: gtr-beir run "), "of the command, not of all"
    assert not results.exists()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("saved_model.pb", "{folder} is a SavedModel, as TF-Hub has them; name it tfhub:{folder}"),
        ("checkpoint", "{folder} is a T5X checkpoint; name it t5x:{folder}"),
    ],
)
def test_a_checkpoint_of_another_form_is_recognised(
    file: str, sentence: str, mine: Dataset, tmp_path: Path, refused: Refused
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / file).write_bytes(b"")
    refused(sentence.replace("{folder}", str(folder)), "run", str(folder), "-d", mine.name, code=2)


def test_names_that_are_not_utf_8(
    mine: Dataset, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system gives them: bytes that stand for no letter."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/r\xff")
    said = "the name '…' is not UTF-8, so not everything here can open it; …give a link to it…"
    refused(said, *RUN_MINE, "--results-dir", odd, code=2)
    refused(said, "run", odd, "-d", mine.name, code=2)
    assert not Path(odd).exists()
    monkeypatch.setenv("GTR_BEIR_DATASETS", odd)
    refused(said, *RUN_MINE, code=2)


def test_a_depth_that_no_corpus_has_is_that_of_the_corpus(mine: Dataset, results: Path) -> None:
    """100,000,000 for each query would be asked of memory; a ranking ends with the documents."""
    assert cli.main([*RUN_MINE, "--depth", "100000000", "-q"]) == 0
    run = gzip.decompress((results / "fixed" / mine.name / RUN).read_bytes()).decode()
    assert 0 < len(run.splitlines()) <= mine.n_documents * len(mine.query_ids)
