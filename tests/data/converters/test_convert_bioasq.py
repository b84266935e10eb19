"""BioASQ from articles and questions of our own making in the forms of task a and task b."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.converters import Tally, differences
from gtr_beir.data.converters.bioasq import documents, judgements, manual_file, queries
from gtr_beir.data.converters.trec_forms import read_qrels, read_topics
from gtr_beir.errors import InputError, UsageError

Lines = Callable[[Iterable[Document]], bytes]

# As released: one article a line, not UTF-8. The first is ASCII with an escape.
ARTICLES = (
    b'{"articles":[\n'
    b'{"abstractText":"Cells \\u03b1 grow.","journal":"J","meshMajor":["Mice"],"pmid":"101",'
    b'"title":"On cells.","year":"1999"},\n'
    b'{"abstractText":"Caf\xe9 \x93quoted\x94 at 5\xb5m \x96 \x81","journal":"J","meshMajor":[],'
    b'"pmid":"102","title":"Un caf\xe9.","year":"1999"},\n'
    b'{"abstractText":null,"journal":"J","meshMajor":[],"pmid":"103","title":"Bare.","year":"1"}]}'
)

# Written by hand; the byte 81, which Windows-1252 leaves open, becomes U+0081.
EXPECTED = (
    b'{"_id":"101","text":"Cells \xce\xb1 grow.","title":"On cells."}\n'
    b'{"_id":"102","text":"Caf\xc3\xa9 \xe2\x80\x9cquoted\xe2\x80\x9d at 5\xc2\xb5m '
    b'\xe2\x80\x93 \xc2\x81","title":"Un caf\xc3\xa9."}\n'
    b'{"_id":"103","text":"","title":"Bare."}\n'
)

QUESTIONS = [
    {
        "id": "5e00",
        "body": "What grows?",
        "type": "factoid",
        "documents": [
            "http://www.ncbi.nlm.nih.gov/pubmed/101",
            "https://pubmed.ncbi.nlm.nih.gov/204/",
            "http://www.ncbi.nlm.nih.gov/pubmed/101",
        ],
        "ideal_answer": ["Cells."],
    },
    {"id": "5e01", "body": "Why?", "documents": ["http://www.ncbi.nlm.nih.gov/pubmed/103"]},
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "allMeSH_2020.json").write_bytes(ARTICLES)
    return tmp_path


def golden(path: Path, questions: list[dict[str, object]], indent: int | None = 1) -> Path:
    path.write_text(json.dumps({"questions": questions}, indent=indent))
    return path


def test_documents(source: Path, corpus_lines: Lines) -> None:
    found = Tally()
    assert corpus_lines(documents(source, tally=found)) == EXPECTED
    assert found == {"articles": 3, "documents": 3, "articles not in UTF-8": 1}
    assert differences("bioasq", found) == [
        "3 articles where bioasq has 14,913,939",
        "0 manual documents where bioasq has 664",
        "3 documents where bioasq has 14,914,603",
    ]


def test_every_layout_and_form(tmp_path: Path, corpus_lines: Lines) -> None:
    whole = json.loads(ARTICLES.decode("cp1252", "replace").replace("\ufffd", "\x81"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("allMeSH_2020.json", ARTICLES)
    for name, data in {
        "pretty.json": json.dumps(whole, indent=2, ensure_ascii=False).encode(),
        "one line.json": json.dumps(whole).encode(),
        "one.json.gz": gzip.compress(ARTICLES),
        "one.zip": buffer.getvalue(),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert corpus_lines(documents(tmp_path / name)) == EXPECTED, name


@pytest.mark.parametrize(
    ("name", "sheet"),
    [
        (
            "Manual-fixes-BioASQ-Task8b.csv",
            '204,"A title, quoted","Two\nlines ""and"" quotes é"\r\n,,\n103,Again,Again\n',
        ),
        (
            "BioASQ-Task8b-Manual-Fixes.tsv",
            '204\tA title, quoted\tTwo\u2028lines "and" quotes é\n\n103\tAgain\tAgain\n',
        ),
    ],
)
def test_manual_documents(source: Path, name: str, sheet: str) -> None:
    (source / name).write_bytes(sheet.encode())
    found = Tally()
    *_, last = documents(source, tally=found)
    separator = "\n" if name.endswith("csv") else "\u2028"
    assert last == Document(
        id="204", title="A title, quoted", text=f'Two{separator}lines "and" quotes é'
    )
    assert found == {
        "articles": 3,
        "manual documents": 2,
        "documents": 4,
        "repeated pmids": 1,
        "articles not in UTF-8": 1,
    }
    (source / f"another {name}").touch()
    with pytest.raises(UsageError, match="keep one of the two"):
        manual_file(source)


@pytest.mark.parametrize(
    ("sheet", "line", "reason"),
    [
        ("204,a,b\npmid,title,abstract\n", 2, "pmid 'pmid' is not a PubMed number"),
        ("204,a\n", 1, "2 columns instead of three"),
        ('204,a,"b\n', 1, "broken CSV"),
        ("204,a,b\n205,a,\udce9\n", 2, "not UTF-8"),
    ],
)
def test_wrong_manual_documents(source: Path, sheet: str, line: int, reason: str) -> None:
    path = source / "manual.csv"
    path.write_bytes(sheet.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=reason) as caught:
        list(documents(source))
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_numbers_and_repeated_pmids(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    article = {"title": "t", "abstractText": "x"}
    rows = [{"pmid": 7, **article}, {"pmid": "7", **article}, {"pmid": "0", **article}]
    path.write_text(json.dumps({"articles": rows}))
    found = Tally()
    assert [document.id for document in documents(path, tally=found)] == ["7", "0"]
    assert found["repeated pmids"] == 1


@pytest.mark.parametrize(
    ("article", "reason"),
    [
        ('{"pmid": "x1", "title": "t", "abstractText": "a"}', "pmid 'x1' is not a PubMed number"),
        ('{"pmid": "07", "title": "t", "abstractText": "a"}', "pmid '07'"),
        ('{"pmid": "٣", "title": "t", "abstractText": "a"}', "pmid '٣'"),
        ('{"title": "t", "abstractText": "a"}', "missing required field `pmid`"),
        ('{"pmid": "7", "title": "t"}', "missing required field `abstractText`"),
        ('{"pmid": "7", "title": ["t"], "abstractText": "a"}', "Expected `str | null`"),
        ('{"pmid": "7", "title": "t" "abstractText": "a"}', "broken JSON"),
        ('{"pmid": "7", "title": "\\ud83d", "abstractText": "a"}', "broken JSON"),
        ('"7"', "not a valid article"),
    ],
)
def test_wrong_articles(tmp_path: Path, article: str, reason: str) -> None:
    path = tmp_path / "allMeSH_2020.json"
    good = '{"pmid": "5", "title": "t", "abstractText": "a"}'
    path.write_text(f'{{"articles":[\n{good},\n{article},\n{good}]}}')
    with pytest.raises(InputError, match=reason) as caught:
        list(documents(tmp_path))
    assert (caught.value.path, caught.value.line) == (str(path), 3)


def test_a_cut_file_gives_what_is_whole_and_then_stops(tmp_path: Path) -> None:
    path = tmp_path / "allMeSH_2020.json"
    path.write_bytes(ARTICLES[:-60])
    stream = documents(path)
    assert [next(stream).id, next(stream).id] == ["101", "102"]
    with pytest.raises(InputError, match="the file is cut") as caught:
        next(stream)
    assert caught.value.line == 4


def test_no_articles(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not hold BioASQ's allMeSH articles"):
        list(documents(tmp_path))


@pytest.mark.parametrize("indent", [None, 1])
def test_questions(tmp_path: Path, indent: int | None) -> None:
    path = golden(tmp_path / "8B1_golden.json", QUESTIONS, indent)
    found = Tally()
    assert queries(path) == {"5e00": "What grows?", "5e01": "Why?"}
    assert queries(path, judged={"5e01"}) == {"5e01": "Why?"}
    second = 1 if indent is None else 16
    assert judgements(path, tally=found) == [
        Judgement("5e00", "101", 1, 1 if indent is None else 3),
        Judgement("5e00", "204", 1, 1 if indent is None else 3),
        Judgement("5e01", "103", 1, second),
    ]
    assert found == {"documents named twice": 1}


def test_a_folder_of_golden_files(tmp_path: Path) -> None:
    golden(tmp_path / "8B2_golden.json", QUESTIONS[1:])
    golden(tmp_path / "8B1_golden.json", QUESTIONS[:1])
    golden(tmp_path / "training8b.json", [{**QUESTIONS[0], "id": "train"}])
    assert list(queries(tmp_path)) == ["5e00", "5e01"]
    assert [judgement.document_id for judgement in judgements(tmp_path)] == ["101", "204", "103"]
    golden(tmp_path / "8B3_golden.json", QUESTIONS[:1])
    with pytest.raises(InputError, match="question 5e00 is already in"):
        queries(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"does not hold 8B1_golden.json"):
        judgements(tmp_path / "empty")


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"id": "a", "body": " ", "documents": []}, "question a has no text"),
        ({"id": "a b", "body": "x", "documents": []}, "question id 'a b'"),
        ({"id": "a", "body": "x"}, "missing required field `documents`"),
        ({"id": "a", "body": "x", "documents": ["http://x/none"]}, "does not end in a PubMed"),
    ],
)
def test_wrong_questions(tmp_path: Path, question: dict[str, object], reason: str) -> None:
    path = golden(tmp_path / "8B1_golden.json", [question], None)
    with pytest.raises(InputError, match=reason) as caught:
        judgements(path)
    assert (caught.value.path, caught.value.line) == (str(path), 1)


def test_the_real_strings_come_back_from_golden_files(
    tmp_path: Path, judgement_files: Path
) -> None:
    """The released topics and qrels, put into task b's form, must come back as they are."""
    topics = judgement_files / "topics.beir-v1.0.0-bioasq.test.tsv.gz"
    qrels = judgement_files / "qrels.beir-v1.0.0-bioasq.test.txt.gz"
    if not (topics.is_file() and qrels.is_file()):
        pytest.skip(f"the real files of bioasq are not in {judgement_files}")
    wanted, judged = read_topics(topics), read_qrels(qrels)
    questions = [
        {
            "id": identifier,
            "body": text,
            "documents": [
                f"http://www.ncbi.nlm.nih.gov/pubmed/{judgement.document_id}"
                for judgement in judged
                if judgement.query_id == identifier
            ],
        }
        for identifier, text in wanted.items()
    ]
    for batch in range(5):
        golden(tmp_path / f"8B{batch + 1}_golden.json", questions[batch * 100 :][:100])
    assert queries(tmp_path) == wanted
    assert queries(topics) == wanted
    pairs = [(judgement.query_id, judgement.document_id) for judgement in judged]
    found = judgements(tmp_path)
    assert sorted((j.query_id, j.document_id) for j in found) == sorted(pairs)
    assert {judgement.grade for judgement in found} == {1}
    assert judgements(qrels) == judged
