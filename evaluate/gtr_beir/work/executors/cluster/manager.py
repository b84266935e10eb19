"""The process that alone speaks with Ray: what the driver wants, the crew does.

It is a process of its own because Ray may block for minutes, or end its process from C++, when the
head of a cluster is gone; the driver notices either, ends this one and says a sentence. Tasks and
results pass through unopened.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gtr_beir.errors import ClusterError
from gtr_beir.work.executors.cluster.crew import Crew, Hired
from gtr_beir.work.executors.cluster.pipe import Message, Pipe
from gtr_beir.work.executors.cluster.reaching import Wanted, connect, short
from gtr_beir.work.executors.cluster.searching import Search, Searching
from gtr_beir.work.executors.cluster.sending import Sender

_SPEAK = 2.0
"""Seconds between two words to the driver, at most."""
_PATIENCE = 30.0
"""Seconds until it is said that workers do not begin."""
_FAREWELL = 20.0
"""Seconds that it takes at most to leave with a driver that died."""
_LAST_WORDS = 5.0
"""Seconds that the driver has to take them."""


def manage(connection: Connection, parent: int, wanted: Wanted, log: Path) -> None:
    """The life of this process. log: what Ray prints, which goes with a driver that is killed."""
    os.setsid()
    dying = threading.Thread(target=_die_with, args=(parent, wanted.temporary, log), daemon=True)
    dying.start()
    pipe = Pipe(connection)
    try:
        _Manager(pipe, wanted).live()
    except ClusterError as end:
        pipe.send("failed", str(end))
    except EOFError:
        # The driver died, as a rule: this process ends with it.
        dying.join(_FAREWELL)
        pipe.send("failed", "the process that speaks with Ray lost the line to this one")
    except BaseException as error:
        why = (
            f"Ray failed, perhaps because the cluster is gone ({short(error)}); run the same "
            "command again: what was done is kept"
        )
        pipe.send("failed", why)
    pipe.finish(_LAST_WORDS)


def _die_with(parent: int, temporary: str | None, log: Path) -> None:
    """A driver that was killed leaves nobody: workers and a Ray that was started here end."""
    while os.getppid() == parent:
        time.sleep(0.25)
    import ray

    threading.Thread(target=ray.shutdown, daemon=True).start()
    time.sleep(5.0)
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
    log.unlink(missing_ok=True)
    os._exit(1)


class _Manager:
    def __init__(self, pipe: Pipe, wanted: Wanted):
        self._pipe, self._wanted = pipe, wanted
        self._ray = connect(wanted)
        self._crew = Crew(self._ray, wanted, lives=self._life, lost=self._lost, say=self._say)
        self._sender = Sender(self._put) if wanted.send else None
        self._searching: Searching | None = None
        self._system: Mapping[str, str] = {}
        """What the last search was of."""
        self._passed = 0
        """Bytes that went through this process."""
        self._begun, self._patient = 0.0, False
        """When a search began, and whether nobody's late beginning was said yet."""
        self._word: tuple[int, ...] = ()
        self._said_at = 0.0

    def live(self) -> None:
        """Until the driver says that it is over. ClusterError; EOFError if the driver died."""
        while True:
            # One a turn: to hand a task to Ray may last, and the driver waits for a word.
            if (message := self._pipe.heard(0)) is not None:
                if message.kind == "end":
                    self._crew.leave()
                    time.sleep(0.1)
                    self._ray.shutdown()
                    return
                self._hear(message)
            if self._searching is None:
                time.sleep(0.0 if self._pipe.waits else 0.01)
            else:
                self._crew.gather()
                self._crew.get_on()
                # A short wait, since a task of the driver's may come meanwhile.
                for task, told, parts in self._crew.answers(0.0 if self._pipe.waits else 0.05):
                    self._searching.is_at(task, told, parts)
            self._speak()

    def _hear(self, message: Message) -> None:
        """What the driver says."""
        if message.kind == "search":
            self._begin(message.value)
        elif message.kind == "over":
            self._searching = None
        elif message.kind == "count":
            gpus = float(message.value) if self._wanted.gpus is None else self._wanted.gpus
            self._pipe.send("room", self._crew.room(gpus))
        elif self._searching is not None:
            if message.kind == "task":
                self._searching.add(message.value, message.data)
            elif message.kind == "dry":
                self._searching.schedule.run_dry()

    def _begin(self, search: Search) -> None:
        gpus = self._wanted.gpus
        if gpus is None:
            gpus = 0.0 if search.kind == "cpu" else 1.0
        if self._sender is not None:
            self._sender.begin(search.folders)
        self._searching = Searching(
            search,
            gpus=gpus,
            sender=self._sender,
            mixed=self._wanted.mixed,
            put=self._put,
            send=self._send,
        )
        again, self._system = search.what_is_run == self._system, search.what_is_run
        self._begun, self._patient = time.monotonic(), True
        self._crew.begin(gpus, again=again)

    def _life(self, hired: Hired) -> Any:
        assert self._searching is not None
        return self._searching.life(hired)

    def _lost(self, hired: Hired) -> None:
        if self._searching is not None:
            self._searching.lost(hired)

    def _put(self, data: bytes) -> Any:
        import numpy as np

        self._passed += len(data)
        return self._ray.put(np.frombuffer(data, dtype=np.uint8))

    def _send(self, kind: str, value: object, data: Any = None) -> None:
        if data is not None:
            self._passed += memoryview(data).nbytes
        self._pipe.send(kind, value, data)

    # Words.

    def _say(self, text: str) -> None:
        self._pipe.send("say", text)

    def _speak(self) -> None:
        """The driver hears from this process often; also how many tasks it can send."""
        now, hired = time.monotonic(), self._crew.hired.values()
        ready = [each for each in hired if each.ready]
        tasks = 0
        if self._searching is not None:
            tasks = self._searching.schedule.wanted(len(ready))
            if self._patient and not ready and now - self._begun > _PATIENCE:
                self._say_who_waits()
        word = (tasks, len({each.where for each in ready}), len(hired))
        if word != self._word or now - self._said_at > _SPEAK:
            self._word, self._said_at = word, now
            self._pipe.send("state", (*word, self._passed))

    def _say_who_waits(self) -> None:
        if any(not each.heard for each in self._crew.hired.values()):
            self._patient = False
            self._say(
                f"workers were asked for {_PATIENCE:.0f} s ago and have not begun; their cores or "
                "GPUs may be taken by other work on the cluster, which is waited for"
            )
