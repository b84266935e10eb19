"""As much of the Hugging Face hub on loopback as its own client asks for."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"

Repositories = Mapping[str, Mapping[str, str | bytes]]
"""Name -> file -> content."""
Manner = tuple[str, Callable[[IO[bytes]], None]]
"""Which requests (`GET /...resolve`, a pattern) are answered otherwise, and what is written."""


class Hub(http.server.BaseHTTPRequestHandler):
    """Repository info and tree, and files by commit, of datasets or models."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        self.server.asked.append(self.path)
        manner = self.server.manner
        if manner is not None and re.search(manner[0], f"{self.command} {self.path}"):
            with contextlib.suppress(OSError):
                manner[1](self.wfile)
            self.close_connection = True
            return
        kind, place = self.server.kind, "" if self.server.kind == "models" else "/datasets"
        for repository, contents in self.server.repositories.items():
            files = {n: d.encode() if isinstance(d, str) else d for n, d in contents.items()}
            about = f"/api/{kind}/{repository}"
            if self.path.startswith(f"{about}/tree/"):
                tree = [
                    {"type": "file", "path": name, "size": len(data), "oid": blob(data)}
                    for name, data in files.items()
                ]
                self.send(json.dumps(tree).encode(), {"Content-Type": "application/json"}, body)
                return
            if self.path.split("?")[0] == about or self.path.startswith(f"{about}/revision/"):
                siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                _, _, asked = self.path.partition("/revision/")
                commit = asked if re.fullmatch("[0-9a-f]{40}", asked) else self.server.commit
                info = {"id": repository, "sha": commit, "siblings": siblings}
                self.send(json.dumps(info).encode(), {"Content-Type": "application/json"}, body)
                return
            if self.path.startswith(f"{place}/{repository}/resolve/"):
                name = self.path.split("/resolve/", 1)[1].partition("/")[2]
                headers = {"ETag": f'"{sha1(files[name])}"', "X-Repo-Commit": self.server.commit}
                self.send(files[name], headers, body)
                return
        self.send(b'{"error": "not found"}', {"X-Error-Code": "RepoNotFound"}, body, 404)

    def send(self, data: bytes, headers: dict[str, str], body: bool, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def blob(data: bytes) -> str:
    """As git names a file's content."""
    return sha1(b"blob %d\0" % len(data) + data)


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextlib.contextmanager
def hub(
    repositories: Repositories,
    *,
    kind: str = "datasets",
    commit: str = COMMIT,
    manner: Manner | None = None,
) -> Iterator[Any]:
    """A server; `asked` lists the paths that were asked for."""
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads, server.block_on_close = True, False
    server.repositories, server.asked, server.kind, server.commit = repositories, [], kind, commit
    server.manner = manner
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
