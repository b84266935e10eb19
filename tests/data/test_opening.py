"""The opener of compressed files: every kind, inside of one another, whole and damaged."""

from __future__ import annotations

import functools
import gzip
import io
import os
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gtr_beir.data.opening import (
    GZIP_MAGIC,
    LZW_MAGIC,
    ZIP_MAGIC,
    FirstInTar,
    Gzip,
    Lzw,
    OnlyInZip,
    PlainFile,
    Recognised,
    Source,
    ZipMember,
    open_zip,
    opened,
)
from gtr_beir.errors import InputError

DATA = b"".join(b"line %d of %d\n" % (n, n * n) for n in range(4000))
DAMAGED = "the file is damaged or cut .+; get it again"

Compress = Callable[..., bytes]
KINDS = {ZIP_MAGIC: OnlyInZip, GZIP_MAGIC: Gzip, LZW_MAGIC: Lzw}


def zipped(*members: str, method: int = zipfile.ZIP_DEFLATED, data: bytes = DATA) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for member in members:
            archive.writestr(member, data)
    return buffer.getvalue()


def tarred(*members: str, data: bytes = DATA) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def read(source: Source) -> bytes:
    with opened(source) as stream:
        return stream.read()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], PlainFile]:
    """A file of the given bytes, whose name says nothing."""

    def write(data: bytes) -> PlainFile:
        (tmp_path / "file").write_bytes(data)
        return PlainFile(tmp_path / "file")

    return write


File = Callable[[bytes], PlainFile]


# whole files --------------------------------------------------------------------------------------


def test_each_kind(file: File, compressed: Compress) -> None:
    for data, kind in (
        (gzip.compress(DATA), Gzip),
        (gzip.compress(DATA[:999]) + gzip.compress(DATA[999:]), Gzip),
        (compressed(DATA), Lzw),
        (zipped("only"), OnlyInZip),
        (zipped("only", method=zipfile.ZIP_BZIP2), OnlyInZip),
        (zipped("only", method=zipfile.ZIP_LZMA), OnlyInZip),
        (tarred("folder/first", "second"), FirstInTar),
    ):
        source = kind(file(data))
        assert read(source) == DATA
        with opened(source) as stream:
            assert list(stream) == DATA.splitlines(keepends=True)
        with opened(source) as stream:
            assert stream.readline(6) + stream.read(5) == DATA[:11]


def test_no_bytes_at_all(file: File, compressed: Compress) -> None:
    assert read(file(b"")) == b""
    assert read(Recognised(file(b""), KINDS)) == b""
    for data in (gzip.compress(b""), compressed(b""), zipped("only", data=b"")):
        assert read(Recognised(file(data), KINDS)) == b""


def test_sources_nest(file: File, compressed: Compress) -> None:
    assert read(Gzip(Lzw(file(compressed(gzip.compress(DATA)))))) == DATA
    assert read(FirstInTar(Gzip(file(gzip.compress(tarred("a")))))) == DATA
    assert read(FirstInTar(OnlyInZip(file(zipped("a.tar", data=tarred("a")))))) == DATA
    assert read(Recognised(OnlyInZip(file(zipped("a", data=compressed(DATA)))), KINDS)) == DATA


def test_a_source_can_be_opened_again_and_left_early(file: File) -> None:
    source = FirstInTar(Gzip(file(gzip.compress(tarred("a")))))
    for _ in range(2):
        with opened(source) as stream:
            assert next(iter(stream)) == b"line 0 of 0\n"
    assert source.where == str(file(b"").path)


def test_what_the_first_bytes_say(file: File, compressed: Compress) -> None:
    for data in (gzip.compress(DATA), compressed(DATA), zipped("only"), DATA):
        assert read(Recognised(file(data), KINDS)) == DATA
    # What nobody asked for stays as it is.
    assert read(Recognised(file(zipped("only")), {GZIP_MAGIC: Gzip})) == zipped("only")


def test_members_by_name(file: File) -> None:
    source = file(zipped("folder/", "a.json", "__MACOSX/._a.json", "readme.txt"))
    archive, names = open_zip(source.path)
    assert names == ["a.json", "__MACOSX/._a.json", "readme.txt"]
    assert read(ZipMember(archive, "readme.txt", "the place")) == DATA
    assert read(OnlyInZip(source, r"\.JSON$")) == DATA
    with pytest.raises(InputError, match=r"should hold one .+ holds 2 \(a.json, readme.txt\)"):
        read(OnlyInZip(source))
    with pytest.raises(InputError, match=r"should hold one .+ holds 0 \(none\)"):
        read(OnlyInZip(source, r"\.xml$"))
    tar = file(tarred("a.txt", "b.json", "c.json"))
    assert read(FirstInTar(tar, r"\.JSON$")) == DATA
    with pytest.raises(InputError, match="the tar holds no file to read"):
        read(FirstInTar(tar, r"\.xml$"))


# damaged files ------------------------------------------------------------------------------------

GZIPPED = gzip.compress(DATA)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (GZIPPED[:-9], Gzip),
        (GZIPPED[:5], Gzip),
        (flipped(GZIPPED, len(GZIPPED) // 2), Gzip),
        (flipped(GZIPPED, len(GZIPPED) - 8), Gzip),
        (DATA, Gzip),
        (DATA, Lzw),
        (b"\x1f\x9d\x90\x01\x03", Lzw),
        (zipped("a")[:-40], OnlyInZip),
        (flipped(zipped("a"), 60), OnlyInZip),
        (flipped(zipped("a", method=zipfile.ZIP_STORED), 60), OnlyInZip),
        (flipped(zipped("a", method=zipfile.ZIP_BZIP2), 60), OnlyInZip),
        (flipped(zipped("a", method=zipfile.ZIP_LZMA), 60), OnlyInZip),
        (DATA, OnlyInZip),
        (tarred("a")[:300], FirstInTar),
        (tarred("a")[:3000], FirstInTar),
        (DATA, FirstInTar),
        (gzip.compress(tarred("a"))[:200], lambda source: FirstInTar(Gzip(source))),
        (zipped("a", data=GZIPPED[:-9]), lambda source: Gzip(OnlyInZip(source))),
    ],
    ids=[
        *("gzip cut", "gzip header cut", "gzip flipped", "gzip checksum", "no gzip"),
        *("no compress", "compress code"),
        *("zip cut", "deflate flipped", "stored flipped", "bzip2 flipped", "lzma flipped"),
        *("no zip", "tar header cut", "tar cut", "no tar", "tar.gz cut", "gzip in zip cut"),
    ],
)
def test_damage_is_one_sentence(data: bytes, kind: Callable[[Source], Source], file: File) -> None:
    source = file(data)
    with pytest.raises(InputError, match=f"^{source.where}: {DAMAGED}$") as caught:
        read(kind(source))
    assert (caught.value.path, caught.value.line) == (source.where, None)


def test_damage_in_other_words(file: File) -> None:
    source = file(zipped("a")[:-40])
    with pytest.raises(InputError, match=r"file: it is broken \(File is not a zip file\)$"):
        open_zip(source.path, damaged="it is broken ({})")
    archive, _ = open_zip(file(flipped(zipped("a"), 60)).path)
    member = ZipMember(archive, "a", "the place")
    with (
        pytest.raises(InputError, match=r"^the place: broken"),
        opened(member, damaged="broken") as stream,
    ):
        stream.read()


def test_a_method_that_python_does_not_know(file: File) -> None:
    data = bytearray(zipped("a"))
    for start in (8, data.rindex(b"PK\x01\x02") + 10):
        data[start] = 18
    with pytest.raises(InputError, match=r"file: .*method.*; unpack it by hand$"):
        read(OnlyInZip(file(bytes(data))))


@pytest.mark.parametrize(
    "kind", [Gzip, Lzw, OnlyInZip, FirstInTar, functools.partial(Recognised, kinds=KINDS)]
)
def test_a_file_that_cannot_be_opened(kind: Callable[[Source], Source], tmp_path: Path) -> None:
    """A folder is one for every user; whoever may not read a file is told the same way."""
    with pytest.raises(InputError, match=r": it cannot be read \(Is a directory\)$") as caught:
        read(kind(PlainFile(tmp_path)))
    assert caught.value.path == str(tmp_path)
    with pytest.raises(InputError, match="it cannot be read"):
        open_zip(tmp_path)


def test_an_error_of_the_system_is_not_called_damage(tmp_path: Path) -> None:
    def lost() -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Input/output"), opened(PlainFile(tmp_path / "file")):
        lost()


# zips that are not used ---------------------------------------------------------------------------


def test_members_that_no_honest_zip_has(file: File) -> None:
    """The rules hold for every zip, whichever way it is read."""
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    encrypted = bytearray(zipped("a"))
    encrypted[encrypted.rindex(b"PK\x01\x02") + 8] |= 1
    for data, problem in (
        (zipped("a", "../a"), "member '../a' points outside the archive"),
        (zipped("/a"), "member '/a' points outside the archive"),
        (zipped("C:/a"), "member 'C:/a' points outside the archive"),
        (zipped("a", "a"), "member 'a' is in the archive twice"),
        (zipped("a", data=b"0" * (17 << 20)), "member 'a' would grow [0-9,]+-fold to 17,825,792"),
        (link.getvalue(), "member 'link' is a symbolic link"),
        (bytes(encrypted), "member 'a' of the zip is encrypted"),
    ):
        source = file(data)
        with pytest.raises(InputError, match=f"^{source.where}: {problem}.*this zip is not used$"):
            read(OnlyInZip(source))
        with pytest.raises(InputError, match=f"^{source.where}: {problem}"):
            open_zip(source.path)


@pytest.mark.parametrize("fill", [b"\0", b"\n", b"q1 Q0 d1 1 3.0 me\n"])
@pytest.mark.parametrize("kind", ["gzip", "members"])
def test_a_bomb_stops_early(fill: bytes, kind: str, tmp_path: Path) -> None:
    """What grows out of all proportion is not decompressed to its end."""
    path = tmp_path / "bomb.gz"
    piece = gzip.compress(fill * ((1 << 25) // len(fill)))
    path.write_bytes(piece if kind == "gzip" else piece * 40)
    read = 0
    with (
        pytest.raises(InputError, match=r"bomb.gz: it grows more than 200-fold, .* is not used"),
        opened(Gzip(PlainFile(path))) as stream,
    ):
        while data := stream.read(1 << 16):
            read += len(data)
    assert read < 1 << 25


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(InputError, match="it is not a file"),
        opened(PlainFile(tmp_path / "pipe")) as stream,
    ):
        stream.read()
