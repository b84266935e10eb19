"""One file over the network, whole or not at all.

It is downloaded to a `.part` file beside its final name, so that a broken download continues where
it stopped; pooch checks the MD5 that is known, and only a file that passes gets its name. A server
can neither send more than is wanted nor keep anybody waiting for longer than `Patience` says.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from gtr_beir.errors import FetchError
from gtr_beir.files import explained
from gtr_beir.network import Patience, Watch, is_reachable
from gtr_beir.progress import Progress

_CHUNK = 1 << 18
_MOST = 1 << 30
"""Bytes of a file of which no size is known: topics and judgements, which are far smaller."""


def download(
    url: str,
    target: Path,
    *,
    md5: str | None,
    size: int | None = None,
    quiet: bool = True,
    patience: Patience | None = None,
) -> None:
    """Download `url` to `target`; the name is given only to bytes with the right MD5.

    A target that is there already with the right MD5 is kept. Bytes with a wrong MD5 are thrown
    away and fetched once more from the start. size: how many bytes there are, if that is known; not
    one more is taken. Raises FetchError.
    """
    import pooch

    progress = Progress(f"fetch {target.name}", None, "bytes", quiet=quiet)
    part = target.with_name(f"{target.name}.part")
    downloader = _Resuming(part, progress, patience or Patience(), size or _MOST)
    target.parent.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("CRITICAL")
    for last in (False, True):
        try:
            with explained(target):
                pooch.retrieve(
                    url,
                    known_hash=None if md5 is None else f"md5:{md5}",
                    fname=target.name,
                    path=target.parent,
                    downloader=downloader,
                )
            progress.finish()
            return
        except ValueError:
            # pooch has deleted the bytes; what is left to try is a fresh copy.
            part.unlink(missing_ok=True)
            if last:
                raise FetchError(
                    f"{url} twice gave a file whose MD5 is not {md5}; try again later, or name a "
                    "mirror in GTR_BEIR_URL"
                ) from None
            progress.say(f"{url}: the MD5 is wrong; fetching it once more from the start")


class _Resuming:
    """pooch's downloader interface over requests: continues where a download broke off."""

    def __init__(self, part: Path, progress: Progress, patience: Patience, most: int):
        self._part, self._progress, self._patience = part, progress, patience
        self._most = most

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        del pooch
        patience = self._patience
        # A second look, for networks that come up late; it is as short as the first.
        if not is_reachable(url):
            time.sleep(min(1.0, patience.pause))
            if not is_reachable(url, seconds=1.0):
                raise FetchError(
                    f"{url} could not be fetched (no connection); check the network, or name a "
                    "mirror in GTR_BEIR_URL"
                )
        failures, best = 0, self._size()
        for request in range(1, patience.requests + 1):
            try:
                self._get(url)
                break
            except _TryAgainError as error:
                # Only what was never here before is progress.
                failures = 1 if self._size() > best else failures + 1
                best = max(best, self._size())
                if failures >= patience.attempts or request == patience.requests:
                    raise FetchError(
                        f"{url} could not be fetched ({error}); run again to continue where it "
                        "stopped, or name a mirror in GTR_BEIR_URL"
                    ) from error
                pause = min(patience.pause * 2 ** (failures - 1), patience.longest_pause)
                self._progress.say(f"{url}: {error}; trying again in {pause:.0f} s")
                time.sleep(pause)
        self._part.replace(output_file)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _get(self, url: str) -> None:
        """One request; returns when the file is whole, raises _TryAgainError when it is not."""
        import requests
        import urllib3

        at = self._size()
        # "identity": a server that compresses on the way would make lengths and ranges meaningless.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={at}-"} if at else {})
        timeout = (min(10.0, self._patience.silence), self._patience.silence)
        watch = _Watched(self._patience)
        try:
            with (
                watch.watching(),
                watch.session() as session,
                session.get(url, headers=headers, stream=True, timeout=timeout) as response,
            ):
                watch.answered()
                self._check(url, response, at)
                if at and response.status_code != 206:
                    self._part.unlink()
                    at = 0
                    if response.status_code == 416:
                        raise _TryAgainError("the server refused to continue; starting over")
                self._receive(url, response, at, watch)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise FetchError(f"{url} is not a valid address ({error})") from None
        except _TryAgainError as error:
            raise watch.problem(url) or error from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise watch.problem(url) or _TryAgainError(_reason(error)) from error

    def _check(self, url: str, response: Any, at: int) -> None:
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            raise _TryAgainError(f"the server answered {status}")
        if status not in (200, 206, 416):
            raise FetchError(f"{url}: the server answered {status}, the file is not there")
        if status in (200, 206) and "html" in response.headers.get("Content-Type", ""):
            raise FetchError(f"{url} gave a web page instead of a zip; is the address right?")
        if status == 206:
            start = response.headers.get("Content-Range", "").partition(" ")[2].partition("-")[0]
            if start != str(at):
                self._part.unlink(missing_ok=True)
                raise _TryAgainError("the server continued at the wrong place; starting over")

    def _receive(self, url: str, response: Any, at: int, watch: _Watched) -> None:
        length = response.headers.get("Content-Length", "")
        expected = at + int(length) if length.isdecimal() and len(length) < 20 else None
        if expected is not None and expected > self._most:
            raise self._too_long(url)
        self._progress.begin(at, expected)
        with self._part.open("ab") as file:
            # read1 gives what has come, so that a connection that breaks loses none of it.
            while chunk := response.raw.read1(_CHUNK):
                at += len(chunk)
                if at > self._most:
                    raise self._too_long(url)
                file.write(chunk)
                watch.received(len(chunk))
                self._progress.advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if expected is not None and self._size() < expected:
            raise _TryAgainError(f"the connection ended at {self._size():,} of {expected:,} bytes")
        problem = watch.problem(url)
        if problem is not None:
            raise problem

    def _too_long(self, url: str) -> FetchError:
        self._part.unlink(missing_ok=True)
        return FetchError(
            f"{url} sends more than the {self._most:,} bytes that the file has; is the address "
            "right? Name another mirror in GTR_BEIR_URL"
        )


class _Watched(Watch):
    """Of what requests connects."""

    def session(self) -> Any:
        """A session of requests whose connections are watched."""
        import requests

        session = requests.Session()
        for scheme in ("http://", "https://"):
            adapter = session.get_adapter(scheme)
            adapter.get_connection_with_tls_context = self._watched(
                adapter.get_connection_with_tls_context
            )
        return session

    def _watched(self, pool_of: Any) -> Any:
        def watched_pool(*args: Any, **options: Any) -> Any:
            pool = pool_of(*args, **options)
            base = type(pool).ConnectionCls

            def connect(connection: Any) -> None:
                self.connected(lambda: connection.sock)
                base.connect(connection)
                # requests gives the socket of a whole answer to the answer.
                now = connection.sock
                self.connected(lambda: connection.sock or now)

            pool.ConnectionCls = type("WatchedConnection", (base,), {"connect": connect})
            return pool

        return watched_pool

    def problem(self, url: str) -> Exception | None:
        """Why the connection was ended here, if it was."""
        if self.late:
            return _TryAgainError("no answer in time")
        if not self.slow:
            return None
        return FetchError(
            f"{url} sends less than {self.patience.floor:,} bytes a second; run again later to "
            "continue where it stopped, or name a mirror in GTR_BEIR_URL"
        )


class _TryAgainError(Exception):
    """Something that may go away by itself."""


def _reason(error: Exception) -> str:
    text = type(error).__name__.removesuffix("Error")
    names = {"Connect": "no connection", "ReadTimeout": "no answer in time"}
    names |= {"ReadTimeoutError": names["ReadTimeout"], "Connection": "no connection"}
    names |= {"ChunkedEncoding": "the connection broke", "Protocol": "the connection broke"}
    names |= {"IncompleteRead": "the connection broke"}
    return names.get(text, text)
