"""A module imports only from lower floors; nothing heavy is imported with the package."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "evaluate"
FLOORS = [
    ["errors"],
    ["files", "memory", "progress", "topk", "published"],
    ["data"],
    ["runs", "blocks"],
    ["measures", "significance", "systems"],
    ["records"],
    ["evaluation", "planning", "report"],
    ["cluster"],
    ["cli"],
    ["__main__", "demo"],
]
WITHIN = {
    # Within a folder, a file imports only files listed before it (lists start at the bottom).
    "data": [
        "registry",
        "columns",
        "identifiers",
        "beir_format",
        "converters",
        "writing",
        "store",
        "importing",
        "fetch",
        "originals",
        "catalogue",
    ],
    "systems": [
        "lucene",
        "base",
        "checkpoints",
        "linear",
        "precision",
        "t5",
        "encoder",
        "sentence",
        "loading",
        "search",
        "beir_model",
        "dense",
        "bm25",
        "maxsim",
        "token_encoder",
        "colbert",
        "costs",
    ],
    "systems/checkpoints": [
        "layout",
        "weights",
        "untrained",
        "tokenizer",
        "hub",
        "t5x",
        "tfhub",
        "multi_vector",
        "convert",
        "proof",
    ],
    "cli": ["options", "run", "plan", "data", "models", "reports"],
    "report": ["dataset_table", "table", "comparison", "render", "plots"],
}
NEVER = {("measures", "systems"), ("systems", "measures"), ("report", "evaluation")}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("evaluate.") for name in found if name.startswith("evaluate.")}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def floor(part: str) -> int:
    return next(level for level, parts in enumerate(FLOORS) if part in parts)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    inside = path.relative_to(PACKAGE).with_suffix("").parts
    part = inside[0]
    for name in imports(path):
        target = name.split(".")
        if target[0] == part:
            order = WITHIN.get(part)
            if order and inside[1:2] not in ((), ("__init__",)) and target[1] != inside[1]:
                assert order.index(target[1]) < order.index(inside[1]), f"{path} imports {name}"
            order = WITHIN.get("/".join(inside[:2]))
            if order and target[1] == inside[1] and target[2] != inside[2] != "__init__":
                assert order.index(target[2]) < order.index(inside[2]), f"{path} imports {name}"
            continue
        if target[0] == "__version__":
            continue
        assert floor(target[0]) < floor(part), f"{path} imports {name}, which is not below it"
        assert (part, target[0]) not in NEVER, f"{path} imports {name}"


def test_every_module_has_a_floor() -> None:
    known = {part for parts in FLOORS for part in parts}
    found = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in modules()}
    assert found <= known


def test_no_module_takes_the_name_of_a_dependency() -> None:
    names = {path.stem for path in modules()}
    assert not names & {"datasets", "ray", "logging", "types", "beir", "torch", "json"}


def test_import_is_light_and_quick() -> None:
    code = (
        "import sys, evaluate\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pandas', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The processor's time: what else runs on the machine does not count.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3
