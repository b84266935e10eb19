"""Porter's stemmer with its author's two later changes: what Lucene's PorterStemFilter does.

It gives what NLTK's `PorterStemmer` gives in MARTIN_EXTENSIONS mode with `to_lowercase=False`
(a test compares them). It stands here because importing NLTK costs a second and 180 MB, more than
an index of a small corpus.

A word is measured by its shape, one letter a character: "c" for a consonant, "v" for a vowel. The
shape of a stem is the beginning of the word's shape, and its measure m, the number of vowel runs
that a consonant run follows, is the number of times that "vc" occurs.

Source: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980; and the points of
departure at https://tartarus.org/martin/PorterStemmer/ (bli -> ble, logi -> log, and words of one
or two letters are left as they are).
"""

from __future__ import annotations

import re


class _LetterShapes(dict[int, str]):
    def __missing__(self, code_point: int) -> str:
        return "c"


_LETTER_SHAPES = _LetterShapes({ord(letter): "v" for letter in "aeiou"} | {ord("y"): "y"})
_TWO_UNITS = re.compile("[\U00010000-\U0010ffff]")

# Steps 2, 3 and 4, by the letter before the last one. In step 4 a suffix is dropped.
_STEP_2 = {
    "a": (("ational", "ate"), ("tional", "tion")),
    "c": (("enci", "ence"), ("anci", "ance")),
    "e": (("izer", "ize"),),
    "l": (("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous")),
    "o": (("ization", "ize"), ("ation", "ate"), ("ator", "ate")),
    "s": (("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous")),
    "t": (("aliti", "al"), ("iviti", "ive"), ("biliti", "ble")),
    "g": (("logi", "log"),),
}
_STEP_3 = {
    "t": (("icate", "ic"), ("iciti", "ic")),
    "v": (("ative", ""),),
    "z": (("alize", "al"),),
    "a": (("ical", "ic"),),
    "u": (("ful", ""),),
    "s": (("ness", ""),),
}
_STEP_4 = {
    "a": ("al",),
    "c": ("ance", "ence"),
    "e": ("er",),
    "i": ("ic",),
    "l": ("able", "ible"),
    "n": ("ant", "ement", "ment", "ent"),
    "o": ("sion", "tion", "ou"),
    "s": ("ism",),
    "t": ("ate", "iti"),
    "u": ("ous",),
    "v": ("ive",),
    "z": ("ize",),
}


def stem(word: str) -> str:
    """The stem of a lower-case word; what is no Latin letter counts as a consonant."""
    if not word.isascii() and max(word) > "\uffff":
        # Lucene counts UTF-16 units: a letter of two units gets a second consonant meanwhile.
        return _stem(_TWO_UNITS.sub("\\g<0>\uffff", word)).replace("\uffff", "")
    return _stem(word)


def _stem(word: str) -> str:
    if len(word) <= 2:
        return word
    word = _step_1(word)
    word = _replace(word, _STEP_2)
    word = _replace(word, _STEP_3)
    return _step_5(_step_4(word))


def _shape(word: str) -> str:
    """A word's shape; y is a vowel after a consonant, and elsewhere a consonant."""
    shape = word.translate(_LETTER_SHAPES)
    at = shape.find("y")
    while at >= 0:
        kind = "v" if at and shape[at - 1] == "c" else "c"
        shape = f"{shape[:at]}{kind}{shape[at + 1 :]}"
        at = shape.find("y", at + 1)
    return shape


def _ends_with_double_consonant(word: str, shape: str) -> bool:
    """The paper's *d."""
    return word[-2:-1] == word[-1:] and shape[-1:] == "c"


def _ends_short(word: str, shape: str) -> bool:
    """The paper's *o: consonant, vowel, consonant, and the last is not w, x or y."""
    return shape[-3:] == "cvc" and word[-1] not in "wxy"


def _step_1(word: str) -> str:
    """Plurals and -ed or -ing; y becomes i where there is another vowel."""
    if word[-1] == "s":
        if word.endswith(("sses", "ies")):
            word = word[:-2]
        elif word[-2] != "s":
            word = word[:-1]
    if word.endswith("eed"):
        if "vc" in _shape(word[:-3]):
            word = word[:-1]
    elif word.endswith(("ed", "ing")):
        part = word[:-2] if word[-1] == "d" else word[:-3]
        shape = _shape(part)
        if "v" in shape:
            word = _mend(part, shape)
    if word[-1] == "y" and "v" in _shape(word[:-1]):
        word = f"{word[:-1]}i"
    return word


def _mend(part: str, shape: str) -> str:
    """Step 1b's second half: what is left without -ed or -ing becomes a word again."""
    if part.endswith(("at", "bl", "iz")):
        return f"{part}e"
    if _ends_with_double_consonant(part, shape):
        return part if part[-1] in "lsz" else part[:-1]
    if shape.count("vc") == 1 and _ends_short(part, shape):
        return f"{part}e"
    return part


def _replace(word: str, rules: dict[str, tuple[tuple[str, str], ...]]) -> str:
    """Steps 2 and 3: the first suffix that fits is replaced, if the stem has m > 0."""
    for suffix, replacement in rules.get(word[-2:-1], ()):
        if word.endswith(suffix):
            part = word[: -len(suffix)]
            return f"{part}{replacement}" if "vc" in _shape(part) else word
    return word


def _step_4(word: str) -> str:
    """The first suffix that fits is dropped, if the stem has m > 1; -ion only after s or t."""
    for suffix in _STEP_4.get(word[-2:-1], ()):
        if word.endswith(suffix):
            part = word[: -3 if suffix in ("sion", "tion") else -len(suffix)]
            return part if _shape(part).count("vc") > 1 else word
    return word


def _step_5(word: str) -> str:
    """A last e, and one of a last ll."""
    last = word[-1]
    if last not in "el":
        return word
    shape = _shape(word)
    measure = shape.count("vc")
    if last == "e" and (measure > 1 or (measure == 1 and not _ends_short(word[:-1], shape[:-1]))):
        word, shape = word[:-1], shape[:-1]
    if word[-1] == "l" and measure > 1 and _ends_with_double_consonant(word, shape):
        word = word[:-1]
    return word
