"""A server on loopback with a small BEIR zip, which answers as a test tells it to."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator

from gtr_beir.network import Patience

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
