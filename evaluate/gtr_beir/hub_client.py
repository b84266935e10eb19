"""The Hugging Face hub through its own client, kept within the bounds that other downloads have.

The client has a limit for the silence of a connection and none for an answer that never begins, for
a body that comes byte by byte, or for one that never ends; and it looks at no digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gtr_beir.digests import hash_file
from gtr_beir.errors import FetchError
from gtr_beir.network import Patience, Watch, is_reachable

PATIENCE = Patience()
MOST = 1 << 30
"""Bytes of a body of which no length is said: pages of the interface, small files."""
_LONGEST = 50 * 10**9
"""Bytes of a body of which a length is said; the hub gives longer files in another way."""

_one_at_a_time = threading.RLock()


def hub_is_reachable() -> bool:
    """Whether the Hugging Face hub, or what stands in for it, takes a connection."""
    from huggingface_hub import constants

    return is_reachable(constants.ENDPOINT)


@contextlib.contextmanager
def patient_hub() -> Iterator[None]:
    """Within it the hub's client says nothing of its retries, since what it ends in is told in one
    sentence, and raises FetchError where an answer is late, slow or without an end.

    Somebody's own client, with a proxy or certificates, stays what it is; outside, nothing is
    changed for others who use the hub.
    """
    from huggingface_hub.utils import _http
    from huggingface_hub.utils.logging import get_verbosity, set_verbosity

    with _one_at_a_time:
        factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
        verbosity = get_verbosity()
        set_verbosity(logging.ERROR)
        _http.set_client_factory(lambda: _watched(factory()))
        try:
            yield
        finally:
            _http.set_client_factory(factory)
            set_verbosity(verbosity)


def digests_on_hub(name: str, *, kind: str, commit: str | None) -> Mapping[str, str]:
    """What the hub says of each file of a repository, by path: `sha256:...` of large files, and
    `git:...` (SHA-1 as git names a content) of others.

    kind: "model" or "dataset". What the client raises where there is no answer is its own.
    """
    from huggingface_hub import HfApi

    found = {}
    for entry in HfApi().list_repo_tree(name, recursive=True, revision=commit, repo_type=kind):
        large, small = getattr(entry, "lfs", None), getattr(entry, "blob_id", None)
        if large is not None:
            found[entry.path] = f"sha256:{large.sha256}"
        elif small is not None:
            found[entry.path] = f"git:{small}"
    return found


def require_as_on_hub(
    name: str,
    digests: Mapping[str, str],
    files: Mapping[str, Path],
    *,
    sha256: Callable[[Path], str] = hash_file,
) -> None:
    """FetchError, naming the file, where one that was fetched (by path in the repository) has not
    the hub's digest; it is removed, so that it is fetched again. sha256: of a file, for callers who
    need it again."""
    for path, file in files.items():
        if path not in digests:
            continue
        how, _, said = digests[path].partition(":")
        if said == (sha256(file) if how == "sha256" else _git_name(file)):
            continue
        # In the hub's cache a name is a link to bytes two folders up.
        content = file.resolve()
        file.unlink()
        if content.parent.name == "blobs":
            content.unlink(missing_ok=True)
        raise FetchError(
            f"{name} came from the hub with {path} damaged (it has not the digest that the hub "
            "says); run again to fetch it anew"
        )


def _git_name(file: Path) -> str:
    """SHA-1, as git names a content; such files are small."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _watched(client: Any) -> Any:
    hooks = client.event_hooks
    client.event_hooks = {
        "request": [*hooks.get("request", []), _watch],
        "response": [*hooks.get("response", []), _bound],
    }
    return client


def _watch(request: Any) -> None:
    """A client's hook: the request's connection is its own, so that it is known what to end."""
    request.headers["Connection"] = "close"
    limits = request.extensions.get("timeout") or {}
    silence = dict.fromkeys(("connect", "read", "write", "pool"), PATIENCE.silence)
    request.extensions = {
        **request.extensions,
        "timeout": silence | {step: at for step, at in limits.items() if at is not None},
        "trace": _Waiting(str(request.url)),
    }


def _bound(answer: Any) -> None:
    """A client's hook."""
    # The client takes no stream that is not its library's, which differs between its versions.
    library = next(c for c in type(answer.stream).__mro__ if c.__name__ == "SyncByteStream")
    answer.stream = type("Bounded", (_Body, library), {})(answer)


class _Waiting:
    """Is told of a request's steps; ends the wait for an answer that does not begin."""

    def __init__(self, url: str):
        self._url = url
        self._socket: Any = None
        self._watch = Watch(PATIENCE)

    def __call__(self, step: str, about: Mapping[str, Any]) -> None:
        what = step.partition(".")[2]
        if what in ("connect_tcp.complete", "start_tls.complete"):
            self._socket = about["return_value"].get_extra_info("socket")
        elif what == "receive_response_headers.started":
            self._watch = Watch(PATIENCE)
            self._watch.connected(lambda: self._socket)
            self._watch.begin()
        elif what.startswith("receive_response_headers."):
            self._watch.end()
            if self._watch.late:
                raise FetchError(
                    f"{self._url} does not answer within {PATIENCE.answer:.0f} s; try again later"
                )


class _Body:
    """A body, part by part as it comes."""

    def __init__(self, answer: Any):
        self._parts = answer.stream
        self._url = str(answer.request.url)
        self._connection = answer.extensions.get("network_stream")
        length = answer.headers.get("Content-Length", "")
        said = int(length) if length.isdecimal() and len(length) < 20 else None
        self._most, self._why = (MOST, ", and not how many") if said is None else (_LONGEST, "")
        if (said or 0) > self._most:
            raise self._too_long()

    def __iter__(self) -> Iterator[bytes]:
        watch = Watch(PATIENCE)
        if self._connection is not None:
            watch.connected(lambda: self._connection.get_extra_info("socket"))
        watch.answered()
        read = 0
        with watch.watching():
            try:
                for part in self._parts:
                    read += len(part)
                    if read > self._most:
                        raise self._too_long()
                    watch.received(len(part))
                    yield part
            except Exception as error:
                if watch.slow:
                    raise self._too_slow() from error
                raise
        # A body without a length is whole wherever the connection ends.
        if watch.slow:
            raise self._too_slow()

    def close(self) -> None:
        self._parts.close()

    def _too_slow(self) -> FetchError:
        return FetchError(
            f"{self._url} sends less than {PATIENCE.floor:,} bytes a second; try again later"
        )

    def _too_long(self) -> FetchError:
        return FetchError(
            f"{self._url} sends more than {self._most:,} bytes{self._why}; is the address of the "
            "hub right?"
        )
