"""Text from data, made harmless and short: for a terminal, for markdown, for HTML.

Texts and ids are anybody's. What a terminal would obey (control characters), what turns the
direction of a line, and what markdown or HTML would take for markup is made plain here.
"""

from __future__ import annotations

import html
import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Persian, Indic scripts and emoji are written with them."""
# A star and a less-than that blanks surround are themselves; so is an underscore within a word.
_MARKUP = re.compile(r"([\\`\[\]>|#~&$]|<(?=\S)|(?<=\S)\*|\*(?=\S)|(?<!\w)_|_(?!\w))", re.ASCII)
_LINE_START = re.compile(r"^(\s*)([-+=]|\*(?!\S)|\d+(?=[.)]))")
_LINK = re.compile(r"(?<=[a-zA-Z]):(?=//)|(?<=www)\.", re.IGNORECASE)
_UNSEEN = "\u200c"
"""The non-joiner: no blank, no letter of a name, and nothing to see between Latin letters."""
# A name after a blank or a sign, an address's host, the number of an issue; GitHub knows ASCII.
_MENTION = re.compile(
    r"((?<!\w)@(?=[a-z0-9])|@(?=[\w-]*\.\w)|#(?=[0-9]))", re.ASCII | re.IGNORECASE
)


def printable(text: str) -> str:
    """Text with every blank kept; what a terminal would act on, a line break too, is shown as a
    replacement character."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def clean(text: str) -> str:
    """One line without control characters; each run of them and of blanks becomes one blank.

    Marks that turn the direction of text or cannot be seen are taken away.
    """
    kept = []
    for letter in text:
        category = unicodedata.category(letter)
        if category in ("Cc", "Zl", "Zp", "Cs"):
            kept.append(" ")
        elif category != "Cf" or letter in _JOINERS:
            kept.append(letter)
    return " ".join("".join(kept).split())


def cells(text: str) -> int:
    """Columns that a line takes on a terminal: two for a wide character, none for an accent."""
    return sum(map(_cells_of, text))


def _cells_of(letter: str) -> int:
    if unicodedata.combining(letter) or letter in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def shortened(text: str, width: int) -> str:
    """The text, clean and in at most `width` cells; an ellipsis stands for what is left out."""
    text = clean(text)
    if cells(text) <= width:
        return text
    kept, used = [], 1
    for letter in text:
        used += _cells_of(letter)
        if used > width:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + "…"


def wrapped(text: str, width: int, most: int | None = None) -> list[str]:
    """The text, clean, as lines of at most `width` cells; the last of `most` lines ends with an
    ellipsis where more would follow. Words that are longer than a line are broken."""
    lines: list[str] = []
    left = clean(text)
    while left:
        if len(lines) + 1 == most:
            return [*lines, shortened(left, width)]
        end = _break(left, width)
        lines.append(left[:end].rstrip())
        left = left[end:].lstrip()
    return lines


def _break(text: str, width: int) -> int:
    """Where the first line of `text` ends: at a blank if there is one, at one letter at least."""
    used, blank = 0, 0
    for place, letter in enumerate(text):
        if letter == " ":
            blank = place
        used += _cells_of(letter)
        if used > width:
            return blank or max(place, 1)
    return len(text)


def markdown_text(text: str) -> str:
    """Clean, with a backslash before what markdown takes for markup, and no link, mention or
    formula."""
    return _LINK.sub(lambda found: "\\" + found[0], _MARKUP.sub(r"\\\1", _unanswered(clean(text))))


def _unanswered(text: str) -> str:
    """GitHub looks for mentions, addresses, issues and formulas in what is left when markdown has
    been read, where no backslash is seen; so a character that is not seen ends them."""
    return _MENTION.sub(rf"\1{_UNSEEN}", text).replace("$", f"{_UNSEEN}$")


def summary_text(text: str) -> str:
    """For HTML in a file of markdown, which GitHub searches for mentions and formulas too."""
    return html_text(_unanswered(clean(text)))


def markdown_lines(text: str, width: int) -> list[str]:
    """`markdown_text` as lines, none of which begins a list or a heading."""
    lines = wrapped(markdown_text(text), width)
    # A break never falls between a backslash and what it escapes unless a word fills a line.
    return [no_block(line) for line in lines]


def no_block(line: str) -> str:
    """A line of markdown that begins no list and underlines no heading."""
    return _LINE_START.sub(_escaped_start, line)


def _escaped_start(found: re.Match[str]) -> str:
    if found[2].isdigit():
        return f"{found[1]}{found[2]}\\"
    return f"{found[1]}\\{found[2]}"


def html_text(text: str) -> str:
    """Clean and escaped, also for an attribute."""
    return html.escape(clean(text), quote=True)


def short(name: str, most: int = 15) -> str:
    """A name of at most so many characters, which is what fits above a column; its middle is left
    out if it is long."""
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
