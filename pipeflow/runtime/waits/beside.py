"""Waits for what runs beside the worker's process: an external program, the runner of its code."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Sequence

from pipeflow.runtime.board import BUSY_NS, HAND_DEPTH, WAIT_IN_NS, State, Words
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.loops.outside import Outside
from pipeflow.runtime.waits.polls import TIDY_S, Polls
from pipeflow.runtime.waits.shown import Shown
from pipeflow.transports.bell import Bell
from pipeflow.transports.slots import SlotPool


class BesideWaits:
    """How a worker waits for another process that belongs to it.

    Args:
        row: Its row of the board.
        shown: What it does, there.
        bell: Its bell.
        draining: Its first cell says that the run is being drained.
        pool: Its shared memory.
        inbox: Its inputs; ``None`` for a source.
        outbox: Its outputs.
        polls: What wakes it beside the other process.
    """

    def __init__(
        self,
        row: Words,
        shown: Shown,
        bell: Bell,
        draining: Sequence[int],
        pool: SlotPool,
        *,
        inbox: Inbox | None,
        outbox: Outbox,
        polls: Polls,
    ) -> None:
        self._row, self._shown, self._bell, self._draining = row, shown, bell, draining
        self._pool, self._polls = pool, polls
        self._inbox, self._outbox = inbox, outbox

    def for_program(self, outside: Outside) -> None:
        """Wait for an external program, and for items if it has room for them.

        The bell ends it when the run is drained.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        is_source = self._inbox is None
        inbox = self._inbox if self._inbox is not None and not self._inbox.closed else None
        poll = outside.poll()
        readers = self._polls.watch_readers(poll)
        if is_source:
            poll.register(self._bell.fileno(), select.POLLIN)
        spent_in = BUSY_NS
        if inbox is not None and outside.input:
            spent_in = WAIT_IN_NS
            for fd in inbox.arrivals.descriptors():
                poll.register(fd, select.POLLIN)
        state = State.AT_PROGRAM if spent_in == BUSY_NS else State.IN_OR_PROGRAM
        self._row[BUSY_NS] += self._shown.enter(state, 0)
        patience_s = TIDY_S if outside.patience_s is None else min(TIDY_S, outside.patience_s)
        until = None if outside.patience_s is None else time.monotonic() + outside.patience_s
        ready = poll.poll(0)
        while not (ready or (outside.input and inbox is not None and inbox.arrivals.ready())):
            if (is_source and self._draining[0]) or (until and time.monotonic() >= until):
                break
            idle = self._pool.lends() or (inbox is not None and inbox.parks())
            ready = poll.poll(patience_s * 1000 if idle or until else None)
            self._pool.tidy()
            if inbox is not None:
                inbox.help_writers()
        self._row[spent_in] += self._shown.enter(State.BUSY, 0)
        if is_source:
            self._bell.clear()
        if not readers.isdisjoint(fd for fd, _ in ready):
            self._outbox.check_readers(frozenset(fd for fd, _ in ready))

    def for_runner(
        self,
        also: Sequence[tuple[int, int]],
        has_news: Callable[[], bool],
        *,
        with_input: bool,
        idle: bool,
        timeout_s: float | None,
    ) -> None:
        """Wait for news of the runner; everything was flushed before.

        Args:
            also: Descriptors of it, and what to poll them for.
            has_news: Whether there is any; asked before.
            with_input: Whether frames that come end the wait as well.
            idle: There is nothing to do before something comes.
            timeout_s: Longest time, in seconds; ``None``: any.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        inbox = self._inbox
        assert inbox is not None
        if idle:
            self._row[HAND_DEPTH] = 0
            self._row[BUSY_NS] += self._shown.enter(State.WAITING_IN, inbox.waits_for())
        gone: frozenset[int] = frozenset()
        if not (has_news() or (with_input and inbox.arrivals.ready())):
            poll = select.poll()
            for fd, events in also:
                poll.register(fd, events)
            for fd in inbox.arrivals.descriptors() if with_input else ():
                poll.register(fd, select.POLLIN)
            readers = self._polls.watch_readers(poll)
            if with_input and (wake_s := inbox.wake_in()) is not None:
                # Who waits for a time alone keeps turning: it is no part of a circle.
                timeout_s = min(wake_s, TIDY_S if timeout_s is None else timeout_s)
            ready = self._poll_for_runner(poll, has_news, timeout_s, inbox if idle else None)
            gone = readers.intersection([fd for fd, _ in ready])
        if idle:
            self._row[WAIT_IN_NS] += self._shown.enter(State.BUSY, 0)
        if gone:
            self._outbox.check_readers(gone)

    def _poll_for_runner(
        self,
        poll: select.poll,
        has_news: Callable[[], bool],
        timeout_s: float | None,
        helped: Inbox | None,
    ) -> list[tuple[int, int]]:
        """What is ready when the wait is over.

        Who waits in here stands still: were it to look around outside, no circle of those who wait
        for each other would ever be found.

        Args:
            poll: Watches all that may end it.
            has_news: Whether there is news of the runner.
            timeout_s: Longest time, in seconds; ``None``: any.
            helped: Gives credit back meanwhile, that of an idle worker.
        """
        ready: list[tuple[int, int]] = []
        until = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while (left_s := min(TIDY_S, until - time.monotonic())) > 0:
            ready = poll.poll(left_s * 1000)
            if ready or has_news():
                break
            self._pool.tidy()
            if helped is not None:
                helped.help_writers()
        return ready
