"""Folders of this machine that nodes get from it, once each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from gtr_beir.errors import ClusterError
from gtr_beir.work.executors.cluster.checkpoints import Folder
from gtr_beir.work.executors.cluster.crew import Hired, Refusal

_PARTS = 4
"""Parts of files that are kept for nodes that are sent to at the same time."""


class Sender:
    """put: has Ray hold bytes."""

    def __init__(self, put: Callable[[bytes], Any]):
        self._put = put
        self._known: dict[str, Folder | Exception] = {}
        """Folders by their paths, with hashes; why one could not be read."""
        self._parts: dict[tuple[str, str, int], Any] = {}

    def begin(self, paths: Sequence[str]) -> None:
        """These will be sent. Every byte is read, which takes minutes for the largest."""
        new = [path for path in paths if path not in self._known]
        threading.Thread(target=self._know, args=(new,), daemon=True).start()

    def _know(self, paths: Sequence[str]) -> None:
        for path in paths:
            try:
                self._known[path] = Folder.of(Path(path))
            except Exception as error:
                self._known[path] = error

    def send(self, path: str, hired: Hired) -> Generator[Any, Any, None]:
        """Part of a worker's life. ClusterError if the folder cannot be read, Refusal if it comes
        out as another there."""
        node, actor = hired.node, hired.actor
        while path not in node.folders:
            folder = self._known.get(path)
            if isinstance(folder, Exception):
                raise _unreadable(path, folder)
            if folder is None or node.busy:
                yield None
                continue
            node.busy = True
            try:
                files = list(folder.files)
                place = yield actor.place_of.remote(folder.digest, files)
                if place is None:
                    for name, start, stop in folder.parts():
                        try:
                            part = self._part(folder, name, start, stop)
                        except OSError as error:
                            raise _unreadable(path, error) from error
                        yield actor.receive.remote(folder.digest, name, start, part)
                    place = yield actor.received.remote(folder.digest, files)
                if place is None:
                    raise Refusal(f"received {path} with another hash than it has here")
                node.folders[path] = place
            finally:
                node.busy = False

    def _part(self, folder: Folder, name: str, start: int, stop: int) -> Any:
        key = (folder.digest, name, start)
        if key not in self._parts:
            self._parts[key] = self._put(folder.read(name, start, stop))
            while len(self._parts) > _PARTS:
                del self._parts[next(iter(self._parts))]
        return self._parts[key]


def _unreadable(path: str, error: Exception) -> ClusterError:
    return ClusterError(f"{path} cannot be read to be sent ({error})")
