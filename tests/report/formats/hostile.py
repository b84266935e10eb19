"""Reports with many systems, long names and hostile texts, for markdown and LaTeX."""

from __future__ import annotations

import string

from gtr_beir.ranking.measures import Measure
from gtr_beir.report.board import OWN, RAISED, Board, Cell, Column, Line
from gtr_beir.report.findings import Overall, Pair, QueryLine, Section, Verdict
from gtr_beir.report.whole import Report

NDCG = Measure("ndcg", 10)
TEXTS = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)>",
    "[here](http://evil.example) ![x](y) <http://evil.io> http://evil.io www.evil.io",
    "| a | b |\n\n# heading\n\n- item\n\n```\ncode",
    "\x1b[2J\x00 bell\x07 ‮turned &lt;b&gt; **bold** _it_ ~~no~~ `code` $x$ \\",
    "*&|<>_#~`[]\\" * 40,
    "a" * 500,
    "soup " * 200,
    "- - - -",
)


def many(count: int, names: str = "{}") -> Report:
    """So many own systems on a dataset, each better than all before it; `names` with a letter."""
    letters = string.ascii_lowercase if count <= 26 else " " * count
    columns = [
        Column(
            names.format(at if count > 26 else letters[at]),
            OWN,
            "own run",
            about=names.format(at),
            letter=letters[at].strip(),
        )
        for at in range(count)
    ]
    title = names.format("set")
    line = Line(
        title,
        {
            column: Cell(0.1 + at / 100, marks=("†",), beats="".join(letters[:at]).strip())
            for at, column in enumerate(columns)
        },
    )
    values = {column: at / count for at, column in enumerate(columns)}
    queries = tuple(QueryLine(f"{text[:30]}{at}", text, values) for at, text in enumerate(TEXTS))
    pairs = tuple(
        Pair("ndcg@10", title, a.name, b.name, 9, 0.01, 0, 0.02, 0.001, 0.01, 5, 0, 4)
        for at, a in enumerate(columns)
        for b in columns[at + 1 :]
        if count <= 26
    )
    overall = tuple(
        Overall("ndcg@10", (title, "x"), p.a, p.b, -0.01, -0.02, 0, 0.5, 1, 0.5, 1, 0, 1, 1)
        for p in pairs
    )
    verdicts = tuple(
        Verdict(
            *(column.name, title, "ndcg@10", 0.123456, 0.1, 0.2, 0.12, 4),
            *(names.format("paper"), names.format("theirs"), False),
            why_not=names.format("reason") if at else "",
        )
        for at, column in enumerate(columns[:2])
    )
    section = Section(
        "own-set",
        title,
        NDCG,
        (),
        {column: {} for column in columns},
        hardest=queries,
        disagreements=queries[:1],
        warnings=(names.format("warned"), *TEXTS),
    )
    board = Board(names.format("board"), NDCG, tuple(columns), (line,))
    notes = {"†": names.format("note"), "*": "tuned on it", RAISED: "better than that one"}
    remarks = (names.format("remark"), *TEXTS)
    return Report((board,), verdicts, pairs, overall, (section,), notes, remarks=remarks)
