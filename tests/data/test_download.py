"""Downloading from a server on loopback that misbehaves in every way a network can."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtr_beir.data.download import download
from gtr_beir.errors import FetchError
from zip_server import MD5, QUICK, ZIP, Answer, Handler, serving


def fetched(answer: Answer, folder: Path, data: bytes = ZIP) -> list[tuple[str, str | None]]:
    """Download with this server; returns the requests. The right bytes must be there afterwards."""
    with serving(answer) as server:
        target = folder / "toy.zip"
        download(f"{server.url}/toy.zip", target, md5=MD5, patience=QUICK)
        assert target.read_bytes() == data
        assert [p.name for p in folder.iterdir()] == ["toy.zip"]
        return list(server.requests)


def refused(answer: Answer, folder: Path, match: str) -> None:
    """The download fails with one sentence, and nothing has the final name."""
    with serving(answer) as server:
        with pytest.raises(FetchError, match=match) as caught:
            download(f"{server.url}/toy.zip", folder / "toy.zip", md5=MD5, patience=QUICK)
        assert "\n" not in str(caught.value)
    assert not (folder / "toy.zip").exists()


def test_honest_server(tmp_path: Path) -> None:
    assert len(fetched(lambda h, _: h.send_from(ZIP), tmp_path)) == 1


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "toy.zip").write_bytes(ZIP)
    assert fetched(lambda h, _: h.send_from(ZIP), tmp_path) == []


def test_not_found(tmp_path: Path) -> None:
    refused(lambda h, _: h.send(b"no", 404), tmp_path, "answered 404, the file is not there")


def test_500_then_fine(tmp_path: Path) -> None:
    assert len(fetched(lambda h, n: h.send(b"", 500) if n < 3 else h.send_from(ZIP), tmp_path)) == 3


def test_500_for_ever(tmp_path: Path) -> None:
    refused(lambda h, _: h.send(b"", 503), tmp_path, "answered 503.*run again")


def test_redirect(tmp_path: Path) -> None:
    def answer(handler: Handler, _: int) -> None:
        if handler.path == "/toy.zip":
            handler.send(b"", 302, Location="/elsewhere")
        else:
            handler.send_from(ZIP)

    assert [path for path, _ in fetched(answer, tmp_path)] == ["/toy.zip", "/elsewhere"]


def test_web_page_instead_of_a_zip(tmp_path: Path) -> None:
    page = b"<html>Sign in to the network</html>"
    refused(lambda h, _: h.send(page, Content_Type="text/html"), tmp_path, "a web page instead")


def test_web_page_that_claims_to_be_a_zip(tmp_path: Path) -> None:
    page = b"<html>Sign in to the network</html>"
    refused(lambda h, _: h.send(page, Content_Type="application/zip"), tmp_path, "whose MD5 is not")


def test_slow_server(tmp_path: Path) -> None:
    """Silence counts as a dead connection; what had come is kept."""

    def answer(handler: Handler, number: int) -> None:
        if number == 1:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(ZIP)))
            handler.end_headers()
            handler.wfile.write(ZIP[:1000])
            handler.wfile.flush()
            time.sleep(0.8)
            handler.close_connection = True
        else:
            handler.send_from(ZIP)

    requests = fetched(answer, tmp_path)
    assert len(requests) == 2


def test_range_refused(tmp_path: Path) -> None:
    """A server without ranges sends everything again: no byte is doubled."""
    answer = lambda h, n: h.cut(ZIP, 5000) if n == 1 else h.send(ZIP)  # noqa: E731
    requests = fetched(answer, tmp_path)
    assert requests[1][1] == "bytes=5000-"


def test_range_at_another_place(tmp_path: Path) -> None:
    def answer(handler: Handler, number: int) -> None:
        if number == 1:
            handler.cut(ZIP, 5000)
        elif handler.headers.get("Range"):
            place = f"bytes 10-{len(ZIP) - 1}/{len(ZIP)}"
            handler.send(ZIP[10:], 206, Content_Range=place)
        else:
            handler.send_from(ZIP)

    fetched(answer, tmp_path)


def test_wrong_length(tmp_path: Path) -> None:
    """A length that is too long never ends well; one that is too short gives other bytes."""
    refused(lambda h, _: h.cut(ZIP + b"x" * 10, len(ZIP)), tmp_path, "could not be fetched|MD5")
    refused(lambda h, _: h.send(ZIP[:-7]), tmp_path, "whose MD5 is not")


def test_nobody_answers(tmp_path: Path) -> None:
    with serving(lambda _handler, _number: None) as server:
        url = server.url
    with pytest.raises(FetchError, match="no connection"):
        download(f"{url}/toy.zip", tmp_path / "toy.zip", md5=MD5, patience=QUICK)


def test_no_address(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="not a valid address"):
        download("mirror/toy.zip", tmp_path / "toy.zip", md5=MD5, patience=QUICK)


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(1, len(ZIP) - 1), min_size=1, max_size=4))
def test_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """Cut at any bytes, any number of times: the download goes on and ends in the right data."""
    answer = lambda h, n: h.cut(ZIP, cuts[n - 1]) if n <= len(cuts) else h.send_from(ZIP)  # noqa: E731
    requests = fetched(answer, tmp_path_factory.mktemp("cut"))
    places = [int(r[1].removeprefix("bytes=").rstrip("-")) for r in requests[1:] if r[1]]
    assert places == sorted(places), "it never starts over"


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, len(ZIP) * 8 - 1), st.booleans())
def test_flipped_bit(tmp_path_factory: pytest.TempPathFactory, bit: int, for_ever: bool) -> None:
    """One flipped bit: fetched anew and right, or refused; never trusted."""
    flipped = bytearray(ZIP)
    flipped[bit // 8] ^= 1 << bit % 8
    folder = tmp_path_factory.mktemp("flip")
    answer = lambda h, n: h.send_from(bytes(flipped) if n == 1 or for_ever else ZIP)  # noqa: E731
    if for_ever:
        refused(answer, folder, "whose MD5 is not")
    else:
        fetched(answer, folder)


def endless(handler: Handler, status: str, body: Callable[[], bytes], pause: float) -> None:
    """A head, and a body that never ends; bounded by 20 s, should nobody hang up."""
    handler.close_connection = True
    end = time.monotonic() + 20
    with contextlib.suppress(OSError):
        handler.wfile.write(status.encode())
        while time.monotonic() < end:
            handler.wfile.write(body())
            handler.wfile.flush()
            time.sleep(pause)


SHORT = replace(QUICK, answer=0.4, window=0.4, floor=1000)
OK = "HTTP/1.1 200 OK\r\n"


def ended(answer: Answer, folder: Path, match: str, *, size: int | None = None) -> None:
    """The download fails soon, in one sentence, and nothing has the final name."""
    start = time.monotonic()
    with serving(answer) as server:
        server.daemon_threads, server.block_on_close = True, False
        with pytest.raises(FetchError, match=match) as caught:
            url = f"{server.url}/toy.zip"
            download(url, folder / "toy.zip", md5=MD5, size=size, patience=SHORT)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 8
    assert not (folder / "toy.zip").exists()


@pytest.mark.parametrize("head", [OK, f"{OK}Content-Length: 99999999\r\n"])
def test_a_body_longer_than_the_registry_says(head: str, tmp_path: Path) -> None:
    answer = lambda h, _: endless(h, f"{head}\r\n", lambda: b"x" * 65_536, 0)  # noqa: E731
    ended(answer, tmp_path, "sends more than the 100,000 bytes that the file", size=100_000)
    assert list(tmp_path.iterdir()) == []


def test_a_body_of_the_size_in_the_registry(tmp_path: Path) -> None:
    with serving(lambda h, _: h.send_from(ZIP)) as server:
        url = f"{server.url}/toy.zip"
        download(url, tmp_path / "toy.zip", md5=MD5, size=len(ZIP), patience=QUICK)
        with pytest.raises(FetchError, match="sends more than"):
            download(url, tmp_path / "b.zip", md5=MD5, size=len(ZIP) - 1, patience=QUICK)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (f"{OK}Content-Length: {len(ZIP)}\r\n\r\n", b"P"),
        (f"{OK}\r\n", b"P"),
        (f"{OK}Transfer-Encoding: chunked\r\n\r\n", b"0"),
        (f"{OK}Transfer-Encoding: chunked\r\n\r\n", b"1\r\nP\r\n"),
    ],
)
def test_a_drip(head: str, piece: bytes, tmp_path: Path) -> None:
    answer = lambda h, _: endless(h, head, lambda: piece, 0.02)  # noqa: E731
    ended(answer, tmp_path, "sends less than 1,000 bytes a second; run again later")


@pytest.mark.parametrize(
    "piece", [b"HTTP/1.1 100 Continue\r\n\r\n", b"x", b"X-Header: 1\r\n", b"HTTP/1.1 102 P\r\n\r\n"]
)
def test_an_answer_that_never_begins(piece: bytes, tmp_path: Path) -> None:
    start = "" if piece.startswith(b"HTTP") else OK
    answer = lambda h, _: endless(h, start, lambda: piece, 0.01)  # noqa: E731
    ended(answer, tmp_path, "could not be fetched .no answer in time.; run|answered 102")


def test_always_at_another_place(tmp_path: Path) -> None:
    """Starting over is no progress."""

    def answer(handler: Handler, _: int) -> None:
        if handler.headers.get("Range"):
            handler.send(ZIP[10:], 206, Content_Range=f"bytes 10-{len(ZIP) - 1}/{len(ZIP)}")
        else:
            handler.cut(ZIP, 5000)

    ended(answer, tmp_path, "could not be fetched")


def test_a_byte_a_request(tmp_path: Path) -> None:
    few = replace(SHORT, requests=20)
    with serving(lambda h, _: h.cut(ZIP, 1)) as server:
        with pytest.raises(FetchError, match=r"could not be fetched .*; run again"):
            download(f"{server.url}/toy.zip", tmp_path / "toy.zip", md5=MD5, patience=few)
        assert len(server.requests) == 20
