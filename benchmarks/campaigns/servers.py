"""Servers on loopback that misbehave in what a network can: the dataset, or a sentence, in time."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import random
import re
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from campaigns.fetching import DOCUMENTS, QUERIES, REPOSITORY, fetch, fetch_from_hub
from campaigns.inputs import _zip
from campaigns.trial import Tally, call
from campaigns.world import left_over, write_source

DRIP = 0.3
_COMMIT = "0123456789abcdef0123456789abcdef01234567"
Act = Callable[["Answer", bytes, random.Random], None]


class Answer(http.server.BaseHTTPRequestHandler):
    """Does what the server's `act` does."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.server.asked += 1
        with contextlib.suppress(OSError, ValueError):
            data = self.server.data
            if self.server.files:
                found = self.hub()
                if found is None:
                    return
                data = found
            self.server.act(self, data, self.server.draw)

    def do_HEAD(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            found = self.hub()
            if found is not None:
                self.head(200, Content_Length=len(found))

    def hub(self) -> bytes | None:
        """The file that is asked for; all else that a hub is asked is answered."""
        path = self.path.partition("?")[0]
        repository, _, file = path.removeprefix("/datasets/").partition("/resolve/")
        found: bytes | None = self.server.files.get(f"{repository}/{file.partition('/')[2]}")
        if found is not None:
            return found
        about, _, _ = re.sub("/(revision|tree)/.*", "/", path + "/").partition("//")
        about = about.removeprefix("/api/datasets/").rstrip("/")
        own = [name for name in self.server.files if name.rpartition("/")[0] == about]
        answer: Any = {
            "id": about,
            "sha": _COMMIT,
            "siblings": [{"rfilename": name.rpartition("/")[2]} for name in own],
        }
        if "/tree/" in path:
            answer = [
                {
                    "type": "file",
                    "path": name.rpartition("/")[2],
                    "size": len(self.server.files[name]),
                    "oid": _blob(self.server.files[name]),
                }
                for name in own
            ]
        text = json.dumps(answer).encode()
        self.head(200 if own else 404, Content_Length=len(text), Content_Type="application/json")
        if self.command == "GET":
            self.wfile.write(text)
        return None

    def log_message(self, *_: object) -> None:
        pass

    @property
    def start(self) -> int:
        """Where the range that is asked for begins."""
        wanted = self.headers.get("Range") or "bytes=0-"
        return int(wanted.removeprefix("bytes=").split("-")[0])

    def head(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        if self.server.files:
            headers = {"ETag": f'"{_COMMIT}"', "X-Repo-Commit": _COMMIT, **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def ranged(self, data: bytes, **headers: object) -> None:
        """An honest head of what is asked for."""
        start, size = self.start, len(data)
        if self.headers.get("Range"):
            place = f"bytes {start}-{size - 1}/{size}"
            self.head(206, **{"Content_Length": size - start, "Content_Range": place, **headers})
        else:
            self.head(200, **{"Content_Length": size, **headers})


def honest(answer: Answer, data: bytes, _: random.Random) -> None:
    answer.ranged(data)
    answer.wfile.write(data[answer.start :])


def cut(answer: Answer, data: bytes, draw: random.Random) -> None:
    """Hangs up in the middle, each time further on."""
    answer.ranged(data)
    rest = data[answer.start :]
    answer.wfile.write(rest[: max(1, draw.randrange(len(rest) + 1))])
    answer.close_connection = True


def cut_at_once(answer: Answer, data: bytes, _: random.Random) -> None:
    answer.ranged(data)
    answer.close_connection = True


def no_answer(answer: Answer, *_: object) -> None:
    answer.close_connection = True


def reset(answer: Answer, data: bytes, _: random.Random) -> None:
    answer.ranged(data)
    answer.wfile.write(data[:100])
    answer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    answer.connection.close()


def silent(answer: Answer, data: bytes, _: random.Random) -> None:
    answer.ranged(data)
    answer.wfile.flush()
    time.sleep(8)


def drip(answer: Answer, data: bytes, _: random.Random) -> None:
    """A byte at a time, for ever."""
    answer.ranged(data)
    for byte in data[answer.start :]:
        answer.wfile.write(bytes([byte]))
        time.sleep(DRIP)


def drip_of_the_head(answer: Answer, *_: object) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
        answer.wfile.write(bytes([byte]))
        time.sleep(DRIP)


def endless(answer: Answer, data: bytes, _: random.Random) -> None:
    """A body without an end."""
    answer.head(200)
    while True:
        answer.wfile.write(data)


def longer(answer: Answer, data: bytes, _: random.Random) -> None:
    answer.head(200, Content_Length=1 << 40)
    while True:
        answer.wfile.write(data)


def go_on(answer: Answer, *_: object) -> None:
    """100 Continue, for ever."""
    while True:
        answer.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def redirects(answer: Answer, *_: object) -> None:
    answer.head(302, Location=f"/again{answer.server.asked}.zip", Content_Length=0)


def redirect_to_a_file(answer: Answer, *_: object) -> None:
    answer.head(302, Location="file:///etc/passwd", Content_Length=0)


def elsewhere(answer: Answer, data: bytes, draw: random.Random) -> None:
    """Another place of the range than was asked for."""
    start, size = draw.randrange(len(data)), len(data)
    place = f"bytes {start}-{size - 1}/{size}"
    answer.head(206, Content_Length=size - start, Content_Range=place)
    answer.wfile.write(data[start:])


def status(code: int) -> Act:
    def act(answer: Answer, *_: object) -> None:
        answer.head(code, Content_Length=0)

    return act


def other_bytes(answer: Answer, data: bytes, draw: random.Random) -> None:
    changed = bytearray(data)
    changed[draw.randrange(len(data))] ^= 1
    honest(answer, bytes(changed), draw)


def a_page(answer: Answer, *_: object) -> None:
    page = b"<html>log in first</html>" * 100
    answer.head(200, Content_Length=len(page), Content_Type="text/html")
    answer.wfile.write(page)


def nonsense(answer: Answer, _: bytes, draw: random.Random) -> None:
    answer.wfile.write(draw.randbytes(5000))
    answer.close_connection = True


def lengths(value: str) -> Act:
    def act(answer: Answer, data: bytes, _: random.Random) -> None:
        answer.head(200, Content_Length=value)
        answer.wfile.write(data)
        answer.close_connection = True

    return act


def chunks(broken: bytes) -> Act:
    def act(answer: Answer, data: bytes, _: random.Random) -> None:
        answer.head(200, Transfer_Encoding="chunked")
        answer.wfile.write(f"{len(data) // 2:x}\r\n".encode() + data[: len(data) // 2] + broken)
        answer.close_connection = True

    return act


def moody(answer: Answer, data: bytes, draw: random.Random) -> None:
    """Now this, now that."""
    draw.choice([honest, cut, reset, status(503), cut_at_once])(answer, data, draw)


def many_heads(answer: Answer, data: bytes, _: random.Random) -> None:
    answer.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000)
    answer.wfile.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data)


SERVERS: dict[str, Act] = {
    each.__name__.replace("_", " "): each
    for each in (
        *(honest, cut, cut_at_once, no_answer, reset, silent, drip, drip_of_the_head, endless),
        *(longer, go_on, redirects, redirect_to_a_file, elsewhere, other_bytes, a_page, nonsense),
        *(moody, many_heads),
    )
}
SERVERS |= {f"status {code}": status(code) for code in (204, 206, 403, 404, 416, 429, 500, 503)}
SERVERS |= {f"length {text}": lengths(text) for text in ("-1", "x", "0", "99999999999999999999")}
SERVERS |= {
    f"chunks {number}": chunks(broken)
    for number, broken in enumerate(
        (b"", b"\r\nzz\r\n", b"\r\n-5\r\n", b"\r\nffffffffffffffff\r\n")
    )
}


def run(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """Each kind of server in turn, as one that has the zip and as a hub that has the files."""
    tally = Tally()
    source = write_source(scratch / "source", DOCUMENTS, QUERIES, draw)
    data, grades = _zip(source), _grades(source)
    files = {
        f"{REPOSITORY}/{name}": (source / name).read_bytes()
        for name in ("corpus.jsonl", "queries.jsonl")
    }
    files[f"{REPOSITORY}-qrels/test.tsv"] = (source / "qrels/test.tsv").read_bytes()
    right = hashlib.md5(data).hexdigest()
    bad = [kind for kind in SERVERS if kind != "honest"]
    kinds = ["honest", *draw.sample(bad, len(bad))]
    for number in range(trials):
        kind, hub = kinds[number // 2 % len(kinds)], number % 2 == 1
        store = scratch / "store"
        for folder in (store, scratch / "hub"):
            shutil.rmtree(folder, ignore_errors=True)
        tally.trials += 1
        with _serving(SERVERS[kind], data, files if hub else {}, draw) as url:
            if hub:
                ended = call(functools.partial(fetch_from_hub, url, store, grades))
            else:
                md5 = right if number % 4 == 0 else None
                about = (url, store, grades, md5, len(data))
                ended = call(lambda _, about=about: fetch(*about))
        if kind == "honest" and ended.code != 0:
            tally.wrong.append(f"honest: {ended.err[-300:]!r}")
        kind += " hub" if hub else ""
        if tally.fault(kind, ended):
            continue
        tally.halves += [f"{kind}: {path}" for path in left_over(store)]
        there = (store / "scifact" / "manifest.json").is_file()
        if ended.code == 0:
            tally.right += 1
        elif ended.code == 3:
            tally.wrong.append(f"{kind}: another dataset")
        elif ended.code == 1 and ended.err.startswith("told: ") and not there:
            tally.told += 1
        else:
            tally.tracebacks.append(f"{kind}: {ended.code}, {ended.err[-300:]!r}")
    return tally


def _blob(data: bytes) -> str:
    """As git names a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _grades(source: Path) -> dict[int, int]:
    """How many judgements have each grade."""
    lines = (source / "qrels/test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return dict(Counter(int(line.split("\t")[2]) for line in lines))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    asked = 0

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what a bad server can expect."""


@contextlib.contextmanager
def _serving(
    act: Act, data: bytes, files: Mapping[str, bytes], draw: random.Random
) -> Iterator[str]:
    server: Any = _Server(("127.0.0.1", 0), Answer)
    server.act, server.data, server.files, server.draw = act, data, files, draw
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        # Threads that still drip are let go.
        server.socket.close()
