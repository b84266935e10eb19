"""System x dataset -> Record: the only module that knows the order of the steps."""

from __future__ import annotations

import datetime
import os
import platform
import re
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from gtr_beir.data.catalogue import load_dataset
from gtr_beir.data.store import Dataset, DatasetGroup
from gtr_beir.digests import Digest, hash_file
from gtr_beir.errors import UsageError
from gtr_beir.files import lock, remove_leftovers
from gtr_beir.identity import USUAL_DEPTH, WHOLE_CORPUS, Identity, Scoring
from gtr_beir.kept import BLOCKS, LOCK, done_before, finish, finish_all, keep
from gtr_beir.query_values import write_per_query
from gtr_beir.ranking import measures
from gtr_beir.ranking.measures import Measure
from gtr_beir.ranking.runs import Run
from gtr_beir.ranking.ties import tie_bounds
from gtr_beir.records import FORMAT, PER_QUERY, RUN, Record, record_key, versions
from gtr_beir.signs import signs_of
from gtr_beir.systems.base import (
    SearchOptions,
    Shard,
    ShardDone,
    SharesWork,
    System,
    load_system,
)
from gtr_beir.work.executors.base import Executor

_TIES_ARE_COMMON = "bm25-lucene"
"""Models whose published values may have another order of ties; scores of vectors hardly tie."""
_PUBLISHED = (Measure("ndcg", 10), Measure("recall", 100), Measure("recall", 1000))
"""What Anserini publishes."""


@dataclass(frozen=True)
class RunOptions:
    """How `benchmark` works, whatever the system.

    label: the name in folders and tables, where it is not the system's own; depth: documents kept
    of a query; rerank: a run file, or the results folder of a system, whose first `depth` documents
    alone are ranked; executor: who does the blocks of an encoder's search (None: the devices that
    it names); again: do it even if it is done. Of these depth, self_matches and rerank decide
    scores.
    """

    results_dir: Path = Path("results")
    label: str | None = None
    depth: int = USUAL_DEPTH
    self_matches: Literal["drop", "keep"] = "drop"
    block_documents: int | None = None
    rerank: Path | None = None
    executor: Executor | None = None
    again: bool = False
    quiet: bool = True

    def __post_init__(self) -> None:
        if type(self.depth) is not int or self.depth < 1:
            raise UsageError(f"a depth of {self.depth!r} is not possible; give 1 or more")
        if self.self_matches not in ("drop", "keep"):
            raise UsageError(
                f"self_matches cannot be {self.self_matches!r}; choose 'drop' or 'keep'"
            )
        if self.label is not None and not _LABEL.fullmatch(self.label):
            raise UsageError(
                f"'{self.label}' cannot be a label; use letters, digits, '.', '_', '@', '+' and '-'"
            )


_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}")


def benchmark(
    system: System | str | Path | object,
    dataset: Dataset | DatasetGroup | str,
    options: RunOptions | None = None,
    **choices: Any,
) -> Record:
    """Rank, score and record one dataset with one system; `choices` are fields of RunOptions, put
    in the place of those of `options`.

    What is no system yet is one as `load_system` makes it without options; a dataset can be named,
    as for `load_dataset`. One made of parts is done part by part and recorded as their unweighted
    mean. Raises UsageError for a choice that there is not, or that the system cannot follow.
    """
    if isinstance(dataset, str):
        dataset = load_dataset(dataset)
    return benchmark_or_find(_loaded(system), dataset, options, **choices)[0]


def _loaded(asked: System | object) -> System:
    if isinstance(asked, str | Path) or not hasattr(asked, "fingerprint"):
        return load_system(asked)
    return cast(System, asked)


def benchmark_or_find(
    system: System,
    dataset: Dataset | DatasetGroup,
    options: RunOptions | None = None,
    **choices: Any,
) -> tuple[Record, bool]:
    """As `benchmark`, and whether anything was searched: False if all of it was there already."""
    known = RunOptions.__dataclass_fields__.keys()
    unknown = [name for name in choices if name not in known]
    if unknown:
        raise UsageError(
            f"a run has no option {', '.join(unknown)}; it has {', '.join(known)} (options of a "
            "system are given to load_system)"
        )
    for name in ("results_dir", "rerank"):
        if choices.get(name) is not None:
            choices[name] = Path(choices[name])
    chosen = replace(options or RunOptions(), **choices)
    if chosen.rerank is not None and not system.reranks:
        raise UsageError(cannot_rerank(system.identity.name))
    if isinstance(dataset, Dataset):
        return _benchmark_one(system, dataset, chosen)
    parts = [_benchmark_one(system, part, chosen) for part in dataset.parts]
    record = _combine([part for part, _ in parts], dataset, chosen.results_dir)
    return record, any(searched for _, searched in parts)


def benchmark_shard(
    system: System, dataset: Dataset | DatasetGroup, shard: Shard, options: RunOptions
) -> ShardDone:
    """Do the blocks of one of several shards, and write no record: `benchmark` merges what all
    shards have done, and does what is missing itself. UsageError for a system that cannot."""
    if not isinstance(system, SharesWork):
        raise UsageError(cannot_share(system.identity.name))
    if options.rerank is not None and not system.reranks:
        raise UsageError(cannot_rerank(system.identity.name))
    done = []
    for part in [dataset] if isinstance(dataset, Dataset) else dataset.parts:
        at = _place(system, part, options)
        # Shared: other shards are at work in the same folder, and no run is.
        with lock(at.folder / LOCK, shared=True):
            done.append(system.do_shard(part, at.search_options(options), shard))
    return ShardDone(sum(d.blocks for d in done), sum(d.done for d in done))


def cannot_share(name: str) -> str:
    return f"{name} has no shards; a run without --shard does all of it"


def cannot_be_sent(name: str) -> str:
    return f"{name} works on the cores of this machine alone; run it without --on"


def cannot_rerank(name: str) -> str:
    return f"{name} searches the whole corpus and cannot rerank another run; colbert can"


def _benchmark_one(system: System, dataset: Dataset, chosen: RunOptions) -> tuple[Record, bool]:
    """Does only what is not done yet; returns whether that was anything.

    Leaves `<results>/<label or system name>/<dataset>/` with run.trec.gz, queries.csv and, last,
    record.json. A record of the same key is returned as it is, unless `again`; a record of the same
    name but of other weights or settings is not overwritten without `again` (UsageError).
    """
    at = _place(system, dataset, chosen)
    name, folder, scoring = at.name, at.folder, at.scoring
    concerned = int((dataset.self_rows >= 0).sum())
    identity = system.identity.on(
        dataset.name,
        version=dataset.version,
        scoring=scoring,
        depth=chosen.depth,
        self_matches=chosen.self_matches if concerned else "none",
    )
    fingerprint = system.fingerprint
    if scoring.reranked:
        fingerprint = Digest().add(fingerprint).add(scoring.sha256).hex()
    key = record_key(dataset.fingerprint, fingerprint, chosen.depth, chosen.self_matches)
    with lock(folder / LOCK):
        remove_leftovers(folder)
        finish(folder)
        wanted = {
            **system.settings,
            **_rerank_setting(scoring),
            "depth": chosen.depth,
            "self_matches": chosen.self_matches,
        }
        done = done_before(folder, key, dataset, wanted, again=chosen.again)
        if done is not None:
            return _brought_up(done, folder, dataset, identity), False
        start = time.perf_counter()
        found = system.search(dataset, at.search_options(chosen))
        searched = time.perf_counter()
        values = measures.per_query(found.run, dataset)
        ties: dict[str, Any] = {}
        if identity.model.family.startswith(_TIES_ARE_COMMON):
            ties["ties"] = tie_bounds(found.run, dataset, _PUBLISHED)
        scored = time.perf_counter()
        tokenizer = getattr(getattr(system, "encoder", None), "tokenizer", None)
        signs = signs_of(found.run, dataset, values, found.facts, tokenizer)

        def record_of() -> Record:
            seconds = {
                **found.facts.get("seconds", {}),
                "search_total": searched - start,
                "measures": scored - searched,
                "write": time.perf_counter() - scored,
            }
            return Record(
                dataset=dataset.name,
                split=str(dataset.manifest["split"]),
                system=name,
                identity=identity,
                settings={**system.settings, **_rerank_setting(scoring)},
                measures=measures.mean(values),
                n_queries=len(values),
                n_documents=dataset.n_documents,
                depth=chosen.depth,
                self_matches={"policy": chosen.self_matches, "queries": concerned},
                fingerprints={"dataset": dataset.fingerprint, "system": fingerprint},
                facts={**found.facts, **ties, "signs": signs, "seconds": seconds, **machine()},
                versions=versions(),
                finished=now(),
            )

        record = keep(
            folder, lambda path: found.run.write(path, dataset, tag=name), values, record_of
        )
    return record, True


@dataclass(frozen=True)
class _Place:
    """Where the results of a system on a dataset are kept, and what is scored."""

    name: str
    folder: Path
    documents: int
    scoring: Scoring
    reranked: Run | None

    def search_options(self, chosen: RunOptions) -> SearchOptions:
        return SearchOptions(
            work_dir=self.folder / BLOCKS,
            # Memory goes with it, and no ranking is longer than the corpus.
            k=min(chosen.depth, max(1, self.documents)),
            self_matches=chosen.self_matches,
            block_documents=chosen.block_documents,
            rerank=self.reranked,
            executor=chosen.executor,
            shown=self.name,
            again=chosen.again,
            quiet=chosen.quiet,
        )


def _place(system: System, dataset: Dataset, chosen: RunOptions) -> _Place:
    name = name_in_folders(system.identity, chosen)
    folder = chosen.results_dir / name / dataset.name
    return _Place(name, folder, dataset.n_documents, *_reranked(chosen, dataset))


def name_in_folders(identity: Identity, options: RunOptions) -> str:
    """The name that results of a system are kept under, on whatever dataset."""
    if options.label is not None:
        return options.label
    if options.rerank is not None:
        scoring = Scoring(run_tag(options.rerank), options.depth)
        identity = replace(identity, scoring=scoring)
    return identity.name


def _rerank_setting(scoring: Scoring) -> dict[str, Any]:
    if not scoring.reranked:
        return {}
    about = {"run": scoring.reranked, "sha256": scoring.sha256, "depth": scoring.depth}
    return {"rerank": about}


def run_tag(path: Path) -> str:
    """A results folder's name, or a run file's, or its folders' where it is called `run`."""
    resolved = path.resolve()
    if resolved.name == RUN:
        return resolved.parent.parent.name
    return resolved.name.removesuffix(".gz").removesuffix(".trec").removesuffix(".txt")


def _reranked(chosen: RunOptions, dataset: Dataset) -> tuple[Scoring, Run | None]:
    """What is scored: the whole corpus, or the documents of a run, cut at the depth."""
    if chosen.rerank is None:
        return WHOLE_CORPUS, None
    path = chosen.rerank
    if path.is_dir():
        finish_all(path)
        path = path / dataset.name / RUN
    if not path.is_file():
        raise UsageError(
            f"there is no run to rerank in {path}; give a run file, or a folder such as "
            "results/bm25-flat that holds one for each dataset"
        )
    run = Run.read(path, dataset)
    cut = Run(run.query_ids, run.doc_rows[:, : chosen.depth], run.scores[:, : chosen.depth])
    scoring = Scoring(run_tag(chosen.rerank), chosen.depth, hash_file(path))
    return scoring, cut.for_queries(dataset.query_ids)


def _brought_up(record: Record, folder: Path, dataset: Dataset, identity: Identity) -> Record:
    """A record of the same key as it would be written now: with the identity that is known by now,
    and the measures that an older one lacks, from its own run file."""
    if record.format == FORMAT and record.identity == identity and not record.lacks:
        return record
    current = replace(record, identity=identity, format=FORMAT)
    if record.lacks:
        values = measures.per_query(Run.read(folder / RUN, dataset), dataset)
        # Whoever is killed in between leaves a record that is of either file.
        rest = {name: hash for name, hash in record.fingerprints.items() if name != "queries"}
        replace(record, fingerprints=rest).write(folder)
        queries = write_per_query(folder / PER_QUERY, values)
        current = replace(
            current,
            fingerprints={**record.fingerprints, "queries": queries},
            measures=measures.mean(values),
            facts={**record.facts, "scored_again": versions()["gtr-beir"]},
        )
    current.write(folder)
    return current


def _combine(parts: list[Record], dataset: DatasetGroup, results_dir: Path) -> Record:
    """The record of a dataset that is the unweighted mean of its parts, all of which are there."""
    first = parts[0]
    names = list(first.measures)
    scoring = first.identity.scoring
    if scoring.reranked:
        scoring = replace(scoring, sha256=_joined([p.identity.scoring.sha256 for p in parts]))
    policies = {part.identity.self_matches for part in parts} - {"none"}
    record = Record(
        dataset=dataset.name,
        split=first.split,
        system=first.system,
        identity=first.identity.on(
            dataset.name,
            version=dataset.version,
            scoring=scoring,
            depth=first.depth,
            self_matches=policies.pop() if policies else "none",
        ),
        settings={**first.settings, **_rerank_setting(scoring)},
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
    """The one that all parts have, or one over all: each forum reranks a run of its own."""
    if len(set(fingerprints)) == 1:
        return fingerprints[0]
    return Digest().add("".join(fingerprints)).hex()


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
