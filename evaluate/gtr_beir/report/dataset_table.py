"""The table of all datasets: the registry's facts, and what is on this machine."""

from __future__ import annotations

from pathlib import Path

import tabulate

from gtr_beir.data.registry import DEMO, DatasetSpec, benchmark_names, registered
from gtr_beir.data.store import is_here, names_here, read_manifest

_LONGEST_LICENCE = 40


def dataset_table(folder: Path | None, *, style: str) -> str:
    """All registered datasets and, where `folder` is given, whether they and others are in it."""
    headers = ["dataset", "documents", "queries", "split", "access", "zip", "licence"]
    align = ["left", "right", "right", "left", "left", "right", "left"]
    rows = [_registered_row(spec) for name in benchmark_names() if (spec := registered(name))]
    if folder is not None:
        headers.insert(4, "here")
        align.insert(4, "left")
        for row in rows:
            spec = registered(row[0])
            assert spec is not None
            here = [is_here(part, folder) for part in spec.parts or (spec.name,)]
            row.insert(4, "yes" if all(here) else f"{sum(here)} of 12" if any(here) else "no")
        rows += _other_rows(folder)
    return tabulate.tabulate(
        rows, headers, tablefmt=style, disable_numparse=True, colalign=tuple(align)
    )


def _registered_row(spec: DatasetSpec) -> list[str]:
    licence = spec.licence or ""
    if len(licence) > _LONGEST_LICENCE:
        licence = f"{licence[:_LONGEST_LICENCE].rpartition(' ')[0]} ..."
    return [
        spec.name,
        f"{spec.documents:,}" if spec.documents else "",
        f"{spec.queries:,}" if spec.queries else "",
        spec.split,
        "gated" if spec.gated else "public",
        f"{spec.zip_bytes / 1e6:,.0f} MB" if spec.zip_bytes else "",
        licence,
    ]


def _other_rows(folder: Path) -> list[list[str]]:
    """The demo and the user's own datasets."""
    own = [name for name in names_here(folder) if registered(name) is None]
    rows = []
    for name in sorted({*own, DEMO}):
        row = [name, "", "", "", "comes with gtr-beir", "own", "", ""]
        if name in own:
            facts = read_manifest(folder / name)
            row[1:5] = [f"{facts['documents']:,}", f"{facts['queries']:,}", facts["split"], "yes"]
        rows.append(row)
    return rows
