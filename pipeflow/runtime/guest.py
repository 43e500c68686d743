"""A worker of a run that is no process of it: the caller's loop, which reads what a stage gives.

    supervisor (a thread) ──brief──> guest          reports and its end ──> supervisor
    worker ═════════════════════════> guest ──items──> for x in items: ...

It has all that a worker has: its ends of the channels, its share of memory, its row of the board,
its pipe of reports. It takes copies of its descriptors when it moves in, before the supervisor lets
go of those that the workers have inherited.

The supervisor never waits for the caller's code: told to end, a guest is gone at once if it is not
reading just then; if it is, it sees that its writers are gone.
"""

from __future__ import annotations

import os
import selectors
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Final

from pipeflow.planner.plan import Plan
from pipeflow.runtime.board import Board
from pipeflow.runtime.brief import WorkerBrief, unpack
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.launch.launcher import Launcher
from pipeflow.runtime.launch.messages import Exited, Launch
from pipeflow.runtime.loading import make_context
from pipeflow.runtime.loops.stream import StreamLoop
from pipeflow.runtime.messages import EXIT_VICTIM, Failed, Ready
from pipeflow.runtime.process import Process
from pipeflow.runtime.worker import Reports, finished, loop_of, map_board, told_failure
from pipeflow.stages.context import StageContext
from pipeflow.stages.work import Work
from pipeflow.values import replace

#: What ends a worker; all else that is sent to one means nothing to a guest.
_ENDS: Final = frozenset({signal.SIGTERM, signal.SIGKILL})


class Guest:
    """The caller's end of a run.

    Args:
        plan: What runs.
        worker: Number of the worker that it is.
    """

    def __init__(self, plan: Plan, worker: int) -> None:
        self._plan, self.worker = plan, worker
        self._told, self._tell = os.pipe()  #: a byte when there is news for the supervisor
        os.set_blocking(self._told, False)
        self._reading = threading.Lock()  #: held while the caller waits in ``next``
        self._ended = threading.Lock()  #: guards ``_exit``
        self._exit: Exited | None = None
        self._told_to_end = False
        self._reports: Reports | None = None
        self._process: Process | None = None
        self._loop: StreamLoop | None = None
        self._context: StageContext | None = None
        self._items: Generator[Any, None, None] | None = None
        self._fds: tuple[int, ...] = ()

    # ------------------------------------------------- in the supervisor's thread

    def move_in(self, order: Launch, channels: tuple[ChannelPlan, ...]) -> None:
        """Take up what a new worker process would get."""
        (told,) = unpack(order.brief, self._plan)
        copies = {fd: os.dup(fd) for fd in order.keep}
        brief = _renumbered(told, copies)
        board = Board(self._plan, channels, map_board(brief.board_fd))
        reports = Reports(brief.report_fd, brief.log_level)
        stage = self._plan.stages[self._plan.workers[self.worker].stage]
        process = Process(brief, board, channels)
        work = Work(stream=iter)  # never started: the caller pulls
        context = make_context(brief, stage, board, reports.log)
        loop = loop_of(work, process, context, reports, brief, board)
        assert isinstance(loop, StreamLoop)
        # What the process owns it closes itself.
        owned = {ends.read for ends in brief.channels.values()} | {brief.arena.fd}
        self._fds = tuple(fd for fd in copies.values() if fd not in owned)
        self._process, self._loop, self._reports = process, loop, reports
        self._context = context
        self._items = loop.pull()
        process.begin(guest=True)
        reports.tell(Ready())

    def fileno(self) -> int:
        """Readable when there is news."""
        return self._told

    def news(self) -> list[Exited]:
        """That it is gone, once."""
        try:
            told = os.read(self._told, 16)
        except BlockingIOError:
            return []
        return [self._exit] if told and self._exit is not None else []

    def signal(self, number: int) -> None:
        """What a signal would do to a worker."""
        if number not in _ENDS:
            return
        self._told_to_end = True
        if self._reading.acquire(blocking=False):
            try:
                self._leave(-number)
            finally:
                self._reading.release()

    # ----------------------------------------------------- in the caller's thread

    def take(self) -> Any:
        """The next item.

        Raises:
            StopIteration: There is none any more; how the run ended tells why.
        """
        with self._reading:
            if self._exit is not None or self._items is None:
                raise StopIteration
            try:
                return next(self._items)
            except StopIteration:
                self._finish()
                raise
            except Exception as error:  # as it ends a worker: neighbours gone, an item not loadable
                self._fail(error)
                raise StopIteration from None
            finally:
                if self._told_to_end:
                    self._leave(-signal.SIGTERM)

    def close(self) -> None:
        """The caller needs no more; twice is harmless."""
        with self._reading:
            if self._exit is None and self._items is not None:
                self._finish()

    def let_go(self) -> None:
        """The run is over, or has never begun: nothing of it stays open."""
        with self._reading:
            self._leave(-signal.SIGKILL)
        for fd in (self._told, self._tell):
            if fd >= 0:
                os.close(fd)
        self._told = self._tell = -1

    # ---------------------------------------------------------------- both

    def _finish(self) -> None:
        assert self._loop is not None
        assert self._process is not None
        assert self._reports is not None
        assert self._context is not None
        self._loop.put_down()
        self._loop.wind_up()
        self._process.end()
        self._reports.tell(finished(self._context, 0.0))
        self._leave(0)

    def _fail(self, error: Exception) -> None:
        assert self._reports is not None
        self._reports.tell(Failed(told_failure(error, self._plan)))
        self._leave(EXIT_VICTIM)

    def _leave(self, status: int) -> None:
        """Close all that is ours, and tell the supervisor that we are gone."""
        with self._ended:
            if self._exit is not None:
                return
            self._exit = Exited(worker=self.worker, pid=os.getpid(), status=status)
        if self._items is not None:
            self._items.close()
        if self._process is not None:
            self._process.close()
        for fd in self._fds:
            os.close(fd)
        self._fds = ()
        self._items = self._process = self._loop = self._context = self._reports = None
        os.write(self._tell, b"x")


class WithGuest:
    """A launcher that starts all workers but the guest, which is there already.

    Args:
        launcher: Starts the others; whoever made it closes it.
        guest: The guest.
        channels: All channels of the run.
        started: Called when all are there.
    """

    def __init__(
        self,
        launcher: Launcher,
        guest: Guest,
        channels: tuple[ChannelPlan, ...],
        started: Callable[[], None],
    ) -> None:
        self._launcher, self._guest = launcher, guest
        self._channels, self._started = channels, started
        self._both = selectors.DefaultSelector()
        self._both.register(launcher.fileno(), selectors.EVENT_READ)
        self._both.register(guest.fileno(), selectors.EVENT_READ)

    def fileno(self) -> int:
        number: int = getattr(self._both, "fileno")()  # noqa: B009 - of epoll and kqueue
        return number

    @property
    def parent(self) -> int:
        return self._launcher.parent

    def launch(self, orders: Iterable[Launch]) -> Iterator[tuple[int, int]]:
        mine: list[Launch] = []

        def others() -> Iterator[Launch]:
            for order in orders:
                if order.worker == self._guest.worker:
                    mine.append(order)
                else:
                    yield order

        yield from self._launcher.launch(others())
        for order in mine:
            self._guest.move_in(order, self._channels)
            yield order.worker, os.getpid()

    def all_launched(self) -> None:
        self._launcher.all_launched()
        self._started()

    def news(self) -> list[Exited]:
        return [*self._guest.news(), *self._launcher.news()]

    def signal(self, worker: int, number: int, *, whole_group: bool = True) -> None:
        if worker == self._guest.worker:
            self._guest.signal(number)
        else:
            self._launcher.signal(worker, number, whole_group=whole_group)

    def close(self) -> None:
        self._both.close()
        self._launcher.close()


def _renumbered(brief: WorkerBrief, copies: Mapping[int, int]) -> WorkerBrief:
    """A brief with the numbers that copies of its descriptors have."""

    def bells(all_of_them: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
        return {number: tuple(copies[fd] for fd in fds) for number, fds in all_of_them.items()}

    return replace(
        brief,
        board_fd=copies[brief.board_fd],
        arena=replace(brief.arena, fd=copies[brief.arena.fd]),
        channels={
            number: replace(ends, read=copies[ends.read]) for number, ends in brief.channels.items()
        },
        bells=bells(brief.bells),
        mail_bells=bells(brief.mail_bells),
        report_fd=copies[brief.report_fd],
        words_fd=copies[brief.words_fd],
        lifeline_fd=copies[brief.lifeline_fd],
    )
