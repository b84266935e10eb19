"""Messages between the driver and the process that speaks with Ray.

Either end sends and receives in threads, so that an end which is stopped, or dies in the middle of
a message, holds up nobody.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

_HELD = 4
"""Messages with data that wait to be heard: a result with vectors is 200 MB."""


class Message(NamedTuple):
    """kind: what it is; value: pickled on the way; data: bytes that go as they are."""

    kind: str
    value: Any = None
    data: Any = None


class Pipe:
    """One end, of a duplex connection, which it takes over.

    Messages with data are received only while few of them have not been heard yet.
    """

    def __init__(self, connection: Connection):
        self._few = threading.Semaphore(_HELD)
        self._closed = False
        self._connection, self._number = connection, connection.fileno()
        self._out: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._receiver.start()

    def send(self, kind: str, value: object = None, data: object = None) -> None:
        """Never waits. data: bytes, or an array of bytes that nobody writes to."""
        self._out.put(Message(kind, value, data))

    @property
    def waits(self) -> bool:
        """Whether a message has come that was not heard yet."""
        return not self._in.empty()

    def heard(self, seconds: float) -> Message | None:
        """The next message; None if none comes within so many seconds. EOFError: no more will."""
        try:
            message = self._in.get(timeout=seconds) if seconds else self._in.get_nowait()
        except queue.Empty:
            return None
        if message is None:
            self._in.put(None)
            raise EOFError
        if message.data is not None:
            self._few.release()
        return message

    def finish(self, seconds: float) -> None:
        """What was sent is on its way, or so many seconds have gone by."""
        self._out.put(None)
        self._sender.join(seconds)

    def close(self) -> None:
        """Nobody can hear or say anything more, at either end."""
        self._out.put(None)
        self._cut()
        self._closed = True
        self._few.release()
        self._sender.join()
        self._receiver.join()
        self._connection.close()

    def _cut(self) -> None:
        # Closing alone would leave threads that read or write where they are.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._number)) as line:
            line.shutdown(socket.SHUT_RDWR)

    def _send(self) -> None:
        try:
            # An end that has gone: it says why before, or the other hears that it ended.
            with contextlib.suppress(OSError):
                while (message := self._out.get()) is not None:
                    more = message.data is not None
                    self._connection.send((message.kind, message.value, more))
                    if more:
                        self._connection.send_bytes(memoryview(message.data))
                return
        except BaseException:
            # Such as no memory: what was begun cannot be ended, and the other end must not wait.
            self._cut()
            raise

    def _receive(self) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                while True:
                    kind, value, more = self._connection.recv()
                    if more:
                        self._few.acquire()
                        # What the line still holds would each wait for room that nobody makes.
                        if self._closed:
                            return
                    data = self._connection.recv_bytes() if more else None
                    self._in.put(Message(kind, value, data))
                    del data
        finally:
            self._in.put(None)
