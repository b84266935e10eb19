"""The decoder of compress's format against ncompress's own files and an encoder of our own."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtr_beir.data.lzw import LzwError, decompress

Encode = Callable[..., bytes]


def decoded(data: bytes) -> bytes:
    return b"".join(decompress(io.BytesIO(data)))


def bottles(number: int) -> bytes:
    return b"".join(b"%d bottles of beer, %d glasses\n" % (n, n * n) for n in range(number))


# What `compress -c -f -b WIDTH` of ncompress 4.2.4.6 wrote for bottles(LINES).
NCOMPRESS = {
    (0, 16): "7aa6f58a0a8f57b9e6a70d89961f4668b7d69eb177a8da8344d4e5ed12d7858e",
    (1, 16): "d4b9f4a94bd42a528eac23bf22b59684286832db3f8146ce3b2ea9c22683042c",
    (9, 16): "070a35947dd90ef1fdbe9b0bd5bd9128a3e57a7fd2e3773780f4e1b37af71e22",
    (400, 10): "8528926cb829da946f8c2851b0e1926f82789576ed5007fcea4c3c6fce1bace8",
    (400, 12): "9d83aed9e49e9c542d347a328732f1157caa6a28f0169ae8de464b89c951c9ae",
    (400, 16): "8110b1ba2743bbb46fd25dfd2760eb47bb7869ca13b3d0b0341eac1aa9cd588e",
    (12000, 16): "c70f2af787688a8a4f30f76c8bd7ed8c211e1307b07d0ecc8ff3066a9251d8a5",
    (14000, 16): "4a6284f4390746a5c9f8433ebfad927347beabf14b7c5504399e8b43de605b62",
}


@pytest.mark.parametrize(("lines", "width"), list(NCOMPRESS))
def test_files_of_ncompress(lines: int, width: int, compressed: Encode) -> None:
    data = bottles(lines)
    coded = compressed(data, max_width=width)
    # The hash makes these bytes ncompress's, not only ours.
    assert hashlib.sha256(coded).hexdigest() == NCOMPRESS[lines, width]
    assert decoded(coded) == data


def test_clear_code_of_ncompress() -> None:
    """A file in which compress found its table of 10 bits useless and emptied it."""
    squares = b"".join(b"%d " % (n * n) for n in range(60))
    coded = (Path(__file__).parent / "clear_code.Z").read_bytes()
    assert decoded(coded) == b"a" * 304_500 + squares * 3


@pytest.mark.skipif(shutil.which("compress") is None, reason="ncompress is not installed")
@pytest.mark.parametrize("width", range(10, 17))
def test_against_the_installed_compress(width: int) -> None:
    data = bottles(3000) + hashlib.shake_256(b"noise").digest(40_000) + bottles(9000)
    coded = subprocess.run(
        ["compress", "-c", "-f", "-b", str(width)], input=data, capture_output=True, check=False
    ).stdout
    assert decoded(coded) == data


@settings(max_examples=150, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=3000),
        st.text(alphabet="ab \n", max_size=4000).map(str.encode),
        st.integers(0, 6000).map(lambda n: b"a" * n),
    ),
    repeats=st.integers(1, 4),
    width=st.integers(10, 16),
    block_mode=st.booleans(),
    clears=st.lists(st.integers(0, 8000), max_size=4),
)
def test_any_bytes_come_back(
    compressed: Encode,
    data: bytes,
    repeats: int,
    width: int,
    block_mode: bool,
    clears: list[int],
) -> None:
    data *= repeats
    coded = compressed(
        data,
        max_width=width,
        block_mode=block_mode,
        clear_after=tuple(clears) if block_mode else (),
    )
    assert decoded(coded) == data


@pytest.mark.skipif(shutil.which("gzip") is None, reason="gzip is not installed")
@pytest.mark.parametrize("block_mode", [True, False])
def test_gzip_reads_what_our_encoder_writes(block_mode: bool, compressed: Encode) -> None:
    data = bottles(2000)
    clears = (0, 1, 700, 701, 20_000) if block_mode else ()
    coded = compressed(data, max_width=12, block_mode=block_mode, clear_after=clears)
    plain = subprocess.run(["gzip", "-dc"], input=coded, capture_output=True, check=True)
    assert plain.stdout == data
    assert decoded(coded) == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not begin"),
        (b"\x1f\x8b\x08", "does not begin"),
        (b"\x1f\x9d\x91a", "third byte is 0x91"),
        (b"\x1f\x9d\x89a", "third byte is 0x89"),
        (b"\x1f\x9d\xb0a", "third byte is 0xb0"),
        (b"\x1f\x9d\x90\x01\x03", "first code is 257"),
        # code 97, then code 300 before there is such an entry
        (b"\x1f\x9d\x90" + (97 | 300 << 9).to_bytes(3, "little"), "code 300 is not in a table"),
    ],
)
def test_what_compress_does_not_write(data: bytes, reason: str) -> None:
    with pytest.raises(LzwError, match=reason):
        decoded(data)


def test_a_table_that_fills_the_memory_is_refused() -> None:
    # Entry n of a run of one letter is n letters long: 14,000 entries make 98 MB.
    codes = [97, *range(257, 14_257)]
    coded = bytearray(b"\x1f\x9d\x90")
    width, held = 9, 0
    while held < len(codes):
        count = (1 << width) - (257 if held == 0 else 256 + held) + (held == 0)
        part = codes[held : held + count]
        bits = sum(code << (width * place) for place, code in enumerate(part))
        coded += bits.to_bytes((len(part) * width + 7) // 8, "little")
        held += len(part)
        width += 1
    with pytest.raises(LzwError, match="fill the memory"):
        for _ in decompress(io.BytesIO(bytes(coded))):
            pass
