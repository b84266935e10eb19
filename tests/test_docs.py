"""What the pages link to is there; the workflow that they show is one that works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from tests.report.results import record, write, write_queries

from gtr_beir import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


CI_PAGE = ROOT / "docs" / "ci.md"


def workflow_commands() -> list[list[str]]:
    """The arguments of every gtr-beir command of the workflow, without what the shell takes."""
    (text,) = re.findall(r"```yaml\n(.*?)```", CI_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    steps = yaml.safe_load(text)["jobs"]["compare"]["steps"]
    words = [shlex.split(step["run"]) for step in steps if "run" in step]
    cut = [
        line[: next((n for n, w in enumerate(line) if w in (">", ">>")), None)] for line in words
    ]
    return [line[1:] for line in cut if line[0] == "gtr-beir"]


def test_the_workflow_s_commands_parse() -> None:
    commands = workflow_commands()
    assert [command[0] for command in commands] == ["datasets", "run", "compare", "inspect"]
    for command in commands:
        cli._parser(()).parse_args(command)


@pytest.mark.parametrize(("after", "code"), [(0.496, 0), (0.494, 1)])
def test_the_workflow_s_gate(
    after: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference of -0.004 passes, one of -0.006 does not."""
    monkeypatch.chdir(tmp_path)
    for folder, value in (("baseline", 0.5), ("results", after)):
        write(Path(folder), record("my-encoder", "mine", value))
        write_queries(Path(folder), "my-encoder", "mine", [value] * 4)
    (gate,) = [command for command in workflow_commands() if command[0] == "compare"]
    assert cli.main(gate) == code
