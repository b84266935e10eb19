"""Plans: counted where the dataset is here, estimated where it is not, and nothing fetched."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from doubles import write_beir
from gtr_beir import cli, load_dataset
from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.checkpoints.layout import RELEASED
from gtr_beir.demo import CHECKPOINT_DIR, COLBERT_DIR
from gtr_beir.encoders.loading import load_encoder
from gtr_beir.encoders.precision import products_of
from gtr_beir.errors import UsageError
from gtr_beir.planning import plan_run
from gtr_beir.systems.base import make_options
from gtr_beir.systems.costs import block_bytes, lengths_of
from gtr_beir.systems.dense import DenseOptions

CPU = DenseOptions(device="cpu", offline=True)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GTR_BEIR_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "datasets"


def test_tokens_are_those_of_a_run(folders: Path) -> None:
    """On the demonstration the sample is nearly the whole corpus; its own count is the truth."""
    dataset = load_dataset("demo", datasets_dir=folders)
    plan = plan_run(str(CHECKPOINT_DIR), ["demo"], CPU, datasets_dir=folders)
    (entry,) = plan.datasets
    encoder = load_encoder(open_checkpoint(str(CHECKPOINT_DIR), offline=True), device="cpu")
    documents = encoder.encode(
        dataset.texts(0, dataset.n_documents), kind="document", max_tokens=512
    )
    queries = encoder.encode(dataset.query_texts, kind="query", max_tokens=64)
    total = int(documents.tokens.sum() + queries.tokens.sum())
    assert entry.counted
    assert entry.documents == dataset.n_documents
    assert entry.tokens == pytest.approx(total, rel=0.1)
    assert entry.encode_seconds > 0
    assert entry.operations == pytest.approx(
        plan.encoder.shape.operations([*documents.tokens.tolist(), *queries.tokens.tolist()]),
        rel=0.1,
    )


def test_operations_are_those_of_the_matrices() -> None:
    """2 for each weight of a matrix and token, and the attention's two products."""
    shape = RELEASED["gtr-base"].shape
    matrices = shape.parameters - shape.vocabulary * shape.width - shape.dimension * shape.width
    matrices -= shape.buckets * shape.heads + (2 * shape.layers + 1) * shape.width
    attention = shape.layers * 2 * (2 * 10 * 10 * shape.inner)
    assert shape.operations([10]) == 2 * 10 * matrices + attention


def test_a_released_checkpoint_that_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    """gtr-base is planned from its sizes alone, on datasets that only the registry knows."""
    arguments = ["plan", "gtr-base", "-d", "scifact", "-d", "cqadupstack", "--device", "cpu"]
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out
    assert "scifact *" in told
    assert "cqadupstack/android *" in told
    assert "GFLOP/s in fp32 on cpu,\n        measured now with 2 layers of this shape\n" in told
    other = "tf32 and fp16 would run in fp32 here"
    if products_of("bf16", "cpu") == "bf16":
        assert re.search(rf"\nother:  [\d,]+ in bf16; {other}\n", told)
    else:
        assert "\nother:  tf32 and fp16 and bf16 would run in fp32 here\n" in told
    assert "* tokens estimated" in told


def test_another_encoder_is_measured_whole(minilm: str, folders: Path) -> None:
    plan = plan_run(minilm, ["demo"], CPU, datasets_dir=folders)
    assert plan.encoder.shape is None
    assert plan.encoder.tokens_a_second > 0
    assert plan.encoder.weights_bytes > 80e6
    assert plan.datasets[0].operations is None
    assert plan.datasets[0].encode_seconds > 0


@pytest.mark.parametrize("name", [str(CHECKPOINT_DIR), f"colbert:{COLBERT_DIR}"])
def test_products_in_another_precision_are_named(
    name: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capabilities = {"avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities, raising=False)
    for dtype, named in (("bf16", True), ("fp32", False)):
        plan = plan_run(
            name,
            ["demo"],
            make_options(name, {"device": "cpu", "offline": True, "dtype": dtype}),
            datasets_dir=folders,
        )
        assert plan.encoder.how.endswith(", products in fp32") == named


def test_a_dataset_of_ones_own(tmp_path: Path, folders: Path) -> None:
    source = write_beir(
        tmp_path / "mine",
        [{"_id": f"d{n}", "title": "", "text": "some words " * n} for n in range(40)],
        {"q": "words"},
        [("q", "d1", 1)],
    )
    command = ["datasets", "import", str(source), "--name", "mine", "-q"]
    assert cli.main([*command, "--datasets-dir", str(folders)]) == 0
    plan = plan_run(str(CHECKPOINT_DIR), ["mine"], CPU, datasets_dir=folders)
    assert (plan.datasets[0].documents, plan.datasets[0].queries) == (40, 1)


def test_what_cannot_be_planned(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="plan is for encoders; bm25-flat"):
        plan_run("bm25-flat", ["scifact"], make_options("bm25-flat", {}))
    with pytest.raises(UsageError, match=r"get it with `gtr-beir models fetch some/model` first"):
        plan_run("some/model", ["scifact"], CPU)
    with pytest.raises(UsageError, match="scifakt"):
        plan_run("gtr-base", ["scifakt"], CPU)
    assert cli.main(["plan", "gtr-base"]) == 2
    assert cli.main(["plan", "gtr-base", "-d", "demo", "--depth", "0"]) == 2
    assert cli.main(["plan", str(CHECKPOINT_DIR), "-d", "demo", "--tokenizer", "/nowhere"]) == 2
    assert cli.main(["plan", "gtr-base", "-d", "demo", "--dtype", "int8"]) == 2


def test_estimates() -> None:
    assert lengths_of(np.array([0, 42, 10_000]), 512).tolist() == [1, 11, 512]
    memory, disk = block_bytes(1_000_000, 768, 1000, 1000, 65_536)
    kept = sum(1 / place for place in range(1, 17))
    assert disk == 1_000_000 * 768 * 4 + int(4 * kept * 1000 * 1000)
    assert memory == 65_536 * 768 * 4 + 2 * 12 * 1000 * 1000


def test_workers_share_whole_blocks_and_the_driver_is_the_limit(folders: Path) -> None:
    """NQ has 41 blocks of 65,536 documents: 100 workers are no faster than 41."""
    one, ten, hundred = (
        plan_run("gtr-base", ["nq"], CPU, datasets_dir=folders, workers=n) for n in (1, 10, 100)
    )
    (entry,) = one.datasets
    assert entry.blocks == 41
    assert (entry.share(10), entry.share(100)) == (5 / 41, 1 / 41)
    out, back = ten.traffic
    assert out == entry.text_bytes > 100e6
    assert back == ten.disk > 4 * 768 * entry.documents
    # Each plan measures rates of its own.
    alone = ten.datasets[0].seconds
    assert ten.seconds == pytest.approx(max(alone * 5 / 41, ten.driver_seconds))
    assert hundred.most_blocks == 41
    assert hundred.fed == pytest.approx(hundred.datasets[0].seconds / hundred.driver_seconds)
    # 1.0 s of a core for 6,980 queries on 65,536 texts of 700 characters, 0.8 s of them ranking.
    assert 0.5 < one.driver_seconds / 41 < 2


def test_a_plan_for_workers_says_what_goes_through_the_driver(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["plan", "gtr-base", "-d", "nq", "--device", "cpu", "--workers", "8"]) == 0
    said = capsys.readouterr().out
    assert "shared: 8 workers, each as fast as this one\n" in said
    assert "of texts out" in said
    assert "it can feed" in said
    assert "has blocks for 41" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--workers", "0"], "--workers"),
        (["--workers", "2", "--device", "cpu,cpu"], "cannot be given together"),
        (["--on", "nowhere"], "give ray"),
        (["--on", "ray", "--workers", "2"], "give one of them"),
    ],
)
def test_workers_that_cannot_be(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "gtr-base", "-d", "nq", *flags]) == 2
    assert said in capsys.readouterr().err
