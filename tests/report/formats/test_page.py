"""The page in a real browser: sorted, filtered, read by keyboard, hostile names inert, no request.

The browser is the system's own Chromium, driven through Playwright; where there is none, the tests
that need it say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.report.boards import SYSTEMS, six_systems
from tests.report.results import record, write, write_queries

from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.findings import QueryLine
from gtr_beir.report.formats.page import html
from gtr_beir.report.leaderboard import leaderboard
from gtr_beir.report.whole import Report

HOSTILE = "<script>window.harmed=1</script><img src=x onerror='window.harmed=1'>"
ENDS = ("bm25-flat", "rerank")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    here = [path for path in map(shutil.which, BROWSERS) if path]
    found = os.environ.get("GTR_BEIR_BROWSER") or next(iter(here), "")
    if not found:
        pytest.skip(f"no browser is here: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("six")
    six_systems(folder)
    return hostile(leaderboard(folder))


def hostile(report: Report) -> Report:
    """With a system, a dataset, a query and a signature that would run if they were not escaped."""
    column = Column(HOSTILE, OWN, "own run", about=HOSTILE)
    board = report.boards[0]
    line = board.lines[0]
    cells = {**line.cells, column: Cell(0.001, n=40, low=0.0, high=0.002, note=HOSTILE)}
    lines = (replace(line, cells=cells), Line(HOSTILE, cells), *board.lines[1:])
    changed = Board(board.title, board.measure, (*board.columns, column), lines)
    boards = (changed, *report.boards[1:])
    section = report.sections[0]
    query = QueryLine("q</script>", HOSTILE, section.hardest[0].values)
    sections = (replace(section, title=HOSTILE, hardest=(query,)), *report.sections[1:])
    return replace(report, boards=boards, sections=sections, remarks=(HOSTILE,))


class Opened:
    """A page in the browser, with what it asked of any network and what went wrong in it."""

    def __init__(self, browser: Browser, path: Path, **how: object) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        context = browser.new_context(**how)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda said: self.errors.append(said.text) if said.type == "error" else None
        )
        self.page.goto(path.as_uri())

    def names(self) -> list[str]:
        """The systems that are to be seen, in their order."""
        rows = self.page.locator(".grid:not([hidden]) tbody tr:not([hidden])")
        return [str(row.get_attribute("data-name")) for row in rows.all()]

    def column(self, title: str) -> list[float]:
        heads = self.page.locator(".grid:not([hidden]) thead th").all_inner_texts()
        place = [head.rstrip(" ↓↑") for head in heads].index(title)
        rows = self.page.locator(".grid:not([hidden]) tbody tr:not([hidden])")
        cells = [row.locator("> *").nth(place).get_attribute("data-v") for row in rows.all()]
        return [float(cell) for cell in cells if cell is not None]


@pytest.fixture
def opened(browser: Browser, report: Report, tmp_path: Path) -> Iterator[Opened]:
    path = tmp_path / "page.html"
    path.write_text(html(report))
    opened = Opened(browser, path)
    yield opened
    assert opened.errors == []
    assert opened.requests == [path.as_uri()], "the page itself, and nothing else"
    assert opened.page.evaluate("window.harmed") is None


def test_sorted_by_a_click_and_by_keyboard(opened: Opened) -> None:
    head = opened.page.get_by_role("columnheader", name="SciFact", exact=True).first
    head.get_by_role("button").click()
    values = opened.column("SciFact")
    assert values == sorted(values, reverse=True)
    assert len(values) > 10
    assert head.get_attribute("aria-sort") == "descending"
    opened.page.keyboard.press("Enter")
    assert opened.column("SciFact") == sorted(values)
    assert head.get_attribute("aria-sort") == "ascending"
    assert opened.names()[0] == HOSTILE, "the lowest"
    opened.page.get_by_role("button", name="System", exact=True).first.press("Space")
    assert opened.names() == sorted(opened.names(), key=str.lower)


def test_filtered_by_name_group_and_dataset(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("searchbox").fill("dense c")
    assert set(opened.names()) == {"dense-c-again", "dense-c"}
    assert "2 of" in page.locator("#counted").inner_text()
    page.get_by_role("searchbox").fill("")
    page.locator("#groups summary").click()
    for group in ("BM25", "ColBERT", "GTR", "others"):
        page.locator("#groups").get_by_label(group, exact=True).uncheck()
    assert set(opened.names()) == {*SYSTEMS, HOSTILE}
    page.locator("#datasets summary").click()
    page.get_by_role("button", name="those of own runs").click()
    seen = [
        head.inner_text()
        for head in page.locator(".grid:not([hidden]) thead th").all()
        if head.is_visible()
    ]
    assert "own-set" in seen
    assert "NFCorpus" not in seen


def test_a_tooltip_says_what_a_value_is_of(opened: Opened, report: Report) -> None:
    page = opened.page
    column = next(c for c in report.boards[0].columns if c.name == "dense-a")
    cell = report.boards[0].lines[0].cells[column]
    row = page.locator(".grid:not([hidden]) tr[data-name='dense-a']")
    row.locator("td[data-v]").first.hover()
    told = page.get_by_role("tooltip").inner_text()
    assert "mean of 40 queries" in told
    assert f"95 % interval {cell.low:.4f} to {cell.high:.4f}" in told
    assert cell.note in told, "the signature"
    page.keyboard.press("Escape")
    assert page.get_by_role("tooltip").count() == 0
    published = page.locator(".grid:not([hidden]) tr[data-name='gtr-xxl'] td[data-v]").first
    published.click()
    assert "two publications agree" in page.get_by_role("tooltip").inner_text()


def test_arrow_keys_walk_from_value_to_value(opened: Opened) -> None:
    page = opened.page
    page.locator(".grid:not([hidden]) td[data-v]").first.focus()
    first = page.get_by_role("tooltip").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("tooltip").inner_text() != first
    page.keyboard.press("ArrowUp")
    assert page.get_by_role("tooltip").inner_text() == first


def test_colours_against_a_baseline(opened: Opened) -> None:
    page = opened.page
    page.get_by_label("Colour against").select_option(label="bm25-flat (own run)")
    coloured = page.locator(".grid:not([hidden]) tr[data-name='rerank'] td[data-v]").first
    assert "rgb" in str(coloured.get_attribute("style"))
    own = page.locator(".grid:not([hidden]) tr[data-group='own'][data-name='bm25-flat'] td").first
    assert not own.get_attribute("style")


def test_a_pair_shows_its_histogram(opened: Opened, report: Report) -> None:
    page = opened.page
    pair = next(p for p in report.pairs if (p.dataset, p.a, p.b) == ("own-set", *ENDS))
    matrix = page.locator("table.matrix").first  # of the only section that has its own title
    matrix.locator("tbody tr").last.locator("button").first.click()
    shown = page.locator(".pair").first
    assert "rerank less bm25-flat" in shown.inner_text()
    assert f"{pair.n} queries" in shown.inner_text()
    assert shown.locator("rect").count() == len(pair.spread)


def test_hostile_names_are_text(opened: Opened) -> None:
    """What they say is to be read; the fixture sees that nothing ran and nothing was fetched."""
    assert HOSTILE in opened.names()
    text = opened.page.locator("body").inner_text()
    assert text.count("<script>window.harmed=1</script>") >= 5
    assert opened.page.locator("img[src='x']").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_runs_off_the_page(
    scheme: str, browser: Browser, report: Report, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(html(report))
    opened = Opened(
        browser,
        path,
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
        color_scheme=scheme,
    )
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
    opened.page.locator(".grid:not([hidden]) td[data-v]").first.tap()
    box = opened.page.get_by_role("tooltip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    back = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 22, 28)"}[scheme]


def test_without_scripts_every_value_is_there(
    browser: Browser, report: Report, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(html(report))
    opened = Opened(browser, path, java_script_enabled=False)
    assert opened.page.locator(".controls").is_visible() is False
    for grid in opened.page.locator(".grid").all():
        assert grid.is_visible()
    assert opened.page.get_by_text("dense-c-again").first.is_visible()


def test_printed_it_is_black_on_white_without_controls(opened: Opened) -> None:
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert not opened.page.locator(".controls").is_visible()
    back = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(255, 255, 255)"


def test_the_same_report_is_the_same_page(tmp_path: Path) -> None:
    write(tmp_path, record("mine", "scifact", 0.5), record("other", "scifact", 0.6, weights="x"))
    write_queries(tmp_path, "mine", "scifact", [0.25, 0.75] * 5)
    write_queries(tmp_path, "other", "scifact", [0.5, 0.7] * 5)
    assert html(leaderboard(tmp_path)) == html(leaderboard(tmp_path))
