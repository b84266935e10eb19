"""Robust04's topics and qrels, in NIST's form and in the released one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gtr_beir.data.beir_format import Judgement
from gtr_beir.data.converters.robust04 import judgements, queries
from gtr_beir.data.converters.trec_forms import read_topics
from gtr_beir.errors import InputError

TOPICS = """
<top>

<num> Number: 901 \n<title> Tall Ships

<desc> Description: \nWhich ports do tall  ships
call at, and \nwhen?

<narr> Narrative: \nA port is relevant
if named.

</top>


<top>
<num> Number: 902
<title> Topic: Short
<desc> Description:
One\tline.
<narr> Narrative:
None.
</top>
"""


@pytest.mark.parametrize("gzipped", [False, True])
def test_queries(tmp_path: Path, gzipped: bool) -> None:
    path = tmp_path / "04.testset"
    path.write_bytes(gzip.compress(TOPICS.encode()) if gzipped else TOPICS.encode())
    assert queries(path) == {
        "901": "Which ports do tall  ships call at, and  when?",
        "902": "One\tline.",
    }
    assert queries(path, judged={"902"}) == {"902": "One\tline."}


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        ("", None, "there is no <top>"),
        ("<top>\n<num> Number: 1\n<desc> D:\nx\n", 4, "ends inside a topic"),
        ("<top>\n<num> Number: 1\n<title> x\n</top>\n", 4, "has no <desc>"),
        ("<top>\n<desc> Description:\nx\n</top>\n", 4, "has no <num>"),
        (
            "<top>\n<num> Number: 1\n<desc> x\n</top>\n<top>\n<num> 1\n<desc> y\n</top>\n",
            8,
            "topic 1 appears twice",
        ),
    ],
)
def test_wrong_topics(tmp_path: Path, data: str, line: int | None, reason: str) -> None:
    path = tmp_path / "topics"
    path.write_text(data)
    with pytest.raises(InputError, match=reason) as caught:
        queries(path)
    assert caught.value.line == line


def test_the_rule_gives_back_the_real_query_strings(tmp_path: Path, judgement_files: Path) -> None:
    """NIST breaks lines where BEIR has a blank: broken so again, the strings must come back.

    In the real topic file they do, all 249; that file is NIST's and not carried here.
    """
    real = judgement_files / "topics.beir-v1.0.0-robust04.test.tsv.gz"
    if not real.is_file():
        pytest.skip(f"{real} is not there")
    wanted = read_topics(real)
    topics = [
        "<top>\n\n<num> Number: 672 \n<title> T\n\n<desc> Description: \nUnjudged.\n\n</top>\n"
    ]
    for identifier, text in wanted.items():
        words = text.split(" ")
        rows = [" ".join(words[at : at + 9]) for at in range(0, len(words), 9)]
        description = "\n".join(rows)
        topics.append(
            f"<top>\n\n<num> Number: {identifier} \n<title> T \n\n<desc> Description: \n"
            f"{description}\n \n<narr> Narrative: \nN <b>.\n\n</top>\n"
        )
    path = tmp_path / "04.testset.gz"
    path.write_bytes(gzip.compress("\n".join(topics).encode()))
    assert queries(path, judged=set(wanted)) == wanted
    assert queries(real, judged=set(wanted)) == wanted
    assert "672" in queries(path)


def test_judgements(tmp_path: Path) -> None:
    path = tmp_path / "qrels.robust2004.txt"
    path.write_text("301 0 FBIS3-1 2\n301 0 FT911-1 0\n")
    assert judgements(path) == [
        Judgement("301", "FBIS3-1", 2, 1),
        Judgement("301", "FT911-1", 0, 2),
    ]
