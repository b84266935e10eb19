"""Inspections as text, markdown and HTML: all is said, nothing is too wide, nothing is obeyed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from tests.report.tags import Tags

from gtr_beir.identity import Identity, Model
from gtr_beir.lengths import Lengths
from gtr_beir.ranking.measures import Measure
from gtr_beir.report.inspection.inspection import (
    InspectedDocument,
    InspectedQuery,
    InspectedSystem,
    Inspection,
)
from gtr_beir.report.inspection.text import FORMATS, WIDTH, html, markdown, terminal
from gtr_beir.report.plain_text import cells
from gtr_beir.report.texts.token_counts import TokenCount

HOSTILE = "\x1b[2J<script>alert(1)</script>\u202e`|*\r\n# x"


def document(name: str, *ranks: int | None, grade: int | None = None) -> InspectedDocument:
    cut = TokenCount(632, 512, ("囲碁",))
    return InspectedDocument(
        id=name,
        title="A title",
        text="Words that go on. " * 20,
        in_corpus=True,
        grade=grade,
        ranks=ranks,
        shared=("wheel", "soft"),
        tokens=(cut, *(None for _ in ranks[1:])),
        own_id=False,
    )


def inspection(systems: int = 2) -> Inspection:
    """A dense system, and others beside it."""
    lengths = Lengths("paper", 512, 512)
    identities = [Identity(Model("toy"), lengths=lengths), *[Identity(Model("bm25"))] * 5]
    others: list[int | None] = [None] * (systems - 1)
    judged = [document(f"doc-{n}", 10 * n or None, *others, grade=2) for n in range(6)]
    first = [document(f"top-{n}", n, *(n + 1 for _ in others)) for n in range(1, 11)]
    query = InspectedQuery(
        id="q1",
        text="why does my wheel go soft " * 30,
        words=("why", "wheel", "soft"),
        values=(0.12346, *(0.5 for _ in others)),
        tokens=(TokenCount(76, 64), *(None for _ in others)),
        relevant=6,
        found=(1, *(0 for _ in others)),
        judged=tuple(judged),
        top=tuple(first),
        own_document=True,
    )
    return Inspection(
        "own",
        "Own set",
        Measure("ndcg", 10),
        "the 2 queries with the lowest NDCG@10 of A",
        tuple(
            InspectedSystem("ABCDEF"[n], f"system-{n}", 1000, identities[n]) for n in range(systems)
        ),
        (query, replace(query, id="q2")),
    )


def hostile() -> Inspection:
    """Every text and every name is hostile."""
    given = inspection()
    bad = replace(given.queries[0].judged[0], id=HOSTILE, title=HOSTILE, text=HOSTILE)
    bad = replace(bad, shared=(HOSTILE,), tokens=(TokenCount(9, 5, (HOSTILE,)), None))
    query = replace(given.queries[0], id=HOSTILE, text=HOSTILE, judged=(bad,), top=(bad,))
    named = replace(given.systems[0], name=HOSTILE, tokens_unknown=HOSTILE)
    return replace(
        given, dataset=HOSTILE, title=HOSTILE, systems=(named, given.systems[1]), queries=(query,)
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_matters(name: str) -> None:
    """Values, change, ranks, grades, cuts, unknown pieces, shared words, own id, what - means."""
    text = " ".join(re.sub(r"<[^>]*>|\\", " ", FORMATS[name](inspection())).split())
    for said in (
        "Own set: the 2 queries with the lowest NDCG@10 of A",
        "NDCG@10 A 0.1235, B 0.5000 (+0.3765)",
        "reads 64 tokens of a query, 512 of a document",
        "reads whole texts",
        "not in the first 1,000",
        "relevant in the first 10: A 1 of 6, B 0 of 6",
        "cut: 12 of 76 tokens (A)",
        "cut: 120 of 632 tokens (A)",
        "own id is dropped (A, B)",
        "doc-0",
        "unjudged",
        "A title",
    ):
        assert said in text, said


@pytest.mark.parametrize("systems", [1, 2, 3, 6])
def test_a_terminal_of_80_columns(systems: int) -> None:
    lines = terminal(inspection(systems)).splitlines()
    assert max(map(cells, lines)) <= WIDTH
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("systems", [1, 2])
def test_a_query_has_about_25_lines(systems: int) -> None:
    text = terminal(inspection(systems))
    _, first, second = re.split(r"^\d\. ", text, flags=re.MULTILINE)
    assert max(len(part.strip().splitlines()) for part in (first, second)) <= 26
    assert "and 2 more judged documents" in first


def test_wide_letters_keep_the_width() -> None:
    wide = inspection()
    query = replace(wide.queries[0], text="囲碁" * 200)
    lines = terminal(replace(wide, queries=(query,))).splitlines()
    assert max(map(cells, lines)) <= WIDTH


def test_a_terminal_gets_nothing_to_obey() -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", terminal(hostile()))


def test_markdown_is_text_and_tables_alone() -> None:
    gfm = MarkdownIt("gfm-like", {"linkify": False, "html": True})
    for given in (inspection(), hostile()):
        found = gfm.render(markdown(given))
        tags = set(re.findall(r"</?([a-z0-9]+)", found))
        allowed = {"h1", "h2", "ul", "li", "p", "blockquote", "table", "thead", "tbody"}
        assert tags == allowed | {"tr", "th", "td"}
        assert found.count("<h1>") == 1
        assert found.count("<h2>") == len(given.queries)
        # A row has as many cells as the head: grade, a rank for each system, document, why.
        assert {row.count("<td") for row in found.split("<tr>") if "<td" in row} == {5}


def test_html_has_no_script_and_shows_hostile_text_as_text() -> None:
    for text in (html(hostile()), hostile()._repr_html_()):
        page = Tags(text)
        assert not page.tags & {"script", "img", "a", "link", "iframe", "object"}
        names = {name for name, value in page.attributes if (name, value) != PLACED}
        assert names <= {"lang", "charset", "name", "content", "class", "dir"}
        assert "<script>alert(1)</script>" in page.text
        assert "\x1b" not in text


PLACED = ("style", "text-align:left")
"""The only style that an element has."""


def test_a_notebook_shows_what_the_page_shows_and_nothing_for_a_page() -> None:
    """The same first rows; no style or heading that would change the notebook around it."""
    shown, page = Tags(inspection()._repr_html_()), Tags(html(inspection()))
    assert not shown.tags & {"html", "head", "body", "style", "title", "h1", "h2"}
    assert {"h4", "h5"} <= shown.tags
    assert len(shown.rows) < len(page.rows)
    assert [row for row in shown.rows if row in page.rows] == shown.rows
    for said in ("NDCG@10 A 0.1235, B 0.5000 (+0.3765)", "and 2 more judged documents", "doc-3"):
        assert said in shown.text
    assert "doc-5" not in shown.text


def test_one_line_names_what_was_inspected() -> None:
    assert repr(inspection()) == (
        "Inspection(Own set: the 2 queries with the lowest NDCG@10 of A; A is system-0, B is "
        "system-1)"
    )
    assert "\x1b" not in repr(hostile())


def test_html_has_room_for_more_documents() -> None:
    assert "doc-5" in html(inspection())
    assert "doc-5" not in terminal(inspection())


def test_a_document_that_is_not_in_the_corpus() -> None:
    given = inspection()
    gone = replace(given.queries[0].judged[0], in_corpus=False, title="", text="")
    query = replace(given.queries[0], judged=(gone,))
    for render in FORMATS.values():
        assert "not in the corpus" in render(replace(given, queries=(query,)))


def test_rankings_of_several_depths() -> None:
    given = inspection()
    systems = (given.systems[0], replace(given.systems[1], depth=100))
    text = terminal(replace(given, systems=systems))
    assert "- not in the first 1,000 (A), 100 (B)" in text


def test_why_tokens_are_not_counted() -> None:
    given = inspection()
    systems = (replace(given.systems[0], tokens_unknown="no folder"), given.systems[1])
    text = " ".join(terminal(replace(given, systems=systems)).split())
    assert "512 of a document; tokens are not counted: no folder" in text
