"""Experiment files: what they say, and what is refused with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gtr_beir.errors import UsageError
from gtr_beir.experiment import reading
from gtr_beir.experiment.description import Experiment, SystemChoice
from gtr_beir.experiment.reading import read_experiment
from gtr_beir.systems.bm25 import Bm25Options
from gtr_beir.systems.colbert import ColbertOptions
from gtr_beir.systems.dense import DenseOptions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"

SMALL = """
datasets = ["demo"]
[[systems]]
name = "bm25-flat"
"""


def read(folder: Path, text: str) -> Experiment:
    path = folder / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    return read_experiment(path)


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert read(tmp_path, example) == Experiment(
        systems=(
            SystemChoice("bm25-flat", Bm25Options()),
            SystemChoice("gtr-base", DenseOptions(dtype="bf16"), label="gtr-base-bf16"),
            SystemChoice(
                "colbert",
                ColbertOptions(),
                label="colbert-100",
                depth=100,
                rerank=Path("results/bm25-flat"),
            ),
        ),
        datasets=("scifact", "nfcorpus"),
        suite="demo",
        baseline="bm25-flat",
        reports=("md", "csv", "html"),
    )


def test_the_table_of_the_docs_has_every_key() -> None:
    told = PAGE.read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in told.splitlines() if line.startswith("| `")]
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(reading.KEYS)


def test_every_key(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        suite = "demo"
        depth = 10
        self_matches = "keep"
        results_dir = "out"
        datasets_dir = "/data"
        [[systems]]
        name = "bm25-multifield"
        k1 = 1
        field_weights = "contents=1,title=0.5"
        [[systems]]
        name = "colbert"
        depth = 5
        skiplist = false
        document_length = 300
        """,
    )
    assert found == Experiment(
        systems=(
            SystemChoice(
                "bm25-multifield",
                Bm25Options(k1=1, field_weights={"contents": 1.0, "title": 0.5}),
                depth=10,
            ),
            SystemChoice("colbert", ColbertOptions(skiplist=False, document_length=300), depth=5),
        ),
        suite="demo",
        self_matches="keep",
        results_dir=Path("out"),
        datasets_dir=Path("/data"),
    )
    assert found.dataset_names == ["demo"]


def test_offline_is_of_encoders_alone(tmp_path: Path) -> None:
    found = read(tmp_path, SMALL + '[[systems]]\nname = "gtr-base"').offline()
    assert found.systems[0].options == Bm25Options()
    assert found.systems[1].options == DenseOptions(offline=True)


SYSTEM = SMALL + '[[systems]]\nname = "gtr-base"\n'
WRONG = (
    ("basline = 1" + SMALL, "there is no key 'basline'; did you mean 'baseline'?; an experiment"),
    (SYSTEM + 'dtpye = "bf16"', "no key 'systems[2].dtpye'; did you mean 'dtype'?; gtr-base has"),
    (SMALL + 'dtype = "bf16"', "'systems[1].dtype'; bm25-flat has name, label, depth, rerank, k1"),
    (SMALL + 'dtype = "bf16"', "('dtype' belongs to dense encoders)"),
    (SYSTEM + "offline = true", "there is no key 'systems[2].offline'"),
    (
        SYSTEM + 'dtype = "int8"',
        "systems[2]: there is no dtype 'int8'; choose 'fp32', 'tf32', 'fp16' or 'bf16'",
    ),
    (SYSTEM + "dtype = 8", "systems[2]: --dtype 8 is not possible; give a text"),
    (SMALL + 'k1 = "0.9"', "systems[1]: --k1 '0.9' is not possible; give a number"),
    (SMALL + "processes = 0", "systems[1]: --processes 0 is not possible; give 1 or more"),
    (SMALL + 'field_weights = "x"', "systems[1].field_weights: --field-weights 'x' is not of the"),
    (SMALL + "field_weights = {a = 1}", "systems[1].field_weights is {'a': 1}; give a text"),
    (SMALL + "label = 3", "systems[1].label is 3; give a text in quotes"),
    (SMALL + 'label = " "', "systems[1].label is ' '; give a text in quotes"),
    (SMALL + r'rerank = "\u001b[31m"', r"systems[1].rerank is '\x1b[31m'; give a text"),
    (SMALL + "depth = 0", "systems[1].depth is 0; give a whole number from 1 to 1,000,000,000"),
    ("depth = true" + SMALL, "depth is True; give a whole number"),
    ("depth = 1e3" + SMALL, "depth is 1000.0; give a whole number"),
    ("depth = 1000000001" + SMALL, "depth is 1000000001; give a whole number"),
    ('self_matches = "maybe"' + SMALL, "self_matches cannot be 'maybe'; choose 'drop' or 'keep'"),
    ('reports = ["pdf"]' + SMALL, "reports: there is no format 'pdf'; choose from md, csv, html"),
    ('reports = "md"' + SMALL, "reports is 'md'; give a list of texts in quotes"),
    ('baseline = "bm25-flat"' + SMALL, 'reports names none; add reports = ["md"] or leave it'),
    ('suite = "beir"' + SMALL, "suite: there is no suite 'beir'; the suites are all, zero-shot"),
    ("datasets = [1]", "datasets[1] is 1; give a text in quotes"),
    ('[[systems]]\nname = "bm25-flat"', 'it names no dataset; add datasets = ["scifact"]'),
    ('datasets = ["demo"]', "it names no system; add a table [[systems]]"),
    ('datasets = ["demo"]\n[systems]\nname = "x"', "it names no system"),
    ('datasets = ["demo"]\nsystems = ["gtr-base"]', "systems[1] is not a table; write [[systems]]"),
    ('datasets = ["demo"]\n[[systems]]\nlabel = "x"', "systems[1] has no name"),
    ("datasets = \n", "is not TOML: Invalid value (at line 1, column 12)"),
    ("depth = " + "9" * 5000, "is not TOML: "),
    ("depth = " + "[" * 5000, "is not an experiment: it is nested too deep"),
    ("#" * (1 << 20) + "\n" + SMALL, "is larger than 1,048,576 bytes"),
)


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_what_is_not_understood_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    told = str(caught.value)
    assert told.startswith(f"{tmp_path / 'experiment.toml'}")
    assert sentence in told
    assert len(told) < 600


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no experiment file"):
        read_experiment(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="there is no experiment file"):
        read_experiment("/dev/zero")
    (tmp_path / "latin.toml").write_bytes(b'suite = "d\xe9mo"')
    with pytest.raises(UsageError, match=r"is not TOML: .*utf-8"):
        read_experiment(tmp_path / "latin.toml")
