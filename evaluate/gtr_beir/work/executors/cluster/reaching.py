"""How this machine comes to speak with Ray, and how long it waits for the head of the cluster."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from gtr_beir.errors import ClusterError
from gtr_beir.work.executors.cluster import worker

HEAD_SILENT = 30.0
"""Seconds without an answer from the head of the cluster, after which it is taken for gone."""
LOOK = 2.0
"""Seconds between two looks at the nodes."""
_AWAY = 5.0
"""Seconds between two questions for the nodes, after which this process was at something else."""


@dataclass(frozen=True)
class Wanted:
    """What workers are hired for.

    address: as `ray.init` takes it, "local" to start Ray here; gpus, cpus: of a worker (None: a GPU
    where the driver has one; an equal share of a node's cores); send: whether folders are sent;
    mixed: whether devices of several kinds may work; temporary: where Ray keeps its own files when
    it is started here (None: as usual).
    """

    address: str
    gpus: float | None = None
    cpus: float | None = None
    send: bool = False
    mixed: bool = False
    temporary: str | None = None

    @property
    def local(self) -> bool:
        return self.address == "local"


def connect(wanted: Wanted) -> ModuleType:
    """Ray, quietly; one that is started here asks for a token that nobody else has. ClusterError
    if it cannot be reached."""
    if wanted.local:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = os.urandom(32).hex()
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "10")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    ray.cloudpickle.register_pickle_by_value(worker)
    for meanwhile in ("told", "stop"):
        beside = ray.method(concurrency_group="beside")
        beside(getattr(worker.NodeWorker, meanwhile))
    choices: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if wanted.local:
        choices["include_dashboard"] = False
        if wanted.temporary is not None:
            choices["_temp_dir"] = wanted.temporary
    _require_somebody(wanted.address)
    try:
        ray.init(address=wanted.address, **choices)
    except BaseException as error:
        if wanted.address == "auto" and isinstance(error, ConnectionError):
            raise ClusterError(
                "there is no Ray on this machine; start it here (`ray start`), or name the "
                "head of the cluster, --on HOST:PORT or --on ray://HOST:10001"
            ) from error
        where = "on this machine" if wanted.local else f"at {wanted.address}"
        verb = "started" if wanted.local else "reached"
        raise ClusterError(f"Ray could not be {verb} {where}: {short(error)}") from error
    found: ModuleType = ray
    return found


def _require_somebody(address: str) -> None:
    """That the head's port is open: Ray would ask for a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise ClusterError(
                f"nobody answers at {host}:{port} ({error.strerror or error}); is the head of "
                "the Ray cluster there?"
            ) from error


class Head:
    """The head of the cluster, whom a thread asks for the nodes, since it may never answer."""

    def __init__(self, ray: ModuleType):
        self._ray = ray
        self._called = time.monotonic()
        self._seen: tuple[float, Sequence[Mapping[str, Any]]] = self._called, ()
        threading.Thread(target=self._look, daemon=True).start()

    def nodes(self) -> tuple[float, Sequence[Mapping[str, Any]]]:
        """When it last answered, and the nodes that were alive then, as Ray describes them.
        ClusterError if that is too long ago."""
        now, (seen, nodes) = time.monotonic(), self._seen
        if now - self._called > _AWAY:
            # This process was stopped, not the head: what it missed counts for nothing.
            seen += now - self._called
            self._seen = seen, nodes
        self._called = now
        silent = now - seen
        if silent > HEAD_SILENT:
            raise ClusterError(
                f"the head of the Ray cluster has not answered for {silent:.0f} s; run the same "
                "command again when it is back: what was done is kept"
            )
        return seen, nodes

    def _look(self) -> None:
        while True:
            # What counts is how long there is no answer.
            with contextlib.suppress(Exception):
                nodes = self._ray.nodes()
                self._seen = time.monotonic(), [node for node in nodes if node["Alive"]]
            time.sleep(LOOK)


def short(error: BaseException) -> str:
    """The first line that says something; of what only leads to more (`failed:`), the last too."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    said = lines[0] if len(lines) == 1 or not lines[0].endswith(":") else f"{lines[0]} {lines[-1]}"
    return said.rstrip(".")[:200]
