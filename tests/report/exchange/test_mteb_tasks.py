"""The rows of MTEB's tasks, beside mteb's own."""

from __future__ import annotations

import pytest

from gtr_beir.data.registry import benchmark_names
from gtr_beir.report.exchange.mteb_tasks import MAIN, MtebTask, mteb_tasks

REAL = [task for task in mteb_tasks().values() if task.path]


@pytest.mark.parametrize("task", REAL, ids=lambda task: task.name)
def test_a_task_is_mtebs(task: MtebTask) -> None:
    mteb = pytest.importorskip("mteb")
    theirs = mteb.get_task(task.name)
    about = theirs.metadata
    assert about.dataset == {"path": task.path, "revision": task.revision}
    assert list(about.eval_splits) == [task.split]
    assert about.main_score == MAIN.replace("@", "_at_")
    assert theirs.ignore_identical_ids == (task.self_matches == "drop")


def test_the_mean_of_the_forums_is_of_twelve() -> None:
    mteb = pytest.importorskip("mteb")
    names = {task.metadata.name for task in mteb.get_task("CQADupstackRetrieval").metadata.tasks}
    forums = {task.name for name, task in mteb_tasks().items() if "/" in name}
    assert forums == names
    assert len(forums) == 12
    mean = mteb_tasks()["cqadupstack"]
    assert (mean.path, mean.revision) == ("", "1")


def test_four_datasets_have_no_task() -> None:
    without = set(benchmark_names()) - set(mteb_tasks())
    assert without == {"bioasq", "signal1m", "trec-news", "robust04"}
    assert mteb_tasks()["webis-touche2020"].version == "v2"
