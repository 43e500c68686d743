"""A worker's way to the manager process: one question at a time, from any thread."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from typing import Any

from pipeflow.errors import PeerLost
from pipeflow.runtime.shared.wire import READ_BYTES, Frames, is_readable, pack
from pipeflow.transports.pause import SHORT_S, LookOut


class ManagerLink:
    """The way. It is opened by the first question, and anew in a copy of the process.

    Args:
        door: Descriptor of the manager's door; stays open.
    """

    def __init__(self, door: int) -> None:
        self._door = door
        self._pid = 0
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._look = LookOut(SHORT_S)

    def __call__(self, number: int, act: str, arguments: tuple[Any, ...]) -> Any:
        """Have something done to a piece of state.

        Raises:
            PeerLost: The manager process is gone.
        """
        request = pack((number, act, arguments))
        if self._pid != os.getpid():
            # Our parent's socket is not ours to talk through, and its lock may be held for ever.
            self._lock, self._socket, self._pid = threading.Lock(), None, os.getpid()
        with self._lock:
            try:
                body = self._exchange(request)
            except BaseException:
                # An answer that nobody waits for any more must not meet the next question.
                self.close()
                raise
        went_well, result = pickle.loads(body)
        if not went_well:
            raise result
        return result

    def _exchange(self, request: bytes) -> bytes:
        try:
            if self._socket is None:
                self._socket = self._enter()
            self._socket.sendall(request)
            return self._receive(self._socket)
        except (BrokenPipeError, ConnectionResetError):
            raise _lost() from None

    def _enter(self) -> socket.socket:
        """Send an end of a new socket through the door."""
        ours, theirs = socket.socketpair()
        try:
            with theirs, socket.socket(fileno=os.dup(self._door)) as door:
                socket.send_fds(door, [b"\0"], [theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        return ours

    def _receive(self, end: socket.socket) -> bytes:
        frames = Frames()
        self._look.sees(lambda: is_readable(end))
        while data := end.recv(READ_BYTES):
            frames.feed(data)
            body = frames.next()
            if body is not None:
                return body
        raise _lost()

    def close(self) -> None:
        """Leave; the next question opens the way anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _lost() -> PeerLost:
    return PeerLost("the process that keeps the shared dicts and lists is gone")
