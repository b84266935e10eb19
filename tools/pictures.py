"""The pictures of the README, from the records in `results/`: the page in a browser, and a figure.

    python tools/pictures.py [--results results] [--to docs/pictures] [--browser PATH]

Needs Chromium. No dataset is read, so the pictures hold numbers and names alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from gtr_beir.report.figures.collection import figures_of
from gtr_beir.report.formats.page import html
from gtr_beir.report.leaderboard import leaderboard

FIGURES = ("bm25", "queries-scifact")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    repository = Path(__file__).resolve().parents[1]
    parser.add_argument("--results", type=Path, default=repository / "results")
    parser.add_argument("--to", type=Path, default=repository / "docs" / "pictures")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    options = parser.parse_args()
    if options.browser is None:
        print("no chromium is here; give --browser with its path", file=sys.stderr)
        return 2
    report = leaderboard(options.results)
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        page = Path(scratch) / "leaderboard.html"
        page.write_text(html(report))
        with playwright.chromium.launch(
            executable_path=options.browser, args=["--no-sandbox"]
        ) as browser:
            tab = browser.new_page(viewport={"width": 1200, "height": 760})
            tab.goto(page.as_uri())
            tab.get_by_label("Colour against").select_option(label="bm25-flat (own run)")
            tab.get_by_role("button", name="SciFact", exact=True).first.click()
            tab.locator("tr[data-group='own'] td[data-v]").first.hover()
            tab.screenshot(path=options.to / "page.png")
    for figure in figures_of(report):
        if figure.name in FIGURES:
            (options.to / f"figure-{figure.name}.png").write_bytes(figure.png)
    for path in sorted(options.to.iterdir()):
        print(f"{path}  {path.stat().st_size // 1024} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
