"""A new system is one class with its Options in one file: no other module is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtr_beir import benchmark, cli, load_system
from gtr_beir.data.store import Dataset
from gtr_beir.errors import UsageError
from gtr_beir.records import Record
from gtr_beir.systems import base

HOME = "tests.systems.random_ranker:RandomRanker"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.SYSTEMS, "random", HOME)


def command(small: Dataset, results: Path, *flags: str) -> list[str]:
    folders = ["--datasets-dir", str(small.path.parent), "--results-dir", str(results)]
    return ["run", "random", "-d", "small", "-q", *folders, *flags]


def test_its_flags_parse_and_its_record_says_what_it_is(small: Dataset, tmp_path: Path) -> None:
    assert cli.main(command(small, tmp_path, "--seed", "7", "--loud")) == 0
    record = Record.read(tmp_path / "random@seed=7" / "small")
    assert record.identity.model.name == "random"
    assert record.identity.options == {"seed": "seed=7"}
    assert record.identity.dataset == "small"
    assert record.settings == {"seed": 7}
    assert record.system == record.identity.name == "random@seed=7"


def test_as_by_default_it_has_its_plain_name(small: Dataset, tmp_path: Path) -> None:
    record = benchmark(load_system("random", loud=True), small, results_dir=tmp_path)
    assert record.system == "random"
    assert record.identity.options == {}


def test_its_misuse_is_refused(
    small: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, sentence in (
        (("--seed", "-1"), "--seed -1 is not possible; give 0 or more"),
        (("--seed", "13"), "random has no luck with --seed 13; give another"),
        (("--k1", "1.2"), "random has no --k1; its options are --seed, --loud (--k1 belongs to"),
    ):
        assert cli.main(command(small, tmp_path, *flags)) == 2
        assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("random*"))
    with pytest.raises(UsageError, match="random has no --sead"):
        load_system("random", sead=3)


def test_other_systems_refuse_its_flag(
    small: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(small, tmp_path, "--seed", "3")
    arguments[1] = "bm25-flat"
    assert cli.main(arguments) == 2
    assert "bm25-flat has no --seed" in capsys.readouterr().err


def test_it_stands_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    shown = capsys.readouterr().out
    assert "options of random order:" in shown
    assert "--seed N" in shown
