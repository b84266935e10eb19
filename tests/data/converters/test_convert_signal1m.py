"""Signal-1M from tweets and articles of our own making."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.converters import Tally, differences
from gtr_beir.data.converters.signal1m import cleaned, documents, judgements, queries
from gtr_beir.data.converters.trec_forms import read_qrels, read_topics
from gtr_beir.errors import InputError, UsageError

Lines = Callable[[Iterable[Document]], bytes]

TWEETS = """\
{"id": "638727826393444352", "text": "Rain 😀 in Oslo\\nagain https://t.co/a #wet &amp; cold "}
{"lang": "no", "id": 638727826393444353, "text": "🚀🇳🇴 http://t.co/x"}
{"id": "638727826393444354", "text": "  httpsé a http"}
"""

# Written by hand: no blank for the newline, the blanks around emoji and address stay.
EXPECTED = (
    b'{"_id":"638727826393444352","text":"Rain  in Osloagain  #wet &amp; cold","title":""}\n'
    b'{"_id":"638727826393444354","text":"a http","title":""}\n'
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\nhttps://t.co/x\nb", "a"),  # the newline goes first, so "b" is part of the address
        ("ht\U0001f600tp://x y", "y"),  # and emoji before that
        ("snow ☃ and ✈ stay, 🤖 too", "snow ☃ and ✈ stay, 🤖 too"),  # not in the four ranges
        ("\u00a0 a\r\n", "a"),
        ("HTTP://X stays", "HTTP://X stays"),
        ("\n", ""),
    ],
)
def test_cleaned(text: str, wanted: str) -> None:
    assert cleaned(text) == wanted


def test_documents(tmp_path: Path, corpus_lines: Lines) -> None:
    (tmp_path / "tweets.jsonl").write_text(TWEETS, encoding="utf-8")
    found = Tally()
    assert corpus_lines(documents(tmp_path, tally=found)) == EXPECTED
    assert found == {"tweets": 3, "tweets left empty": 1, "documents": 2}
    assert differences("signal1m", found) == ["2 documents where signal1m has 2,866,316"]
    gzipped = tmp_path / "gzipped.gz"
    gzipped.write_bytes(gzip.compress(TWEETS.encode()))
    assert corpus_lines(documents(gzipped)) == EXPECTED


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "1"}', "missing required field `text`"),
        ('{"id": "1", "full_text": "x"}', "missing required field `text`"),
        ('{"id": "1", "text": null}', "Expected `str`, got `null`"),
        ('{"text": "x"}', "missing required field `id`"),
        ('{"id": "", "text": "x"}', "tweet id '' is empty"),
        ('{"id": "1", "text": "\\ud83d"}', "broken JSON"),
        ("1\tx", "not a valid tweet|broken JSON"),
    ],
)
def test_wrong_tweets(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "tweets.jsonl"
    path.write_text('{"id": "0", "text": "x"}\n' + line + "\n")
    with pytest.raises(InputError, match=reason) as caught:
        list(documents(path))
    assert (caught.value.path, caught.value.line) == (str(path), 2)


def test_queries_are_titles_of_articles(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl"
    rows = [
        {"id": "u-1", "title": "Rain\tin Oslo", "content": "..", "media-type": "News"},
        {"id": "u-2", "title": None},
        {"id": "u-3", "title": "Snow"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert queries(path, judged={"u-3", "u-1"}) == {"u-1": "Rain\tin Oslo", "u-3": "Snow"}
    with pytest.raises(UsageError, match="the judgements must say which"):
        queries(path)
    with pytest.raises(InputError, match="the judged article u-2 has no title") as caught:
        queries(path, judged={"u-2"})
    assert caught.value.line == 2
    with pytest.raises(InputError, match="1 of 2 judged articles are not in it, such as u-9"):
        queries(path, judged={"u-9", "u-1"})
    path.write_text(path.read_text() + json.dumps(rows[0]) + "\n")
    with pytest.raises(InputError, match="the judged article u-1 appears twice") as caught:
        queries(path, judged={"u-1"})
    assert caught.value.line == 4


def test_judgements(tmp_path: Path) -> None:
    path = tmp_path / "signal1m_tweets_qrels"
    path.write_text("u-1 0 11 2\nu-1 0 12 0\nu-2 0 11 1\n")
    found = Tally()
    assert judgements(path, tally=found) == [
        Judgement("u-1", "11", 2, 1),
        Judgement("u-2", "11", 1, 3),
    ]
    assert found == {"judgements of grade 0 left out": 1}
    path.write_text("u-1 0 11 2\nu-1 0 12 3\n")
    with pytest.raises(InputError, match="grade 3 where the original has 0, 1 and 2") as caught:
        judgements(path)
    assert caught.value.line == 2


def test_the_real_strings_come_back_from_articles(tmp_path: Path, judgement_files: Path) -> None:
    topics = judgement_files / "topics.beir-v1.0.0-signal1m.test.tsv.gz"
    qrels = judgement_files / "qrels.beir-v1.0.0-signal1m.test.txt.gz"
    if not (topics.is_file() and qrels.is_file()):
        pytest.skip(f"the real files of signal1m are not in {judgement_files}")
    wanted, judged = read_topics(topics), judgements(qrels)
    assert judged == read_qrels(qrels)
    path = tmp_path / "articles.jsonl.gz"
    rows = [{"id": "other", "title": "Other"}]
    rows += [{"id": identifier, "title": text} for identifier, text in wanted.items()]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert queries(path, judged={judgement.query_id for judgement in judged}) == wanted
    assert queries(topics) == wanted
