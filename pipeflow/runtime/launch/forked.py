"""The first steps of a process that the launch server has forked: it leaves the server behind.

What is left of the server are its modules and the plan. Where variables only take effect at the
start of a program, a fresh interpreter takes the place of the process. ``boot`` goes on from here.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Iterable
from typing import NoReturn

from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import lay_out
from pipeflow.runtime.brief import WorkerBrief, unpack
from pipeflow.runtime.flow.wiring import wire
from pipeflow.runtime.launch import boot, ties
from pipeflow.runtime.launch.messages import Launch
from pipeflow.runtime.loading import load_for


class SharedPlan:
    """The plan of the run, and what its workers are told: read before these are forked.

    What is read in a copy touches pages that it shares, each of which is copied for it first.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.plan: Plan | None = pickle.loads(data) if data else None
        self.channels = wire(self.plan) if self.plan is not None else ()
        self.layout = lay_out(self.plan, self.channels) if self.plan is not None else None
        self._told: dict[int, tuple[WorkerBrief, ...]] = {}
        if self.plan is not None:
            load_for(self.plan)

    def read(self, orders: Iterable[Launch]) -> None:
        """Read what these workers are told, if it is not for a fresh interpreter to read."""
        for order in orders:
            if not (order.replace or order.manager):
                assert self.plan is not None, "the plan comes before the first worker"
                self._told[order.worker] = unpack(order.brief, self.plan)

    def told(self, order: Launch) -> tuple[WorkerBrief, ...]:
        """What the workers of an order are told that was read."""
        return self._told[order.worker]


def become_worker(order: Launch, shared: SharedPlan, parent: int, highest: int | None) -> NoReturn:
    """Turn this freshly forked process into the worker; never returns to the server's code.

    Args:
        order: Which worker.
        shared: What all workers are told alike.
        parent: Process id of the server.
        highest: Its highest descriptor.
    """
    status = 1
    try:
        _leave_server(order, parent, highest)
        if order.replace:
            _exec_worker(order, shared)
        if order.manager:
            from pipeflow.runtime.shared.manager import run_manager  # few runs have one

            os._exit(run_manager(pickle.loads(order.brief)))
        assert shared.layout is not None
        status = boot.start(shared.told(order), shared.channels, shared.layout)
    except BaseException:  # the boundary of the process: nothing may reach the server
        boot.print_last_words()
    finally:
        os._exit(status)


def _leave_server(order: Launch, parent: int, highest: int | None) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    ties.quietly(lambda: os.setpgid(0, order.group))
    if not ties.die_with_parent(parent):
        os._exit(1)
    if not order.stdin:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)  # it may lie above all that were open before
    os.dup2(order.output, 1)
    os.dup2(order.output, 2)
    ties.close_all_but(order.keep, highest)


def _exec_worker(order: Launch, shared: SharedPlan) -> NoReturn:
    """Replace this process by a fresh interpreter: some variables only take effect at its start."""
    from pipeflow.runtime.launch.program import command  # few workers do

    brief = _anonymous_file(pickle.dumps((shared.data, order.brief), protocol=5))
    for number in (brief, *order.keep):
        os.set_inheritable(number, True)
    program = command("pipeflow.runtime.launch.boot", str(brief))
    os.execve(sys.executable, program, {**os.environ, **order.env})  # noqa: S606 - no shell


def _anonymous_file(data: bytes) -> int:
    """A descriptor that reads as these bytes and has no name."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("pipeflow-brief")
    else:
        import tempfile

        name_fd, name = tempfile.mkstemp()
        os.unlink(name)  # noqa: PTH108 - no Path is needed for a name that lives one line
        number = name_fd
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
    os.lseek(number, 0, os.SEEK_SET)
    return number
