"""No `Any` at the borders of encoders, checkpoints and work: what passes has a type."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "evaluate" / "gtr_beir"
ROOMS = ("encoders", "checkpoints", "work")


def called_from_outside(room: str) -> set[str]:
    """Names of the room's modules that modules of other rooms import."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] == room:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                f"gtr_beir.{room}"
            ):
                found |= {alias.name for alias in node.names}
    return found


def public_functions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef]]:
    """Functions of the module and methods of its classes that others call."""
    found = []
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
            continue
        for function in inside:
            named = isinstance(function, ast.FunctionDef)
            if named and (not function.name.startswith("_") or function.name == "__init__"):
                whole = f"{node.name}.{function.name}" if function is not node else node.name
                found.append((whole, function))
    return found


def annotations(function: ast.FunctionDef) -> list[ast.expr]:
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    found = [argument.annotation for argument in arguments if argument and argument.annotation]
    return [*found, *([function.returns] if function.returns else [])]


def anything(path: Path) -> list[str]:
    """Public functions and fields whose annotations say Any."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    places = [(name, a) for name, f in public_functions(tree) for a in annotations(f)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            places += [
                (f"{node.name}.{field.target.id}", field.annotation)
                for field in node.body
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and not field.target.id.startswith("_")
            ]
    return [
        name
        for name, annotation in places
        if any(isinstance(part, ast.Name) and part.id == "Any" for part in ast.walk(annotation))
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_no_any_at_the_border(room: str) -> None:
    outside = called_from_outside(room)
    assert outside, "somebody uses the room"
    found = {
        str(path.relative_to(PACKAGE)): names
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if (names := [n for n in anything(path) if n.partition(".")[0] in outside])
    }
    assert found == {}


def test_any_is_found(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "from typing import Any\n\nclass Public:\n    field: dict[str, Any]\n\n"
        "    def method(self) -> Any: ...\n\n    def _own(self) -> Any: ...\n\n"
        "def function(value: list[Any]) -> int: ...\n"
    )
    assert anything(file) == ["Public.method", "function", "Public.field"]
