"""Mistakes that a folder's files are spoiled by, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Mistake = Callable[[Path], Path | None]
"""Spoils the good folder; returns the path to import where that is not the folder."""


def line(file: str, number: int, content: str | bytes) -> Mistake:
    """Line `number` (from 1) becomes `content`."""

    def mistake(folder: Path) -> None:
        lines = (folder / file).read_bytes().splitlines(keepends=True)
        data = content.encode() if isinstance(content, str) else content
        lines[number - 1] = data + b"\n"
        (folder / file).write_bytes(b"".join(lines))

    return mistake


def field(file: str, number: int, **values: Any) -> Mistake:
    """Fields of the JSON object on a line get other values; `...` takes the field away."""

    def mistake(folder: Path) -> None:
        row = json.loads((folder / file).read_text(encoding="utf-8").splitlines()[number - 1])
        row = {key: value for key, value in {**row, **values}.items() if value is not ...}
        line(file, number, json.dumps(row))(folder)

    return mistake


def added(file: str, content: str) -> Mistake:
    """`content` follows as one more line."""

    def mistake(folder: Path) -> None:
        with (folder / file).open("a", encoding="utf-8") as handle:
            handle.write(content + "\n")

    return mistake


def whole(file: str, content: str | bytes) -> Mistake:
    """The file holds `content` and nothing else."""

    def mistake(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / file).write_bytes(data)

    return mistake


def removed(*files: str) -> Mistake:
    def mistake(folder: Path) -> None:
        for file in files:
            (folder / file).unlink()

    return mistake


def nothing(_: Path) -> None:
    """The folder is good; the mistake is in how import is called."""


class Trap:
    """Unpickling it makes a file: proof that something was executed."""

    def __init__(self, proof: Path):
        self._proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._proof,))
