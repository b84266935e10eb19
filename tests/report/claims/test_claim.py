"""Claims of the GTR paper: published values as records, one moved, none, and other models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.results import record, write

from gtr_beir import cli
from gtr_beir.data.registry import suite
from gtr_beir.published import PublishedValue, published_values
from gtr_beir.records import PER_QUERY, Record
from gtr_beir.report.claims.claim import (
    DIFFERS,
    NOT_CHECKABLE,
    NOT_RUN,
    REPRODUCED,
    Answer,
)
from gtr_beir.report.claims.commands import commands, gated
from gtr_beir.report.claims.evidence import Evidence
from gtr_beir.report.claims.parts import STATED
from gtr_beir.report.claims.rows import CLAIMS, claim_answers, systems

SIZES = ("gtr-base", "gtr-large", "gtr-xl", "gtr-xxl")
OF_TABLES = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C12", "C13")
NEVER = {"C17", "C18", "C19", "C20"}
ZERO_SHOT = suite("zero-shot")


def number(system: str, dataset: str, metric: str = "ndcg@10", source: str = "") -> float:
    (found,) = (
        v.value
        for v in published_values()
        if (v.system, v.dataset, v.metric) == (system, dataset, metric)
        and v.source in ((source,) if source else ("gtr-paper", "beir-paper"))
    )
    return found


def fed(system: str, value: PublishedValue) -> Record:
    """The record that a run would leave that measured what was published."""
    one = record(system, value.dataset, value.value, family=value.family, version=value.version)
    identity = one.identity
    if value.family.startswith("bm25"):
        identity = replace(identity, lengths=None, precision="")
    if value.dataset == "arguana":
        identity = replace(identity, self_matches=value.self_matches or "drop")
    measures = {**one.measures, "mrr@10": 0.1, "recall@1000": 0.1}
    return replace(one, identity=identity, measures=measures)


@pytest.fixture(scope="module")
def everything() -> dict[tuple[str, str], Record]:
    """(system, dataset) -> what was published of GTR and of the BEIR paper's BM25."""
    found: dict[tuple[str, str], Record] = {}
    for value in published_values():
        system = {"bm25": "bm25-multifield"}.get(value.system, value.system)
        if value.metric == "ndcg@10" and (
            value.source == "gtr-paper" or (value.source, value.system) == ("beir-paper", "bm25")
        ):
            found[system, value.dataset] = fed(system, value)
    for value in published_values():
        if value.source == "t5x_retrieval-readme":
            there = found[value.system, value.dataset]
            measures = {**there.measures, value.metric: value.value}
            found[value.system, value.dataset] = replace(there, measures=measures)
    best = found["gtr-xxl", "msmarco"]
    best.measures.update({"mrr@10": 0.388, "recall@1000": 0.99})  # type: ignore[attr-defined]
    return found


def test_a_rise_on_all_sets_is_not_what_is_claimed(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    """C2 says that it is not uniform."""
    changed = dict(everything)
    for name in ZERO_SHOT:
        for step, size in enumerate(SIZES):
            one = everything[size, name]
            changed[size, name] = replace(one, measures={**one.measures, "ndcg@10": 0.3 + step / 9})
    write(tmp_path, *changed.values())
    found = answers(tmp_path, "C2")["C2"]
    assert [(s.sentence, s.own, s.published) for s in found.statements] == [
        ("no step falls on most sets", True, True),
        ("a step falls on some set", False, True),
    ]
    assert found.verdict == DIFFERS
    assert "it does not hold that a step falls on some set" in found.because


def answers(results: Path, *ids: str, intervals: bool = False) -> dict[str, Answer]:
    evidence = Evidence(results, results / "datasets", STATED)
    return {a.claim.id: a for a in claim_answers(evidence, ids, intervals=intervals)}


def moved(one: Record, by: float) -> Record:
    return replace(one, measures={**one.measures, "ndcg@10": one.measures["ndcg@10"] + by})


def test_published_values_reproduce_every_claim_of_a_table(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    write(tmp_path, *everything.values())
    found = answers(tmp_path)
    assert {c: found[c].verdict for c in OF_TABLES} == dict.fromkeys(OF_TABLES, REPRODUCED)
    for claim in OF_TABLES:
        assert found[claim].because == ()
        assert found[claim].present == found[claim].needed > 0
        assert all(q.agrees is not False for q in found[claim].quantities)
    assert {c for c, a in found.items() if a.verdict == NOT_CHECKABLE} == NEVER
    assert {c for c, a in found.items() if a.verdict == NOT_RUN} == {"C14", "C15", "C16"}


def test_a_re_ranker_stays_above_the_largest(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    """C21 is not borne out by the published values themselves, and that is said."""
    write(tmp_path, *everything.values())
    one = answers(tmp_path, "C21")["C21"]
    assert one.verdict == DIFFERS
    assert one.because == (
        "it does not hold that XXL is above BM25+CE, nor by the published values",
    )
    means = [np.mean([number(s, d) for d in ZERO_SHOT]) for s in ("gtr-xxl", "bm25+ce")]
    assert one.headline is not None
    assert one.headline.published == pytest.approx(means[0] - means[1])
    assert means[0] < means[1]


@pytest.mark.parametrize(
    ("system", "dataset", "claims"),
    [
        ("gtr-base", "scifact", {"C1", "C4", "C5"}),
        ("gtr-large", "nq", {"C1", "C4", "C5", "C6", "C10"}),
        ("gtr-xl", "nfcorpus", {"C1", "C4", "C5", "C9"}),
        ("gtr-xxl", "bioasq", {"C1", "C4", "C5", "C7", "C11"}),
        ("gtr-xxl", "msmarco", {"C3", "C12"}),
        ("bm25-multifield", "nfcorpus", {"C4", "C9"}),
    ],
)
@pytest.mark.parametrize("by", [0.01, -0.01])
def test_one_moved_value_differs(
    tmp_path: Path,
    everything: dict[tuple[str, str], Record],
    system: str,
    dataset: str,
    claims: set[str],
    by: float,
) -> None:
    changed = {**everything, (system, dataset): moved(everything[system, dataset], by)}
    write(tmp_path, *changed.values())
    found = answers(tmp_path)
    assert {c for c in claims if found[c].verdict != DIFFERS} == set()
    assert all(found[c].because for c in claims)
    assert found["C13"].verdict == REPRODUCED, "another measure has not moved"


def test_less_than_the_rounding_is_no_difference(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    write(tmp_path, *(moved(one, 0.0004) for one in everything.values()))
    found = answers(tmp_path)
    for claim in ("C1", "C3", "C4", "C5", "C6", "C9", "C10", "C11"):
        assert found[claim].verdict == REPRODUCED, found[claim].because


def test_counts_move_where_a_set_changes_sides(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    """XXL loses SciFact to BM25 by three thousandths; with ten more it wins it."""
    gap = number("bm25", "scifact") - number("gtr-xxl", "scifact")
    assert 0 < gap < 0.01
    place = ("gtr-xxl", "scifact")
    write(tmp_path, *{**everything, place: moved(everything[place], 0.01)}.values())
    one = answers(tmp_path, "C8")["C8"]
    assert one.headline is not None
    assert (one.headline.published, one.headline.own) == (10, 11)
    assert one.verdict == DIFFERS


def test_a_tie_of_published_values_leaves_a_count_open(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    """Large and BM25 are printed alike on one set: either may be above."""
    tied = [d for d in ZERO_SHOT if number("gtr-large", d) == number("bm25", d)]
    assert len(tied) == 1
    place = ("gtr-large", tied[0])
    write(tmp_path, *{**everything, place: moved(everything[place], 0.0004)}.values())
    one = answers(tmp_path, "C8")["C8"]
    (large,) = (q for q in one.quantities if q.title == "sets, Large above BM25")
    assert (large.published, large.own, large.room) == (9, 10, 1)
    assert one.verdict == REPRODUCED


def test_without_records_every_claim_says_what_to_run(tmp_path: Path) -> None:
    found = answers(tmp_path / "nothing")
    assert {c for c, a in found.items() if a.verdict == NOT_RUN} == set(found) - NEVER
    assert {c for c, a in found.items() if a.verdict == NOT_CHECKABLE} == NEVER
    for claim, one in found.items():
        assert one.present == 0
        said = commands(one.lacks, "results")
        assert bool(said) == (claim not in NEVER)
        assert bool(one.because) == (claim in NEVER)
    assert commands(found["C4"].lacks, "results") == [
        *(f"gtr-beir run {size} --suite zero-shot" for size in SIZES),
        "gtr-beir run bm25-multifield --suite zero-shot",
    ]
    assert commands(found["C9"].lacks, "results") == [
        "gtr-beir run gtr-base -d nfcorpus",
        "gtr-beir run gtr-xl -d nfcorpus",
        "gtr-beir run bm25-multifield -d nfcorpus",
    ]
    assert "bioasq" in gated(found["C11"].lacks)
    assert gated(found["C9"].lacks) == ""


def test_what_is_there_is_not_asked_for(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    gone = {("gtr-xl", "fever"), ("gtr-xl", "nq"), ("gtr-base", "msmarco")}
    write(tmp_path, *(one for place, one in everything.items() if place not in gone))
    one = answers(tmp_path, "C1")["C1"]
    assert (one.verdict, one.present, one.needed) == (NOT_RUN, 70, 72)
    assert commands(one.lacks, "results") == ["gtr-beir run gtr-xl -d nq -d fever"]
    shown = {q.title: q.own is not None for q in one.quantities}
    assert shown == {
        "XXL over Base": True,
        "Base": True,
        "Large": True,
        "XL": False,
        "XXL": True,
    }


# Touché-2020 and ArguAna --------------------------------------------------------------------------


@pytest.fixture
def as_run(everything: dict[tuple[str, str], Record]) -> list[Record]:
    """What `gtr-beir run` leaves: Touché v2, own-id documents dropped."""
    found = []
    for (system, dataset), one in everything.items():
        changed = one
        if dataset == "webis-touche2020":
            changed = replace(one, identity=replace(one.identity, version="v2"))
        if (system, dataset) == ("bm25-multifield", "arguana"):
            value = number("bm25-multifield", "arguana", source="anserini")
            changed = moved(one, value - one.measures["ndcg@10"])
            identity = replace(one.identity, self_matches="drop")
            changed = replace(changed, identity=identity)
        found.append(changed)
    return found


def test_other_judgements_of_touche_are_left_out(tmp_path: Path, as_run: list[Record]) -> None:
    write(tmp_path, *as_run)
    found = answers(tmp_path)
    for claim in OF_TABLES:
        assert found[claim].verdict == REPRODUCED, found[claim].because
    one = found["C1"]
    names = [name for name in ZERO_SHOT if name != "webis-touche2020"]
    assert one.basis == "17 sets without Touché-2020"
    for q, size in zip(one.quantities[1:], SIZES, strict=True):
        assert q.published == pytest.approx(np.mean([number(size, name) for name in names]))
    ((words, whole),) = one.others
    assert words == "18 sets"
    assert whole.own is not None, "with v2 it is shown"
    assert whole.agrees is None, "and not compared"
    gone = next(r for r in as_run if (r.system, r.dataset) == ("gtr-xl", "nq"))
    (tmp_path / gone.system / gone.dataset / "record.json").unlink()
    partial = answers(tmp_path, "C1")["C1"]
    assert (partial.verdict, partial.basis) == (NOT_RUN, "17 sets without Touché-2020")
    two = answers(tmp_path, "C4")["C4"]
    assert two.verdict == NOT_RUN
    assert two.headline is not None
    assert two.headline.own is not None, "XXL and BM25 are there, over 17 sets"
    assert any("v1" in remark and "v2" in remark for remark in one.claim.remarks)
    assert not list(Evidence(tmp_path, None, STATED).remarks(systems()))


def test_arguana_is_compared_like_with_like(
    tmp_path: Path, as_run: list[Record], everything: dict[tuple[str, str], Record]
) -> None:
    write(tmp_path, *as_run)
    dropped = answers(tmp_path, "C4")["C4"]
    assert dropped.basis == "17 sets without Touché-2020, BM25 dropping own ids"
    assert dropped.verdict == REPRODUCED
    kept = replace(everything["bm25-multifield", "arguana"], system="kept")
    write(tmp_path, kept)
    both = answers(tmp_path, "C4")["C4"]
    assert both.basis == "17 sets without Touché-2020, BM25 keeping own ids"
    assert both.verdict == REPRODUCED
    bm25 = [a.quantities[-1].published for a in (both, dropped)]
    names = [name for name in ZERO_SHOT if name not in ("webis-touche2020", "arguana")]
    others = sum(number("bm25", name) for name in names)
    for shown, arguana in zip(
        bm25,
        (number("bm25", "arguana"), number("bm25-multifield", "arguana", source="anserini")),
        strict=True,
    ):
        assert shown == pytest.approx((others + arguana) / 17)


def test_a_statement_that_needs_touche_is_not_judged_without_it(
    tmp_path: Path, as_run: list[Record], everything: dict[tuple[str, str], Record]
) -> None:
    """Without Touché-2020 the published Base is above the BM25 that keeps own-id documents."""
    write(tmp_path, *as_run, replace(everything["bm25-multifield", "arguana"], system="kept"))
    first = answers(tmp_path, "C4")["C4"].statements[0]
    assert first.sentence == "BM25 is above Base"
    assert (first.own, first.published, first.judged) == (False, False, False)


# Records that do not count ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda one: replace(one, identity=replace(one.identity, options={"dtype": "int8"})),
            "int8 here, the defaults there",
        ),
        (
            lambda one: record("gtr-base", one.dataset, 0.4, family="gtr-base", protocol="hub"),
            "hub lengths",
        ),
        (lambda one: record("gtr-base", one.dataset, 0.4), "gtr-base is not the released GTR-Base"),
    ],
    ids=["options", "lengths", "weights"],
)
def test_another_identity_does_not_count(
    tmp_path: Path,
    everything: dict[tuple[str, str], Record],
    change: Callable[[Record], Record],
    why: str,
) -> None:
    places = [("gtr-base", name) for name in ("msmarco", "nfcorpus")]
    changed = {place: change(everything[place]) for place in places}
    write(tmp_path, *{**everything, **changed}.values())
    found = answers(tmp_path)
    assert found["C3"].verdict == NOT_RUN
    assert (found["C3"].present, found["C3"].needed) == (3, 4)
    assert commands(found["C3"].lacks, "r") == ["gtr-beir run gtr-base -d msmarco"]
    (remark,) = Evidence(tmp_path, None, STATED).remarks(systems())
    assert remark.startswith("gtr-base on 2 datasets does not count: ")
    assert why in remark


def test_what_weights_are_counts_and_not_what_they_are_called(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    names = {size: f"mine-{place}" for place, size in enumerate(SIZES)}
    ours = [replace(everything[size, "msmarco"], system=name) for size, name in names.items()]
    write(tmp_path, *ours)
    assert answers(tmp_path, "C3")["C3"].verdict == REPRODUCED
    swapped = dict(zip(SIZES, reversed(SIZES), strict=True))
    other = tmp_path / "swapped"
    write(other, *(replace(everything[s, "msmarco"], system=name) for s, name in swapped.items()))
    assert answers(other, "C3")["C3"].verdict == REPRODUCED


def test_colbert_v2_is_not_what_the_paper_compares_with(tmp_path: Path) -> None:
    write(tmp_path, record("colbert", "nq", 0.5, family="colbertv2", protocol="checkpoint"))
    (remark,) = Evidence(tmp_path, None, STATED).remarks(systems())
    assert remark == "colbert on nq does not count: ColBERTv2 here, ColBERT v1 there"


def test_a_shallow_ranking_does_not_count_for_deep_measures(
    tmp_path: Path, everything: dict[tuple[str, str], Record]
) -> None:
    changed = {}
    for size in SIZES:
        one = everything[size, "msmarco"]
        changed[size, "msmarco"] = replace(one, identity=replace(one.identity, depth=100))
    write(tmp_path, *{**everything, **changed}.values())
    found = answers(tmp_path, "C3", "C12")
    assert found["C3"].verdict == REPRODUCED
    assert (found["C12"].verdict, found["C12"].present) == (NOT_RUN, 0)


# Published numbers in words -----------------------------------------------------------------------


def test_the_sentences_say_what_is_published() -> None:
    """No number is typed twice: what a sentence says is worked out from `published.csv`."""
    said = {claim.id: claim.sentence for claim in CLAIMS}
    gain = number("gtr-xl", "nfcorpus") / number("bm25", "nfcorpus") - 1
    assert f"by {100 * gain:.1f} %" in said["C9"]
    base, *others = (STATED[size, "", "ms"][0] for size in SIZES)
    large, xl, xxl = (f"{ms / base:.1f}" for ms in others)
    assert f"by {large}, {xl} and {xxl} from Base" in said["C16"]


def expected() -> Iterator[tuple[str, float]]:
    """The headline of claims without records, worked out again in another way."""
    values = {
        (s, d): number(s, d) for s in (*SIZES, "bm25", "colbert", "doct5query") for d in ZERO_SHOT
    }

    def mean(system: str) -> float:
        return sum(values[system, d] for d in ZERO_SHOT) / len(ZERO_SHOT)

    yield "C1", mean("gtr-xxl") - mean("gtr-base")
    yield (
        "C2",
        sum(
            values["gtr-base", d]
            <= values["gtr-large", d]
            <= values["gtr-xl", d]
            <= values["gtr-xxl", d]
            for d in ZERO_SHOT
        ),
    )
    yield "C3", number("gtr-xxl", "msmarco") - number("gtr-base", "msmarco")
    yield "C4", mean("gtr-xxl") - mean("bm25")
    yield "C5", mean("gtr-xxl") - mean("colbert")
    yield "C6", mean("gtr-large") - mean("doct5query")
    yield "C7", mean("gtr-xxl") - mean("doct5query")
    yield "C8", sum(values["gtr-xxl", d] > values["bm25", d] for d in ZERO_SHOT)
    yield "C10", values["gtr-xxl", "nq"] - values["bm25", "nq"]
    yield "C11", values["gtr-xxl", "bioasq"] - values["gtr-base", "bioasq"]
    yield "C15", values["gtr-xxl", "trec-covid"] - values["gtr-xl", "trec-covid"]


def test_published_numbers_are_those_of_the_table(tmp_path: Path) -> None:
    found = answers(tmp_path)
    for claim, value in expected():
        head = found[claim].headline
        assert head is not None
        assert head.published == pytest.approx(value), claim
    recall = [q.published for q in found["C13"].quantities[1:]]
    readme = {
        (v.system, v.dataset): v.value
        for v in published_values()
        if v.source == "t5x_retrieval-readme"
        and (v.metric == "recall_cap@100") == (v.dataset == "trec-covid")
    }
    for size, mean in zip(SIZES, recall, strict=True):
        assert mean == pytest.approx(sum(readme[size, d] for d in ZERO_SHOT) / len(ZERO_SHOT))


def test_the_prose_on_bioasq_is_not_what_the_table_says() -> None:
    cells = [number(size, "bioasq") for size in SIZES]
    assert cells != sorted(cells)
    (claim,) = (claim for claim in CLAIMS if claim.id == "C11")
    assert "dip" in claim.remarks[0]


# Intervals ----------------------------------------------------------------------------------------


def with_queries(results: Path, one: Record, values: np.ndarray, part: str = "") -> None:
    folder = results / one.system / (part or one.dataset)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"q{n},{value!r}" for n, value in enumerate(values.tolist())]
    (folder / PER_QUERY).write_text("\n".join(["query_id,ndcg@10", *lines, ""]))
    if not part:
        replace(one, n_queries=len(lines)).write(folder)


def test_an_interval_of_a_difference_is_paired(tmp_path: Path) -> None:
    """Two systems that differ by the same on every query: there is nothing uncertain about it."""
    draw = np.random.default_rng(1)
    base = 0.5 * draw.random(200)
    for place, size in enumerate(SIZES):
        one = record(size, "msmarco", float(base.mean()) + 0.1 * place, family=size)
        write(tmp_path, one)
        with_queries(tmp_path, one, base + 0.1 * place)
    one = answers(tmp_path, "C3", intervals=True)["C3"]
    head, first = one.quantities[:2]
    assert head.low == pytest.approx(head.high) == pytest.approx(0.3)
    spread = 1.96 * base.std() / np.sqrt(len(base))
    assert first.low == pytest.approx(base.mean() - spread, abs=0.2 * spread)
    assert first.high == pytest.approx(base.mean() + spread, abs=0.2 * spread)
    assert one.statements[0].share == 1


# Text ---------------------------------------------------------------------------------------------


def test_text_fits_a_terminal(
    tmp_path: Path, everything: dict[tuple[str, str], Record], capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = replace(everything["gtr-base", "nq"], system="a\x1b[31m|<b>")
    hostile = replace(hostile, identity=replace(hostile.identity, options={"x": "\x1b[2J"}))
    write(tmp_path, *everything.values(), replace(hostile, system="odd"))
    for arguments in ([], *(["--id", claim.id.lower()] for claim in CLAIMS)):
        assert cli.main(["claims", "--results-dir", str(tmp_path), *arguments]) == 0
        said = capsys.readouterr().out
        assert max(len(line) for line in said.splitlines() if "/latency.json" not in line) <= 80
        assert "\x1b" not in said
        assert not re.search(r"^  .*(agrees|differs)$", said, re.MULTILINE), "no table is folded"
    assert cli.main(["claims", "--results-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("REPRODUCED") == len(OF_TABLES) + 1
    assert "odd on nq does not count" in said


def test_markdown_lines_are_short(
    tmp_path: Path, everything: dict[tuple[str, str], Record], capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, records in ((tmp_path / "none", ()), (tmp_path / "all", everything.values())):
        write(folder, *records)
        assert cli.main(["claims", "--format", "md", "--results-dir", str(folder)]) == 0
        said = capsys.readouterr().out
        rows = [line for line in said.splitlines() if line.startswith("|")]
        assert len(rows) == len(CLAIMS) + 2
        assert len({row.count("|") for row in rows}) == 1
        assert max(map(len, said.splitlines())) <= 140


def test_names_of_records_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = record("odd", "nq", 0.5, family="gtr-base")
    options = {"x": "<b>|`x`[y](z)\x1b[2J"}
    write(tmp_path, replace(odd, identity=replace(odd.identity, options=options)))
    assert cli.main(["claims", "--format", "md", "--results-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert r"\<b\>\|\`x\`\[y\](z)" in said
    assert "\x1b" not in said
    assert "`gtr-beir run gtr-base --suite zero-shot`" in " ".join(said.split())


def test_json_is_unrounded(
    tmp_path: Path, everything: dict[tuple[str, str], Record], capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, *everything.values())
    assert cli.main(["claims", "--format", "json", "--results-dir", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    first = told["claims"][0]
    assert (first["id"], first["verdict"]) == ("C1", REPRODUCED)
    base = next(q for q in first["quantities"] if q["quantity"] == "Base")
    assert base["own"] == pytest.approx(np.mean([number("gtr-base", d) for d in ZERO_SHOT]))


def test_a_claim_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["claims", "--id", "C99"]) == 2
    assert capsys.readouterr().err == "gtr-beir: there is no claim 'C99'; they are C1 to C21\n"
