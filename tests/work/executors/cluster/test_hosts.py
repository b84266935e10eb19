"""A cluster of hosts, made of namespaces: a short form of benchmarks/cluster.py."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.hosts import Host, Network, RayCluster, why_not

from doubles import write_beir
from gtr_beir.data.importing import import_beir
from gtr_beir.demo import CHECKPOINT_DIR

WHY = why_not() or ("" if importlib.util.find_spec("ray") else "Ray is not installed")
pytestmark = pytest.mark.skipif(bool(WHY), reason=WHY)
BLOCKS = 6


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below /tmp, over which hosts lay folders of their own."""
    made = Path(tempfile.mkdtemp(prefix="gtr-hosts-", dir="/var/tmp"))
    documents = [
        {"_id": f"d{n}", "title": "", "text": f"rain number {n * 7919 % 997} " * 12}
        for n in range(BLOCKS * 1024)
    ]
    queries = {f"q{n}": f"number {n}" for n in range(5)}
    judged = [(f"q{n}", f"d{n}", 1) for n in range(5)]
    source = write_beir(made / "source", documents, queries, judged)
    import_beir(source, name="many", datasets_dir=made / "datasets")
    shutil.copytree(CHECKPOINT_DIR, made / "checkpoint")
    yield made
    shutil.rmtree(made)


def command(folder: Path, results: str, *flags: str) -> list[str]:
    return [
        *(sys.executable, "-m", "gtr_beir", "run", str(folder / "checkpoint"), "-d", "many"),
        *("--label", "toy", "--device", "cpu", "--offline", "--block-documents", "1024"),
        *("--datasets-dir", str(folder / "datasets"), "--results-dir", str(folder / results)),
        *flags,
    ]


def result(folder: Path, results: str) -> list[bytes]:
    there = folder / results / "toy" / "many"
    return [(there / name).read_bytes() for name in ("run.trec.gz", "queries.csv")]


def begin(folder: Path, results: str, host: Host, cluster: RayCluster) -> subprocess.Popen[str]:
    return host.popen(
        *command(folder, results, "--on", "auto"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **cluster.environment},
    )


def wait_for(folder: Path, results: str, count: int) -> None:
    end = time.monotonic() + 120
    blocks = folder / results / "toy" / "many" / "blocks"
    while len(list(blocks.glob("topk-*"))) < count:
        assert time.monotonic() < end, "nothing is done"
        time.sleep(0.05)


def test_hosts_that_differ_die_and_go_give_the_same_bytes(folder: Path) -> None:
    """One lacks the checkpoint; one is powered off mid-block; none has the dataset."""
    subprocess.run(command(folder, "one", "-q"), check=True, stdout=subprocess.DEVNULL)
    with Network(folder) as network:
        driver = network.host("driver")
        cluster = RayCluster(Path(sys.executable))
        cluster.start_head(driver)
        empty = {folder / "datasets": None}
        network.host("alpha", {**empty, folder / "checkpoint": None})
        for name in ("beta", "gamma"):
            network.host(name, empty)
        for node in network.hosts[1:]:
            cluster.join(node)
        run = begin(folder, "cluster", driver, cluster)
        wait_for(folder, "cluster", 1)
        network.hosts[2].power_off()
        told = run.communicate(timeout=240)[1]
        assert run.returncode == 0, told
        assert "left out: alpha cannot prepare it" in told
        assert result(folder, "cluster") == result(folder, "one")

        run = begin(folder, "gone", driver, cluster)
        wait_for(folder, "gone", 1)
        for name in ("gcs_server", "raylet/raylet"):
            for pid in driver.processes(name):
                subprocess.run(driver.command("kill", "-9", str(pid)), check=False)
        begun = time.monotonic()
        told = run.communicate(timeout=120)[1]
        assert run.returncode == 1
        assert time.monotonic() - begun < 90
        assert "run the same command again" in told
