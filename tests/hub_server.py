"""As much of the Hugging Face hub on loopback as its own client asks for."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"

Repositories = Mapping[str, Mapping[str, str | bytes]]
"""Name -> file -> content."""


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
        kind, place = self.server.kind, "" if self.server.kind == "models" else "/datasets"
        for repository, contents in self.server.repositories.items():
            files = {n: d.encode() if isinstance(d, str) else d for n, d in contents.items()}
            about = f"/api/{kind}/{repository}"
            if self.path.startswith(f"{about}/tree/"):
                tree = [
                    {"type": "file", "path": name, "size": len(data), "oid": sha1(data)}
                    for name, data in files.items()
                ]
                self.send(json.dumps(tree).encode(), {"Content-Type": "application/json"}, body)
                return
            if self.path.split("?")[0] == about or self.path.startswith(f"{about}/revision/"):
                siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                info = {"id": repository, "sha": self.server.commit, "siblings": siblings}
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


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextlib.contextmanager
def hub(
    repositories: Repositories, *, kind: str = "datasets", commit: str = COMMIT
) -> Iterator[Any]:
    """A server; `asked` lists the paths that were asked for."""
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.repositories, server.asked, server.kind, server.commit = repositories, [], kind, commit
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
