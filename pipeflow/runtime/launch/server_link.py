"""A launch server as its maker has it: its process, the socket to it, and its end.

What is asked is answered in the order in which it was asked; between the answers come the ends of
workers. See ``messages``.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from pipeflow.errors import MachineError
from pipeflow.runtime.framing import Unframing, frame
from pipeflow.runtime.launch import ties
from pipeflow.runtime.launch.birth import fork_server, run_server
from pipeflow.runtime.launch.lending import send
from pipeflow.runtime.launch.messages import (
    Exited,
    Launched,
    NotLaunched,
    Preloaded,
    Reply,
    Request,
    Taken,
)

#: How long a server may take to end all that is left, in seconds.
CLOSE_DEADLINE_S: Final = 8.0

_READ_BYTES: Final = 1 << 16


class ServerLink:
    """A launch server, and the socket to it. Owns both.

    Args:
        descriptors: All that any worker will keep, if they exist already.
        copy: Make it as a copy of this process, else as a program.
        fresh: A copy is to be as if it had been started as a program.

    Attributes:
        pid: Of the server.

    Raises:
        MachineError: It cannot be started, or this process has threads and must not fork.
    """

    def __init__(self, descriptors: set[int], *, copy: bool, fresh: bool) -> None:
        self._replies = Unframing()
        self._exited: list[Exited] = []
        self._answers: deque[Reply] = deque()
        ours, theirs = socket.socketpair()
        self._socket: socket.socket | None = ours
        try:
            self.pid = fork_server(theirs, descriptors, fresh=fresh) if copy else run_server(theirs)
        except OSError as error:
            ours.close()
            raise limit_reached(error.errno or 0) from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def fileno(self) -> int:
        """Readable when there is something to hear."""
        return self._open_socket().fileno()

    def send(self, request: Request, descriptors: Sequence[int] = ()) -> None:
        """Tell the server something, with descriptors beside it.

        Raises:
            MachineError: Too many files are open, or the server is gone.
        """
        try:
            send(self._open_socket(), frame(request), descriptors)
        except (BrokenPipeError, ConnectionResetError):
            raise _server_gone() from None
        except OSError as error:  # ETOOMANYREFS: too many descriptors are under way
            raise limit_reached(error.errno or 0) from error

    def answer(self, patience_s: float) -> Reply:
        """The next answer to what was asked.

        Raises:
            MachineError: None has come in time, or the server is gone.
        """
        deadline = time.monotonic() + patience_s
        while not self._answers:
            for reply in self._receive(max(0.0, deadline - time.monotonic())):
                if isinstance(reply, Exited):
                    # A worker may end while others are still being started: kept for later.
                    self._exited.append(reply)
                else:
                    self._answers.append(reply)
            if not self._answers and time.monotonic() >= deadline:
                raise MachineError(f"the launch server did not answer within {patience_s:.0f} s")
        return self._answers.popleft()

    def exited(self) -> list[Exited]:
        """Workers that have ended since the last call; never waits.

        Raises:
            MachineError: The server itself is gone.
        """
        exited, self._exited = self._exited, []
        exited += [reply for reply in self._receive(0.0) if isinstance(reply, Exited)]
        return exited

    def close(self, *, patience_s: float) -> None:
        """Leave neither the server nor its workers behind; closing twice is harmless.

        Args:
            patience_s: How long it may take to end by itself.
        """
        if self._socket is None:
            return
        self._socket.close()  # the server ends everything when it sees this
        self._socket = None
        if not _gone(self.pid, patience_s):
            # The kernel ends its workers with it; the group is what its imports have started.
            os.killpg(self.pid, signal.SIGKILL)
        ties.reap(self.pid)

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise ValueError("the launcher is closed")
        return self._socket

    def _receive(self, wait_s: float) -> list[Reply]:
        """Replies that have come; waits for the first bytes as long as told."""
        channel = self._open_socket()
        if not _readable(channel.fileno(), wait_s):
            return []
        try:
            data = channel.recv(_READ_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            raise _server_gone()
        return [
            message
            for message in self._replies.feed(data)
            if isinstance(message, (Preloaded, Taken, Launched, NotLaunched, Exited))
        ]


def limit_reached(number: int) -> MachineError:
    """Say which limit of the machine a failed start has met."""
    match number:
        case errno.EAGAIN:
            what = (
                "no more processes may be started: raise `ulimit -u` or the control group's"
                " pids.max, or lower replicas"
            )
        case errno.ENOMEM:
            what = "the machine has no memory left for another process"
        case errno.EMFILE | errno.ENFILE | errno.ETOOMANYREFS:
            what = "no more files may be open: raise `ulimit -n`, or lower replicas"
        case _:
            what = os.strerror(number)
    return MachineError(f"a worker process could not be started: {what}")


def _server_gone() -> MachineError:
    return MachineError("the process that starts the workers was ended from outside")


def _readable(number: int, wait_s: float) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))


def _gone(pid: int, wait_s: float) -> bool:
    """Whether a child of ours ends within some seconds; it stays to be reaped."""
    if not hasattr(os, "pidfd_open"):
        return _gone_by_looking(pid, wait_s)
    try:
        sentinel = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except OSError:  # an older kernel, or one that is played by another program
        return _gone_by_looking(pid, wait_s)
    try:
        return _readable(sentinel, wait_s)
    finally:
        os.close(sentinel)


def _gone_by_looking(pid: int, wait_s: float) -> bool:
    """The same where the kernel has no sentinels for processes."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        try:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return True
        except ChildProcessError:
            return True
        time.sleep(0.01)
    return False
