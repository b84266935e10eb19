"""What a comparison comes to: verdicts, queries that lost, requirements, exit codes."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from tests.report.results import record, write
from tests.report.tags import Tags

from gtr_beir import cli
from gtr_beir.data.store import Dataset
from gtr_beir.digests import hash_file
from gtr_beir.errors import RequirementError, UsageError
from gtr_beir.ranking.measures import Measure
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record
from gtr_beir.report.comparison.outcome import (
    MOST,
    Outcome,
    Requirement,
    compare,
    most_lost,
    outcome_of,
    verdicts,
)
from gtr_beir.report.comparison.paired import comparison_table
from gtr_beir.report.comparison.text import FORMATS, markdown, terminal
from gtr_beir.report.leaderboard import leaderboard
from refusal import Refused, files_in

NDCG = Measure("ndcg", 10)


class Values:
    """Writes per-query values of systems, each with its record."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __call__(
        self, system: str, dataset: str, *values: float, fingerprint: str = "1" * 64
    ) -> Path:
        folder = self._folder / system / dataset
        folder.mkdir(parents=True)
        mean = sum(values) / len(values)
        one = record(system, dataset, mean, fingerprint=fingerprint)
        measures = {**one.measures, "recall@100": mean}
        write(self._folder, replace(one, n_queries=len(values), measures=measures))
        lines = [f"q{place},{value!r},{value!r}" for place, value in enumerate(values)]
        text = "\n".join(["query_id,ndcg@10,recall@100", *lines, ""])
        (folder / PER_QUERY).write_text(text)
        return self._folder / system


@pytest.fixture
def values(tmp_path: Path) -> Values:
    return Values(tmp_path / "compared")


def said(outcome: Outcome) -> list[str]:
    return [sentence for one in outcome.compared for sentence in verdicts(one, outcome)]


@pytest.mark.parametrize(
    ("text", "measure", "least", "strict"),
    [
        ("ndcg@10 >= -0.005", "ndcg@10", -0.005, False),
        ("NDCG@10>0", "ndcg@10", 0.0, True),
        (" ndcg_cut_10 >= +.5 ", "ndcg@10", 0.5, False),
        ("P(rel=2)@5 > -1", "p(rel=2)@5", -1.0, True),
    ],
)
def test_requirements(text: str, measure: str, least: float, strict: bool) -> None:
    found = Requirement.parse(text)
    assert (str(found.measure), found.least, found.strict) == (measure, least, strict)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ndcg@10", "ndcg@10 >=", "ndcg@10 = 0", "ndcg@10 <= 0", "ndcg@10 >= 2"),
        *("ndcg@10 >= nan", "ndcg@10 >= 1e-3", ">= 0", "ndcg@10 >= 0 >= 0", "ndcg@10 => 0"),
    ],
)
def test_what_is_no_requirement(text: str) -> None:
    with pytest.raises(UsageError):
        Requirement.parse(text)


@pytest.mark.parametrize(
    ("text", "difference", "met"),
    [
        ("ndcg@10 >= -0.005", -0.005, True),
        ("ndcg@10 >= -0.005", 0.495 - 0.5, True),
        ("ndcg@10 >= -0.005", -0.00501, False),
        ("ndcg@10 > 0", 0.0, False),
        ("ndcg@10 > 0", 0.1 + 0.2 - 0.3, False),
        ("ndcg@10 > 0", 1e-6, True),
    ],
)
def test_bounds_are_exact_but_for_rounding(text: str, difference: float, met: bool) -> None:
    assert Requirement.parse(text).met(difference) is met


def test_the_verdict_of_one_dataset(values: Values) -> None:
    a, b = values("a", "own", *[0.2] * 12), values("b", "own", *[0.7] * 12)
    # All 2^12 assignments of signs are counted; two of them are as far from 0.
    assert said(outcome_of(a, [b], NDCG)) == [
        "B is better than A on own by 0.5000 NDCG@10 (95 % interval +0.5000 to +0.5000, p = "
        "0.0005)."
    ]
    (worse,) = said(outcome_of(b, [a], NDCG))
    assert worse.startswith("B is worse than A on own by 0.5000 NDCG@10 (95 % interval -0.5000")


def test_no_difference_is_no_verdict(values: Values) -> None:
    a, b = values("a", "own", 0.5, 0.2, 0.1), values("b", "own", 0.4, 0.4, 0.1)
    (sentence,) = said(outcome_of(a, [b], NDCG))
    assert sentence.startswith("No difference is shown on own: B - A is +0.0333 NDCG@10 (95 %")


def test_the_verdict_of_several_datasets(values: Values) -> None:
    for dataset, value in (("up", 0.9), ("down", 0.1), ("same", 0.5)):
        a = values("a", dataset, *[0.5] * 15)
        b = values("b", dataset, *[value] * 15)
    assert said(outcome_of(a, [b], NDCG)) == [
        "Of 3 datasets B is better on 1 (up) and worse on 1 (down); on 1 no difference is shown (p "
        "< 0.05, Holm over 3 tests).",
        "The mean of the differences B - A is +0.0000 NDCG@10.",
    ]


def test_p_is_corrected_over_all_results(values: Values) -> None:
    """Six queries of one sign: p is 2 / 2^6, and four tests make it four times that."""
    a = values("a", "own", *[0.5] * 6)
    others = [values(f"b{n}", "own", *[0.6] * 6) for n in range(4)]
    one = outcome_of(a, others[:1], NDCG).compared[0].results[0]
    four = outcome_of(a, others, NDCG)
    assert one.p_holm == 2 / 2**6
    assert one.p_holm < 0.05 < four.compared[0].results[0].p_holm
    assert four.compared[0].results[0].p_holm == pytest.approx(4 * one.p_holm)
    assert [found.label for found in four.compared] == ["B", "C", "D", "E"]
    assert all("Holm over 4 tests" in sentence for sentence in said(four))


def test_queries_that_lost_most(values: Values) -> None:
    a = values("a", "own", 1.0, 0.5, 0.5, 0.9, 0.8, 0.2)
    b = values("b", "own", 0.9, 0.5, 0.0, 0.4, 0.8, 1.0)
    outcome = outcome_of(a, [b], NDCG)
    (lost,) = most_lost(outcome.compared[0], NDCG)
    assert lost.queries == (("q2", 0.5, 0.0), ("q3", 0.9, 0.4), ("q0", 1.0, 0.9))
    assert lost.command == ""
    (line,) = [line for line in terminal(outcome).splitlines() if line.startswith("Lost most")]
    assert line.startswith("Lost most on own from A to B: q2 (0.5000 to 0.0000), q3 (0.9000")
    assert most_lost(outcome_of(a, [a], NDCG).compared[0], NDCG) == []


def test_losses_of_the_datasets_that_lost_most(values: Values) -> None:
    for place in range(5):
        a = values("a", f"set-{place}", 0.9)
        b = values("b", f"set-{place}", place / 10)
    found = most_lost(outcome_of(a, [b], NDCG).compared[0], NDCG)
    assert [lost.dataset for lost in found] == ["set-0", "set-1", "set-2"]


def test_the_command_shows_the_queries(
    mine: Dataset, results: Path, no_network: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs as it is printed, and names the queries in the order in which they lost."""
    assert mine.name == "mine"
    for label in "ab":
        assert cli.main(["run", "fixed", "-d", "mine", "--label", label, "--quiet"]) == 0
    lost = results / "b" / "mine" / PER_QUERY
    table = pd.read_csv(lost, dtype={"query_id": str})
    table.assign(**{"recall@3": 0.0}).to_csv(lost, index=False)
    one = Record.read(lost.parent)
    hashes = {**one.fingerprints, "queries": hash_file(lost)}
    changed = {**one.measures, "recall@3": 0.0}
    replace(one, measures=changed, fingerprints=hashes).write(lost.parent)
    capsys.readouterr()
    compare = ["compare", str(results / "a"), str(results / "b"), "--measure", "recall@3"]
    assert cli.main(compare) == 0
    (line,) = re.findall("^  gtr-beir (.*)$", capsys.readouterr().out, re.MULTILINE)
    words = shlex.split(line)
    assert words[:7] == [
        *("inspect", str(results / "a"), str(results / "b"), "-d", "mine"),
        *("--measure", "recall@3"),
    ]
    queries = words[8::2]
    assert queries
    assert cli.main(words) == 0
    shown = re.findall(r"^\d+\. (\S+):", capsys.readouterr().out, re.MULTILINE)
    assert shown == queries


def test_requirements_of_every_dataset(values: Values) -> None:
    for dataset, value in (("good", 0.6), ("bad", 0.4)):
        a, b = values("a", dataset, 0.5, 0.5), values("b", dataset, value, value)
    asked = [Requirement.parse("ndcg@10 >= -0.05"), Requirement.parse("recall@100 > -0.2")]
    outcome = outcome_of(a, [b], NDCG, asked)
    assert [required.failures for required in outcome.required] == [("bad (-0.1000)",), ()]
    sentence = "--require 'ndcg@10 >= -0.05' is not met by bad (-0.1000)"
    with pytest.raises(RequirementError) as caught:
        outcome.require()
    assert str(caught.value) == sentence
    outcome_of(a, [b], NDCG, asked[1:]).require()
    for name in ("text", "md"):
        text = FORMATS[name](outcome).replace("\\", "")
        assert "Required ndcg@10 >= -0.05: not met by bad (-0.1000)." in text
        assert "Required recall@100 > -0.2: met." in text


def test_exit_codes(values: Values, refused: Refused) -> None:
    a, b = values("a", "own", 0.5, 0.5), values("b", "own", 0.4, 0.4)
    assert cli.main(["compare", str(a), str(b), "--require", "ndcg@10 >= -0.2"]) == 0
    refused(
        "--require 'ndcg@10 > 0' is not met by own (-0.1000)",
        *("compare", a, b, "--require", "ndcg@10 > 0"),
    )
    refused(
        "--require 'ndcg@10 == 0' is not of the form 'ndcg@10 >= -0.005': a measure, >= or >, and "
        "a difference B - A from -1 to 1",
        *("compare", a, b, "--require", "ndcg@10 == 0"),
        code=2,
    )
    refused("there is no measure 'bleu@4'…", "compare", a, b, "--require", "bleu@4 > 0", code=2)


def test_results_of_different_datasets_are_not_compared(values: Values, refused: Refused) -> None:
    a = values("a", "own", 0.5, 0.5, fingerprint="1" * 64)
    b = values("b", "own", 0.5, 0.5, fingerprint="2" * 64)
    same = values("c", "own", 0.5, 0.5, fingerprint="1" * 64)
    refused(
        "a and b ran on different datasets, or on different copies of own "
        "(11111111 and 22222222); run both on the same",
        *("compare", a, b),
        code=2,
    )
    assert cli.main(["compare", str(a), str(same)]) == 0
    files = [folder / "own" / PER_QUERY for folder in (a, b)]
    refused("a and b ran on different datasets…", "compare", *files, code=2)
    # Values that lie alone are nobody's.
    alone = [str(shutil.copy(file, a / f"{place}.csv")) for place, file in enumerate(files)]
    assert cli.main(["compare", *alone]) == 0


def test_a_table_fits_a_terminal(values: Values) -> None:
    """Columns go before names are cut."""
    names = (
        "short",
        "climate-fever",
        "cqadupstack-programmers",
        "a-name-of-sixty-letters-" + "x" * 36,
    )
    for name in names:
        a = values("a", name, *[0.5] * 1536)
        b = values("b", name, *[0.4, 0.5, 0.6] * 512)
        table = comparison_table(outcome_of(a, [b], NDCG).compared[0].results, "B")
        assert max(map(len, table.splitlines())) <= 80
        assert ("w/t/l" in table) == (len(name) < 13)
        assert name[:20] in table
        assert "Holm p" in table


def test_full_and_nano_sets_have_no_mean_of_both(values: Values) -> None:
    for name, value in (("scifact", 0.9), ("nfcorpus", 0.7), ("nano-scifact", 0.1)):
        a, b = values("a", name, 0.5, 0.5), values("b", name, value, value)
    found = said(outcome_of(a, [b], NDCG))
    assert "The mean of the differences B - A on full sets is +0.3000 NDCG@10." in found
    assert not any("on Nano sets" in sentence for sentence in found), "of one there is no mean"


@pytest.mark.parametrize("command", ["compare", "leaderboard"])
def test_files_are_those_of_the_record(
    mine: Dataset, results: Path, no_network: None, command: str, refused: Refused
) -> None:
    """Two queries that change places have the same mean; an emptied run has no mean at all."""
    for label in "ab":
        assert cli.main(["run", "fixed", "-d", mine.name, "--label", label, "--quiet"]) == 0
    words = {"compare": ["compare", results / "a", results / "b"], "leaderboard": ["leaderboard"]}
    folder = results / "b" / "mine"
    table = pd.read_csv(folder / PER_QUERY, dtype={"query_id": str})
    for name, damage in (
        (PER_QUERY, lambda p: table.assign(query_id=table.query_id[::-1].values).to_csv(p)),
        (RUN, lambda p: p.write_bytes(b"")),
    ):
        whole = (folder / name).read_bytes()
        damage(folder / name)
        said = "it is not the file that its record was written with; run again with --again"
        refused(f"{folder / name}: {said}", *words[command])
        (folder / name).write_bytes(whole)


def test_what_a_killed_run_had_staged_counts(
    mine: Dataset, results: Path, no_network: None
) -> None:
    """Whoever reads results moves it to its place: neither the old nor the new is gone."""
    assert cli.main(["run", "fixed", "-d", mine.name, "--label", "a", "--quiet"]) == 0
    folder = results / "a" / "mine"
    (folder / "staged").mkdir()
    for name in (RUN, PER_QUERY, RECORD):
        (folder / name).rename(folder / "staged" / name)
    assert leaderboard(results, published=False).boards
    assert (folder / RECORD).is_file()


def test_nobody_elses_folder_of_that_name_is_touched(
    mine: Dataset, results: Path, no_network: None
) -> None:
    """A label, a folder beside results, and one that holds something else."""
    run = ["run", "fixed", "-d", mine.name, "--quiet"]
    assert cli.main([*run, "--label", "staged"]) == 0
    assert cli.main([*run, "--label", "a"]) == 0
    for place in (results / "a/staged", results / "a/mine/staged"):
        place.mkdir()
        (place / RUN).write_text("mine")
        (place / "notes.txt").write_text("mine")
    before = files_in(results)
    assert leaderboard(results, published=False).boards
    compare(results / "a", results / "staged")
    assert files_in(results) == before


def test_wide_letters_end_as_well(values: Values) -> None:
    a, b = values("a", "\u6f22" * 24 + "aa", 0.5, 0.5), values("b", "\u6f22" * 24 + "aa", 0.5, 0.4)
    table = comparison_table(outcome_of(a, [b], NDCG).compared[0].results, "B")
    assert "\u6f22" * 4 in table


def test_names_are_harmless(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>|`*\x1b[2J"
    values = Values(tmp_path / "<b>")
    name = hostile.replace("/", "")
    a, b = values("a", name, 0.5, 0.5), values("b", name, 0.4, 0.4)
    outcome = outcome_of(a, [b], NDCG, [Requirement.parse("ndcg@10 > 0")])
    assert "\x1b" not in terminal(outcome) + markdown(outcome)
    found = MarkdownIt("gfm-like", {"linkify": False}).render(markdown(outcome))
    tags = set(re.findall(r"</?([a-z0-9]+)", found))
    assert tags == {"h2", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td", "p"}


def test_compare_finds_names_folders_and_files(
    values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = values("a", "own", 0.5, 0.2, 0.1), values("b", "own", 0.4, 0.4, 0.1)
    asked = outcome_of(a, [b], NDCG).compared[0].results
    file = b / "own" / PER_QUERY
    for found in (
        compare(a, b),
        compare(str(a), str(file)),
        compare("a", "b", results_dir=tmp_path / "compared"),
        compare("a", b, measure=NDCG, results_dir=str(tmp_path / "compared")),
    ):
        assert found.compared[0].results == asked
    monkeypatch.chdir(b.parent)
    assert compare("a", "b").compared[0].results == asked, "folders of this very folder"


def test_what_compare_refuses(values: Values, tmp_path: Path) -> None:
    a = values("a", "own", 0.5)
    with pytest.raises(UsageError, match=r"no record\.json in nowhere or its"):
        compare(a, "nowhere", results_dir=tmp_path)
    with pytest.raises(UsageError, match=f"{MOST + 1} results are too many to compare with A"):
        compare(a, *[a] * (MOST + 1))
    with pytest.raises(UsageError, match="not of the form"):
        compare(a, a, require="better")


def test_compare_from_python_and_as_a_command(
    values: Values, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command finds names in the results folder too, and says the same of them."""
    a, b = values("a", "own", 0.5, 0.2, 0.1), values("b", "own", 0.4, 0.4, 0.1)
    monkeypatch.setenv("GTR_BEIR_RESULTS", str(a.parent))
    assert cli.main(["compare", "a", "b"]) == 0
    assert capsys.readouterr().out == terminal(compare(a, b))


def test_requirements_from_python(values: Values) -> None:
    a, b = values("a", "own", 0.5, 0.5), values("b", "own", 0.4, 0.4)
    compare(a, b, require="ndcg@10 >= -0.2").require()
    outcome = compare(a, b, require=["ndcg@10 >= -0.2", "ndcg@10 > 0"])
    with pytest.raises(RequirementError, match=r"'ndcg@10 > 0' is not met by own \(-0\.1000\)"):
        outcome.require()
    text = Tags(outcome._repr_html_()).text
    assert "Required ndcg@10 >= -0.2: met." in text
    assert "Required ndcg@10 > 0: not met by own (-0.1000)." in text


def test_the_frame_has_every_test_unrounded(values: Values) -> None:
    """Means and counts worked out by hand; p of three pairs by counting signs."""
    a = values("a", "own", 0.5, 0.25, 0.125)
    b, c = values("b", "own", 0.5, 0.5, 0.25), values("c", "own", 0.0, 0.0, 0.0)
    frame = compare(a, b, c).frame()
    assert frame["result"].tolist() == [str(b), str(c)]
    assert set(frame["against"]) == {str(a)}
    assert frame["mean"].tolist() == pytest.approx([1.25 / 3, 0.0], abs=1e-15)
    assert frame["mean_against"].tolist() == pytest.approx([0.875 / 3] * 2, abs=1e-15)
    assert frame["difference"].tolist() == pytest.approx([0.125, -0.875 / 3], abs=1e-15)
    assert frame[["wins", "ties", "losses"]].to_numpy().tolist() == [[2, 1, 0], [0, 0, 3]]
    assert frame["p"].tolist() == [0.5, 0.25], "2 of 4 and 2 of 8 assignments are as far from 0"
    assert frame["p_holm"].tolist() == [0.5, 0.5]
    assert set(frame["queries"]) == {3}
    assert set(frame["measure"]) == {"ndcg@10"}


def test_an_outcome_in_a_notebook(values: Values) -> None:
    a, b = values("a", "own", *[0.2] * 12), values("b", "own", *[0.7] * 12)
    outcome = compare(a, b)
    shown = Tags(outcome._repr_html_())
    heads, line = ([cell.strip() for cell in row] for row in shown.rows)
    assert dict(zip(heads, line, strict=True))["B - A"] == "+0.5000"
    assert said(outcome)[0] in shown.text
    assert repr(outcome) == f"Outcome(NDCG@10: A is {a}, B is {b}; tests: 1)"


def test_an_outcome_in_a_notebook_is_harmless(tmp_path: Path) -> None:
    values = Values(tmp_path / "<b>")
    name = "<script>alert(1)<script>\x1b[2J"
    outcome = compare(values("a", name, 0.5), values("b", name, 0.4), require="ndcg@10 > 0")
    shown = Tags(outcome._repr_html_())
    assert shown.tags == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert "<script>alert(1)<script>" in shown.text
    assert "\x1b" not in outcome._repr_html_() + repr(outcome)
