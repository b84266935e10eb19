"""Servers on loopback that misbehave in what a network can: the dataset, or a sentence, in time."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import random
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from campaigns.inputs import _zip
from campaigns.trial import Tally, call
from campaigns.world import left_over, write_source

DRIP = 0.3
Act = Callable[["Answer", bytes, random.Random], None]


class Answer(http.server.BaseHTTPRequestHandler):
    """Does what the server's `act` does."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.server.asked += 1
        with contextlib.suppress(OSError, ValueError):
            self.server.act(self, self.server.data, self.server.draw)

    def log_message(self, *_: object) -> None:
        pass

    @property
    def start(self) -> int:
        """Where the range that is asked for begins."""
        wanted = self.headers.get("Range") or "bytes=0-"
        return int(wanted.removeprefix("bytes=").split("-")[0])

    def head(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
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
    """Each kind of server in turn; the program waits seconds where it waits minutes for real."""
    tally = Tally()
    source = write_source(scratch / "source", 400, 20, draw)
    data, grades = _zip(source), _grades(source)
    right = hashlib.md5(data).hexdigest()
    bad = [kind for kind in SERVERS if kind != "honest"]
    kinds = ["honest", *draw.sample(bad, len(bad))]
    for number in range(trials):
        kind = kinds[number % len(kinds)]
        store = scratch / "store"
        shutil.rmtree(store, ignore_errors=True)
        tally.trials += 1
        known = number % 2 == 0
        with _serving(SERVERS[kind], data, draw) as url:
            about = (url, store, grades, right if known else None, len(data))
            ended = call(functools.partial(_fetch, *about))
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


def _grades(source: Path) -> dict[int, int]:
    """How many judgements have each grade."""
    lines = (source / "qrels/test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return dict(Counter(int(line.split("\t")[2]) for line in lines))


def _fetch(
    url: str, store: Path, grades: dict[int, int], md5: str | None, size: int, _: object
) -> int:
    import sys

    from gtr_beir.data import importing, mirrors
    from gtr_beir.data.registry import Judgements, registered
    from gtr_beir.errors import GtrBeirError
    from gtr_beir.network import Patience

    spec = registered("scifact")
    assert spec is not None
    small = replace(
        spec,
        documents=400,
        queries=20,
        judgements=(Judgements("all", 20, grades),),
        md5=md5,
        zip_bytes=size if md5 else None,
        zip_url=f"{url}/scifact.zip",
        hub=None,
        blank_documents=None,
    )
    importing.registered = lambda _: small
    patience = Patience(*(3, 12, 0.01, 0.05), silence=2.0, answer=3.0, floor=1 << 12, window=3.0)
    try:
        dataset: Any = mirrors.fetch_dataset(small, datasets_dir=store, patience=patience)
    except GtrBeirError as error:
        print(f"told: {error}", file=sys.stderr)
        return 1
    ids: Sequence[str] = dataset.document_ids(np.arange(dataset.n_documents))
    return 0 if list(ids) == [f"d{row}" for row in range(400)] else 3


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    asked = 0

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what a bad server can expect."""


@contextlib.contextmanager
def _serving(act: Act, data: bytes, draw: random.Random) -> Iterator[str]:
    server: Any = _Server(("127.0.0.1", 0), Answer)
    server.act, server.data, server.draw = act, data, draw
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        # Threads that still drip are let go.
        server.socket.close()
