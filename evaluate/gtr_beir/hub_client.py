"""The Hugging Face hub through its own client, kept within the bounds that other downloads have.

The client has a limit for the silence of a connection and none for an answer that never begins, for
a body that comes byte by byte, or for one that never ends.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gtr_beir.errors import FetchError
from gtr_beir.network import Patience, Watch, is_reachable

PATIENCE = Patience()
MOST = 1 << 30
"""Bytes of a body of which no length is said: pages of the interface, small files."""
_LONGEST = 50 * 10**9
"""Bytes of a body of which a length is said; the hub gives longer files in another way."""

_preparing = threading.Lock()


def hub_is_reachable() -> bool:
    """Whether the Hugging Face hub, or what stands in for it, takes a connection."""
    from huggingface_hub import constants

    return is_reachable(constants.ENDPOINT)


def prepare_hub() -> None:
    """Let the hub's client say nothing of its retries, since what it ends in is told in one
    sentence, and raise FetchError where an answer is late, slow or without an end."""
    from huggingface_hub.utils import _http
    from huggingface_hub.utils.logging import set_verbosity

    set_verbosity(logging.ERROR)
    with _preparing:
        # Somebody's own client, with a proxy or certificates, stays what it is.
        factory = _http._GLOBAL_CLIENT_FACTORY
        if not isinstance(factory, _Watched):
            _http.set_client_factory(_Watched(factory))


def require_as_on_hub(name: str, *, kind: str, revision: str | None, folder: Path | None) -> None:
    """FetchError, naming a file, if what was fetched has not the digests that the hub says; the
    file is removed. A hub that says none is believed.

    kind: "model" or "dataset"; folder: where it was fetched to, None for the hub's cache.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    verify = getattr(HfApi(), "verify_repo_checksums", None)
    if verify is None:
        return
    try:
        found = verify(name, repo_type=kind, revision=revision, local_dir=folder)
    except HfHubHTTPError:
        return
    for one in found.mismatches:
        path = found.verified_path / one["path"]
        # In the cache a name is a link to the bytes.
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    if found.mismatches:
        one = found.mismatches[0]
        raise FetchError(
            f"{name} came from the hub with {one['path']} damaged (its {one['algorithm']} is not "
            f"{one['expected'][:12]}...); run again to fetch it anew"
        )


class _Watched:
    """Makes clients whose requests are watched."""

    def __init__(self, make: Callable[[], Any]):
        self._make = make

    def __call__(self) -> Any:
        client = self._make()
        # The library is another for other versions of the hub's client.
        library = importlib.import_module(type(client).__module__.partition(".")[0])
        stream = type("Bounded", (_Body, library.SyncByteStream), {})

        def bound(answer: Any) -> None:
            answer.stream = stream(answer)

        hooks = client.event_hooks
        client.event_hooks = {
            "request": [*hooks.get("request", []), _watch],
            "response": [*hooks.get("response", []), bound],
        }
        return client


def _watch(request: Any) -> None:
    """A client's hook: the request's connection is its own, so that it is known what to end."""
    request.headers["Connection"] = "close"
    request.extensions = {**request.extensions, "trace": _Waiting(str(request.url))}


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
        self._most = MOST if said is None else _LONGEST
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
            f"{self._url} sends more than {self._most:,} bytes, which no file there has; is the "
            "address of the hub right?"
        )
