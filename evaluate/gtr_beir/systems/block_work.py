"""What a worker needs to know of a search, and of a block; and what it gives back.

All of it can be sent to another machine, which then needs neither the dataset nor the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gtr_beir.data.store import Dataset
from gtr_beir.digests import Digest
from gtr_beir.encoders.devices import kind_of
from gtr_beir.ranking.packing import pack
from gtr_beir.ranking.topk import Floor, TopK, above
from gtr_beir.records import versions
from gtr_beir.systems.base import SearchOptions
from gtr_beir.work.blocks import Arrays, Block
from gtr_beir.work.executors.base import Tell
from gtr_beir.work.parts import KeepPart, Parts, keep_no_part

Keep = Callable[[str, Callable[[Parts], Arrays]], Arrays]
"""Arrays that are kept under a key, or made, part by part, and then kept."""


def keep_nothing(_: str, make: Callable[[Parts], Arrays]) -> Arrays:
    """For workers, which have no store."""
    return make(Parts())


@dataclass(frozen=True)
class Asked:
    """What is asked of a dataset.

    dataset: its name, which limits on lengths go by; queries: a hash of ids and texts; excluded:
    int32[Q], the row that a query must not return (-1: none); k: documents kept of a query;
    reranked: int32[Q, depth], the rows that alone are ranked (-1: pads).
    """

    dataset: str
    queries: str
    query_ids: list[str]
    query_texts: list[str]
    excluded: npt.NDArray[np.int32] | None
    k: int
    reranked: npt.NDArray[np.int32] | None

    @staticmethod
    def of(dataset: Dataset, options: SearchOptions) -> Asked:
        return Asked(
            dataset.name,
            str(dataset.manifest["fingerprints"]["queries"]),
            dataset.query_ids,
            dataset.query_texts,
            dataset.self_rows if options.self_matches == "drop" else None,
            options.k,
            None if options.rerank is None else options.rerank.doc_rows,
        )


class Texts(Protocol):
    """Where the texts of documents come from."""

    def texts(self, start: int, stop: int) -> list[str]:
        """Of documents start..stop-1 of the corpus."""
        ...


class CarriedTexts:
    """The texts of a block as one Arrow array; those that nobody asks for are blank."""

    def __init__(self, block: Block, source: Texts, wanted: npt.NDArray[np.int32] | None):
        self._first = block.start
        parts = []
        for low, high in block.units():
            texts = source.texts(low, high)
            if wanted is not None:
                inside = set(wanted[(wanted >= low) & (wanted < high)].tolist())
                texts = [t if low + n in inside else "" for n, t in enumerate(texts)]
            parts.append(pa.array(texts, pa.large_string()))
        self._array = pa.concat_arrays(parts)

    def texts(self, start: int, stop: int) -> list[str]:
        found: list[str] = self._array.slice(start - self._first, stop - start).to_pylist()
        return found


@dataclass(frozen=True)
class BlockTask:
    """One block to be searched.

    id_ranks: int32[n] of its documents; floor: what a document must beat, None: nothing yet;
    vectors: what was encoded of it before, in whose place texts are None; parts: what was kept of
    it while somebody was at it; wanted: the rows that alone are looked at, None: all.
    """

    block: Block
    id_ranks: npt.NDArray[np.int32]
    floor: Floor | None
    texts: Texts | None
    vectors: Arrays | None = None
    parts: Sequence[Arrays] = ()
    wanted: npt.NDArray[np.int32] | None = field(default=None, repr=False)

    def carried(self) -> BlockTask:
        texts = self.texts
        if texts is not None and not isinstance(texts, CarriedTexts):
            texts = CarriedTexts(self.block, texts, self.wanted)
        return replace(
            self,
            texts=texts,
            vectors=self.vectors and _copied(self.vectors),
            parts=[_copied(part) for part in self.parts],
            id_ranks=np.array(self.id_ranks),
            wanted=None,
        )


def _copied(arrays: Arrays) -> Arrays:
    return {name: np.array(array) for name, array in arrays.items()}


@dataclass(frozen=True)
class BlockResult:
    """What a block yields.

    packed: rankings above the floor, as `pack` makes them; tokens encoded and texts cut; vectors:
    what was encoded, where it is to be kept; not_finite: rows whose vectors are not, in which case
    there is nothing else; seconds: of what.
    """

    packed: Arrays
    tokens: int = 0
    truncated: int = 0
    vectors: Arrays | None = None
    not_finite: tuple[int, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(task: BlockTask, top: TopK, **rest: Any) -> BlockResult:
        return BlockResult(pack(above(top, task.floor), task.block.start), **rest)

    def arrays(self, device: str = "") -> dict[str, npt.NDArray[Any]]:
        """As they are stored; device: where it was done, if that makes a difference."""
        found = {
            **self.packed,
            "tokens": np.array([self.tokens]),
            "truncated": np.array([self.truncated]),
        }
        if device:
            found["device"] = np.frombuffer(device.encode(), dtype=np.uint8)
        return found


def device_of(stored: Arrays) -> str:
    """Of a block as it is stored; "" where devices make no difference."""
    return bytes(stored["device"]).decode() if "device" in stored else ""


class BlockWork(Protocol):
    """A search that is prepared, of any encoder: its queries are encoded.

    queries: as they are kept; queries_digest: SHA-256 of what was encoded; deciding: what decides
    the vectors of documents beside their texts, by name; vectors_key: that of vectors that are
    kept, None where none are.
    """

    @property
    def queries(self) -> Arrays: ...

    @property
    def queries_digest(self) -> str: ...

    @property
    def deciding(self) -> Mapping[str, Any]: ...

    @property
    def vectors_key(self) -> str | None: ...

    @property
    def proof(self) -> Mapping[str, str]: ...

    def do(self, task: BlockTask, tell: Tell, keep: KeepPart = keep_no_part) -> BlockResult: ...


KIND, QUERIES = "kind of device", "bytes of encoded queries"


def packages() -> dict[str, str]:
    """What a machine must have as the driver has it before anything is prepared on it: the packages
    that scores depend on, and this one to the letter."""
    code = Digest()
    root = Path(__file__).resolve().parents[1]
    for path in sorted(root.rglob("*.py")):
        code.add(str(path.relative_to(root))).add(path.read_bytes())
    return {**versions(), "code of gtr-beir": code.hex()[:16]}


def proof_of(deciding: Mapping[str, Any], queries_digest: str, device: str) -> dict[str, str]:
    """What must be equal wherever blocks of one search are done, packages first."""
    found = dict(versions())
    for name, value in deciding.items():
        parts = value if isinstance(value, Mapping) else {name: value}
        found |= {one: str(part) for one, part in parts.items() if one not in found}
    return {**found, KIND: kind_of(device), QUERIES: queries_digest[:16]}


class Timer:
    """Seconds by what they were spent on."""

    def __init__(self, *names: str):
        self.seconds = dict.fromkeys(names, 0.0)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - start
