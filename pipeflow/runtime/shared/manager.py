"""The manager process: keeps the dicts and lists that stages share, and does one thing at a time.

    worker ══ requests, one after the other ══> manager      a socket for each process that asks
           <═══════════ answers ═════════════
      │                                            ▲
      └───────── door: "here is my socket" ────────┘         one for all, from before the start

A process that wants to ask makes a pair of sockets and sends one end through the door. Whoever dies
takes its own socket along, and half a request with it; nobody else is touched. When the door and
all sockets are closed, all who could ask are gone, and the manager ends.

No deadlock: the manager never waits for one of them. An answer that does not fit waits here.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
from collections.abc import Callable

from pipeflow.runtime.shared.brief import ManagerBrief
from pipeflow.runtime.shared.wire import READ_BYTES, Frames, pack, pack_error
from pipeflow.stages.importing import put_first
from pipeflow.stages.shared_store import Store
from pipeflow.transports.pause import SHORT_S, LookOut


def run_manager(brief: ManagerBrief) -> int:
    """Be the manager until all who could ask are gone.

    Returns:
        The exit status of the process.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # the supervisor decides what they mean
    put_first(brief.folders[0], brief.folders)
    with socket.socket(fileno=brief.door) as door:
        Manager(door, Store(brief.kinds)).serve()
    return 0


class Manager:
    """Answers all who ask.

    Args:
        door: Its end of the door.
        store: The state.
    """

    def __init__(self, door: socket.socket, store: Store) -> None:
        self._door, self._store = door, store
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Until the door and all sockets are closed."""
        self._door.setblocking(False)
        self._selector.register(self._door, selectors.EVENT_READ, self._let_in)
        look = LookOut(SHORT_S)
        while self._selector.get_map():
            for key, _ in self._select(look):
                key.data()
        self._selector.close()

    def _select(self, look: LookOut) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for questions; who asks many asks the next one before a sleep is worth it."""
        found: list[tuple[selectors.SelectorKey, int]] = []

        def looks() -> bool:
            found[:] = self._selector.select(0)
            return bool(found)

        return found if look.sees(looks) else self._selector.select()

    def _let_in(self) -> None:
        """Whoever stands at the door."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._door, 1, 1)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(self._door)
        for number in descriptors:
            os.set_inheritable(number, False)
            asker = _Asker(socket.socket(fileno=number), self._store, self._selector)
            self._selector.register(asker.socket, selectors.EVENT_READ, asker.hear)


class _Asker:
    """One process that asks."""

    def __init__(self, end: socket.socket, store: Store, selector: selectors.BaseSelector) -> None:
        self.socket = end
        self._store, self._selector = store, selector
        self._frames = Frames()
        self._left = memoryview(b"")
        end.setblocking(False)

    def hear(self) -> None:
        """Read, and answer what is whole."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._close()
            return
        self._frames.feed(data)
        self._answer_all()

    def _answer_all(self) -> None:
        while not self._left and self.socket.fileno() >= 0:
            body = self._frames.next()
            if body is None:
                return
            self._left = memoryview(_answer(self._store.do, body))
            self._send()

    def _send(self) -> None:
        """Send what is left of an answer; what does not fit waits until it does."""
        try:
            while self._left:
                self._left = self._left[self.socket.send(self._left) :]
        except BlockingIOError:
            self._selector.modify(self.socket, selectors.EVENT_WRITE, self._go_on)
        except (BrokenPipeError, ConnectionResetError):
            self._left = memoryview(b"")
            self._close()

    def _go_on(self) -> None:
        self._send()
        if not self._left and self.socket.fileno() >= 0:
            self._selector.modify(self.socket, selectors.EVENT_READ, self.hear)
            self._answer_all()

    def _close(self) -> None:
        self._selector.unregister(self.socket)
        self.socket.close()


def _answer(do: Callable[..., object], body: bytes) -> bytes:
    try:
        return pack((True, do(*pickle.loads(body))))
    except Exception as error:  # a key that is not there, a class of the user's: the asker's own
        return pack_error(error)
