"""Hashes of parts, values and files: what keys and fingerprints are made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


class Digest:
    """SHA-256 over labelled parts; each part's length goes in, so parts cannot run together."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()

    def add(self, part: bytes | str) -> Digest:
        data = part.encode("utf-8") if isinstance(part, str) else part
        self._state.update(len(data).to_bytes(8, "little"))
        self._state.update(data)
        return self

    def hex(self) -> str:
        return self._state.hexdigest()

    def raw(self) -> bytes:
        return self._state.digest()


def fingerprint_of(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()
