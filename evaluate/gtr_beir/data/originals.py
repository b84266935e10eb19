"""Datasets from originals not in BEIR's layout: the gated four, and corpora with TREC topics
and qrels (Anserini's). Each ends in the same strict import as everything else."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from gtr_beir.data.beir_format import BeirSource, Document, Judgement, read_documents
from gtr_beir.data.converters import Tally, converter, differences, trec_forms
from gtr_beir.data.download import download
from gtr_beir.data.importing import Material, import_material
from gtr_beir.data.registry import DatasetSpec, registered
from gtr_beir.data.store import Dataset, datasets_folder
from gtr_beir.digests import hash_file
from gtr_beir.errors import InputError, UsageError
from gtr_beir.files import lock


def convert(
    dataset: str,
    source: Path,
    *,
    topics: Path | None = None,
    qrels: Path | None = None,
    name: str | None = None,
    datasets_dir: Path | str | None = None,
    offline: bool = False,
    again: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Make a gated dataset from its original at `source`.

    topics, qrels: the public files, which are fetched (and their MD5 checked) where they are not
    given. name: another name, under which other counts than BEIR's are accepted. A count that
    differs is an InputError that names what was found and what was expected. again: replace another
    dataset of that name.
    """
    module = converter(dataset)
    spec = registered(dataset)
    assert spec is not None, "every converter has a row in the registry"
    topics = topics or _public_part(spec, "topics", datasets_dir, offline, quiet)
    qrels = qrels or _public_part(spec, "qrels", datasets_dir, offline, quiet)
    tally = Tally()

    def collect() -> Material:
        judgements = module.judgements(qrels, tally=tally)
        judged = {judgement.query_id for judgement in judgements}
        return Material(
            documents=functools.partial(_converted, dataset, source, tally, name or dataset),
            queries=module.queries(topics, source=source, judged=judged),
            judgements=judgements,
            corpus_path=str(source),
            queries_path=str(topics),
            qrels_path=str(qrels),
            split=spec.split,
            numbered=False,
            stamps=_stamps(source, topics, qrels),
        )

    return import_material(
        collect, name or dataset, datasets_dir=datasets_dir, again=again, quiet=quiet
    )


def _converted(dataset: str, source: Path, tally: Tally, name: str) -> Iterator[Document]:
    """The documents; at their end, the counts that are not the expected ones, in one sentence."""
    yield from converter(dataset).documents(source, tally=tally)
    found = differences(dataset, tally)
    if found and name == dataset:
        raise InputError(
            f"{'; '.join(found)}; get the original of BEIR's version, or accept the difference by "
            "giving it another --name",
            path=source,
        )


def _public_part(
    spec: DatasetSpec, part: str, datasets_dir: Path | str | None, offline: bool, quiet: bool
) -> Path:
    entry = (spec.public_parts or {})[part]
    target = datasets_folder(datasets_dir) / ".downloads" / entry["url"].rpartition("/")[2]
    whole = target.is_file() and hash_file(target, "md5") == entry["md5"]
    if whole:
        return target
    if offline:
        raise UsageError(
            f"{spec.name} needs its {part} ({entry['url']}), and --offline forbids fetching them; "
            f"give the file with --{part}"
        )
    with lock(target.parent / f".{target.name}.lock"):
        download(entry["url"], target, md5=entry["md5"], quiet=quiet)
    return target


def _stamps(*paths: Path) -> tuple[str, ...]:
    """What files look like from outside: name, size, time; of a folder, its files."""
    files = [f for p in paths for f in ([p] if p.is_file() else sorted(p.rglob("*")))]
    stats = [(str(file.resolve()), file.stat()) for file in files]
    return tuple(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)


def import_with_trec_forms(
    corpus: Path,
    *,
    topics: Path,
    qrels: Path,
    name: str | None = None,
    split: str | None = None,
    datasets_dir: Path | str | None = None,
    again: bool = False,
    quiet: bool = True,
) -> Dataset:
    """Join a corpus of JSON lines (Anserini's `beir-v1.0.0/corpus/<name>/`, or any BEIR folder)
    with topics (`id<TAB>text`) and qrels (four columns); both may be gzipped.

    name: default, the corpus folder's own; again: replace another dataset of that name. The counts
    of a registered name are checked.
    """
    name = name or corpus.resolve().name
    spec = registered(name)

    def collect() -> Material:
        judgements: list[Judgement] = trec_forms.read_qrels(qrels)
        judged = {judgement.query_id for judgement in judgements}
        files = _json_line_files(corpus)
        return Material(
            documents=functools.partial(_all_documents, files),
            queries=trec_forms.read_topics(topics, judged),
            judgements=judgements,
            corpus_path=str(files[0] if len(files) == 1 else corpus),
            queries_path=str(topics),
            qrels_path=str(qrels),
            split=split or (spec.split if spec else "test"),
            numbered=len(files) == 1,
            stamps=_stamps(*files, topics, qrels),
        )

    return import_material(collect, name, datasets_dir=datasets_dir, again=again, quiet=quiet)


def _json_line_files(corpus: Path) -> list[Path]:
    """corpus.jsonl of a folder, or all its .jsonl and .jsonl.gz files in order of name."""
    if corpus.is_file():
        return [corpus]
    if not corpus.is_dir():
        raise UsageError(f"{corpus} does not exist; give a folder with a corpus in JSON lines")
    found = sorted(p for p in corpus.iterdir() if p.name.endswith((".jsonl", ".jsonl.gz")))
    named = [p for p in found if p.name.removesuffix(".gz") == "corpus.jsonl"]
    files = named or found
    if not files:
        raise InputError("there is no .jsonl or .jsonl.gz file here", path=corpus)
    return files


def _all_documents(files: list[Path]) -> Iterator[Document]:
    for file in files:
        yield from read_documents(BeirSource.of_file(file), file.name)
