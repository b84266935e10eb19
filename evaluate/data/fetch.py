"""Fetching public datasets: the BEIR server's zip, or the hub's mirrors when the server is down.

A zip is downloaded to a `.part` file beside its final name, so that a broken download goes on where
it stopped; pooch checks the MD5 that the registry holds, and only a file that passes gets its name.
What is fetched is then imported like a user's own zip, with the registry's counts.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.data.importing import import_beir
from evaluate.data.registry import DatasetSpec
from evaluate.data.store import (
    Dataset,
    DatasetGroup,
    datasets_folder,
    is_here,
    open_dataset,
)
from evaluate.errors import FetchError, GtrBeirError, StoreError, UsageError
from evaluate.files import explained, lock
from evaluate.progress import Progress

_CHUNK = 1 << 18
_GROWTH = 5
"""Columns of a corpus take up to about four times its zip; the zip lies beside them meanwhile."""


@dataclass(frozen=True)
class Patience:
    """How long to try: attempts without any progress, first pause and longest pause in seconds
    (each pause doubles), and seconds without a byte until a connection counts as dead."""

    attempts: int = 5
    pause: float = 2.0
    longest_pause: float = 60.0
    silence: float = 60.0


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
            download(url, target, md5=spec.md5, quiet=quiet, patience=patience)
        except FetchError as error:
            if base_url or not spec.hub:
                raise
            return _fetch_from_hub(spec, folder, quiet, error)
        dataset = import_beir(target, name=spec.name, datasets_dir=folder, quiet=quiet)
        if not keep_zip:
            target.unlink()
    return dataset


def gated_sentence(spec: DatasetSpec) -> str:
    return (
        f"{spec.name} cannot be downloaded ({spec.licence}); when you have the original, "
        f"`gtr-beir datasets convert {spec.name} --source DIR` makes the dataset from it, and "
        f"`gtr-beir datasets import PATH --name {spec.name}` takes one in BEIR's layout"
    )


def _require_space(folder: Path, spec: DatasetSpec) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    needed = (spec.zip_bytes or 0) * _GROWTH
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{spec.name} needs about {needed / 1e9:.1f} GB in {folder}, where "
            f"{free / 1e9:.1f} GB are free; free some space or choose another --datasets-dir"
        )


def download(
    url: str,
    target: Path,
    *,
    md5: str | None,
    quiet: bool = True,
    patience: Patience | None = None,
) -> None:
    """Download `url` to `target`; the name is given only to bytes with the right MD5.

    A target that is there already with the right MD5 is kept. Bytes with a wrong MD5 are thrown
    away and fetched once more from the start. Raises FetchError.
    """
    import pooch

    progress = Progress(f"fetch {target.name}", None, "bytes", quiet=quiet)
    part = target.with_name(f"{target.name}.part")
    downloader = _Resuming(part, progress, patience or Patience())
    target.parent.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("CRITICAL")
    for last in (False, True):
        try:
            with explained(target):
                pooch.retrieve(
                    url,
                    known_hash=None if md5 is None else f"md5:{md5}",
                    fname=target.name,
                    path=target.parent,
                    downloader=downloader,
                )
            progress.finish()
            return
        except ValueError:
            # pooch has deleted the bytes; what is left to try is a fresh copy.
            part.unlink(missing_ok=True)
            if last:
                raise FetchError(
                    f"{url} gave a file with another MD5 than {md5}, twice; try again later, or "
                    "give a mirror with --base-url"
                ) from None
            progress.say(f"{url}: the MD5 is wrong; fetching it once more from the start")


class _Resuming:
    """pooch's downloader interface over requests: goes on where a download broke off."""

    def __init__(self, part: Path, progress: Progress, patience: Patience):
        self._part, self._progress, self._patience = part, progress, patience

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        del pooch
        failures = 0
        while True:
            before = self._size()
            try:
                self._get(url)
                break
            except _TryAgainError as error:
                failures = 1 if self._size() > before else failures + 1
                if failures >= self._patience.attempts:
                    raise FetchError(
                        f"{url} could not be fetched ({error}); run again to go on where it "
                        "stopped, or give a mirror with --base-url"
                    ) from error
                pause = min(
                    self._patience.pause * 2 ** (failures - 1), self._patience.longest_pause
                )
                self._progress.say(f"{url}: {error}; trying again in {pause:.0f} s")
                time.sleep(pause)
        self._part.replace(output_file)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _get(self, url: str) -> None:
        """One request; returns when the file is whole, raises _TryAgainError when it is not."""
        import requests
        import urllib3

        at = self._size()
        # "identity": a server that compresses on the way would make lengths and ranges meaningless.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={at}-"} if at else {})
        timeout = (min(10.0, self._patience.silence), self._patience.silence)
        try:
            with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
                self._check(url, response, at)
                if at and response.status_code != 206:
                    self._part.unlink()
                    at = 0
                    if response.status_code == 416:
                        raise _TryAgainError("the server refused to go on; starting anew")
                self._receive(response, at)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise FetchError(f"{url} is no address ({error})") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _TryAgainError(_reason(error)) from error

    def _check(self, url: str, response: Any, at: int) -> None:
        status = response.status_code
        if status in (408, 425, 429) or status >= 500:
            raise _TryAgainError(f"the server answered {status}")
        if status not in (200, 206, 416):
            raise FetchError(f"{url}: the server answered {status}, the file is not there")
        if status in (200, 206) and "html" in response.headers.get("Content-Type", ""):
            raise FetchError(f"{url} gave a web page instead of a zip; is the address right?")
        if status == 206:
            start = response.headers.get("Content-Range", "").partition(" ")[2].partition("-")[0]
            if start != str(at):
                self._part.unlink(missing_ok=True)
                raise _TryAgainError("the server went on at another place; starting anew")

    def _receive(self, response: Any, at: int) -> None:
        length = response.headers.get("Content-Length", "")
        expected = at + int(length) if length.isdigit() else None
        self._progress.begin(at, expected)
        with self._part.open("ab") as file:
            # read1 gives what has come, so that a connection that breaks loses none of it.
            while chunk := response.raw.read1(_CHUNK):
                file.write(chunk)
                self._progress.advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if expected is not None and self._size() < expected:
            raise _TryAgainError(f"the connection ended at {self._size():,} of {expected:,} bytes")


class _TryAgainError(Exception):
    """Something that may go away by itself."""


def _reason(error: Exception) -> str:
    text = type(error).__name__.removesuffix("Error")
    names = {"Connect": "no connection", "ReadTimeout": "no answer in time"}
    names |= {"ReadTimeoutError": names["ReadTimeout"], "Connection": "no connection"}
    names |= {"ChunkedEncoding": "the connection broke", "Protocol": "the connection broke"}
    names |= {"IncompleteRead": "the connection broke"}
    return names.get(text, text)


# The hub's mirrors --------------------------------------------------------------------------------


def _fetch_from_hub(
    spec: DatasetSpec, folder: Path, quiet: bool, server: FetchError
) -> Dataset | DatasetGroup:
    """Try `BeIR/<name>` with its `-qrels` twin, then `mteb/<name>` at its pinned revision."""
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
            dataset = import_beir(work, name=spec.name, datasets_dir=folder, quiet=quiet)
        except (GtrBeirError, OSError, ValueError) as error:
            failures.append(f"{mirror.name}: {error}")
            continue
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return dataset
    raise FetchError(
        f"no source gave {spec.name}: " + "; ".join(" ".join(f.split()) for f in failures)
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
        raise FetchError(f"the hub did not give {repository} ({type(error).__name__})") from error


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
