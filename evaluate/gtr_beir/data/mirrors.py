"""Where public datasets come from: the BEIR server's zip, or the hub's mirrors when it is down.

What is fetched is imported like a user's own zip, with the registry's counts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gtr_beir.data.download import Patience, download
from gtr_beir.data.importing import import_beir
from gtr_beir.data.registry import DatasetSpec, gated_sentence
from gtr_beir.data.store import Dataset, DatasetGroup, datasets_folder, is_here, open_dataset
from gtr_beir.errors import FetchError, GtrBeirError, StoreError, UsageError
from gtr_beir.files import lock
from gtr_beir.network import hub_is_reachable, silence_hub
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
    if spec.gated or spec.zip_url is None:
        raise UsageError(gated_sentence(spec))
    folder = datasets_folder(datasets_dir)
    base_url = base_url or os.environ.get("GTR_BEIR_URL")
    target = folder / ".downloads" / f"{spec.name}.zip"
    with lock(folder / ".locks" / f"fetch-{spec.name}.lock") as waited:
        if waited and all(is_here(part, folder) for part in spec.parts or (spec.name,)):
            return open_dataset(spec, folder)
        _require_space(folder, spec)
        url = f"{base_url.rstrip('/')}/{spec.name}.zip" if base_url else spec.zip_url
        try:
            download(url, target, md5=spec.md5, size=spec.zip_bytes, quiet=quiet, patience=patience)
        except FetchError as error:
            if base_url or not spec.hub:
                raise
            if not hub_is_reachable():
                what = str(error).partition(";")[0]
                raise FetchError(
                    f"{what}, and there is no connection to the mirrors on the Hugging Face hub; "
                    "check the network, give a mirror with --base-url, or import a copy with "
                    f"`gtr-beir datasets import PATH --name {spec.name}`"
                ) from error
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
    spec: DatasetSpec, folder: Path, quiet: bool, server: FetchError
) -> Dataset | DatasetGroup:
    """Try `BeIR/<name>` with its `-qrels` twin, then `mteb/<name>` at its pinned revision."""
    silence_hub()
    if quiet:
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
    failures: list[str] = [str(server)]
    progress = Progress(f"fetch {spec.name}", None, "files", quiet=quiet)
    for mirror in _mirrors(spec):
        progress.say(f"{failures[-1]}; trying the mirror {mirror.name}")
        work = folder / ".downloads" / mirror.name.replace("/", "--")
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
        return  # the hub's forums are one merged table with other ids: not the same dataset
    if beir:

        def collect_beir(work: Path, spec: DatasetSpec) -> None:
            _hub_files(beir, None, ["corpus.jsonl*", "queries.jsonl*"], work)
            _hub_files(f"{beir}-qrels", None, [f"{spec.split}.tsv"], work / "qrels")

        yield _Mirror(beir, collect_beir)
    if mteb:

        def collect_mteb(work: Path, spec: DatasetSpec) -> None:
            wanted = ["corpus.jsonl*", "queries.jsonl*", f"qrels/{spec.split}.*"]
            _hub_files(mteb, revision, wanted, work)
            _qrels_as_tsv(work / "qrels", spec.split)

        yield _Mirror(mteb, collect_mteb)


def _hub_files(repository: str, revision: str | None, patterns: list[str], work: Path) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            allow_patterns=patterns,
            local_dir=work,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise FetchError(
            f"{repository} could not be fetched from the hub ({type(error).__name__})"
        ) from error


def _qrels_as_tsv(folder: Path, split: str) -> None:
    """mteb keeps judgements as TSV or as JSON lines with the same three fields."""
    import json

    lines = folder / f"{split}.jsonl"
    if lines.is_file() and not (folder / f"{split}.tsv").is_file():
        with lines.open(encoding="utf-8") as source:
            rows = [json.loads(line) for line in source if line.strip()]
        text = "".join(f"{r['query-id']}\t{r['corpus-id']}\t{int(r['score'])}\n" for r in rows)
        (folder / f"{split}.tsv").write_text(
            f"query-id\tcorpus-id\tscore\n{text}", encoding="utf-8", newline="\n"
        )
