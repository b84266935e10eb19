"""The encoding of texts to token vectors, piece by piece: what is there already, and what is kept.

As `encoding` is for one vector a text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gtr_beir.encoders.base import Kind, TokenVectors
from gtr_beir.encoders.tokens import TokenEncoder
from gtr_beir.work.blocks import Arrays
from gtr_beir.work.executors.base import Tell
from gtr_beir.work.parts import DONE, Parts

PIECE = 128
"""Texts that are encoded together, of which some are kept while others are under way."""


def encoded_in_pieces(
    encoder: TokenEncoder,
    texts: list[str],
    rows: npt.NDArray[np.int64],
    *,
    kind: Kind,
    tell: Tell,
    parts: Parts,
) -> tuple[TokenVectors, npt.NDArray[np.bool_]]:
    """Token vectors of texts in the order given, and which were cut. They are encoded longest
    first, a few batches at a time, and what is not kept yet is, when it is due."""
    order = np.argsort([-len(text) for text in texts], kind="stable")
    pieces: list[tuple[TokenVectors, npt.NDArray[np.bool_]]] = []
    unkept: list[int] = []
    for number, first in enumerate(range(0, max(len(texts), 1), PIECE)):
        places = order[first : first + PIECE]
        piece = _known(parts.known, rows[places])
        if piece is None:
            piece = encoder.encode([texts[place] for place in places], kind=kind)
            unkept.append(number)
            tell(len(places))
        pieces.append(piece)
        if parts.due and unkept:
            vectors, cut = _joined([pieces[each] for each in unkept])
            done = [rows[order[each * PIECE : (each + 1) * PIECE]] for each in unkept]
            parts.keep(
                {
                    DONE: np.concatenate(done).astype(np.int32),
                    "vectors": vectors.vectors,
                    "lengths": vectors.lengths,
                    "cut": cut,
                }
            )
            unkept = []
    vectors, cut = _joined(pieces)
    back = np.argsort(order, kind="stable")
    return vectors.of(back), cut[back]


def _known(
    parts: Sequence[Arrays], rows: npt.NDArray[np.int64]
) -> tuple[TokenVectors, npt.NDArray[np.bool_]] | None:
    """What parts have of these rows, if one has all of them."""
    for part in parts:
        if "lengths" in part and len(rows):
            places = np.flatnonzero(part[DONE] == rows[0])
            here = slice(*(places[0], places[0] + len(rows))) if len(places) else slice(0)
            if np.array_equal(part[DONE][here], rows):
                of = TokenVectors(np.asarray(part["vectors"]), np.asarray(part["lengths"]))
                there = np.arange(len(part[DONE]))[here]
                vectors = of.of(there)
                # What is not finite is tried again, as it would be without parts.
                if np.isfinite(vectors.vectors).all():
                    return vectors, np.asarray(part["cut"])[there]
    return None


def _joined(
    pieces: Sequence[tuple[TokenVectors, npt.NDArray[np.bool_]]],
) -> tuple[TokenVectors, npt.NDArray[np.bool_]]:
    vectors = TokenVectors(
        np.concatenate([found.vectors for found, _ in pieces]),
        np.concatenate([found.lengths for found, _ in pieces]),
    )
    return vectors, np.concatenate([cut for _, cut in pieces])
