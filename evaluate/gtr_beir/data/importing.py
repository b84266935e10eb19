"""Import: one strict streaming pass from BEIR's layout into the store.

Queries and judgements are read first (they are small, and most mistakes are there), then the
corpus unit by unit, then ids are ranked and everything is counted. Nothing is visible under the
dataset's name until all of it is right.
"""

from __future__ import annotations

import collections
import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtr_beir.data import store
from gtr_beir.data.beir_format import (
    BeirSource,
    Document,
    Judgement,
    read_documents,
    read_qrels,
    read_queries,
)
from gtr_beir.data.identifiers import rank_ids
from gtr_beir.data.registry import DEMO, DatasetSpec, registered
from gtr_beir.data.writing import save_array, write_corpus, write_qrels, write_queries
from gtr_beir.digests import Digest
from gtr_beir.errors import InputError, StoreError, UsageError
from gtr_beir.files import atomic_folder, lock, remove_leftovers, sync_file, write_json
from gtr_beir.progress import Progress

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}(/[A-Za-z0-9][A-Za-z0-9._-]{0,79})?")
_RESERVED = re.compile(
    rf"{DEMO}|(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*\.(zip|tar|gz)|.*\.", re.IGNORECASE
)
"""The demo's own name, devices of Windows, and what looks like a packed file."""
_DEMO_FOLDER = Path(__file__).resolve().parents[1] / "demo" / "dataset"


@dataclass(frozen=True)
class Material:
    """What a dataset is made of, before it is in the store.

    documents is called once and streamed; numbered: document i stands on line i + 1 of
    corpus_path; stamps: what the files looked like (name, size, time), to know them again.
    """

    documents: Callable[[], Iterator[Document]]
    queries: Mapping[str, str]
    judgements: list[Judgement]
    corpus_path: str
    queries_path: str
    qrels_path: str
    split: str
    numbered: bool = True
    stamps: tuple[str, ...] = ()


def import_beir(
    path: Path,
    *,
    name: str | None = None,
    split: str | None = None,
    datasets_dir: Path | str | None = None,
    again: bool = False,
    quiet: bool = True,
) -> store.Dataset | store.DatasetGroup:
    """Bring a BEIR folder or zip into the store under `name` (default: the folder's own name).

    `cqadupstack` brings its 12 forums, each from the folder of its name. A registered name must
    have the registry's counts; any other name is a dataset of the user's own. again: replace
    another dataset of that name, which is otherwise a UsageError. Raises InputError with file and
    line for whatever is wrong, and leaves what was there before as it was.
    """
    if name is None:
        name = Path(os.path.realpath(path)).name.removesuffix(".zip")
    spec = registered(name)
    if spec is not None and spec.parts:
        parts = []
        for part in spec.parts:
            source = BeirSource(path, part.rpartition("/")[2])
            collect = functools.partial(_from_beir, source, split or spec.split)
            parts.append(
                import_material(collect, part, datasets_dir=datasets_dir, again=again, quiet=quiet)
            )
        return store.DatasetGroup(spec, parts)
    source = BeirSource(path)
    splits = source.splits()
    if split is not None and splits and split not in splits:
        raise UsageError(
            f"{path} has no judgements for the split {split}, only for {', '.join(splits)}; "
            "choose one with --split"
        )
    split = split or (spec.split if spec else _default_split(source))
    collect = functools.partial(_from_beir, source, split)
    own = path.resolve() == _DEMO_FOLDER
    return import_material(
        collect, name, datasets_dir=datasets_dir, again=again, quiet=quiet, own=own
    )


def import_material(
    collect: Callable[[], Material],
    name: str,
    *,
    datasets_dir: Path | str | None = None,
    again: bool = False,
    quiet: bool = True,
    own: bool = False,
) -> store.Dataset:
    """Check and store a dataset; again: in the place of another one of its name, which is otherwise
    a UsageError. `collect` is called when it is this process's turn; a process that waited for
    another which imported the same files takes what that one has left."""
    if not _NAME.fullmatch(name) or ("/" in name and registered(name) is None):
        raise UsageError(
            f"'{name}' cannot be a dataset's name; use letters, digits, '.', '_' and '-', and "
            "give it with --name"
        )
    if _RESERVED.fullmatch(name) and not (own and name == DEMO):
        raise UsageError(
            f"'{name}' cannot be a dataset's name, because it means something else; give another "
            "one with --name"
        )
    spec = registered(name)
    folder = store.datasets_folder(datasets_dir)
    progress = Progress(
        f"import {name}", spec.documents if spec else None, "documents", quiet=quiet
    )
    target = folder / name
    if target.exists() and not (target / "manifest.json").is_file():
        raise UsageError(
            f"{target} exists already and is not a dataset of gtr-beir, so it is not replaced; "
            "move it elsewhere, or choose another name with --name"
        )
    guard = folder / ".locks" / f"{name.replace('/', '--')}.lock"
    with lock(guard, say=progress.say) as waited:
        remove_leftovers(target.parent)
        material = collect()
        if waited and _holds(target, material):
            return store.Dataset(target)
        material = _checked(material, spec)
        with atomic_folder(target) as work:
            _write_dataset(material, spec, name, work, progress)
            if not again:
                _require_same(target, work, material)
            # Indexes are keyed by content, so those of the folder that is replaced stay good.
            for index in target.glob("*/"):
                index.rename(work / index.name)
    progress.finish()
    return store.Dataset(target)


def _require_same(target: Path, work: Path, material: Material) -> None:
    """UsageError if what is there is another dataset, whose records and tables would be mixed with
    those of this one. What is damaged is nobody's."""
    try:
        there = store.read_manifest(target)
    except StoreError:
        return
    new = store.read_manifest(work)
    if there["fingerprint"] != new["fingerprint"]:
        raise UsageError(
            f"{target} holds another dataset ({_size(there)}) than {material.corpus_path} "
            f"({_size(new)}); import this one under another --name, or give --again to replace "
            "that one"
        )


def _size(manifest: Mapping[str, Any]) -> str:
    return (
        f"{manifest['documents']:,} documents, {manifest['queries']:,} queries, fingerprint "
        f"{manifest['fingerprint'][:8]}"
    )


def _holds(target: Path, material: Material) -> bool:
    if not material.stamps or not (target / "manifest.json").is_file():
        return False
    return list(store.read_manifest(target).get("stamps", ())) == list(material.stamps)


def _default_split(source: BeirSource) -> str:
    splits = source.splits()
    if "test" in splits or not splits:
        return "test"
    if len(splits) == 1:
        return splits[0]
    raise UsageError(
        f"{source.path} has judgements for {', '.join(splits)}; choose one with --split"
    )


def _from_beir(source: BeirSource, split: str) -> Material:
    """Judgements first: they are small, and most mistakes are there."""
    judgements = read_qrels(source, split)
    return Material(
        documents=functools.partial(read_documents, source),
        queries=read_queries(source),
        judgements=judgements,
        corpus_path=source.display("corpus.jsonl"),
        queries_path=source.display("queries.jsonl"),
        qrels_path=source.display(f"qrels/{split}.tsv"),
        split=split,
        stamps=source.stamps(),
    )


def _checked(material: Material, spec: DatasetSpec | None) -> Material:
    """Every judged query is there and has a text, and the counts are the registry's."""
    for judgement in material.judgements:
        if judgement.query_id not in material.queries:
            raise InputError(
                f"query '{judgement.query_id}' is judged but is not in {material.queries_path}; "
                "add it there or remove its judgements",
                path=material.qrels_path,
                line=judgement.line,
            )
        if not material.queries[judgement.query_id].strip():
            raise InputError(
                f"query '{judgement.query_id}' is judged but its text is blank; give it a text",
                path=material.queries_path,
                line=list(material.queries).index(judgement.query_id) + 1
                if material.numbered
                else None,
            )
    _check_counts(material, spec)
    return material


def _check_counts(material: Material, spec: DatasetSpec | None) -> None:
    if spec is None:
        return
    judged = len({judgement.query_id for judgement in material.judgements})
    if spec.queries is not None and judged != spec.queries:
        raise _wrong_count(material.qrels_path, spec, "judged queries", judged, spec.queries)
    grades = dict(collections.Counter(judgement.grade for judgement in material.judgements))
    if not any(grades == dict(state.grades) for state in spec.judgements):
        expected = " or ".join(
            f"{state.lines:,} ({_histogram(state.grades)})" for state in spec.judgements
        )
        raise InputError(
            f"{len(material.judgements):,} judgements ({_histogram(grades)}) where {spec.name} has "
            f"{expected}; {_OTHER_NAME}",
            path=material.qrels_path,
        )


_OTHER_NAME = "get the released files, or import it as a dataset of your own with another --name"


def _wrong_count(path: str, spec: DatasetSpec, what: str, found: int, expected: int) -> InputError:
    return InputError(
        f"{found:,} {what} where {spec.name} has {expected:,}; {_OTHER_NAME}", path=path
    )


def _histogram(grades: Mapping[int, int]) -> str:
    return ", ".join(f"grade {grade}: {grades[grade]:,}" for grade in sorted(grades))


def _write_dataset(
    material: Material, spec: DatasetSpec | None, name: str, work: Path, progress: Progress
) -> None:
    files: dict[str, dict[str, Any]] = {}
    corpus_path = material.corpus_path
    corpus = write_corpus(material.documents(), work, files, progress)
    if corpus.documents == 0:
        raise InputError("there is no document in it", path=corpus_path)
    known = spec is None or spec.documents in (None, corpus.documents)
    reason = ((spec and spec.other_documents) or {}).get(str(corpus.documents))
    if spec is not None and spec.documents is not None and not known and reason is None:
        raise _wrong_count(corpus_path, spec, "documents", corpus.documents, spec.documents)
    ids = corpus.packer.pack()
    ranking = rank_ids(ids)
    if ranking.duplicate is not None:
        earlier, later = ranking.duplicate
        place = f"on line {earlier + 1}" if material.numbered else f"document {earlier + 1:,}"
        raise InputError(
            f"document id '{ids[later]}' is already {place}; ids must be unique",
            path=corpus_path,
            line=later + 1 if material.numbered else None,
        )
    judged_ids = {judgement.query_id for judgement in material.judgements}
    judged = {id_: text for id_, text in material.queries.items() if id_ in judged_ids}
    save_array(work / "id_rank.npy", ranking.rank, files)
    save_array(work / "unit_digests.npy", corpus.digests, files)
    query_digest = write_queries(judged, work, files)
    qrels_digest, missing = write_qrels(judged, material.judgements, work, files)
    if missing == len(material.judgements):
        raise InputError(
            f"none of the judged documents is in {corpus_path}; these judgements belong to another "
            "corpus",
            path=material.qrels_path,
        )
    for file in files:
        sync_file(work / file)
    fingerprints = {
        "corpus": Digest().add(corpus.digests.tobytes()).hex(),
        "queries": query_digest,
        "judgements": qrels_digest,
    }
    fingerprint = Digest()
    for part in fingerprints.values():
        fingerprint.add(part)
    write_json(
        work / "manifest.json",
        {
            "format": store.FORMAT,
            "name": name,
            "split": material.split,
            "documents": corpus.documents,
            "queries": len(judged),
            "judgements": len(material.judgements),
            "grades": dict(
                sorted(collections.Counter(j.grade for j in material.judgements).items())
            ),
            "other_count": reason,
            "blank_documents": corpus.blank,
            "blank_titles": corpus.blank_titles,
            "blank_texts": corpus.blank_texts,
            "judged_documents_missing": missing,
            "unjudged_queries": len(material.queries) - len(judged),
            "fingerprint": fingerprint.hex(),
            "fingerprints": fingerprints,
            "stamps": list(material.stamps),
            "files": files,
        },
    )
