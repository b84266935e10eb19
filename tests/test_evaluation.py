"""End to end with an encoder whose scores can be worked out by hand; resume; kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from doubles import WordSystem, write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.data.registry import DatasetSpec
from gtr_beir.data.store import Dataset, DatasetGroup
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.errors import NumericalError, UsageError
from gtr_beir.evaluation import RunOptions, benchmark, benchmark_or_find
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record


def test_scores_by_hand(small: Dataset, word_system: WordSystem, tmp_path: Path) -> None:
    """q1 "apple": d4 (1.0), q3, d1. q2 "plum": d3 and d2 tie, d3 has the higher id. q3: its own
    document is dropped, d1 comes first, and one of its two relevant documents is not there."""
    record = benchmark(word_system, small, results_dir=tmp_path)
    rows = (tmp_path / "words" / "small" / PER_QUERY).read_text().splitlines()
    names = rows[0].split(",")
    values = {row.split(",")[0]: dict(zip(names, row.split(","), strict=True)) for row in rows[1:]}
    assert float(values["q1"]["ndcg@10"]) == pytest.approx(1.0)
    assert float(values["q2"]["mrr@10"]) == 0.5
    assert float(values["q3"]["recall@10"]) == 0.5
    assert float(values["q3"]["p@1"]) == 1.0
    assert record.n_queries == 3
    assert record.self_matches == {"policy": "drop", "queries": 1}
    assert record.measures["mrr@10"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert record.facts["document_tokens"] == 10


def test_self_matches_can_be_kept(small: Dataset, word_system: WordSystem, tmp_path: Path) -> None:
    record = benchmark(word_system, small, results_dir=tmp_path, self_matches="keep")
    assert record.measures["mrr@10"] == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_done_is_not_done_again(small: Dataset, word_system: WordSystem, tmp_path: Path) -> None:
    first = benchmark(word_system, small, results_dir=tmp_path)
    encoded = word_system.encoder.texts_encoded
    assert benchmark(word_system, small, results_dir=tmp_path) == first
    again = benchmark(word_system, small, results_dir=tmp_path, again=True)
    assert word_system.encoder.texts_encoded == encoded, "stored vectors are used"
    assert again.fingerprints == first.fingerprints


def test_another_system_of_the_same_name_is_not_overwritten(
    small: Dataset, word_system: WordSystem, tmp_path: Path
) -> None:
    benchmark(word_system, small, results_dir=tmp_path)
    other = WordSystem(["pear"])
    with pytest.raises(UsageError, match=r"--label.*--again"):
        benchmark(other, small, results_dir=tmp_path)
    record = benchmark(other, small, results_dir=tmp_path, again=True)
    assert record.settings == {"words": ["pear"]}


def test_changed_texts_are_encoded_again(tmp_path: Path) -> None:
    """Only the unit that changed: 3 units, one letter in the last."""
    documents = [{"_id": f"d{row}", "text": f"apple {row}"} for row in range(2500)]
    source = write_beir(tmp_path / "set", documents, {"q": "apple"}, [("q", "d1", 1)])
    system = WordSystem(["apple", "pear"])
    plan = RunOptions(results_dir=tmp_path / "results", block_documents=1024)
    benchmark(system, import_beir(source, datasets_dir=tmp_path / "store"), plan)
    assert system.encoder.texts_encoded == 2500
    documents[2400]["text"] = "pear"
    write_beir(tmp_path / "set", documents, {"q": "apple"}, [("q", "d1", 1)])
    again = import_beir(source, datasets_dir=tmp_path / "store", again=True)
    benchmark(system, again, replace(plan, again=True))
    assert system.encoder.texts_encoded == 2500 + (2500 - 2048)


def test_what_was_changed_since_is_done_again(small: Dataset, tmp_path: Path) -> None:
    """A digit of the record, of the per-query file, or a run that was emptied."""
    system = WordSystem(["apple", "pear"])
    whole = benchmark(system, small, results_dir=tmp_path)
    (folder,) = {path.parent for path in tmp_path.rglob("record.json")}
    for name, change in (
        ("record.json", lambda text: text.replace(b'"ndcg@10": ', b'"ndcg@10": 0.000', 1)),
        ("queries.csv", lambda text: text[: text.rindex(b",")] + b",0.125\n"),
        ("run.trec.gz", lambda text: b""),
    ):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(change(before))
        assert (folder / name).read_bytes() != before
        again, searched = benchmark_or_find(system, small, results_dir=tmp_path)
        assert searched
        assert again.measures == whole.measures
        assert (folder / "run.trec.gz").read_bytes()
    assert not benchmark_or_find(system, small, results_dir=tmp_path)[1]


def test_nan_names_its_document_and_leaves_no_record(small: Dataset, tmp_path: Path) -> None:
    system = WordSystem(["apple"])
    encode = system.encoder.encode

    def broken(texts, *, kind, max_tokens):
        encoded = encode(texts, kind=kind, max_tokens=max_tokens)
        if kind == "document":
            encoded.vectors[texts.index("apple")] = float("nan")
        return encoded

    system.encoder.encode = broken
    with pytest.raises(NumericalError, match="documents 'd4'"):
        benchmark(system, small, results_dir=tmp_path)
    assert not (tmp_path / "words" / "small" / RECORD).exists()


def test_mean_of_parts(small: Dataset, word_system: WordSystem, tmp_path: Path) -> None:
    """A dataset of two parts is the unweighted mean, whatever their sizes."""
    source = write_beir(
        tmp_path / "one", [{"_id": "a", "text": "pear"}], {"q": "plum"}, [("q", "a", 0)]
    )
    other = import_beir(source, datasets_dir=tmp_path / "store")
    group = DatasetGroup(DatasetSpec("pair", "pair", "test", parts=("a", "b")), [small, other])
    benchmark(word_system, other, results_dir=tmp_path / "r")
    record, searched = benchmark_or_find(word_system, group, results_dir=tmp_path / "r")
    assert searched, "one part was there, the other was not"
    assert not benchmark_or_find(word_system, group, results_dir=tmp_path / "r")[1]
    part = Record.read(tmp_path / "r" / "words" / "small")
    assert set(record.parts) == {"small", "one"}
    assert record.measures["ndcg@10"] == pytest.approx((part.measures["ndcg@10"] + 0.0) / 2)
    assert record.n_queries == 4


def test_record_holds_its_signature(
    small: Dataset, word_system: WordSystem, tmp_path: Path
) -> None:
    record = benchmark(word_system, small, results_dir=tmp_path)
    written = json.loads((tmp_path / "words" / "small" / RECORD).read_text())
    assert written["signature"] == record.signature
    assert record.signature.startswith("data:small/test|sys:words|depth:1000|own:drop|v:")
    assert {"torch", "python", "pytrec-eval-terrier"} <= record.versions.keys()
    assert Record.read(tmp_path / "words" / "small") == record


@pytest.mark.skipif(not CHECKPOINT_DIR.is_dir(), reason="the demo checkpoint is not there")
def test_killed_at_work(tmp_path: Path) -> None:
    """SIGKILL after the first block and after the third, then again: the same bytes."""
    documents = [
        {"_id": f"d{row}", "title": f"title {row}", "text": "bread dough oven bicycle tyre " * 12}
        for row in range(6144)
    ]
    source = write_beir(tmp_path / "loaves", documents, {"q": "bread"}, [("q", "d1", 1)])
    import_beir(source, datasets_dir=tmp_path / "store")
    command = [sys.executable, "-m", "gtr_beir", "run", str(CHECKPOINT_DIR), "--label", "toy"]
    command += ["-d", "loaves", "--block-documents", "1024", "--device", "cpu", "-q"]
    command += ["--datasets-dir", str(tmp_path / "store"), "--results-dir"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run([*command, str(tmp_path / "calm")], check=True, env=environment)
    done = tmp_path / "killed/toy/loaves/blocks"
    for blocks in (1, 3):
        process = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment)
        while len(list(done.glob("vectors-*"))) < blocks:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, str(tmp_path / "killed")], check=True, env=environment)
    calm, killed = (tmp_path / name / "toy" / "loaves" for name in ("calm", "killed"))
    for name in (RUN, PER_QUERY):
        assert (calm / name).read_bytes() == (killed / name).read_bytes()
    assert Record.read(calm).measures == Record.read(killed).measures
    assert not list(killed.rglob(".tmp-*"))
