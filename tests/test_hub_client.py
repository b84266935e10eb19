"""A hub that is slow, late or without an end, met by the hub's own client: told in time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from gtr_beir.errors import FetchError
from gtr_beir.hub_client import require_as_on_hub
from hub_server import hub

TEXT = json.dumps({"_id": "d1", "text": "x" * 50_000})
FILES = {"mteb/small": {"corpus.jsonl": TEXT}}
MODEL = {"mteb/small": {"modules.json": "[]" + " " * 50_000}}
SCRIPT = """
import sys, time
from pathlib import Path
from gtr_beir import hub_client
from gtr_beir.checkpoints import hub
from gtr_beir.data import mirrors
from gtr_beir.errors import FetchError
from gtr_beir.network import Patience
hub_client.PATIENCE = Patience(answer=1.0, floor=1 << 12, window=1.0)
hub_client.MOST = 1 << 20
time.sleep = lambda _: None  # between the client's own attempts
for line in sys.stdin:
    start = time.monotonic()
    try:
        if line == "models\\n":
            hub.fetch_checkpoint("mteb/small", None, False)
        else:
            mirrors._hub_files("mteb/small", None, ["corpus.jsonl"], Path(line[:-1]))
    except FetchError as error:
        print(f"{time.monotonic() - start:.1f}", error, flush=True)
    else:
        print(f"{time.monotonic() - start:.1f}", "here", flush=True)
"""
HEAD = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nX-Repo-Commit: ' + b"0" * 40 + b"\r\n"


def slowly(out: IO[bytes], data: bytes) -> None:
    for byte in data:
        out.write(bytes([byte]))
        time.sleep(0.05)


def drip(out: IO[bytes]) -> None:
    out.write(HEAD + b"Content-Length: 50000\r\n\r\n")
    slowly(out, b"x" * 1000)


def drip_of_the_head(out: IO[bytes]) -> None:
    slowly(out, HEAD * 100)


def drip_of_chunks(out: IO[bytes]) -> None:
    """Of which no byte of a body comes out."""
    out.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4;")
    slowly(out, b"x" * 1000)


def until_the_end(out: IO[bytes]) -> None:
    """Without a length: whole wherever the connection ends."""
    out.write(HEAD + b"Connection: close\r\n\r\n")
    slowly(out, b"x" * 1000)


def go_on(out: IO[bytes]) -> None:
    for _ in range(5000):
        out.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def nonsense(out: IO[bytes]) -> None:
    out.write(b"\0" * 5000)


def other_bytes(out: IO[bytes]) -> None:
    text = TEXT.replace("xx", "yx").encode()
    out.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text)


def other_weights(out: IO[bytes]) -> None:
    out.write(HEAD + b"Content-Length: 50002\r\n\r\n{}" + b" " * 50_000)


def endless(out: IO[bytes]) -> None:
    out.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(10_000):
        out.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def longer(out: IO[bytes]) -> None:
    out.write(HEAD + b"Content-Length: 999999999999\r\n\r\n")
    for _ in range(10_000):
        out.write(b"x" * 65536)


class Client:
    """A process of its own, since the hub's client reads its endpoint when it is imported."""

    def __init__(self, server: Any, folder: Path):
        self.server, self.folder = server, folder
        self.url = f"http://127.0.0.1:{server.server_port}"
        told = {"HF_ENDPOINT": self.url, "HF_HOME": str(folder), "HF_HUB_DISABLE_XET": "1"}
        kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**kept, **told},
        )

    def fetch(self, where: Path | str, manner: Any = None) -> tuple[float, str]:
        """After how many seconds, and in what, it ended; "models": a checkpoint into the cache."""
        self.server.manner = manner
        self.server.kind = "models" if where == "models" else "datasets"
        self.server.repositories = MODEL if where == "models" else FILES
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{where}\n")
        seconds, _, said = self._process.stdout.readline().rstrip("\n").partition(" ")
        return float(seconds), said

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with hub(FILES) as server:
        client = Client(server, tmp_path_factory.mktemp("hub"))
        yield client
        client.end()


SLOW = "sends less than 4,096 bytes a second; try again later"
LATE = "does not answer within 1 s; try again later"


@pytest.mark.parametrize(
    ("manner", "said"),
    [
        (drip, SLOW),
        (drip_of_chunks, SLOW),
        (until_the_end, SLOW),
        (drip_of_the_head, LATE),
        (go_on, LATE),
        (
            endless,
            "sends more than 1,048,576 bytes, and not how many; is the address of the hub right?",
        ),
        (longer, "sends more than 50,000,000,000 bytes; is the address of the hub right?"),
    ],
)
@pytest.mark.parametrize("asked", ["GET .*/resolve/", "GET /api/"])
def test_a_file_or_a_page_that_does_not_come(
    manner: Any, said: str, asked: str, client: Client, tmp_path: Path
) -> None:
    seconds, told = client.fetch(tmp_path / "work", (asked, manner))
    assert said in told
    assert told.startswith(f"{client.url}/")
    assert seconds < 15
    assert not list((tmp_path / "work").glob("corpus.jsonl"))


@pytest.mark.parametrize("manner", [drip_of_the_head, go_on])
def test_no_answer_about_a_file(manner: Any, client: Client, tmp_path: Path) -> None:
    seconds, told = client.fetch(tmp_path / "work", ("HEAD .*/resolve/", manner))
    assert LATE in told
    assert seconds < 15


def test_no_http(client: Client, tmp_path: Path) -> None:
    _, told = client.fetch(tmp_path / "work", ("GET .*/resolve/", nonsense))
    assert told == "mteb/small could not be fetched from the hub (RemoteProtocolError)"


@pytest.mark.parametrize(
    ("asked", "manner", "said"),
    [
        # First, while nothing is in the cache.
        ("GET /api/", go_on, "the Hugging Face hub could not be reached for 'mteb/small'"),
        ("GET .*/resolve/", drip, SLOW),
        ("GET .*/resolve/", nonsense, "'mteb/small' could not be fetched from the Hugging Face"),
    ],
)
def test_a_checkpoint_that_does_not_come(
    asked: str, manner: Any, said: str, client: Client
) -> None:
    seconds, told = client.fetch("models", (asked, manner))
    assert said in told
    assert seconds < 15


def test_bytes_that_are_not_the_hubs(client: Client, tmp_path: Path) -> None:
    """Git's own digest of a file is looked at; what is damaged is not in the cache afterwards."""
    _, told = client.fetch(tmp_path / "work", ("GET .*/resolve/", other_bytes))
    assert told == (
        "mteb/small came from the hub with corpus.jsonl damaged (it has not the digest that the "
        "hub says); run again to fetch it anew"
    )
    shutil.rmtree(client.folder)
    _, told = client.fetch("models", ("GET .*/resolve/", other_weights))
    assert "mteb/small came from the hub with modules.json damaged" in told
    assert not list(client.folder.rglob("modules.json"))
    assert client.fetch("models")[1] == "here"
    (found,) = client.folder.rglob("modules.json")
    assert found.read_text() == MODEL["mteb/small"]["modules.json"]


def test_what_comes_is_as_it_was(client: Client, tmp_path: Path) -> None:
    assert client.fetch(tmp_path / "work")[1] == "here"
    assert (tmp_path / "work/corpus.jsonl").read_text() == TEXT


def test_the_digest_of_large_files_is_another(tmp_path: Path) -> None:
    content = tmp_path / "blobs" / "some"
    content.parent.mkdir()
    content.write_bytes(b"weights")
    file = tmp_path / "model.safetensors"
    file.symlink_to(content)
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    said = {"model.safetensors": f"sha256:{hashlib.sha256(b'weights').hexdigest()}"}
    require_as_on_hub("a/b", said, {"model.safetensors": file, "mine.json": mine})
    with pytest.raises(FetchError, match=r"a/b came from the hub with model.safetensors damaged"):
        require_as_on_hub("a/b", {file.name: "sha256:0", mine.name: "git:0"}, {file.name: file})
    assert not file.is_symlink()
    assert not content.exists()
    assert mine.exists()


OWN = """
import httpx2
from huggingface_hub import get_session, set_client_factory
from gtr_beir.hub_client import patient_hub
class Client(httpx2.Client): pass
seen = []
set_client_factory(lambda: Client(event_hooks={"request": [seen.append]}))
before = get_session()
with patient_hub(), patient_hub():
    hooks = get_session().event_hooks
    assert hooks["request"][0].__self__ is seen, hooks
    assert get_session().get("URL/api/datasets/mteb/small").json()["id"] == "mteb/small"
    assert seen
hooks = get_session().event_hooks
assert (len(hooks["request"]), len(hooks["response"])) == (1, 0), hooks
"""


def test_somebodys_own_client_stays_what_it_is() -> None:
    """One that knows a proxy, say; and outside it is not watched."""
    with hub(FILES) as server:
        script = OWN.replace("URL", f"http://127.0.0.1:{server.server_port}")
        subprocess.run([sys.executable, "-c", script], check=True)


def test_nobody_is_waited_for_without_a_limit() -> None:
    """A client has none of its own for what its callers forget."""
    silent = """
import socket, time
from huggingface_hub import get_session
from gtr_beir import hub_client
from gtr_beir.network import Patience
hub_client.PATIENCE = Patience(silence=0.5)
with socket.create_server(("127.0.0.1", 0)) as server, hub_client.patient_hub():
    start = time.monotonic()
    try:
        get_session().get(f"https://127.0.0.1:{server.getsockname()[1]}/")
    except Exception as error:
        print(type(error).__name__, time.monotonic() - start < 5)
"""
    done = subprocess.run(
        [sys.executable, "-c", silent], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "ConnectTimeout True\n"


def test_what_cannot_be_compared_is_not_taken(client: Client, tmp_path: Path) -> None:
    def forbidden(out: IO[bytes]) -> None:
        out.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    _, told = client.fetch(tmp_path / "work", ("GET /api/.*/tree/", forbidden))
    assert told == "mteb/small could not be fetched from the hub (HfHubHTTPError)"
    assert not (tmp_path / "work").exists()
