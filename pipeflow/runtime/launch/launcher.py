"""Starts the workers of a run, all or none, and hears of their ends.

``spawn``, ``forkserver`` and ``fork`` differ in how the launch server and its workers come to be:

    ============  ==================  ===========================================
    start method  launch server       workers
    ============  ==================  ===========================================
    forkserver    a fresh program     forked from it; they share what it has imported
    spawn         a fresh program     forked from it, then a fresh interpreter each
    fork          forked from us      forked from it: they see all that we had loaded
    ============  ==================  ===========================================

In each case it is the server that reaps and signals; see ``server``. A program is started early,
while the file is still being read; what its workers inherit is lent to it when it exists. If it
must not be forked after its imports, or does not survive them, another takes its place, which
imports nothing: until then it has no worker.
"""

from __future__ import annotations

import errno
import os
import pickle
import resource
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from pipeflow.errors import MachineError
from pipeflow.runtime.launch.birth import fork_server, run_server
from pipeflow.runtime.launch.lending import MOST, send
from pipeflow.runtime.launch.messages import (
    AllLaunched,
    Exited,
    Launch,
    Launched,
    Lend,
    NotLaunched,
    Planned,
    Preload,
    Preloaded,
    Reply,
    Request,
    Signal,
    Taken,
    Unpacker,
    pack,
)
from pipeflow.values import replace

if TYPE_CHECKING:
    from pipeflow.planner.plan import Plan
    from pipeflow.runtime.launch.sharing import Sharing

#: How long the launch server may take to answer, in seconds: a loaded machine is slow to start it.
_ANSWER_DEADLINE_S: Final = 60.0

#: How long it may take to import what the workers share, in seconds; then they do it themselves.
_PRELOAD_DEADLINE_S: Final = 20.0

#: How long it may take to end all that is left, in seconds.
_CLOSE_DEADLINE_S: Final = 8.0

#: So many workers are asked for before the first answer is read: the server forks one after the
#: other, without waiting for us between them. What waits to be read has a bound all the same.
_MOST_UNANSWERED: Final = 16

_READ_BYTES: Final = 1 << 16


class StartMethod(Enum):
    """How worker processes come to be."""

    FORK = "fork"
    FORKSERVER = "forkserver"
    SPAWN = "spawn"


class Launcher(Protocol):
    """What the supervisor needs of whoever starts its workers."""

    def fileno(self) -> int:
        """Readable when ``news`` has something that came after the last ``launch``."""
        ...

    @property
    def parent(self) -> int:
        """Process id of the parent of all workers; their life hangs on it."""
        ...

    def launch(self, orders: Iterable[Launch]) -> Iterator[tuple[int, int]]:
        """Start workers in their order; gives the number and the process id of each.

        Raises:
            MachineError: A limit forbids one; ``close`` leaves nothing of those before and behind.
        """
        ...

    def all_launched(self) -> None:
        """No more come: drop the copies of the workers' descriptors."""
        ...

    def news(self) -> list[Exited]:
        """Workers that have ended since the last call; never waits.

        Raises:
            MachineError: The launch server itself is gone.
        """
        ...

    def signal(self, worker: int, number: int, *, whole_group: bool = True) -> None:
        """Send a signal to a worker that is still there, and to what it has started."""
        ...

    def close(self) -> None:
        """Leave no process behind; closing twice is harmless."""
        ...


class ServerLauncher:
    """A launch server, and the socket to it. Owns both.

    Args:
        method: How the processes come to be.
        descriptors: All that any worker will keep, if they exist already; see ``lend``.
        copy: Make the server as a copy of this process, which has loaded modules of ours and
            nothing else: that spares a second start of Python. Not for ``spawn``.

    Raises:
        MachineError: The server cannot be started, or this process has threads and must not fork.
    """

    def __init__(
        self, method: StartMethod, descriptors: Iterable[int] = (), *, copy: bool = False
    ) -> None:
        self.method = method
        self._sharing: Sharing | None = None  #: what the server has not answered yet
        self._expected: Preload | None = None  #: what it imports before there is a plan
        self._apart: frozenset[int] = frozenset()
        self._start({*descriptors}, copy=copy or method is StartMethod.FORK)

    def _start(self, descriptors: set[int], *, copy: bool) -> None:
        self._replies = Unpacker()
        self._waiting: list[Exited] = []
        self._answers: deque[Reply] = deque()
        ours, theirs = socket.socketpair()
        self._socket: socket.socket | None = ours
        try:
            if copy:
                fresh = self.method is not StartMethod.FORK
                self.parent = fork_server(theirs, descriptors, fresh=fresh)
            else:
                self.parent = run_server(theirs)
        except OSError as error:
            ours.close()
            raise _limit_reached(error.errno or 0) from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def expect(self, preload: Preload) -> None:
        """Have the server import what the workers will most likely share: there is no plan yet."""
        if self.method is StartMethod.FORKSERVER:
            self._expected = preload
            self._send(preload)

    def share(self, sharing: Sharing) -> None:
        """Have the server import what the workers share, while we do something else.

        Raises:
            MachineError: It has begun to import something else, and no other can be started.
        """
        wanted = sharing.preload if self.method is StartMethod.FORKSERVER else None
        expected, self._expected = self._expected, None
        if expected is not None and not (wanted and _contains(expected, wanted)):
            self.close(patience_s=0.0)
            self._start(set(), copy=False)
            expected = None
        if wanted is not None:
            self._sharing = sharing
            if expected is None:
                self._send(wanted)

    def settle(self) -> None:
        """Wait for those imports; if nobody may share them, begin anew without them.

        Raises:
            MachineError: No other server can be started.
        """
        sharing, self._sharing = self._sharing, None
        if sharing is None:
            return
        try:
            answer: Reply | None = self._answer(_PRELOAD_DEADLINE_S)
        except MachineError:
            answer = None  # it has not survived what it imported, or has not come to an end
        if isinstance(answer, Preloaded) and not answer.problem:
            deaf = frozenset() if answer.threads_adjustable else sharing.with_threads
            self._apart = sharing.apart | deaf
            return
        self.close(patience_s=0.0 if answer is None else _CLOSE_DEADLINE_S)
        self._start(set(), copy=False)

    def tell(self, plan: Plan) -> None:
        """Give the server what all workers are told alike; before the first of them."""
        self._send(Planned(pickle.dumps(plan, protocol=5)))

    def lend(self, descriptors: Iterable[int]) -> None:
        """Give a server that was started before them all that any worker will keep.

        Raises:
            MachineError: Too many files are open, or the server is gone.
        """
        if self.method is StartMethod.FORK:
            return  # it was born with them
        numbers = tuple(dict.fromkeys(descriptors))
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        for first in range(0, len(numbers), MOST):
            some = numbers[first : first + MOST]
            self._send(Lend(numbers=some, limit=limit), some)
            # Answered one by one: the kernel bounds how many may be under way.
            match self._answer(_ANSWER_DEADLINE_S):
                case Taken(0):
                    pass
                case Taken(number):
                    raise _limit_reached(number)
                case other:
                    raise AssertionError(f"not an answer to a loan: {other!r}")

    def fileno(self) -> int:
        return self._open_socket().fileno()

    def launch(self, orders: Iterable[Launch]) -> Iterator[tuple[int, int]]:
        unanswered = 0
        for order in orders:
            apart = self.method is StartMethod.SPAWN or order.worker in self._apart
            # The manager runs nothing that could mind what the server has loaded.
            alone = (order.replace or apart) and not order.manager
            self._send(replace(order, replace=alone))
            unanswered += 1
            if unanswered == _MOST_UNANSWERED:
                yield self._launched()
                unanswered -= 1
        for _ in range(unanswered):
            yield self._launched()

    def _launched(self) -> tuple[int, int]:
        match self._answer(_ANSWER_DEADLINE_S):
            case Launched(worker, pid):
                return worker, pid
            case NotLaunched(_, number):
                raise _limit_reached(number)
            case other:
                raise AssertionError(f"not an answer to a launch: {other!r}")

    def _answer(self, patience_s: float) -> Reply:
        """The next answer to what was asked.

        Raises:
            MachineError: None has come in time, or the server is gone.
        """
        deadline = time.monotonic() + patience_s
        while not self._answers:
            for reply in self._receive(max(0.0, deadline - time.monotonic())):
                if isinstance(reply, Exited):
                    # A worker may end while others are still being started: news for later.
                    self._waiting.append(reply)
                else:
                    self._answers.append(reply)
            if not self._answers and time.monotonic() >= deadline:
                raise MachineError(f"the launch server did not answer within {patience_s:.0f} s")
        return self._answers.popleft()

    def all_launched(self) -> None:
        self._send(AllLaunched())

    def news(self) -> list[Exited]:
        news, self._waiting = self._waiting, []
        news += [reply for reply in self._receive(0.0) if isinstance(reply, Exited)]
        return news

    def signal(self, worker: int, number: int, *, whole_group: bool = True) -> None:
        self._send(Signal(worker, number, whole_group))

    def close(self, *, patience_s: float = _CLOSE_DEADLINE_S) -> None:
        if self._socket is None:
            return
        self._socket.close()  # the server ends everything when it sees this
        self._socket = None
        if not _gone(self.parent, patience_s):
            # The kernel ends its workers with it; the group is what its imports have started.
            os.killpg(self.parent, signal.SIGKILL)
        _reap(self.parent)

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise ValueError("the launcher is closed")
        return self._socket

    def _send(self, request: Request, descriptors: Sequence[int] = ()) -> None:
        try:
            send(self._open_socket(), pack(request), descriptors)
        except (BrokenPipeError, ConnectionResetError):
            raise _server_gone() from None
        except OSError as error:  # ETOOMANYREFS: too many descriptors are under way
            raise _limit_reached(error.errno or 0) from error

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


def _contains(loaded: Preload, wanted: Preload) -> bool:
    """Whether nothing is left to import; more may be loaded, for a stage that is cut."""
    return {*loaded.imports} >= {*wanted.imports} and loaded.beside == wanted.beside


def _limit_reached(number: int) -> MachineError:
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


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the program around us ignores SIGCHLD: the kernel has reaped it
