"""One file over the network, whole or not at all.

It is downloaded to a `.part` file beside its final name, so that a broken download goes on where it
stopped; pooch checks the MD5 that is known, and only a file that passes gets its name.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtr_beir.errors import FetchError
from gtr_beir.files import explained
from gtr_beir.progress import Progress

_CHUNK = 1 << 18


@dataclass(frozen=True)
class Patience:
    """How long to try: attempts without any progress, first pause and longest pause in seconds
    (each pause doubles), and seconds without a byte until a connection counts as dead."""

    attempts: int = 5
    pause: float = 2.0
    longest_pause: float = 60.0
    silence: float = 60.0


def download(
    url: str,
    target: Path,
    *,
    md5: str | None,
    quiet: bool = True,
    patience: Patience | None = None,
) -> None:
    """Download `url` to `target`; the name is given only to bytes with the right MD5.

    A target that is there already with the right MD5 is kept. Bytes with a wrong MD5 are thrown
    away and fetched once more from the start. Raises FetchError.
    """
    import pooch

    progress = Progress(f"fetch {target.name}", None, "bytes", quiet=quiet)
    part = target.with_name(f"{target.name}.part")
    downloader = _Resuming(part, progress, patience or Patience())
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
                    f"{url} gave a file with another MD5 than {md5}, twice; try again later, or "
                    "give a mirror with --base-url"
                ) from None
            progress.say(f"{url}: the MD5 is wrong; fetching it once more from the start")


class _Resuming:
    """pooch's downloader interface over requests: goes on where a download broke off."""

    def __init__(self, part: Path, progress: Progress, patience: Patience):
        self._part, self._progress, self._patience = part, progress, patience

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        del pooch
        failures = 0
        while True:
            before = self._size()
            try:
                self._get(url)
                break
            except _TryAgainError as error:
                failures = 1 if self._size() > before else failures + 1
                if failures >= self._patience.attempts:
                    raise FetchError(
                        f"{url} could not be fetched ({error}); run again to go on where it "
                        "stopped, or give a mirror with --base-url"
                    ) from error
                pause = min(
                    self._patience.pause * 2 ** (failures - 1), self._patience.longest_pause
                )
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
        try:
            with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
                self._check(url, response, at)
                if at and response.status_code != 206:
                    self._part.unlink()
                    at = 0
                    if response.status_code == 416:
                        raise _TryAgainError("the server refused to go on; starting anew")
                self._receive(response, at)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise FetchError(f"{url} is no address ({error})") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _TryAgainError(_reason(error)) from error

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
                raise _TryAgainError("the server went on at another place; starting anew")

    def _receive(self, response: Any, at: int) -> None:
        length = response.headers.get("Content-Length", "")
        expected = at + int(length) if length.isdigit() else None
        self._progress.begin(at, expected)
        with self._part.open("ab") as file:
            # read1 gives what has come, so that a connection that breaks loses none of it.
            while chunk := response.raw.read1(_CHUNK):
                file.write(chunk)
                self._progress.advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if expected is not None and self._size() < expected:
            raise _TryAgainError(f"the connection ended at {self._size():,} of {expected:,} bytes")


class _TryAgainError(Exception):
    """Something that may go away by itself."""


def _reason(error: Exception) -> str:
    text = type(error).__name__.removesuffix("Error")
    names = {"Connect": "no connection", "ReadTimeout": "no answer in time"}
    names |= {"ReadTimeoutError": names["ReadTimeout"], "Connection": "no connection"}
    names |= {"ChunkedEncoding": "the connection broke", "Protocol": "the connection broke"}
    names |= {"IncompleteRead": "the connection broke"}
    return names.get(text, text)
