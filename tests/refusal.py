"""What a command that refuses is held to: its sentence, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gtr_beir.files import TEMPORARY_PREFIX

Refused = Callable[..., None]


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; locks are not looked at."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lock" not in str(path.relative_to(folder))
    }


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]
