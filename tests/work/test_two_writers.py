"""Two containers on one store: process namespaces of their own, a slow put, with locks and without.

Who is alive cannot be told by a process number there: both may have the same one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gtr_beir.work.store import BlockStore

WRITER = """
import errno, fcntl, sys, time
from pathlib import Path
import numpy as np
from gtr_beir.work import store as module
folder, locks, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if locks != "flock":
    def flock(*_):
        raise OSError(getattr(errno, locks), "no locks here")
    fcntl.flock = flock
save = np.save
def slow(*arguments, **rest):
    save(*arguments, **rest)
    time.sleep(0.15)
np.save = slow
for turn in range(6):
    kept = module.BlockStore(folder)  # removes what it takes for leftovers
    kept.put(f"own-{number}-{turn}", {"a": np.arange(1000) + number, "b": np.arange(10)})
    kept.put(f"same-{turn}", {"a": np.arange(1000) + turn, "b": np.arange(10)})
"""


def _namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not _namespaces(), reason="process namespaces cannot be made here")
@pytest.mark.parametrize("locks", ["flock", "ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_neither_fails_and_nothing_is_lost(locks: str, tmp_path: Path) -> None:
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", WRITER, str(tmp_path), locks]
    writers = [
        subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    for writer in writers:
        told = writer.communicate(timeout=120)[1]
        assert writer.returncode == 0, told
    store = BlockStore(tmp_path)
    for turn in range(6):
        same = store.get(f"same-{turn}")
        assert same is not None
        assert np.array_equal(same["a"], np.arange(1000) + turn)
        for number in range(2):
            own = store.get(f"own-{number}-{turn}")
            assert own is not None
            assert np.array_equal(own["a"], np.arange(1000) + number)
    assert not list(tmp_path.glob(".tmp-*"))
