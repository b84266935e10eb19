"""The tree of errors: exit codes, and one line for every message."""

from __future__ import annotations

from typing import Any

import pytest

from gtr_beir import cli
from gtr_beir.errors import CheckpointError, InputError, StoreError, UsageError

pytestmark = pytest.mark.usefixtures("no_network")


def test_exit_codes_of_the_tree() -> None:
    assert (InputError("x").exit_code, StoreError("x").exit_code) == (1, 1)
    assert (CheckpointError("x").exit_code, UsageError("x").exit_code) == (1, 2)


def test_a_message_of_several_lines_is_told_on_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise InputError("first\n  second", path="some\nfile", line=3)

    monkeypatch.setattr("gtr_beir.cli.data._datasets_list", fail)
    assert cli.main(["datasets", "list"]) == 1
    assert capsys.readouterr().err == "gtr-beir: some file:3: first second\n"
