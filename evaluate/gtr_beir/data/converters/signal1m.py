r"""Signal-1M (RT): tweets of September 2015 for the titles of news articles.

Original: tweets that the user has fetched by the ids of
https://github.com/igorbrigadir/newsir16-data/tree/master/twitter/curated, a tweet a line:

    {"id": "638727826393444352", "text": "..."}

Rule (BEIR examples/dataset/scrape_tweets.py), in this order: drop the emoji of four ranges, delete
newlines with no blank put in, delete `http\S+`, strip; then drop tweets left empty (its README).
`text` is the API's `tweet.text`, which may be cut, not the extended form. BEIR has the 2,866,316
that could be fetched in 2021; tweets deleted since cannot be fetched any more.

Queries: the titles of articles of https://research.signal-ai.com/datasets/signal1m.html (JSON lines
with `id` and `title`). Judgements: `signal1m_tweets_qrels` of
https://research.signal-ai.com/datasets/signal1m-tweetir.html, grades 0, 1, 2; the released BEIR
judgements have no 0, so those are left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from gtr_beir.data.beir_format import Document, Judgement
from gtr_beir.data.converters import Tally
from gtr_beir.data.converters.reading import find_one, json_lines
from gtr_beir.data.converters.trec_forms import is_topics_table, read_qrels, read_topics
from gtr_beir.data.lines import checked_id
from gtr_beir.errors import InputError, UsageError

EXPECTED: Mapping[str, int] = {}

_FILE = r".*\.(jsonl?|jl)(\.gz)?"
_MEMBER = r"\.(jsonl?|jl)$"
_EMOJI = re.compile(
    "["
    "\U0001f600-\U0001f64f"  # emoticons
    "\U0001f300-\U0001f5ff"  # symbols and pictographs
    "\U0001f680-\U0001f6ff"  # transport and map symbols
    "\U0001f1e0-\U0001f1ff"  # flags
    "]+"
)
_ADDRESS = re.compile(r"http\S+")


class _Tweet(msgspec.Struct):
    id: str | int
    text: str


class _Article(msgspec.Struct):
    id: str
    title: str | None


def cleaned(text: str) -> str:
    """The text of a tweet as BEIR keeps it; may be empty."""
    return _ADDRESS.sub("", _EMOJI.sub("", text).replace("\n", "")).strip()


def documents(source: Path, *, tally: Tally | None = None) -> Iterator[Document]:
    """The tweets in file order; counts "tweets", "documents" and "tweets left empty"."""
    counts = Tally() if tally is None else tally
    path = find_one(source, _FILE, "the tweets as JSON lines")
    for number, tweet in json_lines(path, _Tweet, "tweet", _MEMBER):
        counts["tweets"] += 1
        identifier = checked_id(str(tweet.id), "tweet", path, number)
        text = cleaned(tweet.text)
        if not text:
            counts["tweets left empty"] += 1
            continue
        counts["documents"] += 1
        yield Document(id=identifier, text=text, title="")


def queries(
    topics: Path,
    *,
    source: Path | None = None,  # noqa: ARG001 - the converters have one signature
    judged: Collection[str] | None = None,
) -> dict[str, str]:
    """The titles of the judged articles, or the two-column form of the same."""
    if is_topics_table(topics):
        return read_topics(topics, judged)
    if judged is None:
        raise UsageError(
            f"{topics} holds every article; the judgements must say which of them are queries"
        )
    found: dict[str, str] = {}
    for number, article in json_lines(topics, _Article, "article", _MEMBER):
        if article.id not in judged:
            continue
        if article.id in found or not (article.title or "").strip():
            wrong = "appears twice" if article.id in found else "has no title"
            raise InputError(f"the judged article {article.id} {wrong}", path=topics, line=number)
        found[article.id] = article.title or ""
    missing = sorted(set(judged) - set(found))
    if missing:
        raise InputError(
            f"{len(missing)} of {len(set(judged))} judged articles are not in it, such as "
            f"{missing[0]}; give the whole collection of articles",
            path=topics,
        )
    return found


def judgements(qrels: Path, *, tally: Tally | None = None) -> list[Judgement]:
    """The judgements of grade 1 and 2; counts "judgements of grade 0 left out"."""
    found = read_qrels(qrels)
    for judgement in found:
        if judgement.grade not in (0, 1, 2):
            raise InputError(
                f"grade {judgement.grade} where the original has 0, 1 and 2; give the released "
                "file",
                path=qrels,
                line=judgement.line,
            )
    kept = [judgement for judgement in found if judgement.grade > 0]
    if tally is not None:
        tally["judgements of grade 0 left out"] += len(found) - len(kept)
    return kept
