"""A module imports only from lower floors; nothing heavy is imported with the package."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "evaluate" / "gtr_beir"
FLOORS = [
    ["errors", "process"],
    ["digests", "files", "lengths", "memory", "network", "onednn", "progress", "published"],
    ["hub_client", "identity"],
    ["data", "checkpoints"],
    ["work", "ranking", "encoders"],
    ["old_records"],
    ["records"],
    ["query_values"],
    ["kept"],
    ["systems"],
    ["signs"],
    ["evaluation", "planning", "report"],
    ["cleaning", "given_runs"],
    ["experiment"],
    ["cli"],
    ["demo"],
    ["__main__"],
]
WITHIN = {
    # Within a folder, a file imports only files listed before it (lists start at the bottom).
    "data": [
        "lzw",
        "opening",
        "lines",
        "registry",
        "columns",
        "identifiers",
        "beir_format",
        "converters",
        "writing",
        "store",
        "importing",
        "download",
        "mirrors",
        "originals",
        "catalogue",
    ],
    "checkpoints": [
        "layout",
        "weights",
        "untrained",
        "tokenizer",
        "modules",
        "hub",
        "zarr_array",
        "t5x",
        "multi_vector",
        "door",
        "recognition",
        "convert",
        "proof",
    ],
    "work": ["blocks", "parts", "store", "pool", "executors"],
    "work/executors": ["base", "here", "processes", "cluster"],
    "work/executors/cluster": [
        "schedule",
        "checkpoints",
        "worker",
        "pipe",
        "reaching",
        "crew",
        "sending",
        "searching",
        "manager",
        "executor",
    ],
    "ranking": [
        "kernels",
        "exact",
        "candidates",
        "on_device",
        "topk",
        "packing",
        "runs",
        "coverage",
        "measures",
        "ties",
        "significance",
    ],
    "encoders": [
        "base",
        "devices",
        "batching",
        "precision",
        "linear",
        "ranges",
        "t5_attention",
        "t5_layer",
        "t5",
        "text",
        "given",
        "tfhub",
        "sentence",
        "tokens",
        "loading",
        "beir_model",
    ],
    "systems": [
        "lucene",
        "options",
        "base",
        "block_work",
        "encoding",
        "token_encoding",
        "shards",
        "search",
        "sharing",
        "dense_search",
        "given",
        "dense",
        "bm25_index",
        "bm25",
        "maxsim",
        "colbert_search",
        "colbert",
        "costs",
    ],
    "experiment": ["description", "reading", "checking", "running"],
    "cli": [
        "options",
        "experiments",
        "closing",
        "reports",
        "cluster",
        "run",
        "plan",
        "data",
        "models",
        "export",
        "compare",
        "inspect",
        "claims",
        "clean",
        "completion",
    ],
    "report": [
        "rounding",
        "plain_text",
        "inspect_command",
        "notebook",
        "dataset_table",
        "per_query",
        "board",
        "findings",
        "naming",
        "verdicts",
        "pairs",
        "own",
        "texts",
        "sections",
        "whole",
        "boards",
        "exchange",
        "leaderboard",
        "figures",
        "formats",
        "inspection",
        "comparison",
        "claims",
    ],
    "report/texts": ["token_counts", "top_lengths", "by_length"],
    "report/exchange": ["mteb_tasks", "fitness", "mteb_export", "model_card", "mteb_files"],
    "report/formats": ["layout", "markdown", "latex", "page", "render"],
    "report/figures": ["drawing", "scores", "queries", "collection"],
    "report/inspection": ["reading", "inspected", "text", "inspection"],
    "report/comparison": ["paired", "outcome", "text"],
    "report/claims": [
        "latency",
        "resampling",
        "evidence",
        "selection",
        "claim",
        "parts",
        "checks",
        "rows",
        "commands",
        "text",
    ],
}
NEVER = {("report", "evaluation")}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("gtr_beir.") for name in found if name.startswith("gtr_beir.")}


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


@pytest.mark.parametrize("module", ["gtr_beir", "gtr_beir.__main__", "gtr_beir.cli"])
def test_import_is_light_and_quick(module: str) -> None:
    """Also that of the command line, so that --help and a typo are answered at once."""
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pandas', 'pyarrow', 'matplotlib', 'jinja2'}\n"
        "heavy |= {'ray'}\n"
        "heavy &= set(sys.modules)\n"
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


def test_every_name_of_a_floor_is_a_module() -> None:
    known = [("", part) for parts in FLOORS for part in parts]
    known += [(folder, part) for folder, parts in WITHIN.items() for part in parts]
    missing = [
        f"{folder}/{part}"
        for folder, part in known
        if not (PACKAGE / folder / part).is_dir()
        and not (PACKAGE / folder / f"{part}.py").is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("folder", WITHIN)
def test_every_module_of_a_folder_has_a_place(folder: str) -> None:
    found = {
        path.stem
        for path in (PACKAGE / folder).iterdir()
        if path.name != "__init__.py" and (path.suffix == ".py" or (path / "__init__.py").is_file())
    }
    assert found == set(WITHIN[folder])
