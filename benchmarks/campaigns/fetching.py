"""One dataset fetched from a server of the campaign: its zip, or file by file through the hub's
client, in a process of its own, because that client reads its address when it is imported."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

DOCUMENTS, QUERIES = 400, 20
REPOSITORY = "BeIR/scifact"


def fetch(
    url: str,
    store: Path,
    grades: Mapping[int, int],
    md5: str | None,
    size: int,
    hub: str | None = None,
) -> int:
    """The exit code: 0 the dataset, 1 a sentence, 3 another dataset. The program waits seconds
    where it waits minutes for real."""
    from gtr_beir import hub_client
    from gtr_beir.data import importing, mirrors
    from gtr_beir.data.registry import Judgements, registered
    from gtr_beir.errors import GtrBeirError
    from gtr_beir.network import Patience

    spec = registered("scifact")
    assert spec is not None
    small = replace(
        spec,
        documents=DOCUMENTS,
        queries=QUERIES,
        judgements=(Judgements("all", QUERIES, grades),),
        md5=md5,
        zip_bytes=size if md5 else None,
        zip_url=f"{url}/scifact.zip",
        hub={"beir": hub} if hub else None,
        blank_documents=None,
    )
    importing.registered = lambda _: small
    patience = Patience(*(3, 12, 0.01, 0.05), silence=2.0, answer=3.0, floor=1 << 12, window=3.0)
    hub_client.PATIENCE, hub_client.MOST = patience, 1 << 26
    try:
        dataset: Any = mirrors.fetch_dataset(small, datasets_dir=store, patience=patience)
    except GtrBeirError as error:
        print(f"told: {error}", file=sys.stderr)
        return 1
    import numpy as np

    ids: Sequence[str] = dataset.document_ids(np.arange(dataset.n_documents))
    return 0 if list(ids) == [f"d{row}" for row in range(DOCUMENTS)] else 3


def fetch_from_hub(url: str, store: Path, grades: Mapping[int, int], _: object) -> NoReturn:
    """Become a process that does it."""
    environment = {name: at for name, at in os.environ.items() if not name.endswith("_OFFLINE")}
    environment |= {"HF_ENDPOINT": url, "HF_HOME": str(store.parent / "hub")}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
    asked = json.dumps([url, str(store), grades])
    os.execve(sys.executable, [sys.executable, __file__, asked], environment)


if __name__ == "__main__":
    pause = time.sleep
    time.sleep = lambda seconds: pause(min(seconds, 0.05))
    url, store, grades = json.loads(sys.argv[1])
    counts = {int(grade): count for grade, count in grades.items()}
    sys.exit(fetch(url, Path(store), counts, None, 0, REPOSITORY))
