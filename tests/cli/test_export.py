"""`export` and `leaderboard --with` on the command line."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO, Any

import pytest
from tests.report.exported import COMMIT, as_mteb
from tests.report.results import record, write

from gtr_beir import cli, files
from refusal import Refused, files_in

pytestmark = pytest.mark.usefixtures("no_network")


def test_mteb_into_a_folder_of_the_current_one(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(results, as_mteb(), as_mteb("bioasq"))
    before = files_in(results)
    assert cli.main(["export", "mteb", str(results / "my-encoder@hub")]) == 0
    home = Path("exports") / "mteb" / "results" / "me__my-encoder" / COMMIT
    told = capsys.readouterr()
    assert told.out == f"{home}\n"
    assert told.err.splitlines() == [
        f"me/my-encoder at {COMMIT}: 1 task",
        "not written: bioasq: MTEB has no task of it",
    ]
    assert sorted(path.name for path in (tmp_path / home).iterdir()) == [
        "SciFact.json",
        "model_meta.json",
    ]
    assert files_in(results) == before


def test_model_card_into_a_folder_of_the_systems_name(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(results, as_mteb())
    assert cli.main(["export", "model-card", str(results / "my-encoder@hub")]) == 0
    home = Path("exports") / "model-card" / "my-encoder@hub"
    assert capsys.readouterr().out == f"{home}\n"
    assert set(files_in(tmp_path / home)) == {".eval_results/SciFact.yaml", "model-index.md"}


def test_another_folder_and_another_name(results: Path, tmp_path: Path) -> None:
    write(results, record("mine", "scifact", 0.5, protocol="hub"))
    arguments = [str(results / "mine"), "--name", "me/mine", "-o", str(tmp_path / "out")]
    assert cli.main(["export", "mteb", *arguments]) == 0
    assert (tmp_path / "out" / "results" / "me__mine" / "b" / "SciFact.json").is_file()


@pytest.mark.parametrize("form", ["mteb", "model-card"])
def test_refusals_leave_nothing(form: str, results: Path, tmp_path: Path, refused: Refused) -> None:
    write(results, record("paper", "scifact", 0.5), as_mteb())
    before = files_in(tmp_path)
    refused(
        f"{results}/paper has nothing that MTEB measures (scifact: not as MTEB measures it: paper "
        "lengths (64 and 512 tokens) here, hub lengths (512 and 512) there); …--protocol hub…",
        *("export", form, results / "paper", "--name", "me/paper"),
        code=2,
    )
    refused(
        "'../../x' cannot be a model's name; give --name ORG/MODEL…",
        *("export", form, results / "my-encoder@hub", "--name", "../../x"),
        code=2,
    )
    refused(
        f"there is no record in {results}/none; give the folder of a system…",
        *("export", form, results / "none"),
        code=2,
    )
    assert files_in(tmp_path) == before


def test_a_leaderboard_with_mtebs_files(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    write(results, as_mteb())
    cli.main(["export", "mteb", str(results / "my-encoder@hub")])
    capsys.readouterr()
    assert cli.main(["leaderboard", "--with", "exports/mteb", "--print"]) == 0
    text = capsys.readouterr().out
    assert "*mteb/*" in text
    assert "0.64508" in text
    before = files_in(results)
    (tmp_path / "a-file").write_text("{}")
    for name in ("nowhere", "a-file", "a-file/below"):
        refused(
            f"there is no result of MTEB in {tmp_path}/{name}; give a folder that holds …",
            *("leaderboard", "--with", name),
            code=2,
        )
    assert files_in(results) == before


@pytest.mark.parametrize("form", ["mteb", "model-card"])
def test_only_the_folder_that_is_written_to_must_be_writable(
    form: str, results: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the system's answer on a read-only disk is given here."""
    write(results, as_mteb())
    (tmp_path / "disk").mkdir()
    made = files._new_file

    def refuse(final: Path, mode: str) -> tuple[Path, IO[Any]]:
        if final.is_relative_to(tmp_path / "disk") or final.is_relative_to(results):
            raise OSError(errno.EROFS, "Read-only file system", str(final))
        return made(final, mode)

    monkeypatch.setattr(files, "_new_file", refuse)
    assert cli.main(["export", form, str(results / "my-encoder@hub")]) == 0
    refused(
        f"no permission to write {tmp_path}/disk/…; choose another folder with --results-dir, "
        "--datasets-dir or -o",
        *("export", form, results / "my-encoder@hub", "-o", tmp_path / "disk"),
    )
    assert files_in(tmp_path / "disk") == {}
