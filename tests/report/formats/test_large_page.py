"""A page of more systems than a browser lays out at once: 200 rows, the rest a click away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.report.formats.test_page import Opened, browser

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import BM25, OWN, Board, Cell, Column, Line
from gtr_beir.report.findings import QueryLine, Section
from gtr_beir.report.formats.page import html
from gtr_beir.report.whole import Report

__all__ = ["browser"]
MANY, AT_ONCE = 250, 200
ROWS = ".grid:not([hidden]) tbody tr"


def large() -> Report:
    """s000 to s248 with rising values of both datasets, and a published one without the second."""
    columns = [Column(f"s{at:03}", OWN, "own run") for at in range(MANY - 1)]
    columns.append(Column("published", BM25, "Anserini"))
    first = Line("One", {column: Cell(at / 1000) for at, column in enumerate(columns)})
    second = Line("Two", {column: Cell(0.5 - at / 1000) for at, column in enumerate(columns[:-1])})
    measures = (Measure("ndcg", 10), Measure("recall", 100))
    boards = [Board(m.title, m, tuple(columns), (first, second)) for m in measures]
    return Report(tuple(boards))


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    path = tmp_path / "page.html"
    path.write_text(html(large()))
    opened = Opened(browser, path)
    yield opened.page
    assert opened.errors == []


def seen(page: Page) -> list[str]:
    """The systems that a reader sees, from top to bottom."""
    names = page.eval_on_selector_all(
        ROWS, "rows => rows.filter(r => r.offsetParent !== null).map(r => r.dataset.name)"
    )
    return [str(name) for name in names]


def names(*numbers: int) -> list[str]:
    return [f"s{number:03}" for number in range(*numbers)]


def test_200_rows_and_a_click_shows_all(opened: Page) -> None:
    assert seen(opened) == names(AT_ONCE)
    assert "250 of 250" in opened.locator("#counted").inner_text()
    more = opened.get_by_role("button", name="Show all 250 systems")
    more.click()
    assert seen(opened) == [*names(MANY - 1), "published"]
    assert not opened.locator("#more").is_visible()


def test_sorted_among_all_and_not_among_those_shown(opened: Page) -> None:
    heads = opened.locator(".grid:not([hidden]) thead th")
    heads.nth(1).get_by_role("button").click()
    assert seen(opened) == ["published", *names(248, 49, -1)]
    heads.nth(1).get_by_role("button").click()
    assert seen(opened) == names(AT_ONCE)
    heads.nth(2).get_by_role("button").click()
    assert seen(opened) == names(AT_ONCE), "highest first on the second"
    heads.nth(2).get_by_role("button").click()
    assert seen(opened) == names(248, 48, -1), "the one without a value stands last"


def test_filtered_among_all(opened: Page) -> None:
    box = opened.get_by_role("searchbox")
    box.fill("s24")
    assert seen(opened) == names(240, 249)
    assert not opened.locator("#more").is_visible(), "all are shown"
    box.fill("s")
    assert len(seen(opened)) == AT_ONCE
    assert opened.locator("#more").inner_text() == "Show all 250 systems"
    box.fill("")
    opened.locator("#groups summary").click()
    opened.locator("#groups").get_by_label("own", exact=True).uncheck()
    assert seen(opened) == ["published"]


def test_another_measure_is_cut_too(opened: Page) -> None:
    opened.get_by_role("button", name="Recall@100").click()
    assert seen(opened) == names(AT_ONCE)
    assert opened.locator("#more").inner_text() == "Show all 250 systems"


def told(page: Page) -> str:
    return page.get_by_role("tooltip").inner_text().split(":")[0]


def test_arrow_keys_stop_at_the_last_row_that_is_seen(opened: Page) -> None:
    """What is told goes along, also where the page is scrolled."""
    opened.locator(f"{ROWS} td[data-v]").first.focus()
    keys = opened.keyboard
    for _ in range(AT_ONCE + 1):
        keys.press("ArrowDown")
    assert told(opened) == "s199 on One"
    keys.press("ArrowRight")
    assert told(opened) == "s199 on Two"
    opened.evaluate("document.querySelector('#more').click()")
    keys.press("ArrowDown")
    assert told(opened) == "s200 on Two"
    keys.press("ArrowUp")
    assert told(opened) == "s199 on Two"


def test_what_is_told_goes_along_when_the_page_scrolls(opened: Page) -> None:
    """Of the value that has the focus: walking by keys scrolls."""
    scrolled = "() => new Promise(done => { addEventListener('scroll', done); scrollBy(0, 40); })"
    opened.set_viewport_size({"width": 900, "height": 400})
    opened.locator(f"{ROWS} td[data-v]").first.focus()
    opened.evaluate(scrolled)
    assert told(opened) == "s000 on One"


def stops(page: Page) -> list[str]:
    """Systems of which the tab key reaches a value."""
    found = page.eval_on_selector_all(
        f"{ROWS} td[tabindex='0']",
        "cells => cells.filter(c => c.offsetParent).map(c => c.parentElement.dataset.name)",
    )
    return [str(name) for name in found]


def test_the_tab_key_reaches_a_value_that_is_seen(opened: Page) -> None:
    """One stop a table, wherever sorting and filtering leave it."""
    assert stops(opened) == ["s000"]
    opened.get_by_role("searchbox").fill("s24")
    assert stops(opened) == ["s240"]
    opened.get_by_role("searchbox").fill("")
    assert stops(opened) == ["s240"] or stops(opened) == ["s000"]
    heads = opened.locator(".grid:not([hidden]) thead th")
    heads.nth(1).get_by_role("button").click()
    assert len(stops(opened)) == 1
    opened.locator("#datasets summary").click()
    opened.get_by_label("One", exact=True).uncheck()
    assert len(stops(opened)) == 1
    opened.get_by_label("Two", exact=True).uncheck()
    assert stops(opened) == []
    opened.get_by_role("button", name="all", exact=True).click()
    assert len(stops(opened)) == 1


def test_all_are_printed(opened: Page) -> None:
    opened.emulate_media(media="print")
    assert seen(opened) == [*names(MANY - 1), "published"]
    assert not opened.locator("#more").is_visible()


def test_a_querys_command_is_one_for_the_shell() -> None:
    """An id is anybody's, and the line is there to be copied."""
    column = Column("my system", OWN, "own run")
    query = QueryLine("1; rm -rf ~", "", {column: 0.5})
    section = Section(
        dataset="own-set",
        title="own-set",
        measure=Measure("recall", 100),
        about=(),
        cells={column: {}},
        labels={column: "my label"},
        hardest=(query,),
    )
    text = html(Report(large().boards, sections=(section,)))
    command = "gtr-beir inspect 'my label' -d own-set --measure recall@100 --query '1; rm -rf ~'"
    assert command.replace("'", "&#39;") in text
