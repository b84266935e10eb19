"""System x dataset -> Record: the only module that knows the order of the steps."""

from __future__ import annotations

import datetime
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from gtr_beir.data.store import Dataset, DatasetGroup
from gtr_beir.errors import StoreError, UsageError
from gtr_beir.files import Digest, atomic_write, hash_file, lock, remove_leftovers
from gtr_beir.ranking import measures
from gtr_beir.ranking.runs import Run
from gtr_beir.records import PER_QUERY, RECORD, RUN, Record, record_key, versions
from gtr_beir.systems.base import SearchOptions, System, refuse_candidates
from gtr_beir.work.blocks import DEFAULT_BLOCK

DEPTH = 1000


@dataclass(frozen=True)
class Plan:
    """How `benchmark` works. label: the name in folders and tables, where it is not the system's
    own; rerank: a run file, or the results folder of a system, whose first `depth` documents alone
    are ranked; again: do it even if it is done; of the rest, depth and self_matches decide scores.
    """

    results_dir: Path = Path("results")
    label: str | None = None
    depth: int = DEPTH
    self_matches: Literal["drop", "keep"] = "drop"
    block_documents: int = DEFAULT_BLOCK
    keep_embeddings: bool = True
    processes: int | None = None
    rerank: Path | None = None
    again: bool = False
    quiet: bool = True


def benchmark(
    system: System, dataset: Dataset | DatasetGroup, plan: Plan | None = None, **choices: Any
) -> Record:
    """Rank, score and record one dataset with one system; `choices` are the fields of Plan.

    A dataset made of parts is done part by part and recorded as their unweighted mean.
    """
    if "results_dir" in choices:
        choices["results_dir"] = Path(choices["results_dir"])
    plan = plan or Plan(**choices)
    if isinstance(dataset, Dataset):
        return _benchmark_one(system, dataset, plan)
    parts = [_benchmark_one(system, part, plan) for part in dataset.parts]
    return _combine(parts, dataset, plan.results_dir)


def _benchmark_one(system: System, dataset: Dataset, plan: Plan) -> Record:
    """Does only what is not done yet.

    Leaves `<results>/<label or system name>/<dataset>/` with run.trec.gz, queries.csv and, last,
    record.json. A record of the same key is returned as it is, unless `again`; a record of the same
    name but of other weights or settings is not overwritten without `again` (UsageError).
    """
    if not getattr(system, "reranks", False):
        refuse_candidates(system.name, plan.rerank)
    name = plan.label or name_of(system, plan)
    rerank, candidates = _candidates(plan, dataset)
    fingerprint = Digest().add(system.fingerprint).add(rerank["sha256"]).hex() if rerank else ""
    fingerprint = fingerprint or system.fingerprint
    folder = plan.results_dir / name / dataset.name
    key = record_key(dataset.fingerprint, fingerprint, plan.depth, plan.self_matches)
    with lock(folder / ".lock"):
        remove_leftovers(folder)
        done = _done(folder, key, plan.again)
        if done is not None:
            return done
        options = SearchOptions(
            work_dir=folder / "blocks",
            k=plan.depth,
            self_matches=plan.self_matches,
            block_documents=plan.block_documents,
            keep_embeddings=plan.keep_embeddings,
            processes=plan.processes,
            candidates=candidates,
            quiet=plan.quiet,
        )
        start = time.perf_counter()
        found = system.search(dataset, options)
        searched = time.perf_counter()
        values = measures.per_query(found.run, dataset)
        scored = time.perf_counter()
        (folder / RECORD).unlink(missing_ok=True)
        found.run.write(folder / RUN, dataset, tag=name)
        write_per_query(folder / PER_QUERY, values)
        seconds = {
            **found.facts.get("seconds", {}),
            "search_total": searched - start,
            "measures": scored - searched,
            "write": time.perf_counter() - scored,
        }
        record = Record(
            dataset=dataset.name,
            split=str(dataset.manifest["split"]),
            system=name,
            settings={**system.settings, **({"rerank": rerank} if rerank else {})},
            measures=measures.mean(values),
            n_queries=len(values),
            n_documents=dataset.n_documents,
            depth=plan.depth,
            self_matches={
                "policy": plan.self_matches,
                "queries": int((dataset.own_rows >= 0).sum()),
            },
            fingerprints={
                "dataset": dataset.fingerprint,
                "system": fingerprint,
                "run": hash_file(folder / RUN),
            },
            facts={**found.facts, "seconds": seconds, **machine()},
            versions=versions(),
            finished=now(),
        )
        record.write(folder)
    return record


def name_of(system: System, plan: Plan) -> str:
    """For folders and tables; a system that reranked says so, and whose candidates."""
    if plan.rerank is None:
        return system.name
    return f"{system.name}@rerank-{plan.depth}-{_tag(plan.rerank)}"


def _tag(path: Path) -> str:
    """A results folder's name, or a run file's, or its folders' where it is called `run`."""
    resolved = path.resolve()
    if resolved.name == RUN:
        return resolved.parent.parent.name
    return resolved.name.removesuffix(".gz").removesuffix(".trec").removesuffix(".txt")


def _candidates(plan: Plan, dataset: Dataset) -> tuple[dict[str, Any], Run | None]:
    """What the record says of the candidates, and their run, cut at the depth."""
    if plan.rerank is None:
        return {}, None
    path = plan.rerank
    if path.is_dir():
        path = path / dataset.name / RUN
    if not path.is_file():
        raise UsageError(
            f"there is no run to rerank in {path}; give a run file, or a folder such as "
            "results/bm25-flat that holds one for each dataset"
        )
    run = Run.read(path, dataset)
    cut = Run(run.query_ids, run.doc_rows[:, : plan.depth], run.scores[:, : plan.depth])
    about = {"run": _tag(plan.rerank), "sha256": hash_file(path), "depth": plan.depth}
    return about, cut.for_queries(dataset.query_ids)


def _done(folder: Path, key: str, again: bool) -> Record | None:
    """The record that is there, if it is of this key; UsageError if it is of another."""
    if again or not (folder / RECORD).is_file():
        return None
    try:
        record = Record.read(folder)
    except StoreError:
        return None
    if record.key == key and (folder / RUN).is_file() and (folder / PER_QUERY).is_file():
        return record
    if record.key == key:
        return None
    raise UsageError(
        f"{folder} holds a record of other weights, data or settings ({record.signature}); name "
        "this one with --label, or replace it with --again"
    )


def _combine(parts: list[Record], dataset: DatasetGroup, results_dir: Path) -> Record:
    """The record of a dataset that is the unweighted mean of its parts, all of which are there."""
    first = parts[0]
    names = list(first.measures)
    settings = dict(first.settings)
    if "rerank" in settings:
        hashes = [part.settings["rerank"]["sha256"] for part in parts]
        settings["rerank"] = {**settings["rerank"], "sha256": _joined(hashes)}
    record = Record(
        dataset=dataset.name,
        split=first.split,
        system=first.system,
        settings=settings,
        measures={name: sum(part.measures[name] for part in parts) / len(parts) for name in names},
        n_queries=sum(part.n_queries for part in parts),
        n_documents=sum(part.n_documents for part in parts),
        depth=first.depth,
        self_matches={
            "policy": first.self_matches["policy"],
            "queries": sum(int(part.self_matches["queries"]) for part in parts),
        },
        fingerprints={
            "dataset": dataset.fingerprint,
            "system": _joined([part.fingerprints["system"] for part in parts]),
            "run": Digest().add("".join(part.fingerprints["run"] for part in parts)).hex(),
        },
        parts={part.dataset: dict(part.measures) for part in parts},
        facts=machine(),
        versions=versions(),
        finished=now(),
    )
    record.write(results_dir / first.system / dataset.name)
    return record


def _joined(fingerprints: list[str]) -> str:
    """The one that all parts have, or one over all: each forum reranks candidates of its own."""
    if len(set(fingerprints)) == 1:
        return fingerprints[0]
    return Digest().add("".join(fingerprints)).hex()


def score_run(path: Path, dataset: Dataset) -> tuple[dict[str, float], pd.DataFrame]:
    """Means and per-query values of anyone's run file."""
    values = measures.per_query(Run.read(path, dataset), dataset)
    return measures.mean(values), values


def write_per_query(path: Path, values: pd.DataFrame) -> None:
    """CSV with a line a query; 17 digits, so that reading it gives the same numbers."""
    with atomic_write(path, "w") as handle:
        values.to_csv(handle, float_format="%.17g", lineterminator="\n")


def machine() -> dict[str, Any]:
    """What the work ran on; of torch only if the work used it."""
    facts: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count()}
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name()
    return facts


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
