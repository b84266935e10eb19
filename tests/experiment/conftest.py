"""Spies stand among the systems."""

from __future__ import annotations

import pytest

from experiment.spies import Spy
from gtr_beir.systems import base


@pytest.fixture
def spies(no_network: None, monkeypatch: pytest.MonkeyPatch) -> type[Spy]:
    """Systems spy-a, spy-b and spy-c; nothing is asked of them yet."""
    for name in ("spy-a", "spy-b", "spy-c"):
        monkeypatch.setitem(base.SYSTEMS, name, "experiment.spies:Spy")
    Spy.asked.clear()
    Spy.on.clear()
    Spy.alive.clear()
    return Spy
