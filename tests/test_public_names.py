"""The names of the Python interface: what they stand for, and what they take."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gtr_beir
from gtr_beir.report.comparison.outcome import compare
from gtr_beir.report.inspection.inspection import inspect_results


def test_every_name_is_loaded_and_told() -> None:
    assert gtr_beir.__all__ == sorted(gtr_beir._HOMES)
    told = gtr_beir.__doc__ or ""
    for name in gtr_beir.__all__:
        assert callable(getattr(gtr_beir, name))
        assert f"\n    {name}" in told


def test_type_checkers_see_what_is_loaded() -> None:
    """The imports for them are of the same modules and names as those at run time."""
    tree = ast.parse(Path(gtr_beir.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: f"{line.module}:{alias.name}"
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert seen == gtr_beir._HOMES


def test_what_the_new_names_stand_for() -> None:
    assert gtr_beir.compare is compare
    assert gtr_beir.inspect is inspect_results


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'inspect_results'"):
        _ = gtr_beir.inspect_results
