"""The store: a dataset as columns on disk, written once, memory-mapped ever after.

    datasets_cache/<name>/
        ids.arrow         document ids, in corpus order
        texts.arrow       titles and texts, in corpus order
        id_rank.npy       int32[n], the place of each id in ascending byte order
        unit_digests.npy  uint8[units, 16], a hash of every unit's ids, titles and texts
        queries.arrow     the judged queries
        qrels.arrow       query row, document id, document row (-1: not in the corpus), grade
        manifest.json     counts, fingerprints, and size and SHA-256 of every file; written last

What is read is what was written: texts are compared with the digest of their unit as they are read,
every other file with its hash when it is first used. So nothing is scored, indexed or encoded that
has changed on disk.

CQADupStack is a folder of such folders, one for each forum, without a manifest of its own: which
forums belong to it the registry says.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gtr_beir.data.columns import UNIT, ColumnFile, unit_digest, values_digest
from gtr_beir.data.registry import DatasetSpec, registered
from gtr_beir.digests import Digest, hash_file
from gtr_beir.errors import StoreError
from gtr_beir.files import read_json, remove_leftovers

FORMAT = 1
"""Version of the layout above; a store of another version must be imported again."""


def datasets_folder(given: Path | str | None = None) -> Path:
    """`given`, else $GTR_BEIR_DATASETS, else datasets_cache in the current folder."""
    return Path(given or os.environ.get("GTR_BEIR_DATASETS") or "datasets_cache")


def join_title_and_text(title: str, text: str) -> str:
    """The text of a document, as beir's and mteb's wrappers join it."""
    return f"{title} {text}".strip()


@dataclass(frozen=True)
class Qrels:
    """Judgements as columns: query_rows int32[n], document_rows int32[n] (-1: not in the corpus),
    grades int32[n], and the document ids."""

    query_rows: npt.NDArray[np.int32]
    document_rows: npt.NDArray[np.int32]
    grades: npt.NDArray[np.int32]
    document_ids: list[str]


class Dataset:
    """One dataset that is on this machine. Opening it reads a manifest and maps files.

    Corpus columns are never held as Python objects beyond the rows asked for; queries and
    judgements, which are small, are read when first used.
    """

    def __init__(self, path: Path):
        self.path = path
        self.manifest: Mapping[str, Any] = read_manifest(path)
        name = self.manifest["name"]
        if path.parts[-1 - name.count("/") :] != tuple(name.split("/")):
            raise StoreError(
                f"{path} holds the dataset '{name}'; give the folder its name back, or import the "
                "dataset again under the new one"
            )
        self.name: str = name
        self.spec = registered(name) or DatasetSpec(
            name=name, title=name, split=self.manifest["split"]
        )

    @property
    def n_documents(self) -> int:
        return int(self.manifest["documents"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over corpus, queries and judgements."""
        return str(self.manifest["fingerprint"])

    @property
    def version(self) -> str:
        """Which state of a BEIR dataset this is: "" where there is one, or as the registry calls it
        ("v2"); in words, if it has another count or another split than the registry's."""
        if registered(self.name) is None:
            return ""
        parts = [self.spec.version] if self.spec.version else []
        if self.manifest["split"] != self.spec.split:
            parts.append(f"split {self.manifest['split']}")
        if self.manifest.get("other_count"):
            parts.append(f"with {self.n_documents:,} documents")
        return ", ".join(parts)

    def _whole(self, name: str) -> Path:
        """A file whose hash is that of the manifest; StoreError if it has changed."""
        for what in problems_of(self.path, name, self.manifest["files"].get(name, {})):
            raise _damaged(what)
        return self.path / name

    def _verify_texts(self, index: int, unit: pa.RecordBatch) -> None:
        # A unit is read for its titles, then for its texts.
        if index == self._verified:
            return
        ids, texts = values_digest(self._ids.unit(index)), values_digest(unit)
        if unit_digest(ids, texts) != self.unit_digests[index].tobytes():
            low = index * UNIT + 1
            what = f"{self.path / 'texts.arrow'} has changed in documents {low:,} to"
            raise _damaged(f"{what} {low + unit.num_rows - 1:,}")
        self._verified = index

    _verified = -1

    def _count(self, of: str, there: int) -> int:
        """What the manifest counts; StoreError if so many are there that it does not."""
        counted = int(self.manifest[of])
        if counted != there:
            what = f"{self.path / 'manifest.json'} counts {counted:,} {of}, and {there:,} are there"
            raise _damaged(what)
        return counted

    @functools.cached_property
    def _ids(self) -> ColumnFile:
        return ColumnFile(self._whole("ids.arrow"))

    @functools.cached_property
    def _texts(self) -> ColumnFile:
        return ColumnFile(self.path / "texts.arrow", self._verify_texts)

    @functools.cached_property
    def id_rank(self) -> npt.NDArray[np.int32]:
        """int32[n_documents], memory-mapped: the order of ids that breaks ties."""
        found = _load_array(self._whole("id_rank.npy"))
        self._count("documents", len(found))
        return found

    @functools.cached_property
    def unit_digests(self) -> npt.NDArray[np.uint8]:
        """uint8[units, 16]: what a unit of 1,024 documents holds, for the keys of blocks."""
        found = _load_array(self._whole("unit_digests.npy"))
        # So that whoever changes this file has to change what records say of the corpus.
        if Digest().add(found.tobytes()).hex() != self.manifest["fingerprints"]["corpus"]:
            what = f"{self.path / 'unit_digests.npy'} is of another corpus than the manifest"
            raise _damaged(what)
        return found

    def texts(self, start: int, stop: int) -> list[str]:
        """(title + " " + text).strip() of documents start..stop-1."""
        pairs = zip(*self.titles_and_texts(start, stop), strict=True)
        return [join_title_and_text(title, text) for title, text in pairs]

    def titles_and_texts(self, start: int, stop: int) -> tuple[list[str], list[str]]:
        return self._texts.rows("title", start, stop), self._texts.rows("text", start, stop)

    def titles_and_texts_of(
        self, rows: npt.NDArray[np.integer[Any]]
    ) -> tuple[list[str], list[str]]:
        """Titles and texts of documents in any rows; rows may repeat."""
        return self._texts.take("title", rows), self._texts.take("text", rows)

    def document_ids(self, rows: npt.NDArray[np.integer[Any]]) -> list[str]:
        """The ids of documents in any rows; rows may repeat."""
        return self._ids.take("id", rows)

    def rows_of(self, document_ids: list[str]) -> npt.NDArray[np.int32]:
        """int32[n]: the row of each id, -1 where the corpus does not hold it."""
        return self._ids.find("id", document_ids)

    @functools.cached_property
    def _queries(self) -> ColumnFile:
        return ColumnFile(self._whole("queries.arrow"))

    @functools.cached_property
    def query_ids(self) -> list[str]:
        return self._queries.rows("id", 0, self._count("queries", self._queries.count))

    @functools.cached_property
    def query_texts(self) -> list[str]:
        return self._queries.rows("text", 0, self._count("queries", self._queries.count))

    @functools.cached_property
    def self_rows(self) -> npt.NDArray[np.int32]:
        """int32[queries]: the document that has the query's own id, -1 where there is none."""
        return self.rows_of(self.query_ids)

    @functools.cached_property
    def qrels(self) -> Qrels:
        table = ColumnFile(self._whole("qrels.arrow"))
        lines = self._count("judgements", table.count)
        columns = {
            name: np.array(table.rows(name, 0, lines), dtype=np.int32)
            for name in ("query_row", "document_row", "grade")
        }
        return Qrels(
            columns["query_row"],
            columns["document_row"],
            columns["grade"],
            table.rows("document_id", 0, lines),
        )

    def as_beir(
        self,
    ) -> tuple[dict[str, dict[str, str]], dict[str, str], dict[str, dict[str, int]]]:
        """beir's (corpus, queries, qrels) dicts; this does hold the whole corpus in memory."""
        corpus: dict[str, dict[str, str]] = {}
        for start in range(0, self.n_documents, UNIT):
            stop = min(start + UNIT, self.n_documents)
            titles, texts = self.titles_and_texts(start, stop)
            ids = self._ids.rows("id", start, stop)
            for identifier, title, text in zip(ids, titles, texts, strict=True):
                corpus[identifier] = {"title": title, "text": text}
        queries = dict(zip(self.query_ids, self.query_texts, strict=True))
        judged: dict[str, dict[str, int]] = {identifier: {} for identifier in self.query_ids}
        for query_row, document_id, grade in zip(
            self.qrels.query_rows, self.qrels.document_ids, self.qrels.grades, strict=True
        ):
            judged[self.query_ids[query_row]][document_id] = int(grade)
        return corpus, queries, judged


class DatasetGroup:
    """A dataset that is the unweighted mean of others (CQADupStack): each is searched alone."""

    def __init__(self, spec: DatasetSpec, parts: list[Dataset]):
        self.name = spec.name
        self.spec = spec
        self.parts = parts

    @property
    def n_documents(self) -> int:
        return sum(part.n_documents for part in self.parts)

    @property
    def version(self) -> str:
        """What is said of any part's version, as `Dataset.version`."""
        said = dict.fromkeys(part.version for part in self.parts if part.version)
        return ", ".join([*([self.spec.version] if self.spec.version else []), *said])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the parts' fingerprints, in the registry's order."""
        digest = Digest()
        for part in self.parts:
            digest.add(part.fingerprint)
        return digest.hex()


def _load_array(path: Path) -> npt.NDArray[Any]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(
            f"{path} is damaged or missing ({error}); run `gtr-beir datasets check`"
        ) from error


_NEEDED = (
    *("name", "split", "documents", "queries", "judgements"),
    *("fingerprint", "fingerprints", "files"),
)


def read_manifest(path: Path) -> Mapping[str, Any]:
    """The manifest of a dataset's folder; StoreError if it is damaged or of another version."""
    try:
        manifest = read_json(path / "manifest.json")
    except StoreError as error:
        raise StoreError(f"{str(error).partition(';')[0]}; import the dataset again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(
            f"{path} was written by another version of gtr-beir; import the dataset again"
        )
    missing = [key for key in _NEEDED if key not in manifest]
    if missing:
        raise StoreError(
            f"{path / 'manifest.json'} is damaged ({', '.join(missing)} missing); import the "
            "dataset again"
        )
    whole = Digest()
    for part in manifest["fingerprints"].values():
        whole.add(part)
    if whole.hex() != manifest["fingerprint"]:
        raise StoreError(
            f"{path / 'manifest.json'} is damaged (its fingerprints do not agree); import the "
            "dataset again"
        )
    return manifest


def is_here(name: str, folder: Path) -> bool:
    return (folder / name / "manifest.json").is_file()


def give_names_back(places: Iterable[Path]) -> None:
    """Where a replacement was killed between its two names, the dataset that was there is found
    again. places: folders that hold datasets; one that cannot be written stays as it is."""
    for place in places:
        with contextlib.suppress(OSError):
            remove_leftovers(place)


def open_dataset(spec: DatasetSpec, folder: Path) -> Dataset | DatasetGroup:
    """A registered dataset that is there, whole."""
    if spec.parts:
        return DatasetGroup(spec, [Dataset(folder / part) for part in spec.parts])
    return Dataset(folder / spec.name)


def names_here(folder: Path) -> tuple[str, ...]:
    """Names of the datasets in the folder, forums of CQADupStack included."""
    if not folder.is_dir():
        return ()
    # CQADupStack's forums lie a folder deeper.
    give_names_back([folder, *(path for path in folder.iterdir() if path.is_dir())])
    found = [*folder.glob("*/manifest.json"), *folder.glob("*/*/manifest.json")]
    places = (path.parent.relative_to(folder) for path in found)
    return tuple(sorted(str(p) for p in places if not any(n.startswith(".") for n in p.parts)))


def check_files(path: Path) -> Iterator[str]:
    """Compare every file of a dataset's folder with its manifest; yields what is wrong."""
    for name, entry in read_manifest(path)["files"].items():
        yield from problems_of(path, name, entry)


def problems_of(folder: Path, name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a file, by what the manifest says of it."""
    file = folder / name
    if not file.is_file():
        yield f"{file} is missing"
    elif file.stat().st_size != entry.get("bytes"):
        yield f"{file} has {file.stat().st_size:,} bytes instead of {entry.get('bytes', 0):,}"
    elif hash_file(file) != entry.get("sha256"):
        yield f"{file} has changed since it was written"


def _damaged(what: str) -> StoreError:
    return StoreError(f"{what}; run `gtr-beir datasets check`")
