"""The launch server: one small process per run that starts every worker, and reaps them.

    supervisor ══ Launch, Signal ══> launch server ── fork (and exec) ──> worker ──> its children
               <═ Launched, Exited ═      └─ the worker's group is killed when the worker is gone

It has one thread and runs no user code, so forking it is safe, and it is always there to answer. It
may have imported installed packages that the workers share (``image``). A worker is signalled only
by the process that reaps it: no signal ever meets a reused process id.

Who dies with whom: workers get SIGKILL from the kernel when this process ends. This process ends
when the supervisor's end of the socket closes, however that comes about; it first kills the group
of every worker, and whatever orphan of theirs it has adopted. Should somebody hold a copy of that
socket, the kernel's signal at the supervisor's death says the same.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final, NoReturn

from pipeflow.runtime.framing import Unframing, frame
from pipeflow.runtime.last_words import WHERE_SIGNAL
from pipeflow.runtime.launch import boot, image, lending, ties
from pipeflow.runtime.launch.forked import SharedPlan, become_worker
from pipeflow.runtime.launch.messages import (
    AllLaunched,
    Exited,
    Launch,
    Launched,
    Lend,
    LoadOurs,
    NotLaunched,
    Planned,
    Preload,
    Reply,
    Signal,
    Taken,
)
from pipeflow.values import dataclass

#: How long killed processes may take to be gone, in seconds; only the kernel itself can delay them.
_LAST_DEADLINE_S: Final = 5.0

_READ_BYTES: Final = 1 << 20
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


@dataclass(slots=True)
class _Child:
    worker: int
    own_group: bool


class _SupervisorGone(BaseException):
    """Raised by the signal that the kernel sends when the supervisor has died."""


class LaunchServer:
    """Owns the worker processes of one run.

    Args:
        control: Our end of the socket to the supervisor.
        supervisor: Process id of our parent.
    """

    def __init__(self, control: int, supervisor: int) -> None:
        self._control = control
        self._arrived: list[int] = []  #: descriptors that came, and have no number yet
        self._highest: int | None = None  #: of all descriptors; none is opened between two forks
        self._supervisor = supervisor
        self._plan = SharedPlan(b"")
        self._children: dict[int, _Child] = {}
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)

    def serve(self) -> None:
        """Do what the supervisor asks until it is gone; then leave no process behind."""
        self._tie()
        try:
            try:
                if os.getppid() == self._supervisor:
                    self._answer()
            finally:
                # The supervisor's end of the socket closes a moment before the signal comes, which
                # may be now; from here on nothing disturbs the end.
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
        except _SupervisorGone:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        finally:
            self._end_all()

    def _tie(self) -> None:
        ties.call_myself("pipeflow-launch")
        boot.leave_signals_alone()
        boot.open_standard_streams()  # here, so that no worker has to
        # Who is asked where it is before it can answer goes on; a new program inherits that too.
        signal.signal(WHERE_SIGNAL, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        ties.adopt_orphans()
        ties.die_with_parent(self._supervisor, signal.SIGTERM)

    def _on_term(self, *_: object) -> None:
        # A service manager may send SIGTERM to every process; only the supervisor's end is ours.
        if os.getppid() != self._supervisor:
            raise _SupervisorGone

    def _answer(self) -> None:
        requests = Unframing()
        while True:
            # Made anew each time: lending may have given them other numbers.
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            poll.register(self._wake_r, select.POLLIN)
            ready = {number for number, _ in poll.poll()}
            if self._wake_r in ready:
                self._reap()
            if self._control not in ready:
                continue
            data, arrived = lending.receive(self._control, _READ_BYTES)
            self._arrived += arrived
            if not data:
                return
            came = [*requests.feed(data)]
            self._read(came)
            self._launch_all([each for each in came if isinstance(each, Launch)])
            for request in came:
                match request:
                    case Launch() | Planned():
                        pass  # done by now
                    case LoadOurs(modules):
                        for name in modules:
                            importlib.import_module(name)
                    case Preload():
                        self._reply(image.load(request))
                    case Lend(numbers=numbers, limit=limit):
                        self._reply(self._take(numbers, limit))
                    case AllLaunched():
                        ties.close_all_but((self._control, self._wake_r, self._wake_w))
                    case Signal(worker, number, whole_group):
                        self._signal(worker, number, whole_group)
                    case _:
                        raise AssertionError(f"not a request: {request!r}")

    def _read(self, requests: Sequence[object]) -> None:
        """Read what workers are told before the first fork.

        What is touched between two of them is copied each time.
        """
        for request in requests:
            if isinstance(request, Planned):
                self._plan = SharedPlan(request.plan)
        self._plan.read(request for request in requests if isinstance(request, Launch))

    def _take(self, numbers: tuple[int, ...], limit: int) -> Reply:
        """Give the descriptors that have come the numbers by which the supervisor calls them."""
        count, self._highest = len(numbers), None
        arrived, self._arrived = self._arrived[:count], self._arrived[count:]
        try:
            lending.allow(limit)
            own = lending.settle(
                dict(zip(numbers, arrived, strict=True)),
                [self._control, self._wake_r, self._wake_w],
            )
        except OSError as error:
            return Taken(error.errno or 1)
        if own[2] != self._wake_w:
            signal.set_wakeup_fd(own[2], warn_on_full_buffer=False)
        self._control, self._wake_r, self._wake_w = own
        return Taken()

    def _launch_all(self, orders: Sequence[Launch]) -> None:
        """Start workers one after the other, and tell of all: between two forks little is done."""
        if not orders:
            return
        if self._highest is None:
            self._highest = ties.highest_open()
        gc.freeze()  # what came since: else each worker's first collection writes to it
        server = os.getpid()
        # Our handler must never run in a new process: it would end its siblings.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            replies = [self._launch(order, server) for order in orders]
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._reply(*replies)

    def _launch(self, order: Launch, server: int) -> Reply:
        try:
            pid = os.fork()
            if pid == 0:
                become_worker(order, self._plan, server, self._highest)
        except OSError as error:
            return NotLaunched(order.worker, error.errno or 0)
        if order.group == 0:
            ties.quietly(lambda: os.setpgid(pid, pid))  # the child does so too: whoever comes first
        self._children[pid] = _Child(order.worker, order.group == 0)
        return Launched(order.worker, pid)

    def _signal(self, worker: int, number: int, whole_group: bool) -> None:
        for pid, child in self._children.items():
            if child.worker == worker:
                self._kill(pid, number, whole_group=whole_group and child.own_group)

    def _kill(self, pid: int, number: int, *, whole_group: bool) -> None:
        # Our child is not reaped yet, so neither the process id nor the group can be a stranger's.
        if whole_group:
            ties.quietly(lambda: os.killpg(pid, number))
        else:
            ties.quietly(lambda: os.kill(pid, number))

    def _reap(self) -> None:
        _drain(self._wake_r)
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            child = self._children.pop(dead.si_pid, None)
            if child is not None and child.own_group:
                # Before it is reaped: now the group's number is still its own.
                self._kill(dead.si_pid, signal.SIGKILL, whole_group=True)
            pid, status, usage = os.wait4(dead.si_pid, 0)
            if child is not None:
                self._reply(
                    Exited(
                        worker=child.worker,
                        pid=pid,
                        status=os.waitstatus_to_exitcode(status),
                        cpu_s=usage.ru_utime + usage.ru_stime,
                        peak_rss_bytes=usage.ru_maxrss * _RSS_UNIT,
                    )
                )

    def _reply(self, *replies: Reply) -> None:
        data = memoryview(b"".join(map(frame, replies)))
        try:
            while data:
                data = data[os.write(self._control, data) :]
        except OSError:
            pass  # the supervisor is gone: reading its end of the socket will tell us so

    def _end_all(self) -> None:
        deadline = time.monotonic() + _LAST_DEADLINE_S
        while True:
            for pid, child in self._children.items():
                self._kill(pid, signal.SIGKILL, whole_group=child.own_group)
            orphans = [pid for pid in ties.children() if pid not in self._children]
            for pid in orphans:
                self._kill(pid, signal.SIGKILL, whole_group=False)
            left = deadline - time.monotonic()
            if not (self._children or orphans) or left <= 0:
                return
            select.select([self._wake_r], [], [], min(left, 0.1))
            self._reap()


def _drain(number: int) -> None:
    try:
        while os.read(number, 4096):
            pass
    except BlockingIOError:
        pass  # all read


def main(arguments: list[str]) -> NoReturn:
    """The program of that name: ``CONTROL_FD SUPERVISOR_PID``; see ``program``."""
    control, supervisor = (int(argument) for argument in arguments)
    ties.close_all_but((control,))  # whatever else the command was started with is not for us
    os.set_inheritable(control, False)
    boot.preload()
    gc.freeze()  # forked workers share these pages as long as nobody touches them
    gc.enable()
    LaunchServer(control, supervisor).serve()
    # Nothing of ours is left to be done, and taking an interpreter apart takes a while.
    os._exit(0)
