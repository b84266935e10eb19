"""Somebody else's run file, kept as a result beside one's own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gtr_beir.data.store import Dataset
from gtr_beir.digests import Digest, hash_file
from gtr_beir.evaluation import RunOptions, machine, now
from gtr_beir.files import lock, remove_leftovers
from gtr_beir.identity import WHOLE_CORPUS, Identity, Model
from gtr_beir.kept import LOCK, done_before, finish, keep
from gtr_beir.ranking import measures
from gtr_beir.ranking.runs import Run
from gtr_beir.records import Record, record_key, versions


def keep_given_run(
    run: Run,
    values: pd.DataFrame,
    dataset: Dataset,
    *,
    path: Path,
    label: str,
    results_dir: Path,
    again: bool,
) -> Path:
    """Keep what somebody else's run file came to, as `<label>@given`; returns the folder.

    values: of its queries. UsageError for a label that cannot be a folder's name, and for another
    result that is there, unless `again`.
    """
    RunOptions(label=label)  # refuses what cannot be one
    model = Model(label, why_not="a run file that was given")
    identity = Identity(model, options={"run": "given"})
    name = identity.name
    folder = results_dir / name / dataset.name
    given = {"file": path.name, "sha256": hash_file(path)}
    fingerprint = Digest().add("given run").add(given["sha256"]).hex()
    depth = int((run.doc_rows >= 0).sum(axis=1).max(initial=1))
    # Whoever dropped own ids has none; whoever kept them nearly always has one.
    own = run.for_queries(dataset.query_ids).doc_rows == dataset.self_rows[:, None]
    own &= dataset.self_rows[:, None] >= 0
    policy = "keep" if own.any() else "drop"
    key = record_key(dataset.fingerprint, fingerprint, depth, policy)
    with lock(folder / LOCK):
        remove_leftovers(folder)
        finish(folder)
        wanted = {"given": given, "depth": depth, "self_matches": policy}
        if done_before(folder, key, dataset, wanted, again=again) is not None:
            return folder
        concerned = int((dataset.self_rows >= 0).sum())
        record = Record(
            dataset=dataset.name,
            split=str(dataset.manifest["split"]),
            system=name,
            identity=identity.on(
                dataset.name,
                version=dataset.version,
                scoring=WHOLE_CORPUS,
                depth=depth,
                self_matches=policy if concerned else "none",
            ),
            settings={"given": given},
            measures=measures.mean(values),
            n_queries=len(values),
            n_documents=dataset.n_documents,
            depth=depth,
            self_matches={"policy": policy, "queries": concerned},
            fingerprints={"dataset": dataset.fingerprint, "system": fingerprint},
            facts=machine(),
            versions=versions(),
            finished=now(),
        )
        keep(
            folder,
            lambda path: run.write(path, dataset, tag=name),
            values,
            lambda: record,
        )
    return folder
