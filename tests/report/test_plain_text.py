"""Hostile text does nothing on a terminal, in markdown and in HTML, and lines keep their width."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gtr_beir.report.plain_text import (
    cells,
    clean,
    html_text,
    markdown_lines,
    markdown_text,
    shortened,
    summary_text,
    wrapped,
)

UNSEEN = "\u200c"
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from("a 囲\x1b\u202e\u0301\n\\|<>*_`#-+=1."),
    ),
    max_size=200,
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\x1b[31mb", "a [31mb"),
        ("one\r\ntwo\x07\x00three", "one two three"),
        ("left\u202eright\u2066", "leftright"),
        ("\u2028a\u2029b\x9b", "a b"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("  a \t b  ", "a b"),
        ("\ud800lone", "lone"),
    ],
)
def test_clean(text: str, plain: str) -> None:
    assert clean(text) == plain


@given(TEXTS)
def test_no_control_character_is_left(text: str) -> None:
    for found in (clean(text), markdown_text(text), html_text(text), *wrapped(text, 20)):
        assert not {unicodedata.category(letter) for letter in found} & {"Cc", "Zl", "Zp", "Cs"}
        assert "\u202e" not in found


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("囲碁", 4), ("e\u0301", 1), ("", 0)])
def test_cells(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("囲碁囲碁", 5, "囲碁…"), ("ab cd", 4, "ab…")],
)
def test_shortened(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short


@given(TEXTS, st.integers(2, 40))
def test_no_line_is_too_wide_and_no_word_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean(text).split())
    assert cells(shortened(text, width)) <= width


def test_lines_break_at_blanks_and_end_with_an_ellipsis() -> None:
    assert wrapped("one two three four", 9) == ["one two", "three", "four"]
    assert wrapped("one two three four", 9, 2) == ["one two", "three fo…"]
    assert wrapped("one two", 9, 1) == ["one two"]


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://example.org/a.png)",
    "[click](javascript:alert(1))",
    "*bold* _italic_ ~~gone~~ `code`",
    "https://example.org and www.example.org",
    "# heading",
    "- item",
    "1. item",
    "+ item",
    "===",
    "---",
    "> quote",
    "a | b | c",
    "&lt;script&gt; &copy;",
    "back\\slash \\<b>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    """A renderer of GitHub's markdown gives one paragraph, in which the text stands as it is."""
    renderer = MarkdownIt("gfm-like", {"linkify": False, "html": True})
    found = renderer.render("\n".join(markdown_lines(text, 100))).strip()
    assert found.startswith("<p>")
    assert found.endswith("</p>")
    inside = found.removeprefix("<p>").removesuffix("</p>")
    assert "<" not in inside
    assert html.unescape(inside).replace(UNSEEN, "") == text


def test_no_line_of_markdown_begins_a_list_or_a_heading() -> None:
    """Also where a break puts a mark at the beginning."""
    text = "word " * 4 + "- a 1. b # c === --- + d"
    for width in range(6, 40):
        found = MarkdownIt().render("\n".join(markdown_lines(text, width)))
        assert found.count("<") == 2, found


def test_links_are_not_made() -> None:
    """GitHub makes links of bare addresses."""
    assert markdown_text("https://a.org, www.a.org") == "https\\://a.org, www\\.a.org"


# What GitHub looks for in the text that a renderer of markdown leaves, after its documents and
# html-pipeline's MentionFilter: names, formulas, issues, and addresses of mail.
ANSWERED = [
    re.compile(r"(?:^|\W)@[a-z0-9]", re.ASCII | re.IGNORECASE),
    re.compile(r"(?:^|[\s(\[{,.;:|>\"'-])\$\S"),
    re.compile(r"#[0-9]"),
    re.compile(r"[\w.+-]@[\w-]+\.\w", re.ASCII),
]
MENTIONS = [
    ("@octocat @Octo-Cat/team (@x) é@octocat", 4),
    ("$x^2$ and $$y$$, costs $5 or ($6)", 4),
    ("#12 and me/it#3", 2),
    ("me@example.org x@y-z.w", 2),
    ("@@octocat", 1),
]


@pytest.mark.parametrize("write", [markdown_text, summary_text])
@pytest.mark.parametrize(("text", "count"), MENTIONS)
def test_github_answers_nothing(write: Callable[[str], str], text: str, count: int) -> None:
    def answered(shown: str) -> int:
        return sum(len(pattern.findall(shown)) for pattern in ANSWERED)

    assert answered(text) >= count, "it would"
    found = MarkdownIt("commonmark", {"html": True}).render(write(text)).strip()
    shown = html.unescape(found.removeprefix("<p>").removesuffix("</p>"))
    assert answered(shown) == 0
    assert shown.replace(UNSEEN, "") == text


@given(TEXTS)
def test_nothing_else_is_put_into_a_text(text: str) -> None:
    text = text.replace(UNSEEN, "")
    assert html.unescape(summary_text(text)).replace(UNSEEN, "") == clean(text)


@pytest.mark.parametrize("text", ["all-MiniLM@hub", "NDCG@10", "a @ b", "x@", "C# 5", "a@b@bf16"])
def test_labels_are_copied_as_they_are(text: str) -> None:
    assert UNSEEN not in markdown_text(text)
    assert summary_text(text) == html_text(text)


def test_a_dollar_is_escaped_for_other_readers_too() -> None:
    assert markdown_text("$x$") == f"{UNSEEN}\\$x{UNSEEN}\\$"


def test_html_is_escaped() -> None:
    assert html_text("<b a='1' c=\"2\">&\x00") == "&lt;b a=&#x27;1&#x27; c=&quot;2&quot;&gt;&amp;"
