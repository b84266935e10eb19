"""Reports: tests between 10 systems on 15 datasets, a page of 1,000 systems, LaTeX that compiles.

    python benchmarks/report.py [--systems 10] [--rows 1000] [--only tests,page,latex]

Per-query values are drawn at random, as many as the public BEIR datasets have judged queries. The
page is opened in Chromium; LaTeX needs `pdflatex` with booktabs (texlive-latex-recommended). What
is not installed is said, not skipped in silence.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from measure import REPOSITORY, machine_line

sys.path.insert(0, str(REPOSITORY))

from tests.report.results import record, write

from gtr_beir.data.registry import benchmark_names, registered, suite
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import PER_QUERY
from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.formats.latex import latex
from gtr_beir.report.formats.page import html
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.whole import Report


def write_results(folder: Path, systems: int) -> int:
    """Records and per-query files of some systems on the public datasets; returns the queries."""
    queries = 0
    for place, dataset in enumerate((*suite("public"), "msmarco")):
        spec = registered(dataset)
        for at in range(systems):
            system = f"system-{at:02}" if at else "bm25-flat"
            means = {}
            for forum, part in enumerate(spec.parts or (dataset,)):
                count = registered(part).queries
                queries += count if at == 0 else 0
                hard = np.random.default_rng([place, forum]).beta(0.6, 0.8, count)
                noise = np.random.default_rng([place, forum, at]).normal(0.01 * at, 0.15, count)
                means[part] = write_queries(folder / system / part, np.clip(hard + noise, 0, 1))
            family = "" if at else "bm25-lucene-flat"
            mean = float(np.mean(list(means.values())))
            one = record(system, dataset, mean, weights=str(at), family=family)
            parts = (
                {part: {"ndcg@10": value} for part, value in means.items()} if spec.parts else {}
            )
            write(folder, replace(one, n_queries=spec.queries or 0, parts=parts))
    return queries


def write_queries(folder: Path, values: npt.NDArray[np.float64]) -> float:
    lines = [f"q{row:06},{value!r},{value!r}" for row, value in enumerate(values.tolist())]
    folder.mkdir(parents=True)
    (folder / PER_QUERY).write_text("\n".join(["query_id,ndcg@10,recall@100", *lines, ""]))
    return float(values.mean())


def significance(systems: int) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        queries = write_results(Path(scratch), systems)
        start = time.perf_counter()
        report = leaderboard(scratch)
        seconds = time.perf_counter() - start
        datasets = len({pair.dataset for pair in report.pairs})
        print(
            f"{systems} systems on {datasets} datasets of {queries:,} queries, two measures:\n"
            f"    {len(report.pairs):,} pairs tested, {len(report.overall)} over datasets, an "
            f"interval of every mean, in {seconds:.1f} s"
        )
    return seconds < 60


def large_report(rows: int) -> Report:
    """Own systems by one measure on 19 datasets, as large as a public leaderboard."""
    draw = np.random.default_rng(1)
    columns = [Column(f"org-{at % 97}/model-{at}", OWN, "own run", "fp32") for at in range(rows)]
    lines = []
    for name in benchmark_names():
        values = draw.beta(4, 4, rows).tolist()
        cells = {
            column: Cell(
                value, n=500, low=value - 0.02, high=value + 0.02, note=f"data:{name}|sys:x"
            )
            for column, value in zip(columns, values, strict=True)
        }
        lines.append(Line(name, cells))
    board = Board("NDCG@10: own runs", Measure("ndcg", 10), tuple(columns), tuple(lines))
    return Report((board,))


def page(rows: int, browser: str | None) -> bool:
    from playwright.sync_api import sync_playwright

    if browser is None:
        print("no Chromium is here: the page was not opened")
        return False
    start = time.perf_counter()
    text = html(large_report(rows))
    rendered = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        path = Path(scratch) / "page.html"
        path.write_text(text)
        with playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]) as opened:
            tab = opened.new_page(viewport={"width": 1440, "height": 900})
            start = time.perf_counter()
            tab.goto(path.as_uri())
            loaded = time.perf_counter() - start
            # From the click to the frame that shows it.
            first, later, filtered = (
                tab.evaluate(
                    """async (act) => {
                        const start = performance.now();
                        new Function(act)();
                        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                        return performance.now() - start;
                    }""",
                    act,
                )
                for act in (
                    "document.querySelectorAll('thead th button')[3].click()",
                    "document.querySelectorAll('thead th button')[7].click()",
                    "const box = document.querySelector('#systems'); box.value = 'org-5';"
                    "box.dispatchEvent(new Event('input'))",
                )
            )
            left = tab.locator("tbody tr:not([hidden])").count()
    print(
        f"a page of {rows:,} systems on {len(benchmark_names())} datasets: {len(text) / 1e6:.1f} "
        f"MB, written in {rendered:.1f} s, loaded in {loaded:.1f} s;\n    first sort {first:.0f} "
        f"ms, a later one {later:.0f} ms, a filter {filtered:.0f} ms ({left} rows left)"
    )
    return first < 300


def compiled() -> bool:
    """Every table of a report with own runs, pairs and verdicts, in a plain article."""
    if shutil.which("pdflatex") is None:
        print("no pdflatex is here: LaTeX was not compiled")
        return False
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_results(folder / "results", 6)
        hostile = record(r"a_$b%&#{}~^\x", "scifact", 0.6, weights="h", family="gtr-base")
        write(folder / "results", hostile)
        tables = latex(leaderboard(folder / "results"))
        (folder / "all.tex").write_text(
            "\\documentclass{article}\n\\usepackage[T1]{fontenc}\\usepackage{booktabs}\n"
            f"\\begin{{document}}\n{_paged(tables)}\n\\end{{document}}\n"
        )
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        over = [float(width) for width in re.findall(r"Overfull \\hbox \(([0-9.]+)pt", done.stdout)]
        pages = re.search(r"Output written on all.pdf \((\d+) page", done.stdout)
        if done.returncode:
            print(done.stdout[-1500:])
    print(
        f"LaTeX: {tables.count('begin{tabular}')} tables, exit {done.returncode}, "
        f"{pages[1] if pages else 0} pages, widest overfull {max(over, default=0):.1f} pt of "
        f"{len(over)}"
    )
    return done.returncode == 0 and not over


def _paged(tables: str) -> str:
    """LaTeX holds 18 unplaced tables at most; a page for each few keeps it from running out."""
    return tables.replace("\\end{table}", "\\end{table}\\clearpage")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--systems", type=int, default=10)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--only", default="tests,page,latex")
    options = parser.parse_args()
    print(machine_line())
    good = True
    for name, act in (
        ("tests", lambda: significance(options.systems)),
        ("page", lambda: page(options.rows, options.browser)),
        ("latex", compiled),
    ):
        if name in options.only.split(","):
            good &= act()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
