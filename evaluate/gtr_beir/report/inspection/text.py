"""An Inspection for a terminal of 80 columns, as markdown and as HTML.

A terminal and markdown show the documents that say most; HTML has room for more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from gtr_beir.report.inspection.inspected import (
    Inspected,
    InspectedDocument,
    InspectedQuery,
    InspectedSystem,
)
from gtr_beir.report.notebook import LEFT
from gtr_beir.report.plain_text import (
    html_text,
    markdown_lines,
    markdown_text,
    shortened,
    wrapped,
)
from gtr_beir.report.rounding import shown, signed
from gtr_beir.report.texts.token_counts import TokenCount

WIDTH = 80
MARKDOWN_WIDTH = 140
_JUDGED, _TOP = 4, 3
_JUDGED_HTML, _TOP_HTML = 40, 10
_QUERY_LINES = 3
_WORDS, _PIECES = 8, 5
"""Shared words and unknown pieces that are named."""


def _systems(inspection: Inspected) -> Iterator[tuple[InspectedSystem, str]]:
    """Each system with what it cuts, in words."""
    for system in inspection.systems:
        if system.identity is None:
            yield system, system.tokens_unknown
        elif system.identity.lengths is None:
            yield system, "reads whole texts"
        else:
            limits = system.identity.lengths.limits(inspection.dataset)
            cut = f"reads {limits['query']} tokens of a query, {limits['document']} of a document"
            why = system.tokens_unknown
            yield system, f"{cut}; tokens are not counted: {why}" if why else cut


def _not_found(inspection: Inspected) -> str:
    """What the blank rank stands for."""
    depths = {system.depth for system in inspection.systems}
    if len(depths) == 1:
        return f"not in the first {depths.pop():,}"
    each = ", ".join(f"{system.depth:,} ({system.label})" for system in inspection.systems)
    return f"not in the first {each}"


def _values(inspection: Inspected, query: InspectedQuery) -> str:
    """`NDCG@10 A 0.0000, B 0.3010 (+0.3010)`"""
    said: list[str] = []
    for system, value in zip(inspection.systems, query.values, strict=True):
        change = f" ({signed(value - query.values[0])})" if said else ""
        said.append(f"{system.label} {shown(value)}{change}")
    return f"{inspection.measure.title} {', '.join(said)}"


def _notes(inspection: Inspected, query: InspectedQuery) -> list[str]:
    """What is to be said of a query as a whole."""
    labels = [system.label for system in inspection.systems]
    found = ", ".join(
        f"{label} {many} of {query.relevant}"
        for label, many in zip(labels, query.found, strict=True)
    )
    notes = [f"relevant in the first {inspection.measure.cut:,}: {found}"]
    notes += _token_notes(labels, query.tokens)
    if not query.words:
        notes.append("no word of it is a term of BM25")
    dropped = [
        system.label
        for system in inspection.systems
        if system.identity is not None and system.identity.self_matches == "drop"
    ]
    if query.own_document and dropped:
        notes.append(f"the document of the query's own id is dropped ({', '.join(dropped)})")
    return notes


def _marks(inspection: Inspected, one: InspectedDocument) -> list[str]:
    """What is to be said of a document beside its ranks and its grade."""
    if not one.in_corpus:
        return ["not in the corpus"]
    marks = [f"shares {_some(one.shared, _WORDS)}" if one.shared else "shares no term"]
    labels = [system.label for system in inspection.systems]
    marks = [*_token_notes(labels, one.tokens), *marks]
    return ["own id", *marks] if one.own_id else marks


def _token_notes(labels: Sequence[str], tokens: Sequence[TokenCount | None]) -> list[str]:
    """Tokens that were cut and pieces that are unknown; systems of which the same is true are named
    together."""
    by_note: dict[str, list[str]] = {}
    for label, count in zip(labels, tokens, strict=True):
        if count is not None and count.cut:
            note = f"cut: {count.cut:,} of {count.tokens:,} tokens"
            by_note.setdefault(note, []).append(label)
        if count is not None and count.unknown:
            note = f"unknown to the tokenizer: {_some(count.unknown, _PIECES)}"
            by_note.setdefault(note, []).append(label)
    several = len(labels) > 1
    return [f"{note} ({', '.join(whose)})" if several else note for note, whose in by_note.items()]


def _some(words: Sequence[str], most: int) -> str:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _grade(one: InspectedDocument) -> str:
    return "unjudged" if one.grade is None else str(one.grade)


def _rank(rank: int | None) -> str:
    return "-" if rank is None else f"{rank:,}"


def _body(one: InspectedDocument) -> str:
    """Title and first words, or the first words alone."""
    return f"{one.title} — {one.text}" if one.title.strip() else one.text


def _tables(
    query: InspectedQuery, systems: int, judged: int, top: int
) -> Iterator[tuple[str, Sequence[InspectedDocument], int]]:
    """Title, documents and how many more there are: the judged ones, then the first documents."""
    each = top if systems == 1 else max(top - 1, 1)
    first = [d for d in query.top if any(r is not None and r <= each for r in d.ranks)]
    yield "judged", query.judged[:judged], max(len(query.judged) - judged, 0)
    yield "ranked first", first, 0


def _more(many: int) -> str:
    return f"and {many:,} more judged document{'s' if many > 1 else ''}"


# Terminal ---------------------------------------------------------------------------------------


def terminal(inspection: Inspected) -> str:
    """Lines of at most 80 columns, without anything that a terminal would obey."""
    lines = wrapped(f"{inspection.title}: {inspection.chosen}", WIDTH)
    for system, what in _systems(inspection):
        lines += _wrap(f"{system.label} {system.name}: {what}", "  ")
    lines.append(f"- {_not_found(inspection)}")
    for place, query in enumerate(inspection.queries, start=1):
        head = f"{place}. {shortened(query.id, 30)}: {_values(inspection, query)}"
        lines += ["", *_wrap(head, "   ")]
        lines += [f"   {line}" for line in wrapped(query.text, WIDTH - 3, _QUERY_LINES)]
        notes = "; ".join(_notes(inspection, query))
        lines += [f"   {line}" for line in wrapped(notes, WIDTH - 3)]
        for title, documents, more in _tables(query, len(inspection.systems), _JUDGED, _TOP):
            labels = "".join(f"{system.label:>7}" for system in inspection.systems)
            lines.append(f"   {'grade':>8}{labels}  {title}")
            for one in documents:
                lines += _terminal_document(inspection, one)
            if more:
                lines.append(f"   {_more(more)}")
    return "\n".join(lines) + "\n"


def _terminal_document(inspection: Inspected, one: InspectedDocument) -> Iterator[str]:
    """Ranks, id and first words in a line, marks in another."""
    ranks = "".join(f"{_rank(rank):>7}" for rank in one.ranks)
    begin = f"   {_grade(one):>8}{ranks}  "
    room = WIDTH - len(begin)
    yield (begin + shortened(f"{shortened(one.id, 24)}: {_body(one)}", room)).rstrip()
    yield " " * len(begin) + shortened("; ".join(_marks(inspection, one)), room)


def _wrap(text: str, indent: str) -> list[str]:
    """Lines of which all but the first stand behind an indent."""
    first, *others = wrapped(text, WIDTH - len(indent)) or [""]
    return [first, *(indent + line for line in others)]


# Markdown ---------------------------------------------------------------------------------------


def markdown(inspection: Inspected) -> str:
    """GitHub markdown, in which no text from the data is markup."""
    parts = [f"# {markdown_text(f'{inspection.title}: {inspection.chosen}')}", ""]
    for system, what in _systems(inspection):
        parts += _markdown_item(f"{system.label}: {system.name}, {what}")
    parts += _markdown_item(f"A rank of -: {_not_found(inspection)}")
    for place, query in enumerate(inspection.queries, start=1):
        head = f"{place}. {markdown_text(query.id)}: {_values(inspection, query)}"
        parts += ["", f"## {head}", ""]
        parts += [f"> {line}" for line in markdown_lines(query.text, MARKDOWN_WIDTH)]
        parts.append("")
        for note in _notes(inspection, query):
            parts += _markdown_item(note)
        for title, documents, more in _tables(query, len(inspection.systems), _JUDGED, _TOP):
            parts += ["", *_markdown_table(inspection, title, documents)]
            if more:
                parts += ["", _more(more)]
    return "\n".join(parts) + "\n"


def _markdown_item(text: str) -> list[str]:
    first, *others = markdown_lines(text, MARKDOWN_WIDTH)
    return [f"- {first}", *(f"  {line}" for line in others)]


def _markdown_table(
    inspection: Inspected,
    title: str,
    documents: Iterable[InspectedDocument],
) -> Iterator[str]:
    labels = [system.label for system in inspection.systems]
    yield f"| grade | {' | '.join(labels)} | {title} | why |"
    yield f"| ---: |{' ---: |' * len(labels)} --- | --- |"
    for one in documents:
        ranks = " | ".join(_rank(rank) for rank in one.ranks)
        body = markdown_text(f"{one.id}: {shortened(_body(one), _WORDS * 8)}")
        why = markdown_text("; ".join(_marks(inspection, one)))
        yield f"| {_grade(one)} | {ranks} | {body} | {why} |"


# HTML -------------------------------------------------------------------------------------------


def html(inspection: Inspected) -> str:
    """One page without scripts or anything fetched; everything is escaped."""
    title = html_text(f"{inspection.title}: {inspection.chosen}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n{html_body(inspection)}\n</body></html>\n"
    )


def html_body(inspection: Inspected, *, short: bool = False) -> str:
    """What the page holds. short: for a notebook's cell, with smaller headings and no more
    documents than on a terminal."""
    level = 4 if short else 1
    title = html_text(f"{inspection.title}: {inspection.chosen}")
    items = "".join(
        f"<li><b>{system.label}</b> {html_text(f'{system.name}: {what}')}</li>"
        for system, what in _systems(inspection)
    )
    items += f"<li><b>-</b> {html_text(_not_found(inspection))}</li>"
    body = "\n".join(
        _html_query(inspection, place, query, short)
        for place, query in enumerate(inspection.queries, start=1)
    )
    return f"<h{level}>{title}</h{level}>\n<ul>{items}</ul>\n{body}"


_STYLE = (
    "body{font-family:sans-serif;margin:2em;max-width:70em}section{overflow-x:auto}"
    "table{border-collapse:collapse}td,th{padding:3px 9px;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #8884}.n{text-align:right}small{display:block;opacity:.75}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}"
)


def _html_query(inspection: Inspected, place: int, query: InspectedQuery, short: bool) -> str:
    level, judged, top = (5, _JUDGED, _TOP) if short else (2, _JUDGED_HTML, _TOP_HTML)
    head = f"{place}. {query.id}: {_values(inspection, query)}"
    parts = [
        f"<h{level}>{html_text(head)}</h{level}>",
        f"<blockquote dir=auto>{html_text(query.text)}</blockquote>",
        f"<ul>{''.join(f'<li>{html_text(note)}</li>' for note in _notes(inspection, query))}</ul>",
    ]
    heads = "".join(f'<th class="n">{system.label}</th>' for system in inspection.systems)
    tables = _tables(query, len(inspection.systems), judged, top)
    for title, documents, more in tables:
        rows = "".join(
            f'<tr><td class="n">{_grade(one)}</td>'
            + "".join(f'<td class="n">{_rank(rank)}</td>' for rank in one.ranks)
            + f"<td dir=auto{LEFT}><b>{html_text(one.id)}</b> "
            + html_text(shortened(_body(one), 300))
            + f" <small>{html_text('; '.join(_marks(inspection, one)))}</small></td></tr>"
            for one in documents
        )
        parts.append(
            f'<section><table><thead><tr><th class="n">grade</th>{heads}<th{LEFT}>{title}</th>'
            f"</tr></thead><tbody>{rows}</tbody></table></section>"
        )
        parts += [f"<p>{_more(more)}</p>"] if more else []
    return "\n".join(parts)


FORMATS: dict[str, Callable[[Inspected], str]] = {
    "text": terminal,
    "md": markdown,
    "html": html,
}
"""Format name -> renderer."""
