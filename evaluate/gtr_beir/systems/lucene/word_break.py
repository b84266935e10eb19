"""Lucene's StandardTokenizer: Unicode word break (UAX #29), as its grammar has it.

The text is mapped to a string of the same length with one symbol a character (see
`word_break_ranges`), and the grammar's rules are regular expressions over the symbols. At each
place the longest match of any rule is a token; a character that begins none is skipped.

Where Lucene differs from the default word boundaries of UAX #29:

- What holds no letter, digit, ideograph, syllable or emoji is no token; default boundaries would
  make a segment of each piece of punctuation.
- A run of Complex_Context characters (Thai, Lao, Khmer, Myanmar) is one token, for the default
  rules leave these to a dictionary; each Han and Hiragana character is a token.
- A sequence of emoji is one token by the rule of UTS #51, instead of WB3c, WB15 and WB16.
- Between Hebrew letters, a double quote joins only one pair: after it a new unit begins.
- A token ends after 255 UTF-16 units at the latest, and the rest begins another one.

Sources: Unicode Standard Annex #29, https://www.unicode.org/reports/tr29/; Unicode Technical
Standard #51; the comments of Lucene's StandardTokenizer.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from gtr_beir.systems.lucene.word_break_ranges import RANGES

MAXIMUM_TOKEN_LENGTH = 255
"""UTF-16 units in a token (Lucene's StandardAnalyzer.DEFAULT_MAX_TOKEN_LENGTH)."""

_OTHER = "o"


class _Classes(dict[int, str]):
    """Code point -> symbol; what was asked for is kept, so that `str.translate` stays fast."""

    def __init__(self) -> None:
        bounds = sorted(
            (int(first, 16), int(last or first, 16), symbol)
            for symbol, ranges in RANGES.items()
            for first, _, last in (piece.partition("-") for piece in ranges.split())
        )
        self._firsts = [first for first, _, _ in bounds]
        self._lasts = [last for _, last, _ in bounds]
        self._symbols = [symbol for _, _, symbol in bounds]

    def __missing__(self, code_point: int) -> str:
        at = bisect_right(self._firsts, code_point) - 1
        inside = at >= 0 and code_point <= self._lasts[at]
        symbol = self[code_point] = self._symbols[at] if inside else _OTHER
        return symbol


_CLASSES = _Classes()

# WB4: Extend, Format and ZWJ belong to what stands before them.
_IGNORED = "[xzKgfmtTS]*"
# The same without the presentation selectors, which have a meaning among emoji.
_IGNORED_IN_EMOJI = "[xzKmtTS]*"


def _word_rule() -> str:
    """WB5 to WB13b: letters, digits and Katakana with what stands between them."""
    letter, hebrew, number, katakana, connector, single, double, mid_letter, mid_number = (
        f"[{symbols}]{_IGNORED}" for symbols in ("aAh", "h", "nd", "k", "U", "q", "D", "LBq", "MBq")
    )
    unit = (
        f"(?:{hebrew}(?:{single}|{double}{hebrew})"  # WB7a, WB7b, WB7c
        f"|{number}(?:{mid_number}{number})*"  # WB11, WB12
        f"|{letter}(?:{mid_letter}{letter})*)+"  # WB6, WB7; and WB5, WB8, WB9, WB10
    )
    piece = f"(?:(?:{katakana})+|{unit})"  # WB13
    return f"(?:{connector})*{piece}(?:(?:{connector})+{piece})*(?:{connector})*"  # WB13a, WB13b


def _emoji_rule() -> str:
    """An emoji, or several that ZWJ joins, or a flag that is spelt with tags (UTS #51).

    The joiner may have been matched already, as part of what is ignored after an emoji.
    """
    one = f"(?:z*[eA]{_IGNORED_IN_EMOJI}f?|m{_IGNORED_IN_EMOJI})"
    return f"{one}(?:t+T|(?:(?:(?<=z)|z){one})*)"


_WORD = re.compile(_word_rule())
_EMOJI = re.compile(_emoji_rule())
_KEYCAP = re.compile(f"[dp]{_IGNORED_IN_EMOJI}f?K{_IGNORED_IN_EMOJI}")
_FLAG = re.compile(f"r{_IGNORED}r{_IGNORED}")
_COMPLEX_CONTEXT = re.compile(f"(?:[sS]{_IGNORED})+")
_SINGLE = re.compile(f"c{_IGNORED}")

# Rules by the symbol that a token may begin with.
_RULES = {
    "a": (_WORD,),
    "h": (_WORD,),
    "n": (_WORD,),
    "k": (_WORD,),
    "U": (_WORD,),
    "d": (_WORD, _KEYCAP),
    "A": (_WORD, _EMOJI),
    "e": (_EMOJI,),
    "m": (_EMOJI,),
    "z": (_EMOJI,),
    "p": (_KEYCAP,),
    "r": (_FLAG,),
    "s": (_COMPLEX_CONTEXT,),
    "S": (_COMPLEX_CONTEXT,),
    "c": (_SINGLE,),
}
_START = re.compile(f"[{''.join(_RULES)}]")


def words(text: str) -> list[str]:
    """The tokens of `text`, in order and as they are written."""
    symbols = text.translate(_CLASSES)
    has_pairs = not text.isascii() and max(text) > "\uffff"
    found = []
    start = _START.search(symbols)
    while start:
        first = start.start()
        window = _window(text, first) if has_pairs else first + MAXIMUM_TOKEN_LENGTH
        end = first
        for rule in _RULES[symbols[first]]:
            match = rule.match(symbols, first, window)
            if match and match.end() > end:
                end = match.end()
        if end > first:
            found.append(text[first:end])
        start = _START.search(symbols, max(end, first + 1))
    return found


def _window(text: str, first: int) -> int:
    """The end of the longest piece from `first` that has no more than 255 UTF-16 units."""
    units = 0
    for at, character in enumerate(text[first : first + MAXIMUM_TOKEN_LENGTH], start=first):
        units += 1 + (character > "\uffff")
        if units > MAXIMUM_TOKEN_LENGTH:
            return at
    return first + MAXIMUM_TOKEN_LENGTH
