"""Markdown as GitHub reads it: narrow, whole, and without what texts would do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.report.formats.hostile import NDCG, TEXTS, many

from gtr_beir.report.board import OWN, Board, Cell, Column, Line
from gtr_beir.report.formats.markdown import WIDTH, markdown
from gtr_beir.report.whole import Report

LONG = "a-long-name-of-a-thing-" * 8
NAMES = ("{}", f"{LONG}{{}}", "a_b*c|d_{}", "*" * 70 + "{}", "<b>&amp;[x](y) {}", "{}" + "囲" * 90)


def rendered(text: str) -> MarkdownIt:
    """GitHub's tables and strikethrough; HTML as GitHub leaves it."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens(text: str) -> Iterator[Token]:
    for token in rendered(text).parse(text):
        yield token
        yield from token.children or ()


def tables(text: str) -> list[list[list[str]]]:
    """The text of each cell of each table."""
    found: list[list[list[str]]] = []
    inside = False
    for token in rendered(text).parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            inside = True
        elif token.type == "inline" and inside:
            found[-1][-1].append(
                "".join(one.content for one in token.children or () if one.type != "html_inline")
            )
            inside = False
    return found


@pytest.mark.parametrize("percent", [False, True])
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("count", [1, 2, 7, 26, 30])
def test_narrow_whatever_the_names_and_however_many(count: int, names: str, percent: bool) -> None:
    text = markdown(many(count, names), percent)
    assert max(map(len, text.splitlines())) <= WIDTH
    rows = [row for table in tables(text) for row in table]
    assert max(map(len, rows)) <= 9
    values = [cell for row in rows for cell in row]
    for at in range(count):
        value = f"{10 + at:.2f}" if percent else f"{0.1 + at / 100:.4f}"
        assert any(cell.startswith(value) for cell in values)


def test_letters_bold_and_marks_as_in_the_report() -> None:
    one, two, three = (Column(n, OWN, "own run", letter=n[0]) for n in ("ape", "bee", "cat"))
    line = Line("x", {one: Cell(0.5, beats="bc", marks=("†",)), two: Cell(0.5), three: Cell(0.4)})
    other = Line("y", {one: Cell(0.1), three: Cell(0.2, beats="a")})
    text = markdown(Report((Board("b", NDCG, (one, two, three), (line, other)),)))
    lines = [row for row in text.splitlines() if "|" in row]
    rows = [[part.strip() for part in row.split("|")[1:-1]] for row in lines]
    assert rows[0] == ["Dataset", "ape (a)", "bee (b)", "cat (c)"]
    assert rows[3] == ["x", "**0.5000**<sup>bc</sup> †", "**0.5000**", "0.4000"]
    assert rows[4] == ["y", "0.1000", "", "**0.2000**<sup>a</sup>"]


def test_all_letters_of_the_best_of_26_are_told() -> None:
    text = markdown(many(26))
    assert "0.3500**<sup>abcdefghijklmnopqrstuvwxy</sup> †" in text
    board = text.split("## Own systems")[0]
    assert len(re.findall(r"\| +a \(a\)", board)) == 1


def test_overall_table_reads_as_the_other_formats() -> None:
    """The difference is of the left system less the other."""
    (table,) = (t for t in tables(markdown(many(2))) if t[0][:2] == ["System", "less"])
    assert table[1] == ["b", "a", "2", "-0.0100", "-0.0200 to +0.0000", "1.0000", "1.0000", "0/1/1"]


def test_the_details_of_a_dataset() -> None:
    text = markdown(many(3))
    assert "<details><summary>set</summary>\n\n" in text
    assert text.count("<details>") == text.count("</details>") == 1
    pairs = next(t for t in tables(text) if t[0] == ["", "a", "b", "c"])
    assert pairs[1:] == [
        ["a a", "", "-0.0100", "-0.0100"],
        ["b b", "+0.0100", "", "-0.0100"],
        ["c c", "+0.0100", "+0.0100", ""],
    ]
    queries = [t for t in tables(text) if t[0] == ["Query", "Text", "a", "b", "c"]]
    assert [len(table) - 1 for table in queries] == [len(TEXTS), 1]
    assert queries[0][1][2:] == ["0.0000", "0.3333", "0.6667"]
    assert queries[0][1][1].startswith("<script>alert(1)</script> <img src"), "to be read"


@pytest.mark.parametrize("names", TEXTS)
def test_hostile_texts_do_nothing(names: str) -> None:
    """Their letters are read as they are: no element, no link, no further block."""
    plain, text = markdown(many(3)), markdown(many(3, names.replace("{", "") + "{}"))
    html = rendered(text).render(text)
    for mark in ("<script", "<img", "<a ", "<h1>item", "<code", "<pre", "<hr", "<s>"):
        assert mark not in html, mark
    allowed = re.compile(r"</?(details|summary|sup)>|<!--.*-->")
    for token in tokens(text):
        assert token.type not in ("link_open", "image", "fence", "code_block", "code_inline", "hr")
        if token.type in ("html_block", "html_inline"):
            for element in re.findall(r"<[^>]*>", token.content):
                assert allowed.fullmatch(element), element
    kinds = ("heading_open", "bullet_list_open", "ordered_list_open")
    blocks = [[t.level for t in tokens(one) if t.type in kinds] for one in (plain, text)]
    assert blocks[0] == blocks[1]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    # GitHub makes links of bare addresses, which the parser here does not; in HTML it does not.
    lines = [line for line in text.splitlines() if not line.startswith("<details>")]
    assert not re.search(r"(https?|ftp)://|www\.[a-z]", "\n".join(lines))


def test_a_note_of_a_star_is_no_list_in_a_list() -> None:
    text = markdown(many(2))
    notes = [t.content for t in tokens(text) if t.type == "inline" and "tuned on it" in t.content]
    assert notes == [r"\* tuned on it"]
    depth = [t.level for t in tokens(text) if t.type == "bullet_list_open"]
    assert set(depth) == {0}
