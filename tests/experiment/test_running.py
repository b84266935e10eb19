"""Experiments from Python: order, failures that the rest survives, names that would collide."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from experiment.spies import Spy, experiment, raising, some
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.errors import CheckpointError, UsageError
from gtr_beir.experiment import running
from gtr_beir.experiment.description import Experiment, SystemChoice
from gtr_beir.experiment.running import Outcome, carry_out, prepare
from gtr_beir.records import Record
from gtr_beir.systems.base import make_options
from refusal import files_in

pytestmark = pytest.mark.usefixtures("spies")


def outcomes(asked: Experiment, results: Path, **how: bool) -> list[Outcome]:
    return list(carry_out(prepare(asked, results_dir=results, **how)))


def states(found: list[Outcome]) -> dict[tuple[str, str], str]:
    return {(o.system, o.dataset): o.why or ("found" if o.found else "done") for o in found}


def test_system_by_system_the_smallest_dataset_first(datasets: Path, results: Path) -> None:
    some(datasets, large=30, small=3, middle=10)
    found = outcomes(experiment(["spy-b", "spy-a"], "large", "small", "middle"), results)
    order = ["small", "middle", "large"]
    assert [(o.place, o.dataset) for o in found] == [(p, d) for p in (0, 1) for d in order]
    # Each was made once to look at it, before the first was loaded.
    assert Spy.asked[:2] == [("spy-b", ""), ("spy-a", "")]
    assert Spy.asked[2:] == [(s, d) for s in ("spy-b", "spy-a") for d in ("", *order)]
    assert Record.read(results / "spy-a" / "large") == found[-1].record


def test_a_system_is_gone_when_memory_is_given_back(
    datasets: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(datasets, one=2, two=4)
    alive: list[int] = []
    monkeypatch.setattr(running, "give_back", lambda: alive.append(len(Spy.alive)))
    Spy.on["spy-a", "two"] = raising(MemoryError())
    outcomes(experiment(["spy-a", "spy-b"], "one", "two"), results)
    assert alive == [0, 0]


def test_what_failed_is_told_and_the_rest_goes_on(datasets: Path, results: Path) -> None:
    some(datasets, one=2, two=4, three=6, four=8)
    (datasets / "two" / "queries.arrow").write_bytes(b"damaged")
    (datasets / "four" / "manifest.json").write_text("{")
    Spy.on["spy-a", "three"] = raising(MemoryError())
    found = outcomes(experiment(["spy-a", "spy-b"], "one", "two", "three", "four"), results)
    told = states(found)
    assert [o.dataset for o in found[:4]] == ["one", "two", "three", "four"], "unknown sizes last"
    assert told["spy-a", "one"] == told["spy-b", "one"] == told["spy-b", "three"] == "done"
    assert told["spy-a", "three"] == "out of memory"
    for system in ("spy-a", "spy-b"):
        assert f"{datasets / 'two' / 'queries.arrow'} has 7 bytes" in told[system, "two"]
        assert "import the dataset again" in told[system, "four"]
    assert not (results / "spy-a" / "three" / "record.json").exists()


def test_a_system_that_cannot_be_loaded_is_not_tried(datasets: Path, results: Path) -> None:
    some(datasets, one=2, two=4)
    work = prepare(experiment(["spy-a", "spy-b"], "one", "two"), results_dir=results)
    Spy.asked.clear()
    Spy.on["spy-a", ""] = raising(CheckpointError("its weights\nare damaged"))
    found = list(carry_out(work))
    assert [(o.system, o.loaded, o.why) for o in found] == [
        *[("spy-a", False, "its weights are damaged")] * 2,
        *[("spy-b", True, "")] * 2,
    ]
    assert [name for name, dataset in Spy.asked if not dataset] == ["spy-a", "spy-b"]


@pytest.mark.parametrize("error", [KeyError("a mistake"), KeyboardInterrupt(), BrokenPipeError()])
def test_what_is_no_failed_work_is_raised(
    error: BaseException, datasets: Path, results: Path
) -> None:
    some(datasets, one=2, two=4)
    Spy.on["spy-a", "one"] = raising(error)
    with pytest.raises(type(error)):
        outcomes(experiment(["spy-a"], "one", "two"), results)
    assert [dataset for _, dataset in Spy.asked if dataset] == ["one"]


def test_the_failure_of_one_alone_is_raised_as_it_is(datasets: Path, results: Path) -> None:
    some(datasets, one=2)
    Spy.on["spy-a", "one"] = raising(UsageError("not so"))
    with pytest.raises(UsageError, match="not so"):
        outcomes(experiment(["spy-a"], "one"), results)


def test_memory_that_a_gpu_lacks_is_failed_work(datasets: Path, results: Path) -> None:
    import torch

    some(datasets, one=2, two=4)
    Spy.on["spy-a", "one"] = raising(torch.OutOfMemoryError("CUDA out of memory"))
    assert list(states(outcomes(experiment(["spy-a"], "one", "two"), results)).values()) == [
        "CUDA out of memory",
        "done",
    ]


def test_a_record_of_other_settings_is_told_before_anything_is_loaded(
    datasets: Path, results: Path
) -> None:
    some(datasets, small=3, large=30)
    asked = experiment(["spy-a"], "small", "large")
    outcomes(asked, results)
    Spy.asked.clear()
    deeper = replace(asked, systems=tuple(replace(s, depth=7) for s in asked.systems))
    for found in outcomes(deeper, results):
        assert "other settings (depth 1000 there, 7 here); name this one with --label" in found.why
    # Once to look at it, as ever; not to run it.
    assert Spy.asked == [("spy-a", "")]
    some(datasets, new=4)
    more = replace(deeper, datasets=("small", "new"))
    assert [bool(found.why) for found in outcomes(more, results)] == [True, False]


def test_what_is_there_is_found(datasets: Path, results: Path) -> None:
    some(datasets, one=2, two=4)
    outcomes(experiment(["spy-a"], "one"), results)
    both = experiment(["spy-a"], "one", "two")
    assert list(states(outcomes(both, results)).values()) == ["found", "done"]
    assert list(states(outcomes(both, results, again=True)).values()) == ["done", "done"]


def checkpoints(*choices: SystemChoice) -> Experiment:
    return Experiment(choices, ("one",), reports=("md",))


def choice(name: str | Path, label: str | None = None, **options: object) -> SystemChoice:
    return SystemChoice(str(name), make_options(str(name), options), label)


def reranking(run: str | Path) -> SystemChoice:
    return replace(choice(f"colbert:{COLBERT_DIR}"), rerank=Path(run))


def test_wrong_use_is_told_before_anything_is_written(
    datasets: Path, results: Path, tmp_path: Path
) -> None:
    some(datasets, one=2)
    copy = tmp_path / "elsewhere" / "checkpoint"
    copy.parent.mkdir()
    copy.symlink_to(CHECKPOINT_DIR)
    bm25, toy = choice("bm25-flat"), choice(CHECKPOINT_DIR)
    cases = [
        (checkpoints(bm25, bm25), "two systems 'bm25-flat' would be kept as 'bm25-flat'"),
        (checkpoints(bm25, choice("spy-a", "bm25-flat")), "'bm25-flat' and 'spy-a' would be kept"),
        (checkpoints(toy, choice(CHECKPOINT_DIR, device="cpu")), "would be kept as 'checkpoint'"),
        (checkpoints(toy, choice(copy)), "would be kept as 'checkpoint'"),
        (checkpoints(bm25, choice("./nowhere")), "there is no checkpoint folder ./nowhere"),
        (checkpoints(bm25, choice("colbert:./no")), "there is no checkpoint folder ./no"),
        (checkpoints(bm25, choice("t5x:no")), "no"),
        (checkpoints(bm25, choice("a b")), "'a b' is neither a system, a folder nor a Hugging"),
        (checkpoints(bm25, choice("tfhub:no")), "give --protocol hub"),
        (checkpoints(bm25, choice(toy.name, tokenizer="x")), "leave out --tokenizer"),
        (checkpoints(bm25, choice("gtr-base", tokenizer="x")), "leave out --tokenizer"),
        (checkpoints(bm25, choice(toy.name, revision="x")), "leave out --revision x"),
        (checkpoints(bm25, choice("bm25-multifield", field_weights={"x": 1.0})), "no field x"),
        (checkpoints(bm25, choice(toy.name, device="cuda:9")), "cuda:9"),
        (checkpoints(bm25, choice(toy.name, "a/b")), "'a/b' cannot be a label"),
        (checkpoints(replace(bm25, rerank=Path("x"))), "bm25-flat searches the whole corpus"),
        (checkpoints(bm25, reranking(results / "bm25")), "there is no run to rerank in"),
        (checkpoints(reranking(results / "bm25-flat"), bm25), "there is no run to rerank in"),
        (replace(checkpoints(bm25), baseline="bm25-flt"), "did you mean 'bm25-flat'?"),
        (replace(checkpoints(bm25), datasets=("one", "tow")), "there is no dataset 'tow'"),
        (replace(checkpoints(bm25), datasets=("robust04",)), "robust04 cannot be downloaded"),
    ]
    before = files_in(tmp_path)
    for wrong, sentence in cases:
        with pytest.raises(UsageError, match=re.escape(sentence)):
            prepare(wrong, results_dir=results)
        assert files_in(tmp_path) == before


def test_one_name_for_two_reranked_systems_is_refused(datasets: Path, results: Path) -> None:
    """A path that is written in two ways is one run; two runs of one name are kept as one."""
    some(datasets, one=2)
    bm25, other = results / "bm25-flat", results.parent / "other" / "bm25-flat"
    for run in (bm25, other):
        run.mkdir(parents=True)
    for second in (results / ".." / results.name / "bm25-flat", other):
        with pytest.raises(UsageError, match=r"would be kept as '.*@rerank-1000-bm25-flat'"):
            prepare(checkpoints(reranking(bm25), reranking(second)), results_dir=results)


@pytest.mark.parametrize("label", [None, "other"])
def test_a_name_that_only_loading_tells_replaces_nothing(
    label: str | None, datasets: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking may not know a name; --again is no leave to replace what the same command made."""
    some(datasets, one=5)
    outcomes(checkpoints(choice("bm25-flat")), results)
    first = reranking(results / "bm25-flat")
    asked = checkpoints(replace(first, label=label and "late"), replace(first, label=label))
    monkeypatch.setattr(running, "check_systems", lambda *_, **__: None)
    found = outcomes(asked, results, again=True)
    if label:
        assert [o.system for o in found if o.record] == ["late", "other"]
        return
    name = f"{Path(COLBERT_DIR).name}@rerank-1000-bm25-flat"
    assert found[0].record == Record.read(results / name / "one")
    assert (found[1].record, found[1].loaded) == (None, False)
    assert f"an earlier system is kept as '{name}' too" in found[1].why


@pytest.mark.parametrize(
    ("given", "own", "variable", "used"),
    [
        ("given", "own", "usual", "given"),
        (None, "own", "usual", "own"),
        (None, None, "usual", "usual"),
        (None, None, "", "results"),
    ],
)
def test_the_results_folder(
    given: str | None,
    own: str | None,
    variable: str,
    used: str,
    datasets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some(datasets, one=2)
    monkeypatch.setenv("GTR_BEIR_RESULTS", variable)
    asked = replace(experiment(["spy-a"], "one"), results_dir=own and Path(own))
    work = prepare(asked, results_dir=given)
    assert work.results_dir == work.how[0].results_dir == Path(used)


def test_offline_a_model_must_be_here(datasets: Path, results: Path) -> None:
    some(datasets, one=2)
    with pytest.raises(UsageError, match=r"gtr-t5-base' is neither a folder here"):
        prepare(checkpoints(choice("gtr-base")), results_dir=results, offline=True)


def test_names_that_differ_are_no_collision(datasets: Path, results: Path) -> None:
    some(datasets, one=2)
    toys = [choice(CHECKPOINT_DIR, **options) for options in ({}, {"dtype": "bf16"})]
    toys += [choice(CHECKPOINT_DIR, "again"), choice(CHECKPOINT_DIR, protocol="hub")]
    asked = checkpoints(choice("bm25-flat"), *toys, reranking(results / "bm25-flat"))
    assert prepare(replace(asked, baseline="again"), results_dir=results).pairs == 6


def test_gated_datasets_of_a_suite_are_told_and_left_out(results: Path) -> None:
    said: list[str] = []
    asked = experiment(["spy-a"], suite="zero-shot")
    work = prepare(asked, results_dir=results, say=said.append)
    assert len(work.datasets) == 14
    assert len(said) == 4
    assert any("robust04 cannot be downloaded" in line for line in said)
    sizes = ["nfcorpus", "scifact", "arguana", "scidocs"]
    assert list(work.datasets[:4]) == sizes, "by the registry's counts"


def test_the_python_of_the_docs(
    datasets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some(datasets, one=2)
    page = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    named = 'datasets = ["one"]\n[[systems]]\nname = "spy-a"\n[[systems]]\nname = "spy-b"\n'
    (tmp_path / "experiment.toml").write_text(named)
    exec(compile(code, str(page), "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert [line.split("Record(")[0] for line in told] == ["spy-a one ", "spy-b one "]
