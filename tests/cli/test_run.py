"""`gtr-beir run` and `plan` of several systems, from arguments and from a file."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.spies import Spy, raising, some
from gtr_beir import cli
from gtr_beir.cli.closing import WIDTH
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record
from gtr_beir.report.texts.top_lengths import KEPT
from gtr_beir.systems import base
from refusal import Refused

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def spies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("spy-a", "spy-b"):
        monkeypatch.setitem(base.SYSTEMS, name, "experiment.spies:Spy")
    Spy.asked.clear()
    Spy.on.clear()
    Spy.alive.clear()


def named(*datasets: str) -> list[str]:
    return [word for name in datasets for word in ("-d", name)]


def table_of(told: str) -> list[list[str]]:
    """The words of the closing table's lines, headers first."""
    lines = told[told.index("NDCG@10", told.rindex("|key:")) :].splitlines()
    return [line.split() for line in lines[: lines.index("")]]


@pytest.mark.usefixtures("spies")
def test_a_damaged_dataset_does_not_stop_the_rest(
    datasets: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some(datasets, one=2, two=4, three=6)
    (datasets / "two" / "queries.arrow").write_bytes(b"damaged")
    assert cli.main(["run", "spy-a", "spy-b", *named("three", "two", "one")]) == 1
    told = capsys.readouterr()
    assert [line.split()[:2] for line in told.out.splitlines() if "|key:" in line] == [
        ["one", "spy-a"],
        ["three", "spy-a"],
        ["one", "spy-b"],
        ["three", "spy-b"],
    ]
    scores = {s: Record.read(results / s / "one").measures["ndcg@10"] for s in ("spy-a", "spy-b")}
    header, _, *lines = table_of(told.out)
    assert header == ["NDCG@10", "spy-a", "spy-b"]
    assert [line[0] for line in lines] == ["one", "two", "three"]
    assert lines[0][1:] == [f"{scores['spy-a']:.4f}", f"{scores['spy-b']:.4f}"]
    assert lines[1][1:] == ["failed", "[1]", "failed", "[1]"]
    assert told.out.endswith("\n4 done, 2 failed\n")
    failed = [line for line in told.err.splitlines() if line.startswith("gtr-beir: ")]
    assert len(failed) == 2
    assert failed[0].startswith(f"gtr-beir: spy-a failed on two: {datasets / 'two'}")


@pytest.mark.usefixtures("spies")
def test_one_system_goes_on_as_well(datasets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some(datasets, one=2, two=4)
    Spy.on["spy-a", "one"] = raising(OSError(28, "No space left on device", "/full"))
    assert cli.main(["run", "spy-a", *named("one", "two"), "-q"]) == 1
    told = capsys.readouterr()
    assert told.err == "gtr-beir: spy-a failed on one: /full: No space left on device\n"
    assert told.out.startswith("two  spy-a  NDCG@10 ")
    assert told.out.count("\n") == 1, "-q: results alone"


def test_progress_has_the_label(datasets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some(datasets, one=3)
    assert cli.main(["run", "bm25-flat", "-d", "one", "--label", "mine"]) == 0
    assert "mine on one: 3 of 3 documents" in capsys.readouterr().err
    assert cli.main(["run", str(CHECKPOINT_DIR), "-d", "one", "--label", "toy-one"]) == 0
    assert "toy-one on one: 3 of 3 documents" in capsys.readouterr().err
    # Found again, whatever does not decide it.
    toy = ["run", str(CHECKPOINT_DIR), "-d", "one", "--label", "toy-one", "--device", "cpu"]
    assert cli.main([*toy, "--batch-tokens", "99"]) == 0


@pytest.mark.usefixtures("spies")
def test_one_result_has_no_table(datasets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some(datasets, one=2)
    assert cli.main(["run", "spy-a", *named("one")]) == 0
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    assert "there already" not in told.err
    assert cli.main(["run", "spy-a", *named("one")]) == 0
    again = capsys.readouterr()
    assert again.out == told.out
    assert "  it was there already; --again does it anew\n" in again.err
    assert cli.main(["run", "spy-a", *named("one"), "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("spies")
def test_interrupted_it_says_what_is_left_and_continues(
    datasets: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some(datasets, one=2, two=4, three=6)
    command = ["run", "spy-a", "spy-b", *named("one", "two", "three")]
    Spy.on["spy-a", "two"] = raising(KeyboardInterrupt())
    assert cli.main(command) == 130
    told = capsys.readouterr()
    assert [line[1:] for line in table_of(told.out)[3:]] == [["left", "left"]] * 2
    assert told.out.endswith("\n1 done, 5 left\n")
    assert "the same command continues from there" in told.err
    before = (results / "spy-a" / "one" / RECORD).read_bytes()
    Spy.on.clear()
    Spy.asked.clear()
    assert cli.main(command) == 0
    assert capsys.readouterr().out.endswith("\n5 done, 1 there already (*)\n")
    assert ("spy-a", "one") not in Spy.asked
    assert (results / "spy-a" / "one" / RECORD).read_bytes() == before


def kept(results: Path) -> dict[str, object]:
    """What a run leaves, by path: rankings and per-query values to the byte, and of records all
    but times."""
    found: dict[str, object] = {}
    for path in sorted(results.rglob("*")):
        place = str(path.relative_to(results))
        if path.name == RUN:
            found[place] = gzip.decompress(path.read_bytes())
        elif path.name == PER_QUERY:
            found[place] = path.read_bytes()
        elif path.name == RECORD:
            value = json.loads(path.read_text())
            value.pop("finished")
            value.pop("digest")
            value["facts"].pop("seconds")
            found[place] = value
    return found


def test_the_same_bytes_as_commands_of_their_own(
    datasets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of three systems, two of them toys that encode, beside three commands."""
    some(datasets, one=5)
    toy, late = str(CHECKPOINT_DIR), f"colbert:{COLBERT_DIR}"
    both = [*named("one", "demo"), "--offline", "-q"]
    apart = [*both, "--results-dir", str(tmp_path / "apart")]
    assert cli.main(["run", "bm25-flat", *apart]) == 0
    assert cli.main(["run", toy, *apart, "--dtype", "bf16", "--label", "toy"]) == 0
    run = tmp_path / "apart" / "bm25-flat"
    assert cli.main(["run", late, *apart, "--depth", "3", "--rerank", str(run)]) == 0
    (tmp_path / "experiment.toml").write_text(
        f"""
        datasets = ["one"]
        suite = "demo"
        reports = ["md", "csv"]
        baseline = "{toy}"
        results_dir = "unused"
        [[systems]]
        name = "bm25-flat"
        [[systems]]
        name = "{toy}"
        dtype = "bf16"
        label = "toy"
        [[systems]]
        name = "{late}"
        depth = 3
        rerank = "together/bm25-flat"
        """
    )
    together = ["run", "experiment.toml", "--offline", "--results-dir", "together"]
    assert cli.main(together) == 0
    found, expected = kept(tmp_path / "together"), kept(tmp_path / "apart")
    assert len(expected) == 18
    assert found == expected
    assert not (tmp_path / "unused").exists()
    board = (tmp_path / "together" / "leaderboard.md").read_text()
    assert "than toy (paired randomisation test" in board
    told = capsys.readouterr()
    assert "written: together/leaderboard.md\nwritten: together/leaderboard.csv\n" in told.err
    assert max(len(line) for line in told.out.splitlines() if "|key:" not in line) <= WIDTH
    code = subprocess.run(
        [sys.executable, "-m", "gtr_beir", *together, "-q"], capture_output=True, text=True
    )
    assert code.returncode == 0, code.stderr
    assert code.stderr == ""
    assert [line.split()[0] for line in code.stdout.splitlines()] == ["one", "demo"] * 3
    assert kept(tmp_path / "together") == expected


@pytest.mark.parametrize("silent", [[], ["-q"]])
def test_the_page_of_an_experiment_is_the_leaderboards(
    silent: list[str], datasets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With texts of queries and what lengths do, from the datasets that were searched."""
    some(tmp_path / "elsewhere", one=8)
    (tmp_path / "experiment.toml").write_text(
        'datasets = ["one"]\nreports = ["html", "figures"]\ndatasets_dir = "elsewhere"\n'
        '[[systems]]\nname = "bm25-flat"\n'
    )
    assert cli.main(["run", "experiment.toml", "--results-dir", "r", *silent]) == 0
    told = capsys.readouterr().err
    assert ("counting words of the first 10 documents of bm25-flat on one" in told) == (not silent)
    written = {
        path.relative_to("r"): path.read_bytes()
        for path in [Path("r/leaderboard.html"), *Path("r/figures").iterdir()]
    }
    page = written[Path("leaderboard.html")].decode()
    assert "rain 1" in page, "a query's text"
    assert (Path("r/bm25-flat/one") / KEPT).is_file(), "words were counted"
    assert Path("figures/top-words.svg") in written
    command = ["leaderboard", "--format", "html,figures", "--datasets-dir", "elsewhere"]
    assert cli.main([*command, "--results-dir", "r"]) == 0
    assert {path: (Path("r") / path).read_bytes() for path in written} == written


@pytest.mark.usefixtures("spies")
def test_a_leaderboard_that_fails_is_told(
    datasets: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For want of a baseline whose runs failed, or of a place."""
    some(datasets, one=2, two=4)
    (tmp_path / "experiment.toml").write_text(
        'datasets = ["one", "two"]\nreports = ["md"]\nbaseline = "spy-b"\n'
        '[[systems]]\nname = "spy-a"\n[[systems]]\nname = "spy-b"\n'
    )
    for dataset in ("one", "two"):
        Spy.on["spy-b", dataset] = raising(MemoryError())
    assert cli.main(["run", "experiment.toml"]) == 1
    told = capsys.readouterr()
    assert told.out.endswith("\n2 done, 2 failed\n")
    assert "no leaderboard was written: there is no own system 'spy-b'" in told.err
    assert not (results / "leaderboard.md").exists()
    Spy.on.clear()
    (results / "leaderboard.md").mkdir()
    assert cli.main(["run", "experiment.toml"]) == 1
    told = capsys.readouterr()
    assert told.out.endswith("\n2 done, 2 there already (*)\n")
    assert f"no leaderboard was written: {results / 'leaderboard.md'} cannot be" in told.err


@pytest.mark.usefixtures("spies")
def test_a_system_that_cannot_be_loaded_is_told_once(
    datasets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some(datasets, one=2, two=4)
    (tmp_path / "empty").mkdir()
    assert cli.main(["run", "./empty", "spy-a", *named("one", "two"), "-q"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("gtr-beir: ./empty cannot be run: empty has no modules.json")
    assert told.err.count("\n") == 1
    assert told.out.count("\n") == 2


@pytest.mark.usefixtures("spies")
def test_a_flag_holds_for_every_system_that_has_it(
    datasets: Path, results: Path, refused: Refused
) -> None:
    some(datasets, one=2)
    assert cli.main(["run", "bm25-flat", "spy-a", "spy-b", "-d", "one", "--protocol", "hub"]) == 0
    assert {path.name for path in results.iterdir()} == {"bm25-flat", "spy-a@hub", "spy-b@hub"}
    refused(
        "none of bm25-flat, bm25-multifield has --dtype (--dtype belongs to dense encoders)",
        *("run", "bm25-flat", "bm25-multifield", "-d", "one", "--dtype", "bf16"),
        code=2,
    )


@pytest.mark.usefixtures("spies")
def test_what_cannot_be_meant_together(tmp_path: Path, datasets: Path, refused: Refused) -> None:
    some(datasets, one=2)
    (tmp_path / "e.toml").write_text('datasets = ["one"]\n[[systems]]\nname = "spy-a"\n')
    refused(
        "--label names one system, and 2 were given; an experiment file has a label for each "
        "(docs/experiments.md)",
        *("run", "spy-a", "spy-b", "-d", "one", "--label", "x"),
        code=2,
    )
    refused(
        "-d, --suite, --label, --depth, --self-matches, --rerank, --dtype cannot be given beside "
        "e.toml; write it into the file",
        *("run", "e.toml", "-d", "one", "--suite", "demo", "--label", "x", "--depth", "5"),
        *("--self-matches", "drop", "--rerank", "x", "--dtype", "bf16"),
        code=2,
    )
    refused(
        "e.toml is an experiment file, which names its systems itself; give it alone",
        *("run", "spy-a", "e.toml"),
        code=2,
    )
    refused("there is no experiment file f.toml", "plan", "f.toml", code=2)


def test_a_plan_of_several_adds_up(
    datasets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some(datasets, one=40)
    (tmp_path / "e.toml").write_text(
        f"""
        datasets = ["one"]
        [[systems]]
        name = "bm25-flat"
        [[systems]]
        name = "{CHECKPOINT_DIR}"
        label = "toy"
        device = "cpu"
        [[systems]]
        name = "colbert:{COLBERT_DIR}"
        rerank = "results/bm25-flat"
        device = "cpu"
        """
    )
    assert cli.main(["plan", "e.toml"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= WIDTH
    rows = {line.split()[0]: line.split() for line in told.splitlines() if line}
    assert rows["bm25-flat"][1:] == ["-"] * 6
    assert rows["toy"][1:3] == ["fp32", "cpu"]
    memory = [int(line.split(" MB")[0].split()[-1]) for line in told.splitlines() if " MB" in line]
    assert memory[-1] == max(memory[:-1]), "the most, not the sum"
    assert "colbert +" in told
    assert "+ the whole corpus; to rerank another run takes less" in told


def test_a_plan_of_one_shows_each_dataset(
    datasets: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    some(datasets, one=40, two=20)
    command = ["plan", str(CHECKPOINT_DIR), *named("one", "two"), "--device", "cpu"]
    assert cli.main(command) == 0
    told = capsys.readouterr().out
    assert [line.split()[:2] for line in told.splitlines()[2:4]] == [["one", "40"], ["two", "20"]]
    refused(
        "plan is for encoders; bm25-flat needs no GPU and little time (docs/benchmarks.md has its "
        "rates)",
        *("plan", "bm25-flat", "bm25-multifield", "-d", "one"),
        code=2,
    )
