"""A dataset by its name: the one door to the data for whoever evaluates."""

from __future__ import annotations

from pathlib import Path

from evaluate.data.importing import import_beir
from evaluate.data.registry import DEMO, benchmark_names, closest, registered
from evaluate.data.store import Dataset, DatasetGroup, datasets_folder, is_here, names_here
from evaluate.errors import UsageError

_DEMO_FOLDER = Path(__file__).resolve().parents[1] / "demo" / "dataset"


def load_dataset(name: str, *, datasets_dir: Path | str | None = None) -> Dataset | DatasetGroup:
    """Open a dataset that was imported before; `demo` imports itself.

    `cqadupstack` is a DatasetGroup, all others are a Dataset. Raises UsageError, naming the command
    that brings it, if the dataset (or a part of it) is not there.
    """
    folder = datasets_folder(datasets_dir)
    group = registered(name)
    if group is not None and group.parts:
        missing = [part for part in group.parts if not is_here(part, folder)]
        if missing:
            raise UsageError(
                f"{name} is the mean of {len(group.parts)} forums, and {missing[0]} is not in "
                f"{folder}; bring them with `gtr-beir datasets import PATH --name {name}`"
            )
        return DatasetGroup(group, [Dataset(folder / part) for part in group.parts])
    if name == DEMO and not is_here(name, folder):
        import_beir(_DEMO_FOLDER, name=DEMO, split="test", datasets_dir=folder)
    if not is_here(name, folder):
        spec = registered(name)
        if spec is None:
            known = (*benchmark_names(), DEMO, *names_here(folder))
            raise UsageError(
                f"there is no dataset '{name}' in {folder}{closest(name, known)}; "
                f"`gtr-beir datasets import PATH --name {name}` brings one of your own"
            )
        raise UsageError(
            f"{name} is not in {folder}; bring it with "
            f"`gtr-beir datasets import PATH --name {name}`"
        )
    return Dataset(folder / name)
