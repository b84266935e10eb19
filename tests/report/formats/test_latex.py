"""LaTeX: letters, bold and notes as in the report; nothing that stops pdflatex."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.report.formats.hostile import NDCG, TEXTS, many

from gtr_beir.report.board import OWN, RAISED, Board, Cell, Column, Line
from gtr_beir.report.formats.latex import latex
from gtr_beir.report.whole import Report

APE, BEE, CAT = (Column(n, OWN, "own run", letter=n[0]) for n in ("ape", "bee", "cat"))
NOTES = {"†": "better", "‡": "worse", "c": "capped", "v1": "first", "*": "tuned", RAISED: "letters"}


def rows(text: str) -> list[list[str]]:
    return [
        [part.strip() for part in line.removesuffix(r"\\").split(" & ")]
        for line in text.splitlines()
        if " & " in line
    ]


def captions(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(r"\caption")]


def of(*lines: Line, columns: tuple[Column, ...] = (APE, BEE, CAT), **more: object) -> Report:
    return Report((Board("b", NDCG, columns, lines),), notes=NOTES, **more)  # type: ignore[arg-type]


def test_letters_bold_and_marks_as_in_the_report() -> None:
    line = Line("x", {APE: Cell(0.5, beats="bc", marks=("†",)), BEE: Cell(0.5), CAT: Cell(0.4)})
    other = Line("y", {APE: Cell(0.1, marks=("‡", "v1")), CAT: Cell(0.2, beats="a", marks=("c",))})
    found = rows(latex(of(line, other)))
    assert found == [
        ["Dataset", "ape$^{a}$", "bee$^{b}$", "cat$^{c}$"],
        ["", "own run", "own run", "own run"],
        ["x", r"\textbf{0.5000}$^{bc}$$^\dagger$", r"\textbf{0.5000}", "0.4000"],
        ["y", r"0.1000$^\ddagger$$^{\mathrm{v1}}$", "", r"0.2000$^{a}$$^{\mathrm{cap}}$"],
    ]


def test_notes_stand_only_where_their_marks_do() -> None:
    said = {"better.", "worse.", "capped.", "first.", "tuned.", "A letter:", "in bold"}

    def told(*lines: Line) -> set[str]:
        (caption,) = captions(latex(of(*lines)))
        return {note for note in said if note in caption}

    one = {APE: Cell(0.5)}
    assert told(Line("x", one)) == set(), "one value is not the best of anything"
    assert told(Line("x *", one)) == {"tuned."}
    assert told(Line("x", {APE: Cell(0.5, marks=("†",)), BEE: Cell(0.4)})) == {"better.", "in bold"}
    assert told(Line("x", {APE: Cell(0.5, marks=("c", "v1"))})) == {"capped.", "first."}
    assert told(Line("x", {APE: Cell(0.5, beats="b")})) == {"A letter:"}


def test_a_board_over_two_tables_is_bold_once() -> None:
    """The best of the row stands in the second table, and so does what bold means."""
    columns = tuple(Column(f"s{n}", OWN, "own run") for n in range(8))
    line = Line("x", {column: Cell(at / 10) for at, column in enumerate(columns)})
    first, second = latex(of(line, columns=columns)).split(r"\begin{table}")[1:]
    assert (r"\textbf" in first, "in bold" in first) == (False, False)
    assert (r"\textbf{0.7000}" in second, "in bold" in second) == (True, True)


def test_the_letters_note_counts_the_tests_of_its_measure() -> None:
    report = many(4)
    (caption,) = captions(latex(replace(report, overall=(), verdicts=())))
    assert "Holm-corrected over 6 tests" in caption


def test_overall_reads_from_left_to_right() -> None:
    """The difference is of the left system less the other, as in every format."""
    table = latex(replace(many(2), boards=(), verdicts=()))
    head, row = rows(table)
    assert head[:3] == ["System", "less", "datasets"]
    assert row[:4] == ["b", "a", "2", r"\shortstack{-0.0100\\-0.0200 to +0.0000}"]


@pytest.mark.parametrize(
    ("given", "set_"),
    [
        ("a & b % c $ d # e _ f { g }", r"a \& b \% c \$ d \# e \_ f \{ g \}"),
        (
            "~^\\<>|`",
            r"\textasciitilde{}\textasciicircum{}\textbackslash{}\textless{}"
            r"\textgreater{}\textbar{}\textasciigrave{}",
        ),
        ("org--name---x", "org-{}-name-{}-{}-x"),
        ("[1em] x", "{}[1em] x"),
        ("* x", "{}* x"),
        ("Touché Łódź", "Touché Łódź"),
        ("ąþ😀囲", "a???"),
        ("ﬁne “quoted” – ½ ﹩", r"fine “quoted” – ½ \$"),
        ("two\nlines\x1b[2J\x00‮", "two lines [2J"),
        ("e\u0301", "e"),
    ],
)
def test_special_characters(given: str, set_: str) -> None:
    found = rows(latex(of(Line(given, {APE: Cell(0.5)}))))
    assert found[2][0] == set_


def test_a_part_of_a_name_is_no_length_of_a_break() -> None:
    r"""`\\[abc123]` would be a distance between lines; the program names columns so itself."""
    column = Column("mix-of-some [abc123]", OWN, "own run")
    report = of(Line("x", {column: Cell(0.5)}), columns=(column,))
    head = rows(latex(report))[0][1]
    assert head == r"\shortstack{mix-of-some\\{}[abc123]}"


@pytest.mark.parametrize("names", TEXTS)
def test_hostile_texts_leave_the_tables_whole(names: str) -> None:
    """Braces pair, no row has another number of cells, nothing is a comment or an order."""
    safe = names.replace("{", "") + "{}"
    text = latex(many(3, safe))
    bare = re.sub(r"\\[\\{}&%$#_,]", "", text.split("\n", 1)[1])
    assert bare.count("{") == bare.count("}")
    assert "%" not in bare
    assert bare.count("$") % 2 == 0
    orders = set(re.findall(r"\\([a-zA-Z]+)", bare))
    assert orders <= {
        *(
            "begin",
            "end",
            "centering",
            "footnotesize",
            "scriptsize",
            "setlength",
            "tabcolsep",
            "caption",
        ),
        *("toprule", "midrule", "bottomrule", "textbf", "textit", "dagger", "shortstack"),
        *("multicolumn", "ldots", "textless", "textgreater", "textbar", "textasciigrave"),
        *("textbackslash", "textasciitilde", "textasciicircum"),
    }
    boards = [latex(replace(many(3, one), overall=(), verdicts=())) for one in ("{}", safe)]
    plain, hostile = ({len(row) for row in rows(one)} for one in boards)
    assert hostile == plain == {4}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


def test_26_systems_are_in_tables_that_fit() -> None:
    """Every value once, with its 25 letters; no table is wider or longer than a page of an
    article (as pdflatex sets it: 65 characters of values, 22 rows of two lines)."""
    report = many(26)
    parts = latex(report).split(r"\begin{table}")[1:]
    boards = [rows(part) for part in parts if r"^\dagger" in part.split(r"\toprule")[1]]
    values = [cell for table in boards for cell in table[-1][1:] if "^\\dagger" in cell]
    assert len(values) == len(set(values)) == 26
    assert values[-1] == r"\textbf{0.3500}$^{abcdefghijklmnopqrstuvwxy}$$^\dagger$"
    for table in boards:
        assert (
            sum(max(12, len(re.sub(r"[^0-9.a-y]|textbf|dagger", "", c))) for c in table[-1][1:])
            <= 65
        )
    over = [rows(part) for part in parts if "less" in part]
    assert sum(len(table) - 1 for table in over) == 26 * 25 // 2
    assert max(len(table) - 1 for table in over) <= 22
