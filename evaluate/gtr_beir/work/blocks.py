"""Blocks: the unit of work. A block of a corpus is done, or it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gtr_beir.data.columns import UNIT
from gtr_beir.digests import Digest
from gtr_beir.errors import UsageError

Arrays = Mapping[str, npt.NDArray[Any]]

LARGEST_BLOCK = 65_536
"""Documents in a block of a large corpus."""
_LEAST_BLOCKS = 16


def usual_block(n_documents: int) -> int:
    """Documents in a block of a corpus, whoever works on it: small corpora are cut too, so that
    little work is lost and several can share it."""
    units = -(-n_documents // (_LEAST_BLOCKS * UNIT))
    return min(max(units, 1) * UNIT, LARGEST_BLOCK)


@dataclass(frozen=True)
class Block:
    """Documents start..stop-1 of a corpus; whole units, but for the corpus's end."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def units(self) -> Iterator[tuple[int, int]]:
        """(start, stop) of each unit of the block."""
        for start in range(self.start, self.stop, UNIT):
            yield start, min(start + UNIT, self.stop)


def plan_blocks(n_documents: int, block_documents: int | None = None) -> list[Block]:
    """Cut a corpus into blocks (None: of the largest size); the size is rounded up to whole units
    of 1,024 documents."""
    if block_documents is None:
        block_documents = LARGEST_BLOCK
    if block_documents < 1:
        raise UsageError(f"a block of {block_documents} documents is not possible; give 1 or more")
    size = -(-block_documents // UNIT) * UNIT
    return [Block(at, min(at + size, n_documents)) for at in range(0, n_documents, size)]


def content_key(unit_digests: npt.NDArray[np.uint8], block: Block, *parts: str) -> str:
    """The key of a block: its text (by unit digests), where it starts, and `parts`."""
    first, last = block.start // UNIT, -(-block.stop // UNIT)
    digest = Digest().add(np.ascontiguousarray(unit_digests[first:last]).tobytes())
    digest.add(str(block.start))
    for part in parts:
        digest.add(part)
    return digest.hex()[:32]
