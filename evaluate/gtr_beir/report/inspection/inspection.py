"""Single queries of results beside each other: which failed, on which documents, and what may be
why. Everything that is rendered comes from an Inspection; nothing is rounded here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.registry import closest
from gtr_beir.data.store import Dataset, datasets_folder
from gtr_beir.errors import UsageError
from gtr_beir.ranking.measures import Measure, per_query
from gtr_beir.report.inspection.inspected import (
    Inspected,
    InspectedDocument,
    InspectedQuery,
    InspectedSystem,
)
from gtr_beir.report.inspection.reading import (
    Corpus,
    Judgement,
    Ranked,
    Terms,
    document_rows,
    most_cut,
    open_ranked,
)
from gtr_beir.report.inspection.text import html_body
from gtr_beir.report.notebook import output
from gtr_beir.report.plain_text import clean

TOP = 10
"""First documents of each ranking that are looked at."""
MOST = 6
"""Results beside each other, as many as a terminal is wide enough for."""


class Inspection(Inspected):
    """What an inspection found, as a notebook shows it."""

    def __repr__(self) -> str:
        names = ", ".join(f"{system.label} is {system.name}" for system in self.systems)
        return f"Inspection({clean(f'{self.title}: {self.chosen}; {names}')})"

    def _repr_html_(self) -> str:
        return output(html_body(self, short=True))


def inspect_results(
    results: Path | str | Sequence[Path | str],
    dataset: str,
    *,
    queries: str | Sequence[str] = (),
    worst: int = 5,
    measure: str = "ndcg@10",
    results_dir: Path | str = "results",
    datasets_dir: Path | str | None = None,
) -> Inspection:
    """Look at queries of one result, or of several beside each other.

    results: folders of a system or of one dataset, names of systems in `results_dir`, or run files;
    queries: ids; of both, one stands for a list of one. Without any query, the `worst` queries of
    the first result are shown, or, of several, those that changed most from it. Raises UsageError
    for a name, query or measure that is not there, and for results of another copy of the dataset
    than the one that is here.
    """
    asked = Measure.parse(measure)
    results = [results] if isinstance(results, Path | str) else results
    queries = [queries] if isinstance(queries, str) else queries
    if not results or len(results) > MOST:
        raise UsageError(f"{len(results)} results cannot be shown; give 1 to {MOST}")
    if worst < 1:
        raise UsageError(f"--worst {worst} is not possible; give 1 or more")
    opened = load_dataset(dataset, datasets_dir=datasets_dir)
    if not isinstance(opened, Dataset):
        raise UsageError(
            f"{dataset} is the mean of its forums; name one of them, such as {opened.parts[0].name}"
        )
    ranked = [
        open_ranked(Path(given), opened, Path(results_dir), datasets_folder(datasets_dir))
        for given in results
    ]
    judged = Judgement.of(opened, asked.rel)
    corpus = Corpus(opened, [one.counter for one in ranked])
    values = np.array(
        [per_query(one.run, opened, [asked])[str(asked)].to_numpy() for one in ranked]
    )
    if queries:
        rows = [_row_of(query, opened) for query in dict.fromkeys(queries)]
        chosen = "the named queries"
    else:
        rows = _most_telling(values, worst, ranked, judged, corpus, opened)
        several = len(rows) > 1
        many = f"the {len(rows)} queries" if several else "the query"
        chosen = (
            f"{many} with the lowest {asked.title} of A"
            if len(ranked) == 1
            else f"{many} whose {asked.title} changed most from A"
        )
    systems = [
        InspectedSystem(
            chr(ord("A") + place),
            one.name,
            one.depth,
            None if one.record is None else one.record.identity,
            one.tokens_unknown,
        )
        for place, one in enumerate(ranked)
    ]
    found = [_inspected(row, values[:, row], asked, ranked, judged, corpus, opened) for row in rows]
    return Inspection(opened.name, opened.spec.title, asked, chosen, tuple(systems), tuple(found))


def _row_of(query: str, dataset: Dataset) -> int:
    try:
        return dataset.query_ids.index(query)
    except ValueError:
        near = closest(query, tuple(dataset.query_ids))
        raise UsageError(
            f"{dataset.name} has no judged query '{query}'; without --query the worst are shown"
            f"{near}"
        ) from None


def _most_telling(
    values: npt.NDArray[np.float64],
    many: int,
    ranked: Sequence[Ranked],
    judged: Judgement,
    corpus: Corpus,
    dataset: Dataset,
) -> list[int]:
    """Rows of the queries to show, most telling first.

    values: float64[systems, queries]. One result: lowest value first. Several: the greatest change
    from the first result to any other first, a loss before a gain. Many queries have the same
    value, 0 above all. Of these come first those where a cause can be seen: the more of a relevant
    document was cut off, the sooner; then those whose best relevant document one of the results
    has deepest, for that is the greatest distance from success; then by query id.
    """
    if len(values) == 1:
        first = [(value, False) for value in values[0].tolist()]
    else:
        changes = values[1:] - values[0]
        most = np.abs(changes).argmax(axis=0)
        change = changes[most, np.arange(changes.shape[1])]
        first = [(-abs(value), value > 0) for value in change.tolist()]
    last = sorted(first)[min(many, len(first)) - 1]
    rows = [row for row, key in enumerate(first) if key <= last]
    relevant = {row: judged.relevant_rows(row) for row in rows}
    shared = Counter(first)
    tied = {row for row in rows if shared[first[row]] > 1}
    corpus.bring(document for row in tied for document in relevant[row])
    keys = {}
    for row in rows:
        deepest = max(one.best_rank(row, relevant[row]) for one in ranked)
        lost = max((corpus.share_cut(d) for d in relevant[row]), default=0.0) if row in tied else 0
        keys[row] = (*first[row], -lost, -deepest, dataset.query_ids[row])
    return sorted(rows, key=lambda row: keys[row])[:many]


def _inspected(
    row: int,
    values: npt.NDArray[np.float64],
    measure: Measure,
    ranked: Sequence[Ranked],
    judged: Judgement,
    corpus: Corpus,
    dataset: Dataset,
) -> InspectedQuery:
    """One query with its documents. values: float64[systems]."""
    query_id, text = dataset.query_ids[row], dataset.query_texts[row]
    terms = Terms.of(text)
    grades = judged.grades[row]
    places = dict.fromkeys(document for one in ranked for document in one.first(row, TOP))
    corpus.bring(d for d in (*places, *document_rows(grades)))

    def document(key: int | str) -> InspectedDocument:
        """By its row, or by its id if the corpus does not hold it."""
        known = corpus.document(key)
        return InspectedDocument(
            known.id,
            known.title,
            known.text,
            isinstance(key, int),
            grades.get(key),
            tuple(one.rank(row, key) if isinstance(key, int) else None for one in ranked),
            terms.shared_with(known.joined),
            known.tokens,
            known.id == query_id,
        )

    def best(one: InspectedDocument) -> int:
        return min((rank for rank in one.ranks if rank is not None), default=1 << 31)

    listed = sorted(
        map(document, grades),
        key=lambda d: (-(d.grade or 0), -most_cut(d.tokens), best(d), d.id),
    )
    top = sorted(map(document, places), key=lambda d: (best(d), d.id))
    relevant = [d for d in listed if d.grade is not None and d.grade >= measure.rel]
    found = tuple(
        sum((d.ranks[place] or measure.cut + 1) <= measure.cut for d in relevant)
        for place in range(len(ranked))
    )
    return InspectedQuery(
        query_id,
        text,
        terms.words,
        tuple(values.tolist()),
        tuple(corpus.query_tokens(text)),
        len(relevant),
        found,
        tuple(listed),
        tuple(top),
        bool(dataset.self_rows[row] >= 0),
    )
