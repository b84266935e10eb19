"""Every benchmark one after the other, as markdown.

    python benchmarks/run_all.py [--level small|full] [--source FOLDER]

`small` takes a few minutes and shows that everything works; figures to quote come from `full`, on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from measure import HERE, OFFLINE, SCIFACT

LEVELS: dict[str, list[tuple[str, str, list[str]]]] = {
    "small": [
        ("Search and measures", "search.py", ["--documents", "20000", "--queries", "200"]),
        ("SciFact end to end", "end_to_end.py", ["--documents", "200"]),
        ("Memory", "memory.py", ["--documents", "50000", "--slice", "20000", "--queries", "100"]),
        ("Kill and restart", "kill.py", ["--documents", "1100", "--kills", "4"]),
        ("BM25", "bm25.py", ["--documents", "20000"]),
        ("Encoding", "encode.py", ["--texts", "16", "--rounds", "1", "--layers", "2"]),
        ("Latency", "latency.py", ["--sizes", "base", "--repeat", "5"]),
        ("ColBERT", "colbert.py", ["--documents", "300", "--sizes", "2000"]),
        ("Scale", "scale.py", ["--profile", "fever", "--documents", "100000", "--bm25"]),
        ("Reports", "report.py", ["--systems", "4"]),
    ],
    "full": [
        ("Search and measures", "search.py", ["--repeat", "3"]),
        ("SciFact end to end", "end_to_end.py", []),
        ("Memory", "memory.py", []),
        ("Kill and restart", "kill.py", []),
        ("BM25", "bm25.py", []),
        ("Encoding", "encode.py", ["--texts", "64"]),
        ("Latency", "latency.py", []),
        ("Precision", "precision.py", []),
        ("ColBERT", "colbert.py", []),
        ("FEVER's size", "scale.py", ["--profile", "fever", "--bm25"]),
        ("BioASQ's size", "scale.py", ["--profile", "bioasq"]),
        ("Reports", "report.py", []),
    ],
}
NEED_SCIFACT = (
    *("end_to_end.py", "kill.py", "bm25.py"),
    *("encode.py", "precision.py", "colbert.py"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--level", choices=list(LEVELS), default="small")
    parser.add_argument("--source", type=Path, default=SCIFACT, help="BEIR folder of SciFact")
    options = parser.parse_args()
    failed = []
    print(f"# Benchmarks, level {options.level}", flush=True)
    for title, script, arguments in LEVELS[options.level]:
        if script in NEED_SCIFACT:
            arguments = [*arguments, "--source", str(options.source)]
        print(f"\n## {title}\n\n`python benchmarks/{' '.join([script, *arguments])}`\n", flush=True)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(HERE / script), *arguments],
            env={**os.environ, **OFFLINE},
            check=False,
        )
        took = f"took {time.perf_counter() - start:.0f} s"
        print(f"\n({took})" if done.returncode == 0 else f"\n**failed**, {took}", flush=True)
        failed += [script] if done.returncode else []
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
