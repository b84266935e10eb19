"""The analyzer against a table of expectations, against NLTK and against Unicode's properties."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtr_beir.systems.lucene import analysis
from gtr_beir.systems.lucene.analysis import STOP_WORDS, TermTable, analyze, term_hash
from gtr_beir.systems.lucene.porter import stem
from gtr_beir.systems.lucene.segment import build_segment
from gtr_beir.systems.lucene.word_break import words
from gtr_beir.systems.lucene.word_break_ranges import RANGES

TABLE = Path(__file__).with_name("tricky_strings.tsv")
"""text, its terms, the reason; text and terms as JSON. The reasons are the rules of UAX #29 that
the issue's tokenizer is made of, and Lucene's documented filters."""


def tricky_strings() -> list[tuple[str, list[str], str]]:
    rows = [line.split("\t") for line in TABLE.read_text("utf-8").split("\n")[:-1]]
    return [(json.loads(text), json.loads(terms), reason) for text, terms, reason in rows]


def bulk(table: TermTable, texts: list[str] | list[bytes]) -> list[Counter[int]]:
    """What the bulk path counts, as hashes."""
    places, numbers = table.count(texts)
    hashes = table.hashes()
    counts: list[Counter[int]] = [Counter() for _ in texts]
    for place, number in zip(places.tolist(), numbers.tolist(), strict=True):
        counts[place][int(hashes[number])] += 1
    return counts


def test_table_is_large_enough_and_gives_reasons() -> None:
    rows = tricky_strings()
    assert len({text for text, _, _ in rows}) == len(rows) >= 300
    assert all(reason.strip() for _, _, reason in rows)


@pytest.mark.parametrize(
    ("text", "terms", "reason"),
    tricky_strings(),
    ids=[str(n) for n in range(len(tricky_strings()))],
)
def test_tricky_string(text: str, terms: list[str], reason: str) -> None:
    assert analyze(text) == terms, reason


def test_bulk_path_gives_the_same_terms() -> None:
    texts = [text for text, _, _ in tricky_strings()]
    expected = [Counter(map(term_hash, terms)) for _, terms, _ in tricky_strings()]
    assert bulk(TermTable(), texts) == expected
    assert bulk(TermTable(), [text.encode() for text in texts]) == expected


# What most often stands beside each other in what the rules speak of.
ALPHABET = "ab1sS_.,:;'\"#*-/ \n\t\u00e9\u03a3\u0130\u0301\u00ad\u200b\u200d\ufe0f\u20e3\u2019"
ALPHABET += "\u05d0\u05f4\u65e5\u3042\u30ab\ud55c\u0e01\u0e31\U0001f600\U0001f3fd\U0001f1e6\ufffd"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from(ALPHABET), max_size=30) | st.text(max_size=30), max_size=5))
def test_bulk_path_equals_the_plain_one(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    assert bulk(TermTable(), texts) == [Counter(map(term_hash, analyze(text))) for text in texts]


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(ALPHABET), max_size=400))
def test_tokens_are_pieces_of_the_text_in_order(text: str) -> None:
    at = 0
    for word in words(text):
        assert word
        assert len(word.encode("utf-16-le")) <= 2 * 255
        at = text.index(word, at) + len(word)


def test_lone_surrogates_are_no_tokens() -> None:
    assert analyze("x\ud800y\udfffz") == ["x", "y", "z"]
    assert bulk(TermTable(), ["x\ud800y"]) == [Counter(map(term_hash, "xy"))]


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    for bad in (b"a \xff b", b"a\xffb"):
        with pytest.raises(ValueError, match=r"UTF-8|utf-8"):
            TermTable().count([bad])


def test_table_forgets_when_the_limit_is_passed() -> None:
    table = TermTable(limit=100)
    bulk(table, [" ".join(f"w{n} v{n}/u{n},t{n}" for n in range(200))])
    assert len(table) > 100
    table.trim()
    assert len(table) == 1
    assert bulk(table, ["w1"]) == [Counter([term_hash("w1")])]


def test_long_pieces_are_not_kept() -> None:
    table = TermTable()
    bulk(table, ["\u65e5" * 1000])
    assert max(map(len, table)) < 100


def test_there_are_33_stop_words() -> None:
    assert len(STOP_WORDS) == 33


def test_hash_is_the_first_eight_bytes_of_blake2b() -> None:
    # RFC 7693's hash with an 8-byte digest, as b2sum -l 64 prints it for "abc": byte order as is.
    assert term_hash("abc").to_bytes(8, "little").hex() == "d8bb14d833d59559"


SUFFIXES = re.findall(
    "[a-z]+",
    """ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness
    fulness ousness aliti iviti biliti logi icate ative alize iciti ical ful ness al ance ence er
    ic able ible ant ement ment ent sion tion ion ou ism ate iti ous ive ize s es ies sses ed eed
    ing y e ll l at bl iz""",
)


def made_up_words(count: int) -> list[str]:
    source = random.Random(1980)
    letters = "aeiouybcdlstzwxn'1\u00e9"
    found = {
        "".join(source.choices(letters, k=source.randint(0, 5)))
        + "".join(source.choices(SUFFIXES, k=source.randint(0, 3)))
        for _ in range(count)
    }
    return sorted(found - {""})


@pytest.mark.filterwarnings("ignore")
def test_stems_are_those_of_nltk() -> None:
    porter = pytest.importorskip(
        "nltk.stem.porter", reason="NLTK is the reference, not a dependency"
    )
    reference = porter.PorterStemmer(mode=porter.PorterStemmer.MARTIN_EXTENSIONS)
    for word in made_up_words(20_000):
        assert stem(word) == reference.stem(word, to_lowercase=False), word


def test_stem_counts_utf_16_units() -> None:
    assert stem("\U0001d41as") == "\U0001d41a"  # three units; NLTK sees two characters
    assert stem("as") == "as"


def classes() -> dict[int, str]:
    found = {}
    for symbol, ranges in RANGES.items():
        for piece in ranges.split():
            first, _, last = piece.partition("-")
            for code_point in range(int(first, 16), int(last or first, 16) + 1):
                assert code_point not in found, f"{code_point:X} has two classes"
                found[code_point] = symbol
    return found


# Word_Break of these changed after Unicode 12.1, up to 17.
CHANGED = {0xB8, *range(0x2E5, 0x2EC), 0x55A, 0x55F, 0x58A, 0x6DD, 0x70F, 0xFE10, 0xFE14}


def test_classes_agree_with_word_break_of_a_later_unicode() -> None:
    regex = pytest.importorskip(
        "regex", reason="the property data of the regex package is the oracle"
    )
    properties = {
        "ALetter": "aA",
        "Hebrew_Letter": "h",
        "Numeric": "dn",
        "Katakana": "k",
        "MidLetter": "L",
        "MidNumLet": "B",
        "MidNum": "M",
        "ExtendNumLet": "U",
        "Regional_Indicator": "r",
    }
    ours = classes()
    complex_context = regex.compile(r"\p{Line_Break=Complex_Context}").match
    for name, symbols in properties.items():
        matches = regex.compile(rf"\p{{Word_Break={name}}}").match
        for code_point in range(0x30000):
            letter = chr(code_point)
            if code_point in CHANGED or complex_context(letter):
                continue
            if ours.get(code_point, "o") in symbols:
                assert matches(letter), f"U+{code_point:X} is no {name}"
            elif matches(letter):
                # What Unicode 3.2 had is in 12.1 as well; later letters may have come after it.
                old = unicodedata.ucd_3_2_0.category(letter) != "Cn"
                assert not old, f"U+{code_point:X} is {name}"


@pytest.mark.parametrize(
    ("symbols", "pattern", "changed"),
    [
        ("c", r"[\p{Script=Han}\p{Script=Hiragana}]", set()),
        ("sS", r"\p{Line_Break=Complex_Context}", {0x19DA}),
        (
            "xSzKgfmtT",
            r"[\p{Word_Break=Extend}\p{Word_Break=Format}\p{Word_Break=ZWJ}]",
            {*range(0x600, 0x606), 0x6DD, 0x70F, 0x8E2, 0x110BD, 0x110CD},
        ),
    ],
)
def test_other_classes_agree_with_a_later_unicode(
    symbols: str, pattern: str, changed: set[int]
) -> None:
    regex = pytest.importorskip(
        "regex", reason="the property data of the regex package is the oracle"
    )
    matches = regex.compile(pattern).match
    differing = {
        code_point
        for code_point, symbol in classes().items()
        if symbol in symbols and not matches(chr(code_point))
    }
    assert differing == changed


def test_collision_of_two_terms_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "term_hash", lambda term: len(term))
    assert len(build_segment(["cat bird"])["hashes"]) == 2
    with pytest.raises(ValueError, match="same 64-bit hash"):
        build_segment(["cat dog"])


def test_numbers_of_terms_have_the_documented_types() -> None:
    places, numbers = TermTable().count(["x y", "", "x,y"])
    assert places.dtype == np.int64
    assert numbers.dtype == np.int32
    assert places.tolist() == [0, 0, 2, 2]
    assert Counter(numbers.tolist()) == {0: 2, 1: 2}
