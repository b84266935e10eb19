"""Whether somebody is there, asked before libraries that would try for a minute.

Only a connection is opened, through the proxy that the environment names; nothing is sent.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

SECONDS = 5.0
"""How long to wait for the name's address and the connection together."""


def is_reachable(url: str, *, seconds: float = SECONDS) -> bool:
    """Whether the host of `url` takes a connection; False too if that is not known in time."""
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


def hub_is_reachable() -> bool:
    """Whether the Hugging Face hub, or what stands in for it, takes a connection."""
    from huggingface_hub import constants

    return is_reachable(constants.ENDPOINT)


def silence_hub() -> None:
    """Let the hub's client say nothing of its retries: what it ends in is told in one sentence."""
    import logging

    from huggingface_hub.utils.logging import set_verbosity

    set_verbosity(logging.ERROR)
