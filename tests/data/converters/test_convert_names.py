"""How a converter is found, and what every one of them offers."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

from gtr_beir.data.converters import CONVERTERS, Converter, Tally, converter, differences, expected
from gtr_beir.data.registry import benchmark_names, registered
from gtr_beir.errors import UsageError


def test_every_gated_dataset_has_a_converter() -> None:
    gated = {name for name in benchmark_names() if getattr(registered(name), "gated", False)}
    assert set(CONVERTERS) == gated


@pytest.mark.parametrize("name", list(CONVERTERS))
def test_a_converter_keeps_the_protocol(name: str) -> None:
    module, _, function = CONVERTERS[name].partition(":")
    assert converter(name) is importlib.import_module(module)
    assert getattr(converter(name), function) is converter(name).documents
    for method in ("documents", "queries", "judgements"):
        wanted = list(inspect.signature(getattr(Converter, method)).parameters.values())[1:]
        offered = inspect.signature(getattr(converter(name), method)).parameters.values()
        assert [(p.name, p.kind, p.default) for p in offered] == [
            (p.name, p.kind, p.default) for p in wanted
        ]


def test_expected_counts() -> None:
    assert expected("robust04") == {"files": 2295, "documents": 528_155}
    assert expected("trec-news") == {"documents": 594_977}
    assert expected("signal1m") == {"documents": 2_866_316}
    bioasq = expected("bioasq")
    assert bioasq["articles"] + bioasq["manual documents"] == bioasq["documents"] == 14_914_603


def test_differences() -> None:
    assert differences("robust04", Tally(files=2295, documents=528_155, other=3)) == []
    assert differences("robust04", Tally(files=2294, documents=528_000)) == [
        "2,294 files where robust04 has 2,295",
        "528,000 documents where robust04 has 528,155",
    ]
    # BEIR's README says "about" 14,913,939 articles: with the right sum, any split will do.
    parts = {"articles": 14_913_940, "manual documents": 663}
    assert differences("bioasq", Tally({**parts, "documents": 14_914_603})) == []
    assert len(differences("bioasq", Tally(articles=14_913_939, documents=14_913_939))) == 2


def test_an_unknown_name() -> None:
    with pytest.raises(
        UsageError, match=r"no converter for 'robust4'; .*; did you mean 'robust04'\?"
    ):
        converter("robust4")


def test_importing_the_converters_needs_no_extra() -> None:
    code = (
        "import sys\n"
        "from gtr_beir.data.converters import CONVERTERS, converter\n"
        "[converter(name) for name in CONVERTERS]\n"
        "sys.exit(bool({'bs4', 'lxml', 'html2text'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
