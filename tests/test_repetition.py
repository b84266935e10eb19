"""No run of more than ten lines stands twice in the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "evaluate" / "gtr_beir"
MOST = 10


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Numbered lines that count: no blank ones, comments, docstrings or imports."""
    text = path.read_text(encoding="utf-8")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_text = is_text and isinstance(node.value.value, str)
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if number not in left_out and line.strip() and not line.strip().startswith("#")
    ]


def repeated(files: list[Path], most: int) -> list[str]:
    """Places that share more than `most` lines, the first and one more."""
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path in files:
        lines = lines_of(path)
        for start in range(len(lines) - most):
            run = lines[start : start + most + 1]
            places[tuple(line for _, line in run)].append(f"{path.name}:{run[0][0]}")
    return [" and ".join(found) for found in places.values() if len(found) > 1]


def test_no_long_run_stands_twice() -> None:
    assert repeated(sorted(PACKAGE.rglob("*.py")), MOST) == []


def test_a_repeated_run_is_found(tmp_path: Path) -> None:
    body = "".join(f"value_{n} = {n}\n" for n in range(MOST + 1))
    (tmp_path / "one.py").write_text(f'"""One."""\n{body}')
    (tmp_path / "two.py").write_text(f"import os\n\n{body}")
    found = repeated(sorted(tmp_path.glob("*.py")), MOST)
    assert found == ["one.py:2 and two.py:3"]
    assert repeated(sorted(tmp_path.glob("*.py")), MOST + 1) == []
