"""Names and paths that import refuses, whatever the files hold, for test_import_bad_input.py."""

from __future__ import annotations

from pathlib import Path

from tests.data.bad_files import LAYOUT, BadDataset

from good_input import HEADER, QRELS, QUERY_FILE, json_lines
from gtr_beir.data.registry import registered
from mistakes import Mistake, nothing

OTHER_NAME = "get the released files, or import it as a dataset of your own with another --name"


def other_place(place: str) -> Mistake:
    """Another path is given, relative to the folder's parent."""
    return lambda folder: folder.parent / place


def plain_file(folder: Path) -> Path:
    path = folder.parent / "notes.txt"
    path.write_text("not a dataset\n", encoding="utf-8")
    return path


def empty_folder(folder: Path) -> Path:
    path = folder.parent / "nothing"
    path.mkdir()
    return path


def renamed(name: str) -> Mistake:
    return lambda folder: folder.rename(folder.parent / name)


def scifact_but_for_the_corpus(folder: Path) -> None:
    """As many judged queries and judgements as SciFact has, and four documents."""
    spec = registered("scifact")
    assert spec is not None
    assert spec.queries is not None
    queries = [f"q{number}" for number in range(spec.queries)]
    spare = spec.judgements[0].lines - spec.queries
    judgements = [f"{query}\td1\t1" for query in queries]
    judgements += [f"{query}\td2\t1" for query in queries[:spare]]
    rows = tuple({"_id": query, "text": "what"} for query in queries)
    (folder / QUERY_FILE).write_text(json_lines(rows), encoding="utf-8")
    (folder / QRELS).write_text("\n".join((HEADER, *judgements)) + "\n", encoding="utf-8")


NAME_CASES = (
    BadDataset(
        "registered name with other queries",
        nothing,
        f"{{source}}/qrels/test.tsv: 2 judged queries where scifact has 300; {OTHER_NAME}",
        name="scifact",
    ),
    BadDataset(
        "registered name with other documents",
        scifact_but_for_the_corpus,
        f"{{source}}/corpus.jsonl: 4 documents where scifact has 5,183; {OTHER_NAME}",
        name="scifact",
    ),
    BadDataset(
        "folder with a registered name",
        renamed("scifact"),
        f"{{source}}/qrels/test.tsv: 2 judged queries where scifact has 300; {OTHER_NAME}",
        name=None,
    ),
    BadDataset(
        "CQADupStack without its forums",
        nothing,
        "{source}: there is no folder android with a corpus.jsonl here",
        name="cqadupstack",
    ),
    *(
        BadDataset(
            f"name {name}",
            nothing,
            f"'{name}' cannot be a dataset's name; use letters, digits, '.', '_' and '-', and give "
            "it with --name",
            name=name,
            code=2,
        )
        for name in (
            "../mine",
            "mine/..",
            "mine/part",
            "a/b/c",
            "/mine",
            "my data",
            ".tmp-1-mine",
            "m" * 200,
        )
    ),
    BadDataset(
        "folder whose name is none",
        renamed("my data (new)"),
        "'my data (new)' cannot be a dataset's name; use letters, digits, '.', '_' and '-', and "
        "give it with --name",
        name=None,
        code=2,
    ),
)

PATH_CASES = (
    BadDataset(
        "path missing",
        other_place("beri"),
        "{source} does not exist; give a BEIR folder or zip",
        code=2,
    ),
    BadDataset(
        "path a plain file",
        plain_file,
        "{source} is neither a folder nor a zip; give a BEIR folder or zip",
        code=2,
    ),
    BadDataset(
        "folder empty",
        empty_folder,
        f"{{source}}: there is no corpus.jsonl here; {LAYOUT}",
    ),
)

PLACES = (*NAME_CASES, *PATH_CASES)
