"""The process that alone speaks with Ray: hires workers on nodes, watches them, gives tasks out.

It is a process of its own because Ray may block for minutes, or end its process from C++, when the
head of a cluster is gone; the driver notices either, ends this one and says a sentence. Tasks and
results pass through unopened.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gtr_beir.errors import ClusterError
from gtr_beir.work.executors.base import difference
from gtr_beir.work.executors.cluster.checkpoints import Folder
from gtr_beir.work.executors.cluster.schedule import Schedule

HEAD_SILENT = 30.0
"""Seconds without an answer from the head of the cluster, after which it is taken for gone."""
NOBODY = 60.0
"""Seconds without any node on which a worker could be, after which the work ends."""
UNHEARD = 120.0
"""Seconds that a worker which is at a task may take to say how far it is."""
_LOOK = 2.0
"""Seconds between two looks at the nodes, and between two words to the driver."""
_PATIENCE = 30.0
"""Seconds until it is said that workers do not begin."""
_DEATHS = 2
"""Times that the workers of a node may die before it is left out."""
_TRIES = 3
"""Times that a task may fail before the work ends."""


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


@dataclass(frozen=True)
class Search:
    """A search as it is sent: `first`, what gives packages, and `job` are pickled."""

    first: bytes
    here: Mapping[str, str]
    job: bytes
    proof: Mapping[str, str]
    by_device: frozenset[str]
    kind: str
    folders: tuple[str, ...]

    @property
    def what_is_run(self) -> Mapping[str, str]:
        """Of the proof what does not differ between datasets: the system."""
        return {name: value for name, value in self.proof.items() if name not in self.by_device}


@dataclass
class _Node:
    """A node of the cluster."""

    name: str
    slots: int
    cpus: float
    deaths: int = 0
    left_out: bool = False
    folders: dict[str, str] = field(default_factory=dict)
    """What was sent there: where it lies, by its path here."""
    busy: bool = False
    """Whether something is being sent there."""
    fallen: tuple[float, str] | None = None
    """When a worker died there, and why, until it is known whether the node is alive."""


@dataclass
class _Hired:
    """A worker: what is waited for, and what for."""

    name: str
    node: str
    actor: Any
    state: str = "new"
    awaited: Any = None
    task: int = -1
    device: str = ""
    host: str = ""
    asked: Any = None
    """The answer that is awaited of how much is done."""
    asked_at: float = 0.0
    sending: Any = None
    """The parts of a folder that its node has not got yet."""
    stale: bool = False
    """Whether what is awaited belongs to an earlier search."""


def manage(connection: Connection, parent: int, wanted: Wanted) -> None:
    """The life of this process."""
    os.setsid()
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    threading.Thread(target=_die_with, args=(parent, wanted.temporary), daemon=True).start()
    try:
        _Manager(connection, inbox, wanted).live()
    except ClusterError as end:
        connection.send(("failed", str(end)))
    except BaseException as error:
        why = (
            f"Ray failed, perhaps because the cluster is gone ({_short(error)}); run the same "
            "command again: what was done is kept"
        )
        connection.send(("failed", why))


def _receive(connection: Connection, inbox: queue.SimpleQueue[Any]) -> None:
    """Takes what the driver sends at once, so that neither waits for the other."""
    try:
        while True:
            kind, value = connection.recv()
            inbox.put((kind, value, connection.recv_bytes() if kind == "task" else b""))
    except (EOFError, OSError):
        inbox.put(("end", None, b""))


def _die_with(parent: int, temporary: str | None) -> None:
    """A driver that was killed leaves nobody: workers and a Ray that was started here end."""
    while os.getppid() == parent:
        time.sleep(1.0)
    import ray

    threading.Thread(target=ray.shutdown, daemon=True).start()
    time.sleep(5.0)
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
    os._exit(1)


class _Manager:
    def __init__(self, connection: Connection, inbox: queue.SimpleQueue[Any], wanted: Wanted):
        self._connection, self._inbox, self._wanted = connection, inbox, wanted
        self._nodes: dict[str, _Node] = {}
        self._seen: tuple[float, list[dict[str, Any]]] = (time.monotonic(), [])
        """When the head last answered, and the nodes that it named."""
        self._hired: dict[str, _Hired] = {}
        self._count = 0
        self._search: Search | None = None
        self._job: Any = None
        self._schedule = Schedule()
        self._tasks: dict[int, Any] = {}
        self._failures: dict[int, int] = {}
        self._progress: dict[int, int] = {}
        self._parts: dict[tuple[str, str, int], Any] = {}
        self._sent_bytes = 0
        self._to_send: tuple[str, ...] = ()
        self._known: dict[str, Folder | OSError] = {}
        """Folders by their paths, with hashes; why one could not be read."""
        self._someone = time.monotonic()
        self._last_word = 0.0
        self._refusals: list[str] = []
        """Why nodes were left out, of this system."""
        self._search_before: Mapping[str, str] = {}
        self._begun, self._waiting_said = time.monotonic(), True
        self._ray: Any = None
        self._counted_for = -1.0
        """GPUs of a worker when nodes were counted."""

    def live(self) -> None:
        self._connect()
        self._seen = time.monotonic(), []
        threading.Thread(target=self._look, daemon=True).start()
        while True:
            while not self._inbox.empty():
                if not self._hear(*self._inbox.get()):
                    self._leave()
                    return
            if self._search is None:
                self._speak()
                time.sleep(0.01)
                continue
            self._hire()
            self._give_out()
            self._ask_how_much()
            self._answers()
            self._speak()

    def _connect(self) -> None:
        """Ray, quietly; a Ray that is started here asks for a token that nobody else has."""
        local = self._local
        if local:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = os.urandom(32).hex()
        os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "10")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self._ray = ray
        ray.cloudpickle.register_pickle_by_value(_worker_module())
        for meanwhile in ("told", "stop"):
            beside = ray.method(concurrency_group="beside")
            beside(getattr(_worker_module().NodeWorker, meanwhile))
        choices: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if local:
            choices["include_dashboard"] = False
            if self._wanted.temporary is not None:
                choices["_temp_dir"] = self._wanted.temporary
        self._require_somebody()
        try:
            ray.init(address=self._wanted.address, **choices)
        except BaseException as error:
            if self._wanted.address == "auto" and isinstance(error, ConnectionError):
                raise ClusterError(
                    "there is no Ray on this machine; start it here (`ray start`), or name the "
                    "head of the cluster, --on HOST:PORT or --on ray://HOST:10001"
                ) from error
            where = "on this machine" if local else f"at {self._wanted.address}"
            verb = "started" if local else "reached"
            raise ClusterError(f"Ray could not be {verb} {where}: {_short(error)}") from error

    def _require_somebody(self) -> None:
        """That the head's port is open: Ray would ask for a minute."""
        host, colon, port = self._wanted.address.removeprefix("ray://").rpartition(":")
        if colon:
            try:
                socket.create_connection((host, int(port)), timeout=10).close()
            except OSError as error:
                raise ClusterError(
                    f"nobody answers at {host}:{port} ({error.strerror or error}); is the head of "
                    "the Ray cluster there?"
                ) from error

    def _look(self) -> None:
        """A thread's life: ask for the nodes, which may block when the head is gone."""
        while True:
            # What counts is how long there is no answer.
            with contextlib.suppress(Exception):
                nodes = self._ray.nodes()
                self._seen = time.monotonic(), [node for node in nodes if node["Alive"]]
            time.sleep(_LOOK)

    def _hear(self, kind: str, value: Any, data: bytes) -> bool:
        """What the driver says; False: it is the last."""
        if kind == "search":
            self._begin(value)
        elif kind == "task":
            self._tasks[value] = self._put(data)
            self._schedule.add(value)
        elif kind == "close":
            self._schedule.close()
        elif kind == "count":
            self._count_room(value)
        elif kind == "over":
            self._search, self._job = None, None
            self._tasks.clear()
        return kind != "end"

    def _begin(self, search: Search) -> None:
        if self._search_before != search.what_is_run:
            # Who could not prepare another system may well prepare this one.
            self._search_before = search.what_is_run
            self._refusals.clear()
            for node in self._nodes.values():
                node.left_out, node.deaths = False, 0
        self._search, self._job = search, self._put(search.job)
        self._schedule, self._tasks = Schedule(), {}
        self._begun, self._waiting_said = time.monotonic(), False
        self._failures, self._progress = {}, {}
        self._someone = time.monotonic()
        if self._wanted.send:
            self._to_send = search.folders
            new = [path for path in search.folders if path not in self._known]
            # Every byte is read, which takes minutes for the largest.
            threading.Thread(target=self._know, args=(new,), daemon=True).start()
        if self._gpus() != self._counted_for:
            for hired in list(self._hired.values()):
                self._drop(hired)
            self._nodes.clear()
            self._counted_for = self._gpus()
        for hired in self._hired.values():
            hired.stale = hired.awaited is not None
            if not hired.stale:
                self._renew(hired)

    def _know(self, paths: list[str]) -> None:
        """A thread's life: hash folders that are to be sent."""
        for path in paths:
            try:
                self._known[path] = Folder.of(Path(path))
            except OSError as error:
                self._known[path] = error

    def _renew(self, hired: _Hired) -> None:
        """Another search begins for it."""
        if hired.sending is not None:
            self._nodes[hired.node].busy, hired.sending = False, None
        hired.state, hired.task, hired.stale = "new", -1, False

    def _put(self, data: bytes) -> Any:
        import numpy as np

        self._sent_bytes += len(data)
        return self._ray.put(np.frombuffer(data, dtype=np.uint8))

    # Hiring.

    def _hire(self) -> None:
        """Workers on nodes that have come; those of nodes that have gone are lost."""
        seen, nodes = self._seen
        silent = time.monotonic() - seen
        if silent > HEAD_SILENT:
            raise ClusterError(
                f"the head of the Ray cluster has not answered for {silent:.0f} s; run the same "
                "command again when it is back: what was done is kept"
            )
        alive = {node["NodeID"]: node for node in nodes}
        for identifier in [i for i in self._nodes if nodes and i not in alive]:
            self._node_is_gone(identifier)
        for identifier, found in alive.items():
            if identifier not in self._nodes:
                self._nodes[identifier] = self._node_of(found, self._gpus())
            node = self._nodes[identifier]
            if node.fallen is not None and seen > node.fallen[0] + _LOOK:
                self._node_is_alive(node)
            there = sum(hired.node == identifier for hired in self._hired.values())
            if not node.left_out and node.fallen is None:
                for _ in range(node.slots - there):
                    self._hire_on(identifier, node)
        possible = any(n.slots and not n.left_out for i, n in self._nodes.items() if i in alive)
        possible = possible or any(hired.state == "ready" for hired in self._hired.values())
        if possible:
            self._someone = time.monotonic()
        elif self._refusals and nodes:
            raise ClusterError(f"no node of the cluster can do it: {self._refusals[-1]}")
        elif (nodes and self._local) or time.monotonic() - self._someone > NOBODY:
            raise ClusterError(self._nobody(nodes))

    def _nobody(self, nodes: list[dict[str, Any]]) -> str:
        if not nodes:
            return f"no node of the Ray cluster has been alive for {NOBODY:.0f} s"
        need = f"GPUs: {self._gpus():g}" if self._gpus() else f"cores: {self._wanted.cpus or 1:g}"
        where = "this machine has not" if self._local else "no node of the Ray cluster has"
        return (
            f"{where} what a worker needs ({need}); ask for less with --gpus-per-worker and "
            f"--cpus-per-worker{'' if self._local else ', or start nodes that have it'}"
        )

    @property
    def _local(self) -> bool:
        return self._wanted.address == "local"

    def _gpus(self) -> float:
        if self._wanted.gpus is not None:
            return self._wanted.gpus
        return 1.0 if self._search is not None and self._search.kind != "cpu" else 0.0

    def _node_of(self, found: Mapping[str, Any], gpus: float) -> _Node:
        """How many workers there is room for, and how many cores each has."""
        resources = found["Resources"]
        cores = float(resources.get("CPU", 0))
        name = str(found.get("NodeManagerHostname") or found["NodeManagerAddress"])
        wanted = self._wanted.cpus
        if gpus:
            slots = _times(resources.get("GPU", 0), gpus)
            cpus = min(cores, max(1.0, cores // slots)) if slots and wanted is None else wanted
            if cpus:
                slots = min(slots, _times(cores, cpus))
        else:
            cpus = cores if wanted is None else wanted
            slots = _times(cores, cpus) if cpus else 0
        return _Node(name, slots, float(cpus or 0))

    def _count_room(self, gpu: bool) -> None:
        gpus = float(gpu) if self._wanted.gpus is None else self._wanted.gpus
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        self._connection.send(("room", sum(self._node_of(node, gpus).slots for node in nodes)))

    def _hire_on(self, identifier: str, node: _Node) -> None:
        ray = self._ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._count += 1
        make = ray.remote(
            num_cpus=node.cpus,
            num_gpus=self._gpus(),
            max_restarts=0,
            concurrency_groups={"beside": 1},
            scheduling_strategy=NodeAffinitySchedulingStrategy(identifier, soft=False),
        )(_worker_module().NodeWorker)
        name = str(self._count)
        self._hired[name] = _Hired(name, identifier, make.remote())

    def _node_is_gone(self, identifier: str) -> None:
        node = self._nodes[identifier]
        there = [hired for hired in self._hired.values() if hired.node == identifier]
        for hired in there:
            self._drop(hired)
        if there or node.fallen is not None:
            self._say(f"{node.name} is gone; what it was at is done elsewhere")
        del self._nodes[identifier]

    def _node_is_alive(self, node: _Node) -> None:
        """A worker of it died, though."""
        assert node.fallen is not None
        why, node.fallen = node.fallen[1], None
        node.deaths += 1
        if node.deaths >= _DEATHS:
            self._leave_out(node, f"lost its worker {node.deaths} times ({why})")
        else:
            self._say(f"the worker on {node.name} died ({why}); another one takes its place")

    def _fallen(self, hired: _Hired, why: str) -> None:
        """A worker is gone, perhaps with its node: the head will say."""
        node = self._nodes[hired.node]
        self._drop(hired)
        node.fallen = node.fallen or (time.monotonic(), why)

    def _drop(self, hired: _Hired) -> None:
        """A worker is gone: what it was at is given to others."""
        self._hired.pop(hired.name, None)
        if hired.sending is not None:
            self._nodes[hired.node].busy = False
        for task in self._schedule.lost(hired.name):
            self._count_progress(task, 0)
        self._kill(hired)

    def _refuse(self, hired: _Hired, why: str) -> None:
        """It said why it cannot work; nor could another one there."""
        self._drop(hired)
        self._leave_out(self._nodes[hired.node], why)

    def _leave_out(self, node: _Node, why: str) -> None:
        if not node.left_out:
            self._refusals.append(f"{node.name} {why}")
            self._say(f"left out: {node.name} {why}")
        node.left_out = True

    def _kill(self, hired: _Hired) -> None:
        # In a thread: with the head gone it would block.
        kill = threading.Thread(target=_quietly, args=(self._ray.kill, hired.actor), daemon=True)
        kill.start()

    # Work.

    def _give_out(self) -> None:
        """Everybody who is free gets on: checked, sent to, prepared, or given a task."""
        assert self._search is not None
        for hired in list(self._hired.values()):
            if hired.awaited is not None:
                continue
            if hired.state == "new":
                hired.awaited = hired.actor.check.remote(
                    self._search.first, dict(self._search.here)
                )
                hired.state = "checking"
            elif hired.state == "checked":
                self._get_ready(hired)
            elif hired.state == "ready":
                task = self._schedule.next_for(hired.name)
                if task is not None:
                    hired.task = task
                    hired.awaited = hired.actor.do.remote(task, self._tasks[task])
                    hired.asked_at = time.monotonic()

    def _get_ready(self, hired: _Hired) -> None:
        """Send the next part of a folder that its node lacks, else prepare."""
        node = self._nodes[hired.node]
        for path in self._to_send:
            if path in node.folders:
                continue
            folder = self._known.get(path)
            if folder is None:
                return
            if isinstance(folder, OSError):
                raise ClusterError(f"{path} cannot be read to be sent ({folder})")
            if hired.sending is None:
                if not node.busy:
                    node.busy = True
                    files = list(folder.files)
                    hired.sending = folder.parts()
                    hired.state, hired.awaited = (
                        f"asked {path}",
                        hired.actor.place_of.remote(folder.digest, files),
                    )
                return
            part = next(hired.sending, None)
            if part is None:
                hired.state = f"received {path}"
                hired.awaited = hired.actor.received.remote(folder.digest, list(folder.files))
            else:
                name, start, stop = part
                hired.state = "receiving"
                data = self._part(folder, name, start, stop)
                hired.awaited = hired.actor.receive.remote(folder.digest, name, start, data)
            return
        place = {
            "device": "cuda" if self._gpus() else "cpu",
            "far": True,
            "folders": dict(node.folders),
        }
        hired.state = "preparing"
        hired.awaited = hired.actor.prepare.remote(self._job, place)

    def _part(self, folder: Folder, name: str, start: int, stop: int) -> Any:
        """Nodes that are sent to at the same time share it."""
        key = (folder.digest, name, start)
        if key not in self._parts:
            self._parts[key] = self._put(folder.read(name, start, stop))
            while len(self._parts) > 4:
                del self._parts[next(iter(self._parts))]
        return self._parts[key]

    def _ask_how_much(self) -> None:
        now = time.monotonic()
        for hired in list(self._hired.values()):
            if hired.asked is not None:
                if now - hired.asked_at > UNHEARD:
                    # Whoever computes answers nevertheless, beside it.
                    self._fallen(hired, f"no answer for {UNHEARD:.0f} s")
            elif hired.task >= 0 and now - hired.asked_at > 1.0:
                hired.asked_at = now
                hired.asked = hired.actor.told.remote()

    def _answers(self) -> None:
        """Wait a little for whatever comes first, then take all that is there."""
        awaited: dict[Any, tuple[_Hired, bool]] = {}
        for hired in self._hired.values():
            if hired.awaited is not None:
                awaited[hired.awaited] = hired, True
            if hired.asked is not None:
                awaited[hired.asked] = hired, False
        if not awaited:
            time.sleep(0.02)
            return
        references = list(awaited)
        # A short wait, since a task of the driver's may come meanwhile.
        ready, _ = self._ray.wait(references, num_returns=1, timeout=0.05)
        if ready and len(references) > 1:
            ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        for reference in ready:
            hired, main = awaited[reference]
            if hired.name in self._hired:
                self._answer(hired, reference, main)

    def _answer(self, hired: _Hired, reference: Any, main: bool) -> None:
        if main:
            hired.awaited = None
        else:
            hired.asked = None
        try:
            value = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if main:
                self._refuse(hired, f"failed: {_short(error.cause or error)}")
            return
        except self._ray.exceptions.RayError as error:
            self._fallen(hired, _short(error))
            return
        if main and hired.stale:
            self._renew(hired)
            return
        if main:
            self._take(hired, value)
        elif hired.task == value[0] and hired.task in self._tasks:
            self._count_progress(hired.task, max(value[1], self._progress.get(hired.task, 0)))

    def _take(self, hired: _Hired, value: Any) -> None:
        """The answer to what a worker was asked."""
        assert self._search is not None
        state, node = hired.state, self._nodes[hired.node]
        if state == "ready":
            self._take_result(hired, value)
        elif state == "checking":
            hired.host = node.name = value["host"]
            hired.state = "checked"
            if value["why"]:
                self._refuse(hired, value["why"])
        elif state.startswith("asked "):
            hired.state = "checked"
            if value is not None:
                node.folders[state.partition(" ")[2]] = value
                node.busy, hired.sending = False, None
        elif state == "receiving":
            hired.state = "checked"
        elif state.startswith("received "):
            hired.state, node.busy, hired.sending = "checked", False, None
            path = state.partition(" ")[2]
            if value is None:
                self._refuse(hired, f"received {path} with another hash than it has here")
            else:
                node.folders[path] = value
        elif value["why"]:
            self._refuse(hired, value["why"])
        else:
            proof = {**self._search.proof}
            if self._wanted.mixed:
                proof = {n: v for n, v in proof.items() if n not in self._search.by_device}
            if differs := difference(proof, value["proof"]):
                self._refuse(hired, f"has {differs}, so its results would differ")
            else:
                hired.state, hired.device = "ready", value["device"]

    def _take_result(self, hired: _Hired, value: Any) -> None:
        task, hired.task = hired.task, -1
        if value is None:
            return
        if task not in self._tasks:
            return
        if isinstance(value, str):
            self._failures[task] = self._failures.get(task, 0) + 1
            if self._failures[task] >= _TRIES:
                raise ClusterError(f"{hired.host} failed: {value}")
            self._refuse(hired, f"failed: {value}")
            return
        data, told, seconds = value
        others = self._schedule.done(task)
        if others is None:
            return
        for name in others:
            if name != hired.name and name in self._hired:
                self._hired[name].actor.stop.remote(task)
        self._count_progress(task, told)
        del self._tasks[task]
        self._connection.send(("done", (task, hired.name, hired.host, hired.device, seconds)))
        self._connection.send_bytes(memoryview(data))
        self._sent_bytes += data.nbytes

    def _count_progress(self, task: int, told: int) -> None:
        before = self._progress.get(task, 0)
        if told != before:
            self._progress[task] = told
            self._connection.send(("did", told - before))

    # Words.

    def _say(self, text: str) -> None:
        self._connection.send(("say", text))

    def _speak(self) -> None:
        """The driver hears from this process often; also what it can send."""
        now = time.monotonic()
        ready = [hired for hired in self._hired.values() if hired.state == "ready"]
        word = (self._schedule.wanted(len(ready)), len({hired.node for hired in ready}))
        if now - self._last_word > _LOOK or (word != self._word):
            self._last_word, self._word = now, word
            if not ready and not self._waiting_said and now - self._begun > _PATIENCE:
                self._waiting_said = True
                if any(hired.state == "checking" for hired in self._hired.values()):
                    self._say(
                        f"workers were asked for {_PATIENCE:.0f} s ago and have not begun; their "
                        "cores or GPUs may be taken by other work on the cluster"
                    )
            self._connection.send(("state", (*word, len(self._hired), self._sent_bytes)))

    _word = (0, 0)

    def _leave(self) -> None:
        for hired in self._hired.values():
            self._kill(hired)
        time.sleep(0.1)
        self._ray.shutdown()


def _times(whole: float, part: float) -> int:
    """How often a part goes into a whole; 10 for 1 and 0.1, where // gives 9."""
    return int(whole / part + 1e-9)


def _worker_module() -> Any:
    from gtr_beir.work.executors.cluster import worker

    return worker


def _quietly(act: Callable[..., Any], *arguments: Any) -> None:
    with contextlib.suppress(Exception):
        act(*arguments)


def _short(error: BaseException) -> str:
    """The first line that says something; of what only leads to more (`failed:`), the last too."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    said = lines[0] if len(lines) == 1 or not lines[0].endswith(":") else f"{lines[0]} {lines[-1]}"
    return said.rstrip(".")[:200]
