"""The runner as its keeper has it: started, given orders, heard, killed, reaped."""

from __future__ import annotations

import os
import select
import signal
import warnings
from collections.abc import Callable, Sequence

from pipeflow.runtime.board import PROCESSED, RECEIVED, WORKER_WORDS, Words
from pipeflow.runtime.isolation.link import Cell, Link
from pipeflow.runtime.isolation.messages import (
    COUNTS,
    DONE,
    Orders,
    pack_orders,
)
from pipeflow.runtime.isolation.runner import Task, become_runner
from pipeflow.runtime.last_words import WHERE_SIGNAL
from pipeflow.runtime.launch import ties

__all__ = ["Child", "Task"]


class Child:
    """One runner process. Owns it and its link; ``close`` ends both.

    Args:
        task: Makes what it is told of the link.
        row: The worker's row, from whose counts it goes on.
    """

    def __init__(self, task: Callable[[Link], Task], row: Words) -> None:
        self.link = Link()
        self._reader = self.link.reader()
        self._unsent = memoryview(b"")
        self._later: list[bytes] = []
        self._noted = self._noted_loads = self._noted_quiet = 0
        self.status: int | None = None
        _copy_counts(row, self.link.row)
        keeper = os.getpid()
        with warnings.catch_warnings():
            # The postman of an edge that drops is a second thread; a runner has no use for what
            # it may hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            become_runner(task(self.link), keeper)
        self.link.let_go_of_runners_end()
        self._sentinel = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else -1

    # -- orders

    def send(self, orders: Orders) -> None:
        """Give it orders; what the pipe does not take now goes later."""
        self._later.append(pack_orders(orders))
        self.push()

    def push(self) -> bool:
        """Give it what is still to go; whether all of it has gone."""
        while self._unsent or self._later:
            if not self._unsent:
                self._unsent = memoryview(b"".join(self._later))
                self._later.clear()
            try:
                written = os.write(self.link.orders_w, self._unsent)
            except BlockingIOError:
                return False
            except BrokenPipeError:
                return True  # it is gone; that is found out where its end is looked for
            self._unsent = self._unsent[written:]
        return True

    def leave(self) -> None:
        """Ask it to close what is the user's, and to end."""
        self.link.cells[Cell.LEAVE] = 1
        self.link.runner_bell.ring()

    # -- records

    def hear(self) -> Sequence[bytes]:
        """All records that it has told since the last time, as they came."""
        if self._reader.is_empty():
            return ()
        records = self._reader.take()
        self.wake()
        return records

    def quiet(self) -> int:
        """Calls that gave nothing, and are done; noted from now on."""
        self._noted_quiet = self.link.cells[Cell.QUIET]
        return self._noted_quiet

    def wake(self) -> None:
        """Have it look again, if it waits for room or for its results to be sent on."""
        if self.link.cells[Cell.RUNNER_SLEEPS]:
            self.link.runner_bell.ring()

    def has_news(self) -> bool:
        """Whether there is anything to hear, or it has begun more than was noted."""
        cells = self.link.cells
        return (
            cells[Cell.BEGUN] != self._noted
            or cells[Cell.LOADS] != self._noted_loads
            or cells[Cell.QUIET] != self._noted_quiet
            or not self._reader.is_empty()
        )

    def begun(self) -> int:
        """Calls that it has taken in hand; noted from now on."""
        self._noted_loads = self.link.cells[Cell.LOADS]
        self._noted = self.link.cells[Cell.BEGUN]
        return self._noted

    def confirm(self, records: int = 1) -> None:
        """So many more records were heard, and what they refer to is held."""
        self.link.cells[Cell.CONFIRMED] += records

    def took(self, results: int = 1) -> None:
        """So many more of its results were sent on."""
        self.link.cells[Cell.TAKEN] += results

    # -- its end

    def waits_on(self) -> list[tuple[int, int]]:
        """What to wait on for news of it: descriptors, and what to poll them for."""
        found = [(self.link.keeper_bell.fileno(), select.POLLIN)]
        if self._sentinel >= 0:
            found.append((self._sentinel, select.POLLIN))
        sending = bool(self._unsent or self._later)
        found.append((self.link.orders_w, select.POLLOUT if sending else 0))
        return found

    def is_gone(self) -> bool:
        """Whether it has ended; then ``status`` says how."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def is_gone_in(self, seconds: float) -> bool:
        """Whether it has ended by then; waits for that."""
        if not self.is_gone() and self._sentinel >= 0:
            poll = select.poll()
            poll.register(self._sentinel, select.POLLIN)
            poll.poll(seconds * 1000)
        return self.is_gone()

    def ask_where(self) -> None:
        """Have it write down where it is."""
        self._send_signal(WHERE_SIGNAL)

    def kill(self) -> None:
        """SIGKILL it, and the programs it has started: whoever waited for them is gone."""
        # While it stands it starts no more, and reaps none, so their numbers stay theirs.
        self._send_signal(signal.SIGSTOP)
        for pid in ties.descendants(self.pid) if self.status is None else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # it has ended by itself, or is another user's: the end of the run sees to it
        self._send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it if it lives, and let go of everything; twice is harmless."""
        if not self.is_gone():
            self.kill()
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        _end_orphans()
        if self._sentinel >= 0:
            os.close(self._sentinel)
            self._sentinel = -1
        self.link.close()

    def _send_signal(self, number: int) -> None:
        # It is our child and not reaped yet, so its number cannot be a stranger's.
        if self.status is None:
            os.kill(self.pid, number)


def _end_orphans() -> None:
    """End what a runner that is gone has started: that is ours now, and nothing else is."""
    for orphan in ties.children():
        for pid in (*ties.descendants(orphan), orphan):
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # it has ended by itself, or is another user's: the end of the run sees to it
            else:
                if pid == orphan:
                    os.waitpid(pid, 0)


def _copy_counts(row: Words, own: Words) -> None:
    """Begin where the runner before has stopped; what it had in hand has not been received."""
    own[:WORKER_WORDS] = row[:WORKER_WORDS]
    own[RECEIVED] = sum([row[COUNTS[place]] for place in DONE])
    assert COUNTS[0] == PROCESSED
