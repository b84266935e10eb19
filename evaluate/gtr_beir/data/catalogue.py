"""A dataset by its name: the one door to the data for whoever evaluates."""

from __future__ import annotations

from pathlib import Path

from gtr_beir.data.importing import import_beir
from gtr_beir.data.mirrors import fetch_dataset
from gtr_beir.data.registry import (
    DEMO,
    benchmark_names,
    closest,
    gated_sentence,
    nano_names,
    registered,
)
from gtr_beir.data.store import (
    Dataset,
    DatasetGroup,
    datasets_folder,
    give_names_back,
    is_here,
    names_here,
    open_dataset,
)
from gtr_beir.errors import UsageError

_DEMO_FOLDER = Path(__file__).resolve().parents[1] / "demo" / "dataset"


def load_dataset(
    name: str, *, datasets_dir: Path | str | None = None, fetch: bool = False, quiet: bool = True
) -> Dataset | DatasetGroup:
    """Open a dataset that is on this machine; `demo` imports itself, and with `fetch` a public one
    is fetched.

    `cqadupstack` is a DatasetGroup, all others are a Dataset. Raises UsageError, naming the command
    that brings it, if the dataset (or a part of it) is not there and is not to be fetched.
    """
    folder = datasets_folder(datasets_dir)
    spec = registered(name)
    needed = spec.parts if spec is not None and spec.parts else (name,)
    missing = [part for part in needed if not is_here(part, folder)]
    if missing:
        give_names_back({(folder / part).parent for part in missing})
        missing = [part for part in missing if not is_here(part, folder)]
    if missing and name == DEMO:
        import_beir(_DEMO_FOLDER, name=DEMO, split="test", datasets_dir=folder, again=True)
    elif missing and spec is None:
        known = (*benchmark_names(), *nano_names(), DEMO, *names_here(folder))
        raise UsageError(
            f"there is no dataset '{name}' in {folder}; `gtr-beir datasets import PATH --name "
            f"{name}` imports one of your own{closest(name, known)}"
        )
    elif missing and spec is not None:
        if spec.gated:
            raise UsageError(gated_sentence(spec))
        if fetch and "/" not in name:
            return fetch_dataset(spec, datasets_dir=folder, quiet=quiet)
        whole = name.partition("/")[0]
        raise UsageError(
            f"{missing[0]} is not in {folder}; get it with `gtr-beir datasets fetch {whole}`, or "
            f"import your own files with `gtr-beir datasets import PATH --name {whole}`"
        )
    return Dataset(folder / name) if spec is None else open_dataset(spec, folder)
