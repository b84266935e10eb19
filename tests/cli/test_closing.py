"""The closing table: worked out by hand, in 80 columns, and nothing in it that a terminal obeys."""

from __future__ import annotations

from pathlib import Path

from gtr_beir.cli.closing import closing_table
from gtr_beir.evaluation import RunOptions
from gtr_beir.experiment.description import Experiment, SystemChoice
from gtr_beir.experiment.running import Outcome, Work
from gtr_beir.systems.options import Options
from report.results import record

HERE = Path()


def work(names: list[str], datasets: list[str]) -> Work:
    asked = Experiment(tuple(SystemChoice(name, Options()) for name in names), tuple(datasets))
    return Work(asked, tuple(datasets), (RunOptions(),) * len(names), HERE, HERE, False, ())


def test_done_found_failed_and_left() -> None:
    table = closing_table(
        work(["one", "two"], ["small", "middle", "large"]),
        [
            Outcome(0, "one", "small", record("one", "small", 0.25), found=True),
            Outcome(0, "one", "middle", why="middle is damaged; import it again"),
            Outcome(0, "one", "large", record("one", "large", 0.70514)),
            Outcome(1, "two@bf16", "small", record("two@bf16", "small", 1.0)),
        ],
    )
    assert table == "\n".join(
        [
            "NDCG@10           one  two@bf16",
            "-------  ------------  --------",
            "small        0.2500 *  1.0000",
            "middle   failed [1]      left",
            "large        0.7051      left",
            "",
            "[1] middle is damaged; import it again",
            "",
            "2 done, 1 there already (*), 1 failed, 2 left",
        ]
    )


def test_one_reason_is_told_once() -> None:
    found = [Outcome(0, "one", name, why="no weights", loaded=False) for name in ("a", "b")]
    table = closing_table(work(["one"], ["a", "b"]), found)
    assert table.count("no weights") == 1
    assert table.endswith("\n\n2 failed")


def test_long_names_and_reasons_and_many_systems_fit() -> None:
    names = [f"/models/of/somebody/else/number-{n}" for n in range(12)]
    why = "\x1b[31m/a/path/" + "deep/" * 12 + " is damaged " + "and so on " * 12
    table = closing_table(work(names, ["d" * 60]), [Outcome(0, names[0], "d" * 60, why=why)])
    assert max(map(len, table.splitlines())) <= 80
    assert all(f"number-{n}" in table for n in range(12))
    assert table.count("NDCG@10") == 4
    assert table.count("left") == 12, "eleven cells and the count"
    assert "\x1b" not in table
    assert " ".join(why[1:].split()) in " ".join(table.replace("�", "").split())
