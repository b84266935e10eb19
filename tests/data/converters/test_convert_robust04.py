"""Robust04 from SGML of our own making in the layout of TREC disks 4 and 5."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtr_beir.data.beir_format import Document
from gtr_beir.data.converters import Tally, differences
from gtr_beir.data.converters.robust04 import _lines, documents, settled, source_files
from gtr_beir.errors import InputError, UsageError

needs_parser = pytest.mark.usefixtures("parser")
Lines = Callable[[Iterable[Document]], bytes]


@pytest.fixture(scope="session")
def parser() -> None:
    pytest.importorskip("bs4")
    pytest.importorskip("lxml")


FBIS = """\
<DOC>
<DOCNO> FBIS9-1 </DOCNO>
<HT>  "drweu000_a_99001" </HT>
<HEADER>
<DATE1>   2 May 1999 </DATE1>
<H3> <TI>      Not taken, for H3 is no content tag </TI></H3>
</HEADER>
<TEXT>
Language: <F P=105> English </F>
The mayor of A&B said <3 and p<0.05; &lt;so&gt; it was.
</TEXT>
</DOC>

<DOC>
<DOCNO> FBIS9-2 </DOCNO>
<TEXT>
 <TEXT> not at the start of a line
</TEXT>
after the text
</DOC>
"""

FINANCIAL = """\
<DOC>
<DOCNO>FT999-1</DOCNO>
<PROFILE>_AN-XXXXXXXX</PROFILE>
<DATE>990502
</DATE>
<HEADLINE>
FT  02 MAY 99 / A headline &amp; more
</HEADLINE>
<TEXT>
S\u00e3o Paulo
</TEXT>
<PUB>The Invented Times
</PUB>
</DOC>
"""

REGISTER = """\
<DOC>
<DOCNO> FR999999-0-00001 </DOCNO>
<PARENT> FR999999-0-00001 </PARENT>
<TEXT>

<!-- PJG STAG 4700 -->
Vol.&blank;64&hyph;No. 1 &sect; 2, R&D
<TABLE>
one <ROW> <CELL>two
</TABLE>
</TEXT>

</DOC>
<DOC>
<DOCNO> FR999999-0-00002 </DOCNO>
</DOC>
"""

ANGELES = """\
<DOC>
<DOCNO> LA999999-0001 </DOCNO>
<DATE>
<P>
May 2, 1999, Sunday
</P>
</DATE>
<HEADLINE>
<P>
HEADLINE
</P>
</HEADLINE>
</DOC>
"""

# What ir_datasets 0.6.3 makes of them with lxml 4.9.4 (libxml2 2.10.3), as lines of corpus.jsonl.
EXPECTED = "".join(
    f'{{"_id":"{identifier}","text":"{text}","title":""}}\n'
    for identifier, text in (
        (
            "FBIS9-1",
            r"\n\nLanguage:  English \nThe mayor of A&B said <3 and p<0.05; <so> it was.\n\n",
        ),
        ("FBIS9-2", r"\n\n not at the start of a line\n\n"),
        (
            "FR999999-0-00001",
            r"\n\n\nVol.&blank;64&hyph;No. 1 § 2, R&D\n\none  two\n\n\n",
        ),
        ("FR999999-0-00002", r"\n"),
        (
            "FT999-1",
            r"\n990502\n\n\nFT  02 MAY 99 / A headline & more\n\n\nSão Paulo\n\n",
        ),
        ("LA999999-0001", r"\n\n\nMay 2, 1999, Sunday\n\n\n\n\nHEADLINE\n\n\n"),
    )
).encode()


def disks(root: Path, compressed: Callable[..., bytes]) -> Path:
    """The four collections, each compressed in another way, with files that are none of them."""
    for name, data in {
        "disk5/FBIS/FB999001": FBIS.encode(),
        "disk5/FBIS/READCHG.TXT": b"read me",
        "disk4/FR94/01/FR999999.0Z": compressed(REGISTER.encode()),
        "disk4/FR94/READCHG.Z": b"read me",
        "disk4/ft/ft999/ft999_1.gz": gzip.compress(FINANCIAL.encode()),
        "disk4/ft/ftread": b"read me",
        "disk5/LATIMES/LA999999.Z": compressed(ANGELES.encode()),
        "disk5/CR/CR93E1": b"<DOC>\n<DOCNO> CR93E-1 </DOCNO>\n</DOC>\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def one(tmp_path: Path, data: str | bytes) -> Path:
    path = tmp_path / "FBIS" / "FB999001"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@needs_parser
def test_documents(tmp_path: Path, compressed: Callable[..., bytes], corpus_lines: Lines) -> None:
    source, found = disks(tmp_path, compressed), Tally()
    assert corpus_lines(documents(source, tally=found)) == EXPECTED
    assert found == {"files": 4, "documents": 6}
    assert differences("robust04", found) == [
        "4 files where robust04 has 2,295",
        "6 documents where robust04 has 528,155",
    ]


def test_source_files(tmp_path: Path, compressed: Callable[..., bytes]) -> None:
    source = disks(tmp_path, compressed)
    names = ["FB999001", "FR999999.0Z", "ft999_1.gz", "LA999999.Z"]
    assert [path.name for path in source_files(source)] == names
    assert [path.name for path in source_files(source / "disk5" / "FBIS")] == ["FB999001"]
    assert [path.name for path in source_files(source / "disk4" / "FR94")] == ["FR999999.0Z"]
    # .0z and .1z are two files of a day; .0z and its plain .0 are one.
    (source / "disk4/FR94/01/FR999999.1Z").touch()
    assert len(source_files(source)) == 5
    (source / "disk4/FR94/01/FR999999.0").touch()
    with pytest.raises(InputError, match=r"FR999999.0 again; remove one"):
        source_files(source)


def test_no_source_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no file of TREC disks"):
        source_files(tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        source_files(tmp_path / "none")


@needs_parser
def test_open_tags_are_felt_to_the_end_of_the_file(tmp_path: Path) -> None:
    """As in ir_datasets, whose count is not set back at </DOC>."""
    body = "<DOC>\n<DOCNO> A </DOCNO>\n<HL> one line </HL>\nin\n</DOC>\n"
    one(tmp_path, body + "<DOC>\n<DOCNO> B </DOCNO>\nstill in\n<TEXT>\nin\n</TEXT>\nin\n</DOC>\n")
    assert [document.text for document in documents(tmp_path)] == [
        "\n one line \nin\n\n",
        "\n\nstill in\n\nin\n\nin\n\n",
    ]
    # A lone closing tag counts below zero, which is "inside" as well.
    one(tmp_path, "<DOC>\n<DOCNO> A </DOCNO>\nout\n</DATE>\nin\n<TEXT>\nout\n</DOC>\n")
    assert [document.text for document in documents(tmp_path)] == ["\nin\n\n"]


@needs_parser
def test_bytes_that_are_not_utf8_are_replaced(tmp_path: Path) -> None:
    one(tmp_path, b"<DOC>\n<DOCNO> A </DOCNO>\n<TEXT>\ncaf\xe9 \x1a\n</TEXT>\n</DOC>\n")
    assert [document.text for document in documents(tmp_path)] == ["\n\ncaf\ufffd \n\n"]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        ("<DOC>\n<DOCNO> A </DOCNO>\n<TEXT>\nin\n", 5, "ends inside document A"),
        ("<DOC>\n", 2, r"ends inside document \(no <DOCNO>\)"),
        ("<DOC>\n<DOCNO> A </DOCNO>\n<DOCNO> B </DOCNO>\n</DOC>\n", 3, "a second <DOCNO>"),
        ("<DOC>\n</DOC>\n", 2, "a </DOC> without a <DOCNO>"),
        ("<DOC>\n<DOCNO> A B </DOCNO>\n</DOC>\n", 2, "no document number"),
        ("<DOC>\n<DOCNO>\nA </DOCNO>\n</DOC>\n", 2, "no document number"),
        ("<DOC>\n<DOCNO> A\x01B </DOCNO>\n</DOC>\n", 2, "control character"),
    ],
)
@needs_parser
def test_wrong_documents(tmp_path: Path, data: str, line: int, reason: str) -> None:
    path = one(tmp_path, data)
    with pytest.raises(InputError, match=reason) as caught:
        list(documents(tmp_path))
    assert (caught.value.path, caught.value.line) == (str(path), line)


@needs_parser
def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("_CHUNK", 100), ("LONGEST_LINE", 1000)):
        monkeypatch.setattr(f"gtr_beir.data.converters.robust04.{name}", size)
    path = one(tmp_path, FBIS + "a" * 2000)
    with pytest.raises(InputError, match="the line is longer than") as caught:
        list(documents(tmp_path))
    assert caught.value.path == str(path)


@needs_parser
def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = one(tmp_path, gzip.compress(FBIS.encode())[:-20])
    with pytest.raises(InputError, match="damaged or cut") as caught:
        list(documents(tmp_path))
    assert caught.value.path == str(path)


def test_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bs4", None)
    with pytest.raises(UsageError, match=r"pip install 'gtr-beir\[gated\]'"):
        list(documents(tmp_path))


@pytest.mark.parametrize(
    ("markup", "wanted"),
    [
        ("&blank; &cir; &lbrace;", "&blank; &cir; &lbrace;"),  # HTML 5 knows them, HTML 4 does not
        ("&amp; &sect; &mdash; &apos;", "& § — '"),
        ("AT&T R&D &copy 1 &lt", "AT&T R&D &copy 1 &lt"),
        ("&#38; &#x2014; &#150; &#x96;", "& — \x96 \x96"),
        ("a&#;b &#0;&#7;&#xFFFE;&#1114112;c", "ab c"),
        (f"a&#{'9' * 9999};b", "ab"),
        ("a\x00b\x1a\x0cc", "a bc"),
        ("&; && & &-", "&; && & &-"),
    ],
)
@needs_parser
def test_references_are_read_as_before_html5(markup: str, wanted: str) -> None:
    """Under libxml2 2.10.3, 2.12.9 and 2.13.8 the right side is what the left gives unsettled."""
    from bs4 import BeautifulSoup

    text = BeautifulSoup(f"<OUTER>{settled(markup)}</OUTER>", "lxml").get_text()
    assert text == wanted


@given(
    st.text(alphabet="ab\n\r\x0b\x0c\x1c\x85\u2028é€😀", max_size=60).map(str.encode)
    | st.binary(max_size=60)
)
def test_lines_are_cut_as_stream_readers_do(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gtr_beir.data.converters.robust04._CHUNK", 3)
        found = list(_lines(io.BytesIO(data), Path("a file")))
    whole = codecs.getincrementaldecoder("utf-8")("replace").decode(data, final=True)
    assert found == whole.splitlines(keepends=True)
    if b"\xff" not in data:
        reader = list(codecs.getreader("utf-8")(io.BytesIO(data), errors="replace"))
        # At the very end it drops a character that is cut.
        assert "".join(reader) == "".join(found)[: len("".join(reader))]
