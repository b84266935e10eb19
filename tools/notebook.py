"""Run docs/notebook.ipynb and keep what it shows: `python tools/notebook.py`.

It runs in an empty folder, with this Python and the package beside this file. What changes from one
run to the next is not kept: times, and the versions of Jupyter.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from gtr_beir.files import atomic_write, write_json

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
SECONDS = 300
"""Of a cell, at most."""


def read(path: Path = NOTEBOOK) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with what its cells show, run in `folder`; CellExecutionError if one fails.

    Kernels that are installed are not used, nor are settings of the user's for IPython or for this
    program.
    """
    kernel = {
        "display_name": "Python 3",
        "language": "python",
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    }
    with tempfile.TemporaryDirectory() as settings:
        write_json(Path(settings, "kernels", "python3", "kernel.json"), kernel)
        manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(Path(settings, "kernels"))]),
            connection_file=str(Path(settings, "connection.json")),
            transport="ipc",
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GTR_BEIR_")} | {
            "PYTHONPATH": str(ROOT / "evaluate"),
            "IPYTHONDIR": settings,
            # What tqdm says of widgets names a path of this machine.
            "PYTHONWARNINGS": "ignore:IProgress not found",
        }
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=SECONDS,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        # The kernel ends with the notebook.
        client.execute(cleanup_kc=True, env=environment)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "name": "python3"}}
    return notebook


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(read(), Path(folder))
    with atomic_write(NOTEBOOK, "w") as handle:
        handle.write(nbformat.writes(notebook) + "\n")
    print(NOTEBOOK.relative_to(ROOT))


if __name__ == "__main__":
    main()
