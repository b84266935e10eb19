"""TREC-NEWS from articles of our own making in the Washington Post collection's form."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.converters import Tally, differences
from gtr_beir.data.converters.trec_forms import read_qrels
from gtr_beir.data.converters.trec_news import GRADES, documents, judgements, queries
from gtr_beir.errors import InputError, UsageError

Lines = Callable[[Iterable[Document]], bytes]
NAME = "TREC_Washington_Post_collection.v2.jl"

ARTICLES: list[dict[str, object]] = [
    {
        "id": "aa11",
        "article_url": "https://www.example.org/a",
        "title": "Ferries & trains run late, “again”",
        "author": "N. N.",
        "published_date": 1325376562000,
        "contents": [
            {"content": "Local", "mime": "text/plain", "type": "kicker"},
            {"content": "Ferries", "mime": "text/plain", "type": "title"},
            None,
            {
                "content": 'The <a href="https://www.example.org/b?c=1" title="x">ferry</a> '
                "was late &amp; full, <i>said</i> “a” clerk &mdash; twice.",
                "subtype": "paragraph",
                "type": "sanitized_html",
                "mime": "text/html",
            },
            {"type": "image", "fullcaption": "A ferry", "imageURL": "https://x", "mime": "image"},
            {
                "content": " Trains <b>too</b>. ",
                "subtype": "paragraph",
                "type": "sanitized_html",
                "mime": "text/plain",
            },
            {"content": "<h3>Sub</h3>", "subtype": "subhead", "mime": "text/html"},
            {"content": None, "subtype": "paragraph", "mime": "text/html"},
            {"content": 7, "subtype": "paragraph", "mime": "text/html"},
            {"content": "odd", "subtype": "paragraph", "mime": "text/x"},
            {"content": {"id_str": "1"}, "type": "tweet", "mime": "x"},
            {"content": "", "subtype": "paragraph", "mime": "text/html"},
        ],
    },
    {"id": "bb22", "title": None, "contents": []},
    {"id": "cc-33", "title": "Only a title", "contents": None},
    {
        "id": "dd44",
        "title": "",
        "contents": [
            {
                "content": "Twelve words of one paragraph are more than one line of this package, "
                "and it breaks them at seventy-eight.",
                "subtype": "paragraph",
                "mime": "text/html",
            }
        ],
    },
]

# Written by hand.
EXPECTED = (
    b'{"_id":"aa11","text":"The ferry was late & full, _said_ \xe2\x80\x9ca\xe2\x80\x9d clerk -- '
    b'twice.\\nTrains <b>too</b>.",'
    b'"title":"Ferries & trains run late, \xe2\x80\x9cagain\xe2\x80\x9d"}\n'
    b'{"_id":"bb22","text":"","title":""}\n'
    b'{"_id":"cc-33","text":"","title":"Only a title"}\n'
    b'{"_id":"dd44","text":"Twelve words of one paragraph are more than one line of this package, '
    b'and it\\nbreaks them at seventy-eight.","title":""}\n'
)

TOPICS = """\
<top>
<num> Number: 926 </num>
<docid>aa11</docid>
<url>https://www.example.org/a?x=1&y=2</url>
</top>

<top>
<num> Number: 927 </num>
<docid>cc-33</docid>
<url>https://www.example.org/c</url>
</top>
"""


def jsonl() -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ARTICLES)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "WashingtonPost.v2" / "data"
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(jsonl())
    return tmp_path


@pytest.fixture(scope="module")
def html2text() -> None:
    pytest.importorskip("html2text")


def compressed(tmp_path: Path, how: str) -> Path:
    if how == "gz":
        path = tmp_path / f"{NAME}.gz"
        path.write_bytes(gzip.compress(jsonl()))
        return path
    path = tmp_path / "WashingtonPost.v2.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("WashingtonPost.v2/README", b"read me"), (f"x/data/{NAME}", jsonl())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.usefixtures("html2text")
def test_documents(source: Path, corpus_lines: Lines) -> None:
    found = Tally()
    assert corpus_lines(documents(source, tally=found)) == EXPECTED
    assert found == {
        "documents": 4,
        "paragraphs without text": 2,
        "paragraphs of another kind": 1,
    }
    assert differences("trec-news", found) == ["4 documents where trec-news has 594,977"]


@pytest.mark.usefixtures("html2text")
@pytest.mark.parametrize("how", ["gz", "tar.gz"])
def test_compressed(tmp_path: Path, corpus_lines: Lines, how: str) -> None:
    path = compressed(tmp_path, how)
    assert corpus_lines(documents(path)) == EXPECTED
    assert corpus_lines(documents(tmp_path)) == EXPECTED


@pytest.mark.usefixtures("html2text")
def test_an_unclosed_tag_does_not_reach_the_next_paragraph(tmp_path: Path) -> None:
    entry = {"subtype": "paragraph", "mime": "text/html"}
    contents = [{**entry, "content": "<ul><li><b>one<pre>"}, {**entry, "content": "two  <i>x</i>"}]
    (tmp_path / NAME).write_text(json.dumps({"id": "a", "title": "", "contents": contents}))
    (document,) = documents(tmp_path)
    assert document.text is not None
    assert document.text.endswith("\ntwo _x_")


@pytest.mark.usefixtures("html2text")
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"title": "t", "contents": []}', "missing required field `id`"),
        ('{"id": 3, "title": "t", "contents": []}', "Expected `str`, got `int`"),
        ('{"id": "a", "contents": []}', "missing required field `title`"),
        ('{"id": "a", "title": "t"}', "missing required field `contents`"),
        ('{"id": "a", "title": "t", "contents": ["x"]}', r"contents\[0\]|contents\[...\]"),
        ('{"id": "a b", "title": "t", "contents": []}', "article id 'a b'"),
        ('{"id": "a", "title": "t", "contents": [', "broken JSON"),
        ('{"id": "a", "title": "\\ud83d", "contents": []}', "broken JSON|surrogate"),
    ],
)
def test_wrong_articles(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / NAME
    path.write_text('{"id": "ok", "title": "t", "contents": []}\n' + line + "\n")
    with pytest.raises(InputError, match=reason) as caught:
        list(documents(tmp_path))
    assert (caught.value.path, caught.value.line) == (str(path), 2)


def test_missing_package(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "html2text", None)
    with pytest.raises(UsageError, match=r"pip install 'gtr-beir\[gated\]'"):
        list(documents(source))


def test_queries_are_the_articles_titles(source: Path) -> None:
    topics = source / "newsir19-background-linking-topics.xml"
    topics.write_text(TOPICS)
    wanted = {"926": "Ferries & trains run late, “again”", "927": "Only a title"}
    assert queries(topics, source=source) == wanted
    assert queries(topics, source=source, judged={"927"}) == {"927": "Only a title"}
    with pytest.raises(UsageError, match="give the collection"):
        queries(topics)


def test_a_topic_whose_article_is_missing_or_has_no_title(source: Path) -> None:
    topics = source / "topics.xml"
    for article in ("zz99", "bb22"):
        topics.write_text(TOPICS.replace("cc-33", article))
        with pytest.raises(InputError, match=f"topic 927 is article {article}, which is not in"):
            queries(topics, source=source)
        assert list(queries(topics, source=source, judged={"926"})) == ["926"]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        ("", None, "there is no topic"),
        ("<num> Number: 1 </num>\n<num> Number: 2 </num>\n", 2, "topic 1 has no <docid>"),
        ("<num> Number: 1 </num>\n", 1, "topic 1 has no <docid>"),
        ("<docid>a</docid>\n", 1, "before its <num>"),
        ("<num> 1\n<docid>a\n<num> 1\n<docid>b\n", 3, "topic 1 appears twice"),
    ],
)
def test_wrong_topics(tmp_path: Path, data: str, line: int | None, reason: str) -> None:
    path = tmp_path / "topics.xml"
    path.write_text(data)
    with pytest.raises(InputError, match=reason) as caught:
        queries(path, source=tmp_path)
    assert caught.value.line == line


def test_grades_are_recoded(tmp_path: Path) -> None:
    path = tmp_path / "newsir19-qrels-background.txt"
    path.write_text("".join(f"826 0 d{grade} {grade}\n" for grade in (0, 2, 4, 8, 16)))
    assert judgements(path) == [
        Judgement("826", "d0", 0, 1),
        Judgement("826", "d2", 1, 2),
        Judgement("826", "d4", 2, 3),
        Judgement("826", "d8", 3, 4),
        Judgement("826", "d16", 4, 5),
    ]
    path.write_text("826 0 a 4\n826 0 b 0\n")
    with pytest.raises(InputError, match="which can be NIST's or BEIR's; give the whole file"):
        judgements(path)
    path.write_text("826 0 a 8\n826 0 b 3\n")
    with pytest.raises(InputError, match="grade 3 where the original has 0, 2, 4, 8, 16") as caught:
        judgements(path)
    assert caught.value.line == 2


def test_the_real_judgements_come_back_from_nist_s_grades(
    tmp_path: Path, judgement_files: Path
) -> None:
    real = judgement_files / "qrels.beir-v1.0.0-trec-news.test.txt.gz"
    if not real.is_file():
        pytest.skip(f"{real} is not there")
    wanted = read_qrels(real)
    assert Counter(j.grade for j in wanted) == {0: 12614, 1: 1677, 2: 660, 3: 431, 4: 273}
    original = {grade: nist for nist, grade in GRADES.items()}
    path = tmp_path / "qrels.txt"
    path.write_text(
        "".join(f"{j.query_id} 0 {j.document_id} {original[j.grade]}\n" for j in wanted)
    )
    assert judgements(path) == wanted
    assert judgements(real) == wanted
