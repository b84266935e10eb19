"""What an inspection reads: results with their rankings, judgements, documents and their tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtr_beir.data.registry import closest
from gtr_beir.data.store import Dataset, join_title_and_text
from gtr_beir.digests import hash_file
from gtr_beir.errors import StoreError, UsageError
from gtr_beir.kept import finish_all
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.topk import NO_DOCUMENT
from gtr_beir.records import RECORD, RUN, Record
from gtr_beir.report.texts.token_counts import TokenCount, TokenCounter, counter_of
from gtr_beir.systems.lucene.analysis import analyze
from gtr_beir.systems.lucene.word_break import words

_KEPT = 400
"""Characters of a document's text that are kept to be shown."""


@dataclass(frozen=True)
class Ranked:
    """A result: its run in the order of the dataset's queries, and what its record says. record:
    None for a run file alone; counter: None where tokens are not known, for which tokens_unknown
    gives the reason, or where nothing is cut."""

    name: str
    run: Run
    record: Record | None
    counter: TokenCounter | None
    tokens_unknown: str

    @property
    def depth(self) -> int:
        """Documents that a ranking could hold."""
        return self.run.doc_rows.shape[1] if self.record is None else self.record.depth

    def first(self, query: int, many: int) -> list[int]:
        """Rows of a query's first documents."""
        rows = self.run.doc_rows[query, :many]
        return [int(row) for row in rows[rows != NO_DOCUMENT]]

    def rank(self, query: int, document: int) -> int | None:
        """From 1; None if the ranking does not have the document."""
        places = np.flatnonzero(self.run.doc_rows[query] == document)
        return int(places[0]) + 1 if len(places) else None

    def best_rank(self, query: int, documents: Iterable[int]) -> int:
        """Of the one that is ranked first; depth + 1 if the ranking has none of them."""
        ranks = (self.rank(query, document) for document in documents)
        return min((rank for rank in ranks if rank is not None), default=self.depth + 1)


def open_ranked(given: Path, dataset: Dataset, results: Path, datasets: Path) -> Ranked:
    """The result that a path or a name in the results folder stands for.

    Raises UsageError if there is none, or if its record is of another copy of the dataset, and
    StoreError if the run file is not the one that its record names.
    """
    finish_all(results)
    path = _run_file(given, dataset, results)
    folder = path.parent
    if path.name != RUN or not (folder / RECORD).is_file():
        run = Run.read(path, dataset).for_queries(dataset.query_ids)
        return Ranked(path.name, run, None, None, "a run file alone does not say what was cut")
    record = Record.read(folder)
    if record.fingerprints["dataset"] != dataset.fingerprint:
        raise UsageError(
            f"{folder} is of another dataset, or another copy of it, than "
            f"{datasets / dataset.name}; give -d and --datasets-dir of the one it was run on, or "
            "run it again"
        )
    if hash_file(path) != record.fingerprints["run"]:
        raise StoreError(f"{path} is not the run of its record; run again with --again")
    run = Run.read(path, dataset).for_queries(dataset.query_ids)
    counter, why_not = counter_of(record)
    return Ranked(record.system, run, record, counter, why_not)


def _run_file(given: Path, dataset: Dataset, results: Path) -> Path:
    if given.is_file():
        return given
    folders = (given / dataset.name, given, results / given / dataset.name)
    for folder in folders:
        if (folder / RUN).is_file():
            return folder / RUN
    there = tuple(
        str(path.relative_to(results)).removesuffix(f"/{dataset.name}/{RUN}")
        for path in sorted(results.glob(f"*/{dataset.name}/{RUN}"))
    )
    raise UsageError(
        f"there is no run of {dataset.name} in {given}; give a results folder such as "
        f"{results / 'bm25-flat'}, its name, or a run file{closest(str(given), there)}"
    )


@dataclass(frozen=True)
class Judgement:
    """grades: for each query, document -> grade; a document is its row, or its id if the corpus
    does not hold it; rel: the least grade that counts as relevant."""

    grades: Sequence[Mapping[int | str, int]]
    rel: int

    @staticmethod
    def of(dataset: Dataset, rel: int) -> Judgement:
        grades: list[dict[int | str, int]] = [{} for _ in dataset.query_ids]
        qrels = dataset.qrels
        for place, (query, row, grade) in enumerate(
            zip(
                qrels.query_rows.tolist(),
                qrels.document_rows.tolist(),
                qrels.grades.tolist(),
                strict=True,
            )
        ):
            grades[query][row if row >= 0 else qrels.document_ids[place]] = grade
        return Judgement(grades, rel)

    def relevant_rows(self, query: int) -> list[int]:
        """Rows of the relevant documents that the corpus holds."""
        found = document_rows(self.grades[query])
        return [row for row in found if self.grades[query][row] >= self.rel]


def document_rows(documents: Iterable[int | str]) -> list[int]:
    """Those that the corpus holds."""
    return [document for document in documents if isinstance(document, int)]


@dataclass(frozen=True)
class Terms:
    """The words of a query that BM25's analyzer makes terms of, each term once."""

    of_words: Mapping[str, str]

    @staticmethod
    def of(text: str) -> Terms:
        found: dict[str, str] = {}
        for word in words(text):
            for term in analyze(word):
                found.setdefault(term, word)
        return Terms(found)

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.of_words.values())

    def shared_with(self, text: str) -> tuple[str, ...]:
        """Words of the query whose terms the text has, in the query's order."""
        theirs = set(analyze(text))
        return tuple(word for term, word in self.of_words.items() if term in theirs)


@dataclass(frozen=True)
class KnownDocument:
    """text: its beginning; joined: all that a system reads; tokens: by system."""

    id: str
    title: str
    text: str
    joined: str
    tokens: tuple[TokenCount | None, ...]


class Corpus:
    """The documents of a dataset that an inspection asks for, with their tokens; each is read and
    counted once."""

    def __init__(self, dataset: Dataset, counters: Sequence[TokenCounter | None]):
        self._dataset, self._counters = dataset, counters
        self._known: dict[int, KnownDocument] = {}

    def bring(self, rows: Iterable[int]) -> None:
        """Read what is not known yet."""
        new = [row for row in dict.fromkeys(rows) if row not in self._known]
        if not new:
            return
        places = np.array(new, dtype=np.int64)
        texts = list(zip(*self._dataset.titles_and_texts_of(places), strict=True))
        joined = [join_title_and_text(title, text) for title, text in texts]
        counts = [
            [None] * len(new) if counter is None else counter.count(joined, "document")
            for counter in self._counters
        ]
        by_document = zip(*counts, strict=True)
        for row, identifier, (title, text), whole, tokens in zip(
            new, self._dataset.document_ids(places), texts, joined, by_document, strict=True
        ):
            self._known[row] = KnownDocument(identifier, title, text[:_KEPT], whole, tokens)

    def document(self, key: int | str) -> KnownDocument:
        """One that was brought; of one that the corpus does not hold, there is only its id."""
        if isinstance(key, int):
            return self._known[key]
        return KnownDocument(key, "", "", "", tuple(None for _ in self._counters))

    def share_cut(self, row: int) -> float:
        """The greatest share of the document that one of the systems cut off, in [0, 1)."""
        return most_cut(self._known[row].tokens)

    def query_tokens(self, text: str) -> list[TokenCount | None]:
        """Of a query, by system."""
        return [
            None if counter is None else counter.count([text], "query")[0]
            for counter in self._counters
        ]


def most_cut(tokens: Iterable[TokenCount | None]) -> float:
    """The greatest share of a text that one of the systems cut off."""
    return max((count.share_cut for count in tokens if count is not None), default=0.0)
