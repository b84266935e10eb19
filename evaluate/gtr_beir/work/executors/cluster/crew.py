"""The workers on the nodes of a cluster: hired as nodes come, replaced as they die.

What they are asked is a `Life` each, which this module does not look into.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from gtr_beir.errors import ClusterError
from gtr_beir.work.executors.cluster import worker
from gtr_beir.work.executors.cluster.reaching import LOOK, Head, Wanted, short

NOBODY = 60.0
"""Seconds without any node on which a worker could be, after which the work ends."""
UNHEARD = 120.0
"""Seconds that a worker which is at a task may take to say how far it is."""
STUCK = 7200.0
"""Seconds that a worker may take for one answer, or at a task without getting on."""
_DEATHS = 2
"""Times that the workers of a node may die before it is left out."""

Life = Generator[Any, Any, None]
"""What a worker is asked: gives what Ray will answer with, or None where there is nothing to ask
just now, and is sent the answer."""


class Refusal(Exception):  # noqa: N818 - no error of this program
    """Of a life: why its worker cannot work, nor another one on its node."""


@dataclass
class Node:
    """A node of the cluster. slots: workers that it has room for; cpus: cores of each."""

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
class Hired:
    """A worker. ready: whether it can do tasks; task: the one that it is at, -1: none."""

    name: str
    where: str
    node: Node
    actor: Any
    life: Life | None = None
    ready: bool = False
    task: int = -1
    device: str = ""
    awaited: Any = None
    """The answer that its life waits for."""
    asked: Any = None
    """The answer of how far it is."""
    asked_at: float = 0.0
    heard: bool = False
    """Whether it has ever said how far it is: it lives."""
    far: object = None
    far_since: float = 0.0
    """How far it was when it last got on, and when that was."""


class Crew:
    """Everybody who was hired.

    lives: makes what a worker is asked; lost: is told of a worker that is gone, before another one
    is hired; say: is told sentences.
    """

    def __init__(
        self,
        ray: ModuleType,
        wanted: Wanted,
        *,
        lives: Callable[[Hired], Life],
        lost: Callable[[Hired], None],
        say: Callable[[str], None],
    ):
        self._ray, self._wanted = ray, wanted
        self._lives, self._lost, self._say = lives, lost, say
        self._head = Head(ray)
        self._nodes: dict[str, Node] = {}
        self.hired: dict[str, Hired] = {}
        self._count = 0
        self._gpus = -1.0
        """GPUs of a worker."""
        self._refusals: list[str] = []
        """Why nodes were left out, of this system."""
        self._someone = time.monotonic()
        """When there was a node last on which a worker could be."""

    def begin(self, gpus: float, *, again: bool) -> None:
        """A search begins, whose workers need so many GPUs; again: of the same system. Answers to
        an earlier search are not waited for: a worker does what it is asked in order."""
        if gpus != self._gpus:
            for hired in list(self.hired.values()):
                self._drop(hired)
            self._nodes.clear()
            self._gpus = gpus
        if not again:
            # Who could not prepare another system may well prepare this one.
            self._refusals.clear()
            for node in self._nodes.values():
                node.left_out, node.deaths = False, 0
        self._someone = time.monotonic()
        for hired in self.hired.values():
            self._bring_to_life(hired)

    def room(self, gpus: float) -> int:
        """Workers that there is room for, each with so many GPUs."""
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        return sum(_node_of(node, gpus, self._wanted.cpus).slots for node in nodes)

    def gather(self) -> None:
        """Hire on nodes that have come; workers of nodes that have gone are lost. ClusterError if
        there is nobody, and has not been for too long."""
        seen, nodes = self._head.nodes()
        alive = {node["NodeID"]: node for node in nodes}
        for where in [where for where in self._nodes if nodes and where not in alive]:
            self._node_is_gone(where)
        for where, found in alive.items():
            if where not in self._nodes:
                self._nodes[where] = _node_of(found, self._gpus, self._wanted.cpus)
            node = self._nodes[where]
            if node.fallen is not None and seen > node.fallen[0] + LOOK:
                self._node_is_alive(node)
            there = sum(hired.where == where for hired in self.hired.values())
            if not node.left_out and node.fallen is None:
                for _ in range(node.slots - there):
                    self._hire(where, node)
        possible = any(n.slots and not n.left_out for w, n in self._nodes.items() if w in alive)
        # Of a node that is left out, others may be at work.
        if possible or self.hired:
            self._someone = time.monotonic()
        elif self._refusals and nodes:
            raise ClusterError(f"no node of the cluster can do it: {self._refusals[-1]}")
        elif (nodes and self._wanted.local) or time.monotonic() - self._someone > NOBODY:
            raise ClusterError(self._nobody(bool(nodes)))

    def get_on(self) -> None:
        """Whoever waits for no answer is asked the next thing, and all how far they are."""
        for hired in list(self.hired.values()):
            if hired.awaited is None:
                self._ask(hired, None)
            if hired.name in self.hired:
                self._ask_how_far(hired)

    def answers(self, seconds: float) -> Iterator[tuple[int, int, list[bytes]]]:
        """Wait for whatever comes first, and take what is there. Gives the task that a worker is
        at, how much of it is done, and parts that are to be kept."""
        awaited: dict[Any, Hired] = {}
        for hired in self.hired.values():
            awaiting = (each for each in (hired.awaited, hired.asked) if each is not None)
            awaited.update(dict.fromkeys(awaiting, hired))
        if not awaited:
            time.sleep(seconds)
            return
        references = list(awaited)
        ready, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
        if ready and len(references) > 1:
            ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        # To take a result may last: one at a time, after all who say how far they are.
        asked = [each for each in ready if each == awaited[each].asked]
        for reference in asked + [each for each in ready if each not in asked][:1]:
            hired = awaited[reference]
            if hired.name not in self.hired:
                continue
            main = reference == hired.awaited
            if not main:
                hired.asked = None
            try:
                value = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                if main:
                    self._refuse(hired, f"failed: {short(error.cause or error)}")
                continue
            except self._ray.exceptions.RayError as error:
                self._fallen(hired, short(error))
                continue
            if main:
                self._ask(hired, value)
            else:
                hired.heard = True
                self._is_at(hired, value)
                yield value

    def leave(self) -> None:
        """Nobody is needed any more."""
        for hired in self.hired.values():
            self._kill(hired)

    def _ask(self, hired: Hired, answer: Any) -> None:
        assert hired.life is not None
        try:
            hired.awaited = hired.life.send(answer)
        except Refusal as refusal:
            self._refuse(hired, str(refusal))
        self._is_at(hired, hired.awaited)

    def _is_at(self, hired: Hired, far: object) -> None:
        """A worker has got on if this is another than before."""
        if far != hired.far:
            hired.far, hired.far_since = far, time.monotonic()

    def _ask_how_far(self, hired: Hired) -> None:
        now = time.monotonic()
        if hired.asked is not None:
            # Whoever computes answers nevertheless, beside it; loading may hold it up.
            late = now - max(hired.asked_at, hired.far_since) > UNHEARD
            # This process may have been away, and the answer be there.
            if hired.task >= 0 and late and not self._ray.wait([hired.asked], timeout=0)[0]:
                self._fallen(hired, f"no answer for {UNHEARD:.0f} s")
                return
        elif hired.awaited is not None and now - hired.asked_at > 1.0:
            hired.asked_at = now
            hired.asked = hired.actor.told.remote()
        # One that has never been heard waits for cores that others have.
        if hired.heard and hired.awaited is not None and now - hired.far_since > STUCK:
            self._fallen(hired, f"has not got on for {STUCK / 60:.0f} min")

    def _nobody(self, nodes: bool) -> str:
        if not nodes:
            return f"no node of the Ray cluster has been alive for {NOBODY:.0f} s"
        need = f"GPUs: {self._gpus:g}" if self._gpus else f"cores: {self._wanted.cpus or 1:g}"
        local = self._wanted.local
        where = "this machine has not" if local else "no node of the Ray cluster has"
        return (
            f"{where} what a worker needs ({need}); ask for less with --gpus-per-worker and "
            f"--cpus-per-worker{'' if local else ', or start nodes that have it'}"
        )

    def _hire(self, where: str, node: Node) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._count += 1
        make = self._ray.remote(
            num_cpus=node.cpus,
            num_gpus=self._gpus,
            max_restarts=0,
            concurrency_groups={"beside": 1},
            scheduling_strategy=NodeAffinitySchedulingStrategy(where, soft=False),
        )(worker.NodeWorker)
        hired = Hired(str(self._count), where, node, make.remote())
        self.hired[hired.name] = hired
        self._bring_to_life(hired)

    def _bring_to_life(self, hired: Hired) -> None:
        if hired.life is not None:
            hired.life.close()
        hired.life, hired.ready, hired.task, hired.awaited = self._lives(hired), False, -1, None

    def _node_is_gone(self, where: str) -> None:
        node = self._nodes[where]
        there = [hired for hired in self.hired.values() if hired.where == where]
        for hired in there:
            self._drop(hired)
        if there or node.fallen is not None:
            self._say(f"{node.name} is gone; what it was at is done elsewhere")
        del self._nodes[where]

    def _node_is_alive(self, node: Node) -> None:
        """A worker of it died, though."""
        assert node.fallen is not None
        why, node.fallen = node.fallen[1], None
        node.deaths += 1
        if node.deaths >= _DEATHS:
            self._leave_out(node, f"lost its worker {node.deaths} times ({why})")
        elif not node.left_out:
            self._say(f"the worker on {node.name} died ({why}); another one takes its place")

    def _fallen(self, hired: Hired, why: str) -> None:
        """A worker is gone, perhaps with its node: the head will say."""
        self._drop(hired)
        hired.node.fallen = hired.node.fallen or (time.monotonic(), why)

    def _refuse(self, hired: Hired, why: str) -> None:
        """It said why it cannot work; nor could another one there."""
        self._drop(hired)
        self._leave_out(hired.node, why)

    def _drop(self, hired: Hired) -> None:
        self.hired.pop(hired.name, None)
        if hired.life is not None:
            hired.life.close()
        self._lost(hired)
        self._kill(hired)

    def _leave_out(self, node: Node, why: str) -> None:
        if not node.left_out:
            self._refusals.append(f"{node.name} {why}")
            self._say(f"left out: {node.name} {why}")
        node.left_out = True

    def _kill(self, hired: Hired) -> None:
        # In a thread: with the head gone it would block.
        kill = threading.Thread(target=_quietly, args=(self._ray.kill, hired.actor), daemon=True)
        kill.start()


def _node_of(found: Mapping[str, Any], gpus: float, wanted: float | None) -> Node:
    """A node as Ray describes it: how many workers there is room for, and how many cores each
    has. wanted: cores of a worker."""
    resources = found["Resources"]
    cores = float(resources.get("CPU", 0))
    name = str(found.get("NodeManagerHostname") or found["NodeManagerAddress"])
    if gpus:
        slots = times(resources.get("GPU", 0), gpus)
        cpus = min(cores, max(1.0, cores // slots)) if slots and wanted is None else wanted
        if cpus:
            slots = min(slots, times(cores, cpus))
    else:
        cpus = cores if wanted is None else wanted
        slots = times(cores, cpus) if cpus else 0
    return Node(name, slots, float(cpus or 0))


def times(whole: float, part: float) -> int:
    """How often a part goes into a whole; 10 for 1 and 0.1, where // gives 9."""
    return int(whole / part + 1e-9)


def _quietly(act: Callable[..., Any], *arguments: Any) -> None:
    with contextlib.suppress(Exception):
        act(*arguments)
