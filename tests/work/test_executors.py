"""Processes that work beside this one."""

from __future__ import annotations

import time

from gtr_beir.work.executors import beside


def test_others_are_looked_at_while_they_are_waited_for() -> None:
    """A call that takes longer than the body: time passes, and somebody may want to show it."""
    looked = []
    with beside(time.sleep, [(1.6,)], processes=1, waiting_on=lambda: looked.append(1)):
        assert not looked
    assert len(looked) >= 2
