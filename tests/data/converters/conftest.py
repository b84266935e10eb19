"""What the converters' tests share: documents as lines, the folder of real judgements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

from gtr_beir.data.beir_format import Document


@pytest.fixture
def corpus_lines() -> Callable[[Iterable[Document]], bytes]:
    """Documents as the bytes of a corpus.jsonl."""
    return lambda documents: b"".join(msgspec.json.encode(found) + b"\n" for found in documents)


@pytest.fixture
def judgement_files() -> Path:
    """The folder of real topics and qrels that lies beside the repository."""
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "judgements"
    if not folder.is_dir():
        pytest.skip(f"the real judgement files are not in {folder}")
    return folder
