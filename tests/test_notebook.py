"""docs/notebook.ipynb runs, and shows what it says that it shows."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tools.notebook import executed, read

from gtr_beir import benchmark, load_dataset, load_system
from gtr_beir.demo import CHECKPOINT_DIR

REFRESH = "`python tools/notebook.py` writes it again"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The committed notebook, run here from its sources alone."""
    notebook = copy.deepcopy(read())
    for cell in code(notebook):
        cell.outputs, cell.execution_count = [], None
    return executed(notebook, tmp_path_factory.mktemp("notebook"))


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(cell: NotebookNode) -> list[str]:
    """What a reader sees of a cell, without markup, figures and the version in a signature."""
    found = []
    for output in cell.outputs:
        assert output.output_type == "execute_result", output
        for kind in ("text/html", "text/plain"):
            text = re.sub(r"(?s)<style.*?</style>|<[^>]+>", " ", output.data.get(kind, ""))
            found.append(" ".join(re.sub(r"\|v:[^|]+\|", "||", text).split()))
    return found


def shown(notebook: NotebookNode, name: str) -> str:
    (cell,) = [cell for cell in code(notebook) if cell.id == name]
    return " ".join(words(cell))


def test_every_cell_runs_in_order_and_says_nothing_else(ran: NotebookNode) -> None:
    cells = code(ran)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert len([cell for cell in cells if words(cell)]) == len(cells) - 1, "but for the folder"


def test_what_is_committed_is_what_it_shows_today(ran: NotebookNode) -> None:
    kept = read()
    assert [(c.id, words(c)) for c in code(kept)] == [(c.id, words(c)) for c in code(ran)], REFRESH
    nbformat.validate(kept)


def test_its_scores_are_those_of_benchmark(ran: NotebookNode, tmp_path: Path) -> None:
    dataset = load_dataset("demo", datasets_dir=tmp_path / "datasets")
    for name, label in (("bm25-flat", "bm25-flat"), (CHECKPOINT_DIR, "toy-gtr")):
        record = benchmark(load_system(name), dataset, results_dir=tmp_path, label=label)
        ndcg = record.measures["ndcg@10"]
        assert f"{ndcg:.4f}" in shown(ran, "leaderboard")
        assert f"{ndcg:.6f}" in shown(ran, "frame")
        assert f"{ndcg:.4f}" in shown(ran, "compare")
    assert f"NDCG@10={ndcg!r},".lower() in shown(ran, "benchmark")
    assert record.signature.rpartition("key:")[2] in shown(ran, "benchmark")


def test_its_figure_is_a_drawing(ran: NotebookNode) -> None:
    (cell,) = [cell for cell in code(ran) if cell.id == "figure"]
    assert cell.outputs[0].data["image/svg+xml"].startswith("<svg")


def test_it_holds_no_path_of_a_machine_and_no_time() -> None:
    for cell in code(read()):
        assert cell.metadata == {}, REFRESH
        assert not re.search(r"(^|[\s'\"(])(/|[A-Z]:\\)\w", " ".join(words(cell)))
        assert not re.search(r"\d\d:\d\d|\d seconds|\d s\b", " ".join(words(cell)))


def test_a_cell_that_fails_is_told(tmp_path: Path) -> None:
    failing = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        executed(failing, tmp_path)
