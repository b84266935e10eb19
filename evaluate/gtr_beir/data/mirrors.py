"""Where public datasets come from: the BEIR server's zip, or the hub's mirrors when it is down;
NanoBEIR's from the hub alone.

What is fetched is imported like a user's own zip, with the registry's counts.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtr_beir.data.download import download
from gtr_beir.data.importing import import_beir
from gtr_beir.data.registry import DatasetSpec, gated_sentence, registered
from gtr_beir.data.store import Dataset, DatasetGroup, datasets_folder, is_here, open_dataset
from gtr_beir.errors import FetchError, GtrBeirError, StoreError, UsageError
from gtr_beir.files import lock
from gtr_beir.hub_client import digests_on_hub, hub_is_reachable, patient_hub, require_as_on_hub
from gtr_beir.network import Patience
from gtr_beir.progress import Progress

_GROWTH = 5
"""Columns of a corpus take up to about four times its zip; the zip lies beside them meanwhile."""


def fetch_dataset(
    spec: DatasetSpec,
    *,
    datasets_dir: Path | str | None = None,
    base_url: str | None = None,
    keep_zip: bool = False,
    quiet: bool = True,
    patience: Patience | None = None,
) -> Dataset | DatasetGroup:
    """Fetch, verify and import one public dataset.

    base_url (or $GTR_BEIR_URL): a mirror with `<name>.zip` files, asked instead of the BEIR server
    and the hub. Raises UsageError for a gated dataset, FetchError when no source gave the right
    bytes, and StoreError when the disk is too small.
    """
    nano = bool(spec.hub and spec.hub.get("nano"))
    if spec.gated or (spec.zip_url is None and not nano):
        raise UsageError(gated_sentence(spec))
    folder = datasets_folder(datasets_dir)
    base_url = base_url or os.environ.get("GTR_BEIR_URL")
    target = folder / ".downloads" / f"{spec.name}.zip"
    with lock(folder / ".locks" / f"fetch-{spec.name}.lock") as waited:
        if waited and all(is_here(part, folder) for part in spec.parts or (spec.name,)):
            return open_dataset(spec, folder)
        _require_space(folder, spec)
        if spec.zip_url is None:
            return _fetch_from_hub(spec, folder, quiet, None)
        url = f"{base_url.rstrip('/')}/{spec.name}.zip" if base_url else spec.zip_url
        try:
            download(url, target, md5=spec.md5, size=spec.zip_bytes, quiet=quiet, patience=patience)
        except FetchError as error:
            if base_url or not spec.hub:
                raise
            return _fetch_from_hub(spec, folder, quiet, error)
        dataset = import_beir(target, name=spec.name, datasets_dir=folder, again=True, quiet=quiet)
        if not keep_zip:
            target.unlink()
    return dataset


def _require_space(folder: Path, spec: DatasetSpec) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    needed = (spec.zip_bytes or 0) * _GROWTH
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{spec.name} needs about {needed / 1e9:.1f} GB in {folder}, where "
            f"{free / 1e9:.1f} GB are free; free some space or choose another --datasets-dir"
        )


def _fetch_from_hub(
    spec: DatasetSpec, folder: Path, quiet: bool, server: FetchError | None
) -> Dataset | DatasetGroup:
    """Try the hub's mirrors, one after the other. server: what the BEIR server had, None: it was
    not asked."""
    if not hub_is_reachable():
        what = "" if server is None else f"{str(server).partition(';')[0]}, and "
        other = "" if server is None else "name a mirror in GTR_BEIR_URL, "
        raise FetchError(
            f"{what}there is no connection to the {'mirrors on the ' if server else ''}Hugging "
            f"Face hub; check the network, {other}or import a copy with `gtr-beir datasets import "
            f"PATH --name {spec.name}`"
        ) from server
    if quiet:
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
    failures: list[str] = [] if server is None else [str(server)]
    progress = Progress(f"fetch {spec.name}", None, "files", quiet=quiet)
    for mirror in _mirrors(spec):
        before = f"{failures[-1]}; trying the mirror" if failures else "from"
        progress.say(f"{before} {mirror.name}")
        work = folder / ".downloads" / f"{spec.name.replace('/', '--')}-from-a-mirror"
        try:
            mirror.collect(work, spec)
            dataset = import_beir(
                work, name=spec.name, datasets_dir=folder, again=True, quiet=quiet
            )
        except (GtrBeirError, OSError, ValueError) as error:
            failures.append(f"{mirror.name}: {error}")
            continue
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return dataset
    raise FetchError(
        f"{spec.name} could not be fetched from any source: "
        + "; ".join(" ".join(f.split()) for f in failures)
    ) from server


@dataclass(frozen=True)
class _Mirror:
    """Hub repositories that together hold corpus, queries and judgements."""

    name: str
    collect: Callable[[Path, DatasetSpec], None]


def _mirrors(spec: DatasetSpec) -> Iterator[_Mirror]:
    hub = spec.hub or {}
    beir, mteb, revision = hub.get("beir"), hub.get("mteb"), hub.get("mteb_revision")
    if spec.parts:
        yield _Mirror(f"{beir}", functools.partial(_forums_of_beir, f"{beir}", hub))
        yield _Mirror("mteb's repository of each forum", _forums_of_mteb)
        return
    if nano := hub.get("nano"):

        def collect_nano(work: Path, spec: DatasetSpec) -> None:
            kinds = ("corpus", "queries", "qrels")
            wanted = [f"{kind}/*.parquet" for kind in kinds]
            _hub_files(nano, hub.get("nano_revision"), wanted, work)
            _texts_as_jsonl(work)
            _qrels_from_parquet(work / "qrels", spec.split)

        yield _Mirror(nano, collect_nano)
    if beir:

        def collect_beir(work: Path, spec: DatasetSpec) -> None:
            wanted = ["corpus.jsonl*", "queries.jsonl*", "corpus/*.parquet", "queries/*.parquet"]
            _hub_files(beir, hub.get("beir_revision"), wanted, work)
            _texts_as_jsonl(work)
            twin, revision = f"{beir}-qrels", hub.get("beir_qrels_revision")
            _hub_files(twin, revision, [f"{spec.split}.tsv"], work / "qrels")

        yield _Mirror(beir, collect_beir)
    if mteb:
        yield _Mirror(mteb, functools.partial(_from_mteb, mteb, revision))


def _from_mteb(repository: str, revision: str | None, work: Path, spec: DatasetSpec) -> None:
    wanted = ["corpus.jsonl*", "queries.jsonl*", f"qrels/{spec.split}.*"]
    _hub_files(repository, revision, wanted, work)
    _qrels_as_tsv(work / "qrels", spec.split)


def _forums_of_mteb(work: Path, spec: DatasetSpec) -> None:
    """A repository for each forum; each into the folder that an import looks for."""
    for forum in spec.parts:
        part = registered(forum)
        about = (part.hub if part else None) or {}
        repository = about.get("mteb")
        if part is None or repository is None:
            raise FetchError(f"no repository of {forum} is known")
        _from_mteb(repository, about.get("mteb_revision"), work / _folder_of(forum), part)


def _forums_of_beir(
    repository: str, hub: Mapping[str, str | None], work: Path, spec: DatasetSpec
) -> None:
    """A folder for each forum, and one for its judgements in the twin. A table that merges the
    forums, whose ids are others, is not the same dataset and is refused."""
    texts = [f"*/{kind}{form}" for kind in ("corpus", "queries") for form in (".jsonl*", "/*")]
    _hub_files(repository, hub.get("beir_revision"), texts, work)
    judged = work / "judgements"
    twin, revision = f"{repository}-qrels", hub.get("beir_qrels_revision")
    _hub_files(twin, revision, [f"*{spec.split}.tsv"], judged)
    for forum in map(_folder_of, spec.parts):
        _texts_as_jsonl(work / forum)
        found = sorted((judged / forum).rglob(f"{spec.split}.tsv"))
        if not found or not list((work / forum).glob("corpus.jsonl*")):
            raise FetchError(f"{repository} has no folder of the forum {forum}")
        (work / forum / "qrels").mkdir(exist_ok=True)
        found[0].rename(work / forum / "qrels" / found[0].name)
    shutil.rmtree(judged)


def _folder_of(forum: str) -> str:
    return forum.rpartition("/")[2]


def _hub_files(repository: str, revision: str | None, patterns: list[str], work: Path) -> None:
    """Fetch the files of a dataset's repository that have one of the patterns into a folder."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        with patient_hub():
            commit = HfApi().dataset_info(repository, revision=revision, timeout=20.0).sha
            digests = digests_on_hub(repository, kind="dataset", commit=commit)
            snapshot_download(
                repository,
                repo_type="dataset",
                revision=commit,
                allow_patterns=patterns,
                local_dir=work,
            )
        fetched = {path: work / path for path in digests if (work / path).is_file()}
        require_as_on_hub(repository, digests, fetched)
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise _not_fetched(repository, error) from error
    except (GtrBeirError, OSError):
        raise
    except Exception as error:  # of whatever library the client speaks through
        raise _not_fetched(repository, error) from error


def _not_fetched(repository: str, error: Exception) -> FetchError:
    return FetchError(f"{repository} could not be fetched from the hub ({type(error).__name__})")


def _texts_as_jsonl(work: Path) -> None:
    """Where corpus or queries came as parquet: as the JSON lines that an import reads."""
    for kind in ("corpus", "queries"):
        parts = sorted((work / kind).glob("*.parquet"))
        if not parts or list(work.glob(f"{kind}.jsonl*")):
            continue
        with (work / f"{kind}.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
            for row in _rows_of(parts):
                known = {name: row[name] for name in ("_id", "title", "text") if name in row}
                lines.write(json.dumps(known, ensure_ascii=False) + "\n")


def _qrels_from_parquet(folder: Path, split: str) -> None:
    """NanoBEIR's judgements have no score: each is 1."""
    rows = _rows_of(sorted(folder.glob("*.parquet")))
    lines = [f"{r['query-id']}\t{r['corpus-id']}\t{int(r.get('score', 1))}\n" for r in rows]
    text = f"query-id\tcorpus-id\tscore\n{''.join(lines)}"
    (folder / f"{split}.tsv").write_text(text, encoding="utf-8", newline="\n")


def _rows_of(parts: list[Path]) -> Iterator[dict[str, Any]]:
    """The rows of parquet files, a few thousand in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part in parts:
        try:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=4096):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise FetchError(f"{part.name} cannot be read as parquet ({error})") from error


def _qrels_as_tsv(folder: Path, split: str) -> None:
    """mteb keeps judgements as TSV or as JSON lines with the same three fields."""
    lines = folder / f"{split}.jsonl"
    if lines.is_file() and not (folder / f"{split}.tsv").is_file():
        with lines.open(encoding="utf-8") as source:
            rows = [json.loads(line) for line in source if line.strip()]
        text = "".join(f"{r['query-id']}\t{r['corpus-id']}\t{int(r['score'])}\n" for r in rows)
        (folder / f"{split}.tsv").write_text(
            f"query-id\tcorpus-id\tscore\n{text}", encoding="utf-8", newline="\n"
        )
