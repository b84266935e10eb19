"""Other machines: whether somebody is there, and for how long what they send is waited for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 5.0
"""How long to wait for the name's address and the connection together."""


def is_reachable(url: str, *, seconds: float = SECONDS) -> bool:
    """Whether the host of `url` takes a connection; False too if that is not known in time.

    Asked before libraries that would try for a minute. Only a connection is opened, through the
    proxy that the environment names; nothing is sent.
    """
    if "://" not in url:
        return True  # not an address: whoever uses it says so
    import requests

    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    asked = proxy or url
    try:
        target = urlsplit(asked if "//" in asked else f"//{asked}")
        host, port = target.hostname, target.port
    except ValueError:
        return True
    if host is None:
        return True
    place = (host, port or (80 if target.scheme == "http" else 443))
    found = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            socket.create_connection(place, timeout=seconds).close()
            found.set()

    # In a thread, because nothing bounds how long a name is looked for.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return found.is_set()


@dataclass(frozen=True)
class Patience:
    """How long to try.

    attempts: without any progress; requests: in all; pause, longest_pause: seconds (each pause
    doubles); silence: seconds without a byte until a connection counts as dead; answer: seconds
    until the server begins to send; floor, window: a connection that brings less than `floor` bytes
    a second during `window` seconds is given up.
    """

    attempts: int = 5
    requests: int = 100
    pause: float = 2.0
    longest_pause: float = 60.0
    silence: float = 30.0
    answer: float = 20.0
    floor: int = 1 << 12
    window: float = 60.0


class Watch:
    """Ends a connection that is too slow, whatever the code that reads from it waits for.

    A server may send any number of interim answers, or its headers byte by byte: no timeout of a
    single read ends that. late: it was ended because no answer began; slow: because too little
    came.
    """

    def __init__(self, patience: Patience):
        self.patience = patience
        self.late = self.slow = False
        self._socket: Callable[[], socket.socket | None] = lambda: None
        self._answered = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._bytes = 0

    def connected(self, to: Callable[[], socket.socket | None]) -> None:
        """What to end, if it has to be; None: nothing yet."""
        self._socket = to

    def answered(self) -> None:
        self._answered.set()

    def received(self, count: int) -> None:
        self._bytes += count

    def begin(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Nothing is ended any more."""
        self._over.set()
        self._answered.set()
        if self._thread is not None:
            self._thread.join()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        self.begin()
        try:
            yield
        finally:
            self.end()

    def _watch(self) -> None:
        patience = self.patience
        if not self._answered.wait(patience.answer):
            self.late = True
            self._end()
            return
        before = self._bytes
        while not self._over.wait(patience.window):
            if self._bytes - before < patience.floor * patience.window:
                self.slow = True
                self._end()
                return
            before = self._bytes

    def _end(self) -> None:
        connected = self._socket()
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
