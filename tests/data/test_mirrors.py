"""The hub's mirrors, through the hub's own client, from a loopback server that speaks its API."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
from pathlib import Path

import pytest

from hub_server import COMMIT, hub

CORPUS = "".join(
    json.dumps({"_id": f"d{n}", "title": "", "text": f"x{n}"}) + "\n" for n in range(3)
)
QUERIES = '{"_id": "q1", "text": "x1"}\n'
TSV = "query-id\tcorpus-id\tscore\nq1\td1\t1\n"
JSONL = '{"query-id": "q1", "corpus-id": "d1", "score": 1.0}\n'

SCRIPT = """
import sys
from dataclasses import replace
from gtr_beir.data import importing, mirrors
from gtr_beir.network import Patience
from gtr_beir.errors import FetchError
from gtr_beir.data.registry import Judgements, registered
spec = replace(registered("scifact"), documents=3, queries=1, zip_bytes=1,
    judgements=(Judgements("all", 1, {1: 1}),), zip_url=sys.argv[2] + "/scifact.zip",
    hub={"beir": "BeIR/scifact", "mteb": "mteb/scifact", "mteb_revision": sys.argv[3]})
importing.registered = lambda _: spec
patience = Patience(attempts=2, pause=0.01, longest_pause=0.01, silence=2.0)
try:
    dataset = mirrors.fetch_dataset(spec, datasets_dir=sys.argv[1], patience=patience)
except FetchError as error:
    sys.exit(str(error))
print(dataset.n_documents, dataset.texts(0, 3))
"""


def fetch(
    server: http.server.ThreadingHTTPServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the client reads its endpoint when it is imported."""
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setenv("HF_HOME", str(folder / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    command = [sys.executable, "-c", SCRIPT, str(folder / "store"), url, COMMIT]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_beir_and_its_qrels_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repositories = {
        "BeIR/scifact-qrels": {"test.tsv": TSV, "train.tsv": TSV},
        "BeIR/scifact": {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "README.md": "no"},
    }
    with hub(repositories) as server:
        done = fetch(server, tmp_path, monkeypatch)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "3 ['x0', 'x1', 'x2']\n"
        fetched = [path for path in server.asked if "/resolve/" in path]
    assert not any("README" in path or "train" in path for path in fetched)


def parquet(rows: list[dict[str, str]]) -> bytes:
    """As the hub has them now."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


TEXTS = parquet([{"_id": f"d{n}", "title": "", "text": f"x{n}"} for n in range(3)])
ASKED = parquet([{"_id": "q1", "text": "x1"}])


def test_beir_as_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repositories = {
        "BeIR/scifact-qrels": {"test.tsv": TSV},
        "BeIR/scifact": {
            "corpus/corpus-00000-of-00001.parquet": TEXTS,
            "queries/queries-00000-of-00001.parquet": ASKED,
            "README.md": "no",
        },
    }
    with hub(repositories) as server:
        done = fetch(server, tmp_path, monkeypatch)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "3 ['x0', 'x1', 'x2']\n"


def test_parquet_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"corpus/a.parquet": b"PAR1 and no more", "queries/a.parquet": ASKED}
    with hub({"BeIR/scifact": files, "BeIR/scifact-qrels": {"test.tsv": TSV}}) as server:
        done = fetch(server, tmp_path, monkeypatch)
    assert done.returncode == 1
    assert "a.parquet cannot be read as parquet" in done.stderr
    assert "Traceback" not in done.stderr


def test_nano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NanoBEIR's sets are on the hub alone, at a commit, and their judgements have no score."""
    nano = SCRIPT.replace(
        'hub={"beir": "BeIR/scifact", "mteb": "mteb/scifact", "mteb_revision": sys.argv[3]}',
        'name="nano-scifact", hub={"nano": "zeta/NanoSciFact", "nano_revision": sys.argv[3]}',
    ).replace('zip_url=sys.argv[2] + "/scifact.zip"', 'zip_url=None, split="train"')
    monkeypatch.setitem(globals(), "SCRIPT", nano)
    judged = parquet([{"query-id": "q1", "corpus-id": "d1"}])
    files = {
        f"{kind}/train-00000-of-00001.parquet": data
        for kind, data in (("corpus", TEXTS), ("queries", ASKED), ("qrels", judged))
    }
    with hub({"zeta/NanoSciFact": files}) as server:
        done = fetch(server, tmp_path, monkeypatch)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "3 ['x0', 'x1', 'x2']\n"
        assert all(COMMIT in path for path in server.asked if "/resolve/" in path)


def test_mteb_at_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.jsonl": JSONL}
    with hub({"mteb/scifact": files}) as server:
        done = fetch(server, tmp_path, monkeypatch)
        assert done.returncode == 0, done.stderr
        assert any(f"/mteb/scifact/resolve/{COMMIT}/corpus.jsonl" in p for p in server.asked)


def test_wrong_counts_and_absent_mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"corpus.jsonl": CORPUS * 2, "queries.jsonl": QUERIES, "qrels/test.tsv": TSV}
    with hub({"mteb/scifact": files}) as server:
        done = fetch(server, tmp_path, monkeypatch)
    assert done.returncode == 1
    sentence = done.stderr.strip()
    assert "\n" not in sentence
    assert sentence.startswith("scifact could not be fetched from any source: ")
    assert "BeIR/scifact: BeIR/scifact could not be fetched from the hub" in sentence
    assert "6 documents where scifact has 3" in sentence
    assert not (tmp_path / "store" / "scifact").exists()


FORUMS = """
import sys
from dataclasses import replace
from gtr_beir.data import importing, mirrors
from gtr_beir.network import Patience
from gtr_beir.data.registry import Judgements, registered as known
from gtr_beir.errors import FetchError
def small(name):
    spec = known(name)
    if spec is None or spec.parts:
        parts = ("cqadupstack/android", "cqadupstack/english")
        return spec and replace(spec, parts=parts, zip_bytes=1, zip_url=sys.argv[2] + "/c.zip")
    return replace(spec, documents=3, queries=1, judgements=(Judgements("all", 1, {1: 1}),))
mirrors.registered = importing.registered = small
patience = Patience(attempts=2, pause=0.01, longest_pause=0.01, silence=2.0)
try:
    found = mirrors.fetch_dataset(small("cqadupstack"), datasets_dir=sys.argv[1], patience=patience)
except FetchError as error:
    sys.exit(str(error))
print([(part.name, part.n_documents) for part in found.parts])
"""
BOTH = "[('cqadupstack/android', 3), ('cqadupstack/english', 3)]\n"


def test_forums_of_beir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for each forum, of JSON lines or parquet; judgements in the twin."""
    monkeypatch.setitem(globals(), "SCRIPT", FORUMS)
    repositories = {
        "BeIR/cqadupstack-qrels": {"android/test.tsv": TSV, "english/qrels/test.tsv": TSV},
        "BeIR/cqadupstack": {
            "android/corpus.jsonl": CORPUS,
            "android/queries.jsonl": QUERIES,
            "english/corpus/corpus-00000-of-00001.parquet": TEXTS,
            "english/queries/queries-00000-of-00001.parquet": ASKED,
        },
    }
    with hub(repositories) as server:
        done = fetch(server, tmp_path, monkeypatch)
    assert done.returncode == 0, done.stderr
    assert done.stdout == BOTH


def test_forums_of_mteb_where_beir_merges_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "SCRIPT", FORUMS)
    files = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.jsonl": JSONL}
    repositories = {
        "BeIR/cqadupstack-qrels": {"android/test.tsv": TSV, "english/test.tsv": TSV},
        "BeIR/cqadupstack": {"corpus/a.parquet": TEXTS, "queries/a.parquet": ASKED},
        "mteb/CQADupstackAndroidRetrieval": files,
        "mteb/cqadupstack-english": files,
    }
    with hub(repositories) as server:
        done = fetch(server, tmp_path, monkeypatch)
        revisions = [path for path in server.asked if "/resolve/" in path and "mteb" in path]
    assert done.returncode == 0, done.stderr
    assert done.stdout == BOTH
    pinned = "mteb/CQADupstackAndroidRetrieval/resolve/9be4c0e46342e8e3aff577a89b9a1ec9bc6b4af3/"
    assert any(pinned in path for path in revisions)
    assert not list((tmp_path / "store" / ".downloads").glob("*mirror*"))


def test_a_forum_that_no_mirror_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SCRIPT", FORUMS)
    files = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.jsonl": JSONL}
    with hub({"mteb/CQADupstackAndroidRetrieval": files}) as server:
        done = fetch(server, tmp_path, monkeypatch)
    assert done.returncode == 1
    assert "mteb/cqadupstack-english could not be fetched from the hub" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store" / "cqadupstack").exists()
