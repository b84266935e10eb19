"""Ranks of ids against Python's own sort of bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gtr_beir.data.identifiers import IdPacker, rank_ids

texts = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=30)
few = st.text("ab", min_size=1, max_size=20)
shared = few.map(lambda tail: "List_of_things_that_are_" + tail)


def packed(ids: list[str], batch: int = 7):
    packer = IdPacker()
    for start in range(0, len(ids), batch):
        packer.add(ids[start : start + batch])
    return packer.pack()


@given(st.lists(texts | few | shared, unique=True, min_size=1, max_size=60))
def test_rank_is_byte_order(ids: list[str]) -> None:
    ranking = rank_ids(packed(ids))
    by_bytes = sorted(range(len(ids)), key=lambda row: ids[row].encode())
    assert [int(row) for row in np.argsort(ranking.rank)] == by_bytes
    assert ranking.duplicate is None


@given(st.lists(few | shared, min_size=1, max_size=60))
def test_first_duplicate_is_found(ids: list[str]) -> None:
    seen: dict[str, int] = {}
    expected = None
    for row, identifier in enumerate(ids):
        if identifier in seen and expected is None:
            expected = (seen[identifier], row)
        seen.setdefault(identifier, row)
    assert rank_ids(packed(ids)).duplicate == expected


def test_prefixes_come_first() -> None:
    ids = ["abcdefgh", "abcdefghi", "abcdefg", "abcdefgh0"]
    assert rank_ids(packed(ids)).rank.tolist() == [1, 3, 0, 2]
