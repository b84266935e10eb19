"""Many machines, made of namespaces on this one: the same bytes, faults, memory, overhead, rates.

Hosts have file systems, process numbers and network addresses of their own (`hosts.py`); Ray runs
on them as it would on a cluster, with tokens. Worker hosts see an empty folder in the place of the
datasets. Needs root; without namespaces or Ray the parts that need them are left out, and said.

    python benchmarks/cluster.py [--only equality faults driver head memory overhead rate stores]
                                 [--documents 12000] [--source FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tabulate

from hosts import Host, Network, RayCluster, why_not
from measure import OFFLINE, REPOSITORY, SCIFACT, machine_line

PYTHON = Path(sys.executable)
DEMO = REPOSITORY / "evaluate" / "gtr_beir" / "demo"
UNIT = 1024


@dataclass
class Run:
    """A finished run: exit code, seconds, what was said, and a hash over run and per-query file."""

    code: int
    seconds: float
    said: str
    digest: str
    workers: list[dict[str, object]] = field(default_factory=list)

    def sentence(self, word: str) -> str:
        """The first line of what was said that has a word in it."""
        lines = re.split(r"[\r\n]+", self.said)
        return next((line.strip() for line in lines if word in line), "")


class Bench:
    """Folders, datasets, checkpoints; a run of the command on a host or on this machine."""

    def __init__(self, folder: Path, source: Path, documents: int):
        self.folder, self.source, self.documents = folder, source, documents
        self.datasets = folder / "datasets"
        self.gtr = folder / "checkpoints" / "gtr"
        self.colbert = folder / "checkpoints" / "colbert"
        shutil.copytree(DEMO / "checkpoint", self.gtr)
        shutil.copytree(DEMO / "colbert", self.colbert)
        self._count = 0
        self._known: dict[tuple[str, str], Run] = {}

    def system(self, which: str) -> list[str]:
        if which == "gtr":
            return [str(self.gtr)]
        words = [f"colbert:{self.colbert}"]
        if which == "rerank":
            words += ["--rerank", str(self.folder / "bm25" / "bm25-flat"), "--depth", "100"]
        return words

    def made(self, name: str, documents: int, words: int, queries: int = 100) -> str:
        """A made-up dataset, imported."""
        if not (self.datasets / name).is_dir():
            source = self.folder / "sources" / name
            made_up(source, documents, words, queries)
            self._command("datasets", "import", str(source), "--name", name)
        return name

    def scifact(self) -> str:
        if not (self.datasets / "scifact").is_dir():
            self._command("datasets", "import", str(self.source), "--name", "scifact")
        return "scifact"

    def bm25(self, dataset: str) -> None:
        """The run that is reranked."""
        results = self.folder / "bm25"
        if not (results / "bm25-flat" / dataset).is_dir():
            self._command("run", "bm25-flat", "-d", dataset, "--results-dir", str(results))

    def _command(self, *words: str) -> None:
        subprocess.run(
            [str(PYTHON), "-m", "gtr_beir", *words, "--datasets-dir", str(self.datasets), "-q"],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **OFFLINE},
        )

    def results(self) -> Path:
        self._count += 1
        return self.folder / "results" / str(self._count)

    def command(self, which: str, dataset: str, results: Path, *flags: str) -> list[str]:
        return [
            *(str(PYTHON), "-m", "gtr_beir", "run", *self.system(which), "-d", dataset),
            *("--label", "toy", "--device", "cpu", "--offline", "--results-dir", str(results)),
            *("--datasets-dir", str(self.datasets), *flags),
        ]

    def run(
        self,
        which: str,
        dataset: str,
        *flags: str,
        meanwhile: Callable[[Started], None] | None = None,
        **where: Any,
    ) -> Run:
        """Run, and wait; `meanwhile` is called when it has begun."""
        started = self.start(which, dataset, *flags, **where)
        if meanwhile is not None:
            meanwhile(started)
        return started.wait()

    def start(
        self,
        which: str,
        dataset: str,
        *flags: str,
        host: Host | None = None,
        cluster: RayCluster | None = None,
        results: Path | None = None,
    ) -> Started:
        results = results or self.results()
        command = self.command(which, dataset, results, *flags)
        log = self.folder / "said.txt"
        environment = {**os.environ, **OFFLINE, **(cluster.environment if cluster else {})}
        with log.open("w") as words:
            process = subprocess.Popen(
                command if host is None else host.command(*command),
                stdout=subprocess.DEVNULL,
                stderr=words,
                env=environment,
            )
        return Started(process, time.monotonic(), log, results / "toy" / dataset)

    def one(self, which: str, dataset: str, *flags: str) -> Run:
        """What one process gives."""
        if (which, dataset) not in self._known:
            self._known[which, dataset] = self.run(which, dataset, *flags)
        return self._known[which, dataset]


@dataclass
class Started:
    """A run that has begun."""

    process: subprocess.Popen[bytes]
    begun: float
    log: Path
    folder: Path

    def blocks(self) -> int:
        """Finished blocks on disk."""
        return len(list((self.folder / "blocks").glob("topk-*")))

    def until(self, blocks: int, seconds: float = 120.0) -> None:
        """Wait until so many blocks are there."""
        end = time.monotonic() + seconds
        while self.blocks() < blocks:
            if self.process.poll() is not None:
                raise SystemExit(f"it ended before {blocks} blocks: {self.said()[-2000:]}")
            if time.monotonic() > end:
                raise SystemExit(f"no {blocks} blocks after {seconds:.0f} s: {self.said()[-2000:]}")
            time.sleep(0.05)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float = 900.0) -> Run:
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"it hangs: {self.said()[-2000:]}") from None
        took = time.monotonic() - self.begun
        digest, workers = "", []
        if (self.folder / "record.json").is_file():
            digest = digest_of(self.folder)
            record = json.loads((self.folder / "record.json").read_text())
            workers = record["facts"].get("workers", [])
        return Run(code, took, self.said(), digest, workers)


def digest_of(folder: Path) -> str:
    whole = hashlib.sha256()
    for name in ("run.trec.gz", "queries.csv"):
        whole.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return whole.hexdigest()[:12]


def made_up(folder: Path, documents: int, words: int, queries: int) -> None:
    """A dataset in BEIR's layout, of words whose frequencies fall as those of a language do."""
    chance = random.Random(0)
    vocabulary = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=6)) for _ in range(5000)]
    weights = [1 / rank for rank in range(1, 5001)]
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number in range(documents):
            text = " ".join(chance.choices(vocabulary, weights, k=words))
            corpus.write(json.dumps({"_id": f"d{number}", "title": "", "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w") as lines:
        for number in range(queries):
            text = " ".join(chance.choices(vocabulary, weights, k=6))
            lines.write(json.dumps({"_id": f"q{number}", "text": text}) + "\n")
    judged = "".join(f"q{n}\td{n * 7 % documents}\t1\n" for n in range(queries))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")


def table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    """A markdown table; seconds and megabytes with one digit."""
    lines = [[f"{cell:.1f}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    return tabulate.tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


@contextmanager
def three_nodes(
    bench: Bench, over: Sequence[Mapping[Path, Path | None]] = ({}, {}, {})
) -> Iterator[tuple[Network, RayCluster, list[Host]]]:
    """The driver's host, which is the head, and a node for each of `over`, without datasets."""
    with Network(bench.folder) as network:
        driver = network.host("driver")
        cluster = RayCluster(PYTHON)
        cluster.start_head(driver)
        names = ("alpha", "beta", "gamma", "delta")
        nodes = [
            network.host(name, {bench.datasets: None, **laid})
            for name, laid in zip(names, over, strict=False)
        ]
        for node in nodes:
            cluster.join(node)
        yield network, cluster, [driver, *nodes]


def same(run: Run, expected: Run) -> str:
    if not run.digest:
        return "no result"
    return "the same bytes" if run.digest == expected.digest else "OTHER BYTES"


def equality(bench: Bench) -> None:
    """The same bytes by four ways."""
    rows = []
    datasets = [bench.made("made-up", bench.documents, 40)]
    if bench.source.is_dir():
        datasets.insert(0, bench.scifact())
    else:
        print(f"SciFact is not in {bench.source}: left out\n")
    with three_nodes(bench) as (_, cluster, hosts):
        for dataset in datasets:
            bench.bm25(dataset)
            for which in ("gtr", "colbert", "rerank"):
                one = bench.one(which, dataset)
                two = bench.run(which, dataset, "--device", "cpu,cpu")
                ray = bench.run(which, dataset, "--on", "auto", host=hosts[0], cluster=cluster)
                results = bench.results()
                for shard in (2, 0, 1):
                    bench.run(which, dataset, "--shard", f"{shard}/3", results=results)
                merged = bench.run(which, dataset, results=results)
                at_work = sum(1 for worker in ray.workers if worker["blocks"])
                ways = [same(run, one) for run in (two, ray, merged)]
                for run in (two, ray, merged):
                    if not run.digest:
                        print(run.said[-2000:], file=sys.stderr)
                rows.append((dataset, which, one.digest, *ways, at_work))
                print(f"{dataset} {which}: {rows[-1][2:]}", file=sys.stderr, flush=True)
    print(
        table(
            rows,
            (
                "dataset",
                "system",
                "one process",
                "2 processes",
                "Ray, 3 nodes",
                "3 shards and a merge",
                "nodes at work",
            ),
        )
    )
    print("\nSHA-256 over run.trec.gz and queries.csv, the first 12 digits.")


def faults(bench: Bench) -> None:
    """A host powered off, one that joins, and three that differ."""
    dataset = bench.made("made-up", bench.documents, 40)
    flags = ("--block-documents", str(UNIT))
    expected = bench.one("gtr", dataset)
    rows = []

    with three_nodes(bench) as (_, cluster, hosts):

        def off(started: Started) -> None:
            started.until(3)
            hosts[2].power_off()

        on = ("--on", "auto", *flags)
        run = bench.run("gtr", dataset, *on, host=hosts[0], cluster=cluster, meanwhile=off)
        rows.append(
            (
                "a host is powered off mid-block",
                run.code,
                same(run, expected),
                run.seconds,
                run.sentence(" is gone") or "its block was given to an idle host",
            )
        )

    with three_nodes(bench, ({},)) as (network, cluster, hosts):

        def join(started: Started) -> None:
            started.until(1)
            cluster.join(network.host("late", {bench.datasets: None}))

        run = bench.run("gtr", dataset, *on, host=hosts[0], cluster=cluster, meanwhile=join)
        did = ", ".join(f"{w['host']} {w['blocks']}" for w in run.workers)
        rows.append(
            ("a host joins midway", run.code, same(run, expected), run.seconds, f"blocks: {did}")
        )

    different = other_weights(bench)
    metadata = other_version(bench, "tokenizers")
    bad = {
        "a host without the checkpoint": {bench.gtr: None},
        "a host with other weights": {bench.gtr: different},
        "a host with another package": metadata,
    }
    for what, over in bad.items():
        with three_nodes(bench, (over, {})) as (_, cluster, hosts):
            run = bench.run("gtr", dataset, *on, host=hosts[0], cluster=cluster)
            rows.append(
                (what, run.code, same(run, expected), run.seconds, run.sentence("left out"))
            )
        with three_nodes(bench, (over,)) as (_, cluster, hosts):
            run = bench.run("gtr", dataset, *on, host=hosts[0], cluster=cluster)
            rows.append(
                (
                    "  no other host",
                    run.code,
                    "no block" if not run.digest else "BLOCKS",
                    run.seconds,
                    run.sentence("no node of"),
                )
            )
    with three_nodes(bench, ({bench.gtr: None},) * 2) as (_, cluster, hosts):
        run = bench.run("gtr", dataset, "--send-checkpoint", *on, host=hosts[0], cluster=cluster)
        rows.append(
            (
                "neither has it, --send-checkpoint",
                run.code,
                same(run, expected),
                run.seconds,
                f"{len(run.workers)} workers",
            )
        )
    print(table(rows, ("what", "exit", "result", "s", "said")))


def other_weights(bench: Bench) -> Path:
    """The checkpoint with one number changed."""
    folder = bench.folder / "checkpoints" / "other"
    if not folder.is_dir():
        shutil.copytree(bench.gtr, folder)
        weights = next(folder.rglob("model.safetensors"))
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(bytes(data))
    return folder


def other_version(bench: Bench, package: str) -> dict[Path, Path]:
    """What to lay over a package's metadata so that its version is another."""
    import importlib.metadata

    found = importlib.metadata.distribution(package)
    place = Path(str(found.locate_file(f"{package}-{found.version}.dist-info/METADATA")))
    other = bench.folder / "METADATA"
    changed = re.sub(r"(?m)^Version: .*$", "Version: 0.0.1", place.read_text())
    other.write_text(changed)
    return {place: other}


def driver(bench: Bench) -> None:
    """The driver is killed: nobody is left, and what was done is not done again."""
    dataset = bench.made("made-up", bench.documents, 40)
    flags = ("--block-documents", str(UNIT))
    expected = bench.one("gtr", dataset)
    rows = []
    for on, where in (("auto", "on the head's host"), (None, "on a host of its own, Ray Client")):
        with three_nodes(bench) as (network, cluster, hosts):
            host = hosts[0] if on else network.host("apart")
            address = on or f"ray://{hosts[0].address}:10001"
            results = bench.results()
            started = bench.start(
                "gtr", dataset, "--on", address, *flags, host=host, cluster=cluster, results=results
            )
            started.until(4)
            for pid in host.processes("gtr_beir run"):
                subprocess.run(host.command("kill", "-9", str(pid)), check=False)
            started.process.wait()
            begun = time.monotonic()
            while (left := workers_on(hosts)) and time.monotonic() - begun < 60:
                time.sleep(0.2)
            gone = time.monotonic() - begun
            there = started.blocks()
            run = bench.run(
                "gtr", dataset, "--on", address, *flags, host=host, cluster=cluster, results=results
            )
            did = sum(int(str(worker["blocks"])) for worker in run.workers)
            whole = -(-bench.documents // UNIT)
            rows.append(
                (
                    where,
                    f"{left} left after {gone:.1f} s",
                    f"{there} of {whole}",
                    did,
                    same(run, expected),
                )
            )
    print(table(rows, ("driver killed", "workers", "blocks there", "done by the rerun", "result")))


def workers_on(hosts: Sequence[Host]) -> int:
    return sum(len(host.processes("ray::NodeWorker")) for host in hosts)


def head(bench: Bench) -> None:
    """The head is killed: a sentence, exit code 1, in time; then the run goes on."""
    # So long that it cannot end without the head before the head is missed.
    dataset = bench.made("made-up-4", 4 * bench.documents, 40)
    flags = ("--block-documents", str(UNIT))
    expected = bench.one("gtr", dataset)
    rows = []
    for where in ("on the driver's host", "on a host of its own", "on a host of its own, Client"):
        with three_nodes(bench) as (network, cluster, hosts):
            host, address = hosts[0], "auto"
            if where != "on the driver's host":
                host = network.host("apart")
                if where.endswith("Client"):
                    address = f"ray://{hosts[0].address}:10001"
                else:
                    cluster.join(host, cpus=0)
            results = bench.results()
            started = bench.start(
                "gtr", dataset, "--on", address, *flags, host=host, cluster=cluster, results=results
            )
            started.until(2)
            if host is hosts[0]:
                for pid in [*host.processes("gcs_server"), *host.processes("raylet/raylet")]:
                    subprocess.run(host.command("kill", "-9", str(pid)), check=False)
            else:
                hosts[0].power_off()
            begun = time.monotonic()
            run = started.wait()
            took = time.monotonic() - begun
            there = started.blocks()
            rows.append((where, run.code, took, run.sentence("gtr-beir:"), there))
        again = bench.run("gtr", dataset, *flags, results=results)
        rows.append(
            ("  the same without a cluster", again.code, again.seconds, same(again, expected), "")
        )
    print(table(rows, ("head killed", "exit", "s", "said", "blocks there")))


def memory(bench: Bench) -> None:
    """Driver, Ray's process, workers and object stores at 12 and 120 blocks."""
    rows = []
    for blocks in (12, 120):
        dataset = bench.made(f"short-{blocks}", blocks * UNIT, 6, 20)
        with three_nodes(bench, ({}, {})) as (_, cluster, hosts):
            started = bench.start(
                "gtr",
                dataset,
                "--on",
                "auto",
                "--block-documents",
                str(UNIT),
                host=hosts[0],
                cluster=cluster,
            )
            peak: dict[str, float] = {}
            while started.process.poll() is None:
                sample(hosts, peak)
                time.sleep(0.25)
            run = started.wait()
            rows.append(
                (
                    blocks,
                    run.code,
                    run.seconds,
                    *(peak.get(n, 0.0) for n in WATCHED),
                    peak.get("store", 0.0),
                )
            )
    print(table(rows, ("blocks", "exit", "s", *(f"{n} MB" for n in WATCHED), "object stores MB")))
    print("\nThe most that each held (VmHWM; of workers the largest), and /dev/shm of all hosts.")


WATCHED = ("driver", "its Ray process", "worker")


def sample(hosts: Sequence[Host], peak: dict[str, float]) -> None:
    marks = {
        "driver": "gtr_beir run",
        "its Ray process": "multiprocessing.spawn",
        "worker": "ray::NodeWorker",
    }
    for what, mark in marks.items():
        for host in hosts[:1] if what != "worker" else hosts[1:]:
            for pid in host.processes(mark):
                lines = subprocess.run(
                    host.command("cat", f"/proc/{pid}/status"), capture_output=True, text=True
                ).stdout
                if found := re.search(r"VmHWM:\s+(\d+)", lines):
                    peak[what] = max(peak.get(what, 0.0), int(found[1]) / 1024)
    held = 0.0
    for host in hosts:
        line = subprocess.run(host.command("df", "-k", "/dev/shm"), capture_output=True, text=True)
        words = line.stdout.splitlines()[-1].split() if line.stdout else []
        held += float(words[2]) / 1024 if len(words) > 2 else 0.0
    peak["store"] = max(peak.get("store", 0.0), held)


def overhead(bench: Bench) -> None:
    """One worker on Ray beside none, once Ray is there."""
    dataset = bench.made("made-up", bench.documents, 40)
    bench.made("small", UNIT, 40)
    done = subprocess.run(
        [str(PYTHON), __file__, "--child", "overhead", str(bench.folder), dataset],
        capture_output=True,
        text=True,
        env={**os.environ, **OFFLINE},
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    result = json.loads(done.stdout.splitlines()[-1])
    rows = [
        (turn, here, ray, ray / here - 1)
        for turn, (here, ray) in enumerate(zip(result["here"], result["ray"], strict=True), 1)
    ]
    middle = statistics.median(result["here"]), statistics.median(result["ray"])
    rows.append(("median", *middle, middle[1] / middle[0] - 1))
    shown = [(a, f"{b:.2f}", f"{c:.2f}", f"{100 * d:+.1f} %") for a, b, c, d in rows]
    print(table(shown, ("turn", "no Ray s", "Ray, one worker s", "overhead")))
    print(
        f"\nStart of Ray and of its worker, once a command: {result['start']:.1f} s. "
        f"{bench.documents:,} documents, toy GTR, all cores each."
    )


def overhead_child(folder: Path, dataset: str) -> None:
    """In turn, in one process: without Ray, with Ray."""
    from gtr_beir import benchmark, load_dataset, load_system
    from gtr_beir.work.executors.cluster.executor import OnRay

    system = load_system(folder / "checkpoints" / "gtr", device="cpu", offline=True)
    large = load_dataset(dataset, datasets_dir=folder / "datasets")
    small = load_dataset("small", datasets_dir=folder / "datasets")
    found: dict[str, list[float]] = {"here": [], "ray": []}
    with OnRay("ray") as cluster, tempfile.TemporaryDirectory(dir=folder) as results:
        start = time.perf_counter()
        benchmark(system, small, executor=cluster, results_dir=Path(results) / "warm")
        started = time.perf_counter() - start
        benchmark(system, small, results_dir=Path(results) / "warm-here")
        for turn in range(5):
            for way, executor in (("here", None), ("ray", cluster)):
                start = time.perf_counter()
                benchmark(
                    system, large, executor=executor, results_dir=Path(results) / f"{way}-{turn}"
                )
                found[way].append(time.perf_counter() - start)
    print(json.dumps({**found, "start": started}))


SHARED = {
    # queries, vectors that come back
    "MS MARCO's 6,980 queries": (6980, 0),
    "BioASQ's 500 queries": (500, 0),
    "500 queries, vectors kept (768)": (500, 768),
}


def rate(bench: Bench) -> None:
    """What passes through one driver, and how many GPUs that feeds."""
    bench.made("long-500", 8 * LARGEST, 100, 500)
    bench.made("long-6980", 8 * LARGEST, 100, 6980)
    with three_nodes(bench, ({}, {})) as (_, cluster, hosts):
        words = (str(PYTHON), __file__, "--child", "rate", str(bench.folder), "")
        done = hosts[0].popen(
            *words, stdout=subprocess.PIPE, env={**os.environ, **OFFLINE, **cluster.environment}
        )
        out, _ = done.communicate()
        if done.returncode:
            raise SystemExit("the measurement of rates failed")
    rows = []
    for name, found in json.loads(out.splitlines()[-1]).items():
        moved = found["out"] + found["back"]
        rows.append(
            (
                name,
                found["out"],
                found["back"],
                f"{found['seconds']:.2f}",
                f"{found['processor']:.2f}",
                moved / found["processor"],
            )
        )
    print(
        table(
            rows,
            (
                "blocks of 65,536 documents",
                "MB out",
                "MB back",
                "s a block",
                "driver's CPU s a block",
                "MB a CPU s",
            ),
        )
    )


LARGEST = 65_536


def rate_child(folder: Path, _: str) -> None:
    from echo import drive
    from gtr_beir import load_dataset
    from gtr_beir.work.executors.cluster.executor import OnRay

    found = {}
    with OnRay("auto") as cluster:
        for turn, (what, (queries, dimension)) in enumerate(SHARED.items()):
            dataset = load_dataset(f"long-{queries}", datasets_dir=folder / "datasets")
            characters = sum(map(len, dataset.texts(0, LARGEST)))
            where = folder / "echo" / str(turn)
            measured = drive(dataset, cluster, where, queries=queries, k=1000, dimension=dimension)
            found[what] = {**measured, "out": characters / 1e6}
            shutil.rmtree(where)
    print(json.dumps(found))


def stores(_: Bench) -> None:
    """Two containers on one store, slow puts, with locks and without."""
    test = REPOSITORY / "tests" / "work" / "test_two_writers.py"
    subprocess.run(
        [str(PYTHON), "-m", "pytest", "-v", "--no-header", str(test)], cwd=REPOSITORY, check=True
    )


PARTS = {
    part.__name__: part for part in (equality, faults, driver, head, memory, overhead, rate, stores)
}
NEED_HOSTS = {"equality", "faults", "driver", "head", "memory", "rate"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--documents", type=int, default=12_000)
    parser.add_argument("--source", type=Path, default=SCIFACT)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, folder, dataset = options.child
        {"overhead": overhead_child, "rate": rate_child}[name](Path(folder), dataset)
        return
    why = why_not()
    ray = importlib.util.find_spec("ray") is not None
    print(machine_line())
    # Not below /tmp, over which hosts lay folders of their own.
    folder = Path(tempfile.mkdtemp(prefix="gtr-cluster-", dir="/var/tmp"))
    try:
        bench = Bench(folder, options.source, options.documents)
        for name in options.only:
            print(f"\n## {name}: {PARTS[name].__doc__}\n", flush=True)
            if name != "stores" and not ray:
                print("left out: Ray is not installed")
            elif name in NEED_HOSTS and why:
                print(f"left out: {why}")
            else:
                PARTS[name](bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
