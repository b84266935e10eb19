"""The length protocols are those of the GTR paper, section 4.2, and of the checkpoints."""

from __future__ import annotations

from gtr_beir.data.registry import benchmark_names
from gtr_beir.lengths import Lengths, paper_limit


def test_the_papers_limits() -> None:
    usual = {name: Lengths("paper", 512, 512).limits(name) for name in benchmark_names()}
    assert usual.pop("arguana") == {"query": 512, "document": 512}
    for name in ("robust04", "trec-news"):
        assert usual.pop(name) == {"query": 64, "document": 768}
    assert all(limits == {"query": 64, "document": 512} for limits in usual.values())
    assert paper_limit("a dataset of somebody's own", "query") == 64


def test_the_checkpoints_own_limits() -> None:
    hub = Lengths("hub", 256, 256, 512)
    assert hub.limits("robust04") == {"query": 256, "document": 256}
    assert Lengths("checkpoint", 32, 180).limits("scifact") == {"query": 32, "document": 180}


def test_positions_bound_every_protocol() -> None:
    assert Lengths("paper", 512, 512, 512).limit("robust04", "document") == 512
    assert Lengths("hub", 1024, 1024, 512).limit("scifact", "query") == 512
