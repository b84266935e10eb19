"""NanoBEIR's 13 samples: a suite of their own, beside no whole dataset."""

from __future__ import annotations

import csv

import pytest

from doubles import SHARED
from gtr_beir.data.registry import benchmark_names, nano_names, registered, suite, suites
from gtr_beir.lengths import paper_limit


def test_a_suite_of_their_own() -> None:
    assert suite("nano") == nano_names()
    assert len(nano_names()) == 13
    for name, members in suites().items():
        assert name == "nano" or not set(members) & set(nano_names())
    assert not set(benchmark_names()) & set(nano_names())


def test_each_is_a_sample_of_a_dataset() -> None:
    for name in nano_names():
        whole, nano = registered(name.removeprefix("nano-")), registered(name)
        assert whole is not None
        assert nano is not None
        assert nano.title == f"Nano {whole.title}"
        assert nano.documents is not None
        assert whole.documents is not None
        assert nano.documents < whole.documents
        assert nano.trained_on == whole.trained_on
        for kind in ("query", "document"):
            assert paper_limit(name, kind) == paper_limit(whole.name, kind)
    assert paper_limit("nano-arguana", "query") == 512


def test_as_published() -> None:
    facts = SHARED.parent / "reference" / "nanobeir.csv"
    if not facts.is_file():
        pytest.skip(f"the facts are not at {facts}")
    with facts.open(encoding="utf-8", newline="") as lines:
        rows = {row["hub_id"]: row for row in csv.DictReader(lines)}
    for name in nano_names():
        spec = registered(name)
        assert spec is not None
        assert spec.hub is not None
        row = rows[str(spec.hub["nano"])]
        assert row["revision"] == spec.hub["nano_revision"]
        assert (int(row["documents"]), int(row["queries"])) == (spec.documents, spec.queries)
