"""Fetching from a server on loopback that misbehaves in every way a network can."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtr_beir.cli import main
from gtr_beir.data import catalogue, mirrors
from gtr_beir.data.download import Patience, download
from gtr_beir.data.mirrors import fetch_dataset
from gtr_beir.data.registry import Judgements, registered
from gtr_beir.data.store import Dataset
from gtr_beir.errors import FetchError, InputError, StoreError, UsageError

QUICK = Patience(attempts=3, pause=0.01, longest_pause=0.02, silence=0.4)


def beir_zip(name: str, documents: int = 300) -> bytes:
    """A real-shaped zip: one folder with corpus, queries and qrels."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        corpus = "".join(
            json.dumps(
                {"_id": f"d{n}", "title": f"t{n}", "text": hashlib.md5(b"%d" % n).hexdigest()}
            )
            + "\n"
            for n in range(documents)
        )
        packed.writestr(f"{name}/corpus.jsonl", corpus)
        packed.writestr(f"{name}/queries.jsonl", '{"_id": "q1", "text": "one"}\n')
        packed.writestr(f"{name}/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td7\t1\n")
    return buffer.getvalue()


ZIP = beir_zip("toy")
MD5 = hashlib.md5(ZIP).hexdigest()
Answer = Callable[["Handler", int], None]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        server.answer(self, len(server.requests))

    def log_message(self, *_: object) -> None:
        pass

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    def send_from(self, data: bytes) -> None:
        """An honest server that knows ranges."""
        wanted = self.headers.get("Range")
        if not wanted:
            self.send(data)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            self.send(b"", 416)
            return
        place = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send(data[start:], 206, Content_Range=place)

    def cut(self, data: bytes, after: int) -> None:
        """Promise everything (from the range asked for), send `after` bytes, hang up."""
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data[start : start + after])
            self.wfile.flush()
        self.close_connection = True


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer, server.requests = answer, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fetched(answer: Answer, folder: Path, data: bytes = ZIP) -> list[tuple[str, str | None]]:
    """Download with this server; returns the requests. The right bytes must be there afterwards."""
    with serving(answer) as server:
        target = folder / "toy.zip"
        download(f"{server.url}/toy.zip", target, md5=MD5, patience=QUICK)
        assert target.read_bytes() == data
        assert [p.name for p in folder.iterdir()] == ["toy.zip"]
        return list(server.requests)


def refused(answer: Answer, folder: Path, match: str) -> None:
    """The download fails with one sentence, and nothing has the final name."""
    with serving(answer) as server:
        with pytest.raises(FetchError, match=match) as caught:
            download(f"{server.url}/toy.zip", folder / "toy.zip", md5=MD5, patience=QUICK)
        assert "\n" not in str(caught.value)
    assert not (folder / "toy.zip").exists()


def test_honest_server(tmp_path: Path) -> None:
    assert len(fetched(lambda h, _: h.send_from(ZIP), tmp_path)) == 1


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "toy.zip").write_bytes(ZIP)
    assert fetched(lambda h, _: h.send_from(ZIP), tmp_path) == []


def test_not_found(tmp_path: Path) -> None:
    refused(lambda h, _: h.send(b"no", 404), tmp_path, "answered 404, the file is not there")


def test_500_then_fine(tmp_path: Path) -> None:
    assert len(fetched(lambda h, n: h.send(b"", 500) if n < 3 else h.send_from(ZIP), tmp_path)) == 3


def test_500_for_ever(tmp_path: Path) -> None:
    refused(lambda h, _: h.send(b"", 503), tmp_path, "answered 503.*run again")


def test_redirect(tmp_path: Path) -> None:
    def answer(handler: Handler, _: int) -> None:
        if handler.path == "/toy.zip":
            handler.send(b"", 302, Location="/elsewhere")
        else:
            handler.send_from(ZIP)

    assert [path for path, _ in fetched(answer, tmp_path)] == ["/toy.zip", "/elsewhere"]


def test_web_page_instead_of_a_zip(tmp_path: Path) -> None:
    page = b"<html>Sign in to the network</html>"
    refused(lambda h, _: h.send(page, Content_Type="text/html"), tmp_path, "a web page instead")


def test_web_page_that_claims_to_be_a_zip(tmp_path: Path) -> None:
    page = b"<html>Sign in to the network</html>"
    refused(lambda h, _: h.send(page, Content_Type="application/zip"), tmp_path, "another MD5")


def test_slow_server(tmp_path: Path) -> None:
    """Silence counts as a dead connection; what had come is kept."""

    def answer(handler: Handler, number: int) -> None:
        if number == 1:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(ZIP)))
            handler.end_headers()
            handler.wfile.write(ZIP[:1000])
            handler.wfile.flush()
            time.sleep(0.8)
            handler.close_connection = True
        else:
            handler.send_from(ZIP)

    requests = fetched(answer, tmp_path)
    assert len(requests) == 2


def test_range_refused(tmp_path: Path) -> None:
    """A server without ranges sends everything again: no byte is doubled."""
    answer = lambda h, n: h.cut(ZIP, 5000) if n == 1 else h.send(ZIP)  # noqa: E731
    requests = fetched(answer, tmp_path)
    assert requests[1][1] == "bytes=5000-"


def test_range_at_another_place(tmp_path: Path) -> None:
    def answer(handler: Handler, number: int) -> None:
        if number == 1:
            handler.cut(ZIP, 5000)
        elif handler.headers.get("Range"):
            place = f"bytes 10-{len(ZIP) - 1}/{len(ZIP)}"
            handler.send(ZIP[10:], 206, Content_Range=place)
        else:
            handler.send_from(ZIP)

    fetched(answer, tmp_path)


def test_wrong_length(tmp_path: Path) -> None:
    """A length that is too long never ends well; one that is too short gives other bytes."""
    refused(lambda h, _: h.cut(ZIP + b"x" * 10, len(ZIP)), tmp_path, "could not be fetched|MD5")
    refused(lambda h, _: h.send(ZIP[:-7]), tmp_path, "another MD5")


def test_nobody_answers(tmp_path: Path) -> None:
    with serving(lambda _handler, _number: None) as server:
        url = server.url
    with pytest.raises(FetchError, match="no connection"):
        download(f"{url}/toy.zip", tmp_path / "toy.zip", md5=MD5, patience=QUICK)


def test_no_address(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no address"):
        download("mirror/toy.zip", tmp_path / "toy.zip", md5=MD5, patience=QUICK)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(1, len(ZIP) - 1), min_size=1, max_size=4))
def test_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """Cut at any bytes, any number of times: the download goes on and ends in the right data."""
    answer = lambda h, n: h.cut(ZIP, cuts[n - 1]) if n <= len(cuts) else h.send_from(ZIP)  # noqa: E731
    requests = fetched(answer, tmp_path_factory.mktemp("cut"))
    places = [int(r[1].removeprefix("bytes=").rstrip("-")) for r in requests[1:] if r[1]]
    assert places == sorted(places), "it never starts over"


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, len(ZIP) * 8 - 1), st.booleans())
def test_flipped_bit(tmp_path_factory: pytest.TempPathFactory, bit: int, for_ever: bool) -> None:
    """One flipped bit: fetched anew and right, or refused; never trusted."""
    flipped = bytearray(ZIP)
    flipped[bit // 8] ^= 1 << bit % 8
    folder = tmp_path_factory.mktemp("flip")
    answer = lambda h, n: h.send_from(bytes(flipped) if n == 1 or for_ever else ZIP)  # noqa: E731
    if for_ever:
        refused(answer, folder, "another MD5")
    else:
        fetched(answer, folder)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch):
    """SciFact's row with the toy's counts and hash."""
    spec = replace(
        registered("scifact"),
        documents=300,
        queries=1,
        judgements=(Judgements("all", 1, {1: 1}),),
        md5=MD5,
        hub=None,
    )
    for module in ("importing", "store", "catalogue"):
        monkeypatch.setattr(f"gtr_beir.data.{module}.registered", lambda _: spec)
    return spec


def test_fetch_imports_and_drops_the_zip(toy, tmp_path: Path) -> None:
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        dataset = fetch_dataset(toy, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
        assert server.requests[0][0] == "/scifact.zip"
    assert isinstance(dataset, Dataset)
    assert dataset.n_documents == 300
    assert list((tmp_path / ".downloads").iterdir()) == []


def test_a_damaged_dataset_is_fetched_again(
    toy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gtr_beir.data.registry.registered", lambda _: toy)
    store = ["--datasets-dir", str(tmp_path)]
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        fetching = ["datasets", "fetch", "scifact", "-q", "--base-url", server.url, *store]
        assert main(fetching) == 0
        file = tmp_path / "scifact" / "texts.arrow"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        assert main(["datasets", "check", *store]) == 1
        assert "`gtr-beir datasets fetch scifact --again`" in capsys.readouterr().err
        assert main(fetching) == 0
        assert len(server.requests) == 1, "it is there, so nothing is fetched"
        assert main([*fetching, "--again"]) == 0
        assert main(["datasets", "check", *store]) == 0
        assert len(server.requests) == 2


def test_fetch_on_demand(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        monkeypatch.setenv("GTR_BEIR_URL", server.url)
        with pytest.raises(UsageError, match="datasets fetch scifact"):
            catalogue.load_dataset("scifact", datasets_dir=tmp_path)
        dataset = catalogue.load_dataset("scifact", datasets_dir=tmp_path, fetch=True)
    assert dataset.n_documents == 300


def test_right_bytes_with_wrong_counts_are_refused(toy, tmp_path: Path) -> None:
    wrong = replace(toy, documents=301)
    with (
        serving(lambda h, _: h.send_from(ZIP)) as server,
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(InputError, match="300 documents where scifact has 301"),
    ):
        patch.setattr("gtr_beir.data.importing.registered", lambda _: wrong)
        fetch_dataset(wrong, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
    assert not (tmp_path / "scifact").exists()


def test_gated_datasets_say_what_to_do(tmp_path: Path) -> None:
    for name in ("robust04", "trec-news", "bioasq", "signal1m"):
        with pytest.raises(UsageError, match=f"convert {name} --source"):
            fetch_dataset(registered(name), datasets_dir=tmp_path)


def test_too_small_a_disk_is_told_before_the_first_byte(toy, tmp_path: Path) -> None:
    huge = replace(toy, zip_bytes=10**18)
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        with pytest.raises(StoreError, match="GB are free"):
            fetch_dataset(huge, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
        assert server.requests == []


def test_two_at_once(toy, tmp_path: Path) -> None:
    """One does the work, both succeed."""
    results: list[object] = []
    with serving(lambda h, _: h.send_from(ZIP)) as server:

        def work() -> None:
            results.append(
                fetch_dataset(toy, datasets_dir=tmp_path, base_url=server.url, patience=QUICK)
            )

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [dataset.n_documents for dataset in results] == [300, 300]
        assert len(server.requests) <= 2


def test_mirrors_are_tried_when_the_server_is_down(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's files in their three shapes, put where the hub's own client would put them."""
    asked = []

    def hub_files(repository: str, revision: str | None, patterns: list[str], work: Path) -> None:
        asked.append((repository, revision))
        if repository == "BeIR/toy":
            raise FetchError("the hub did not give BeIR/toy (HfHubHTTPError)")
        work.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(ZIP)) as packed:
            for name in ("corpus.jsonl", "queries.jsonl"):
                (work / name).write_bytes(packed.read(f"toy/{name}"))
        (work / "qrels").mkdir()
        (work / "qrels" / "test.jsonl").write_text(
            '{"query-id": "q1", "corpus-id": "d7", "score": 1.0}\n'
        )

    monkeypatch.setattr(mirrors, "_hub_files", hub_files)
    hub = {"beir": "BeIR/toy", "mteb": "mteb/toy", "mteb_revision": "abc"}
    with serving(lambda h, _: h.send(b"", 503)) as server:
        spec = replace(toy, hub=hub, zip_url=f"{server.url}/toy.zip")
        dataset = fetch_dataset(spec, datasets_dir=tmp_path, patience=QUICK)
    assert dataset.n_documents == 300
    assert asked == [("BeIR/toy", None), ("mteb/toy", "abc")]
