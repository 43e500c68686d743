"""The waits of a worker's process: for input, for room, for the clock, for what runs beside it.

Each of them has flushed before, shows on the board if it is longer than a look, and watches the
neighbours' ends: a reader that closed or died shows there.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pipeflow.runtime.board import (
    BUSY_NS,
    HAND_DEPTH,
    SINCE_NS,
    STATE,
    TURNS,
    WAIT_IN_NS,
    WAIT_OUT_NS,
    WAITS_ON,
    State,
    Words,
)
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.targets import OutChannel, Target
from pipeflow.runtime.loops.base import DAY_S
from pipeflow.runtime.loops.outside import Outside
from pipeflow.transports.base import Sender
from pipeflow.transports.bell import Bell
from pipeflow.transports.pause import SHORT_S, SPIN_S, LookOut
from pipeflow.transports.slots import SlotPool
from pipeflow.transports.waiting import Poll, await_kernel, await_room, room_poll

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events

#: How often a zip whose shortest input has ended looks at the rest, in seconds.
REST_LOOK_S = 0.1
#: So many times in a row a frame that is counted is taken for written: only the kernel knows of
#: readers that are gone.
HOPES = 16
#: How often a waiting worker looks what of its shared memory came back, in seconds.
TIDY_S = 0.1


class ProcessWaits:
    """How one worker waits; see ``loops.base.Waits``.

    Args:
        row: Its row of the board.
        bell: Its bell.
        draining: Its first cell says that the run is being drained.
        pool: Its shared memory.
        spins: It looks out for longer before it sleeps.

    Attributes:
        inbox: Its inputs; ``None`` for a source. Set before the first wait.
        outbox: Its outputs; likewise.
        outside: What may let the loop go on beside its inputs; see ``StageLoop.outside``.
        before_room: Called before it waits for room: what others in this process hold back must
            leave first.
        in_second_thread: Whether it is not the loop that waits, but who sends what that left.
    """

    inbox: Inbox | None
    outbox: Outbox

    def __init__(
        self,
        row: Words,
        bell: Bell,
        draining: Sequence[int],
        pool: SlotPool,
        *,
        spins: bool,
    ) -> None:
        self._row, self._bell, self._draining, self._pool = row, bell, draining, pool
        self._input_look = LookOut(SPIN_S if spins else SHORT_S)
        self._room_look = LookOut(SPIN_S if spins else SHORT_S)
        self.outside: Callable[[], Outside | None] = lambda: None
        self.before_room: Callable[[], None] = lambda: None
        self.in_second_thread: Callable[[], bool] = lambda: False
        self._events: Events | None = None
        self._input_poll: Poll = select.poll()
        self._room_poll: Poll = select.poll()
        self._task_poll: tuple[int, Poll, frozenset[int]] | None = None
        self._room_fds: list[int] = []
        self._polled = (-1, -1)
        self._watched: frozenset[int] = frozenset()
        self._hoped = 0  # times in a row that the kernel was not asked
        self._since = time.monotonic_ns()

    def begin(self) -> None:
        """The loop begins: it is busy from now on."""
        self._since = time.monotonic_ns()
        self.enter_state(State.BUSY, 0)

    def pause(self) -> None:
        """The loop has given way to another in this process, until something comes."""
        assert self.inbox is not None
        self._row[HAND_DEPTH] = 0
        self._row[BUSY_NS] += self.enter_state(State.WAITING_IN, self.inbox.waits_for())

    def resume(self) -> None:
        """The loop has its turn again."""
        self._row[WAIT_IN_NS] += self.enter_state(State.BUSY, 0)

    def tidy(self) -> None:
        """Do what others may need to go on; see ``_poll``."""
        assert self.inbox is not None
        self._pool.tidy()
        self.inbox.help_writers()

    def for_input(self, timeout_s: float | None) -> None:
        """Wait until something may have come; everything was flushed before.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        outside = self.outside()
        if outside is not None:
            self._for_outside(outside)
            return
        inbox = self.inbox
        assert inbox is not None
        if inbox.no_more_calls():
            timeout_s = REST_LOOK_S
        elif (wake_s := inbox.wake_in()) is not None:
            timeout_s = min(wake_s, TIDY_S if timeout_s is None else timeout_s, TIDY_S)
        busy = self._awaits()  # its function is at work, whatever else is waited for
        if not busy:
            self._row[HAND_DEPTH] = 0
        ready = None if busy or timeout_s is not None else self._look_for_input(inbox)
        if ready is None:
            if busy:
                state, waits_on = State.BUSY, 0
            else:
                # A wait with an end is no part of a circle.
                state = State.WAITING_IN if timeout_s is None else State.IN_OR_CLOCK
                waits_on = inbox.waits_for()
            self._row[BUSY_NS] += self.enter_state(state, waits_on)
            ready = [] if inbox.ready() else self._poll(timeout_s)
            self._row[BUSY_NS if busy else WAIT_IN_NS] += self.enter_state(State.BUSY, 0)
        for fd, _ in ready:
            if fd in self._watched:
                self.outbox.check_readers(frozenset([each for each, _ in ready]))
                break

    def _look_for_input(self, inbox: Inbox) -> list[tuple[int, int]] | None:
        """What came while we were looking out for it; ``None``: nothing, so it must be awaited."""
        began_ns, look = time.monotonic_ns(), self._input_look
        ready: list[tuple[int, int]] | None = []
        if not inbox.ready():
            # A frame is counted first and written then, so it is there when it is read: most often.
            late = inbox.is_sent_more()
            if not look.sees(inbox.is_sent_more):
                ready = None
            elif late or self._hoped >= HOPES:
                self._hoped = 0
                ready = look.sees(partial(self._poll_for_input().poll, 0))
            else:
                self._hoped += 1
        if ready is not None:
            self._note_short_wait(WAIT_IN_NS, began_ns)
        return ready

    def _for_outside(self, outside: Outside) -> None:
        """Wait for an external program, and for items if it has room for them.

        The bell ends it when the run is drained.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        is_source = self.inbox is None
        inbox = self.inbox if self.inbox is not None and not self.inbox.closed else None
        poll, watched = outside.poll(), frozenset(self.outbox.watched())
        for fd in watched:
            poll.register(fd, 0)
        if is_source:
            poll.register(self._bell.fileno(), select.POLLIN)
        spent_in = BUSY_NS
        if inbox is not None and outside.input:
            spent_in = WAIT_IN_NS
            for fd in inbox.descriptors():
                poll.register(fd, select.POLLIN)
        state = State.AT_PROGRAM if spent_in == BUSY_NS else State.IN_OR_PROGRAM
        self._row[BUSY_NS] += self.enter_state(state, 0)
        patience_s = TIDY_S if outside.patience_s is None else min(TIDY_S, outside.patience_s)
        until = None if outside.patience_s is None else time.monotonic() + outside.patience_s
        ready = poll.poll(0)
        while not (ready or (outside.input and inbox is not None and inbox.ready())):
            if (is_source and self._draining[0]) or (until and time.monotonic() >= until):
                break
            idle = self._pool.lends() or (inbox is not None and inbox.parks())
            ready = poll.poll(patience_s * 1000 if idle or until else None)
            self._pool.tidy()
            if inbox is not None:
                inbox.help_writers()
        self._row[spent_in] += self.enter_state(State.BUSY, 0)
        if is_source:
            self._bell.clear()
        if not watched.isdisjoint(fd for fd, _ in ready):
            self.outbox.check_readers(frozenset(fd for fd, _ in ready))

    def for_news(
        self,
        also: Sequence[tuple[int, int]],
        has_news: Callable[[], bool],
        *,
        with_input: bool,
        idle: bool,
        timeout_s: float | None,
    ) -> None:
        """Wait for what has to do with a process beside this one; everything was flushed before.

        Args:
            also: Descriptors, and what to poll them for.
            has_news: Whether there is any; asked before.
            with_input: Whether frames that come end the wait as well.
            idle: There is nothing to do before something comes.
            timeout_s: Longest time, in seconds; ``None``: any.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        inbox = self.inbox
        assert inbox is not None
        if idle:
            self._row[HAND_DEPTH] = 0
            self._row[BUSY_NS] += self.enter_state(State.WAITING_IN, inbox.waits_for())
        watched = frozenset(self.outbox.watched())
        ready: list[tuple[int, int]] = []
        if not (has_news() or (with_input and inbox.ready())):
            poll = select.poll()
            for fd, events in also:
                poll.register(fd, events)
            for fd in inbox.descriptors() if with_input else ():
                poll.register(fd, select.POLLIN)
            for fd in watched:
                poll.register(fd, 0)
            if with_input and (wake_s := inbox.wake_in()) is not None:
                # Who waits for a time alone keeps turning: it is no part of a circle.
                timeout_s = min(wake_s, TIDY_S if timeout_s is None else timeout_s)
            until = math.inf if timeout_s is None else time.monotonic() + timeout_s
            # Who waits in here stands still: were it to look around outside, no circle of those
            # who wait for each other would ever be found.
            while (left_s := min(TIDY_S, until - time.monotonic())) > 0:
                ready = poll.poll(left_s * 1000)
                if ready or has_news():
                    break
                self._pool.tidy()
                if idle:
                    inbox.help_writers()
        if idle:
            self._row[WAIT_IN_NS] += self.enter_state(State.BUSY, 0)
        gone = watched.intersection([fd for fd, _ in ready])
        if gone:
            self.outbox.check_readers(gone)

    def for_tasks(self) -> None:
        """Wait until a task has something to tell, a reader has closed, or the bell is rung.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        ends = self.outbox.open_ends()
        if self._task_poll is None or self._task_poll[0] != ends:
            self._task_poll = (ends, *self._poll_for_bell())
        _, poll, watched = self._task_poll
        ready = frozenset(fd for fd, _ in poll.poll(TIDY_S * 1000))
        if ready:
            self._bell.clear()
            if not watched.isdisjoint(ready):
                self.outbox.check_readers(ready)
        self._pool.tidy()

    def for_room(self, targets: Sequence[Target]) -> None:
        """Wait until one of the targets may have room, a reader has closed, or a moment.

        The inbox may owe its writers less than a lot meanwhile, so at most half of an edge: to them
        it is as if its capacity were smaller, and every capacity from 1 on is free of deadlock.
        """
        full: list[OutChannel] = []
        for target in targets:
            channels = target.full()
            if not channels:
                return  # it has got room since the caller looked
            full += channels
        self.before_room()
        began_ns = time.monotonic_ns()
        if self._room_look.sees(lambda: not all(target.full() for target in targets)):
            self._note_short_wait(WAIT_OUT_NS, began_ns)
            return
        self._row[BUSY_NS] += self.enter_state(State.WAITING_OUT, full[0].edge + 1)
        senders = [channel.sender for channel in full]
        gone = await_room(senders, self._bell, poll=self._poll_for_room(senders))
        self._pool.tidy()
        if gone:
            for target in targets:
                for channel in [one for one in target.channels if one.sender.fileno() in gone]:
                    target.drop(channel)
        self._row[WAIT_OUT_NS] += self.enter_state(State.BUSY, 0)

    def for_kernel(self, edge: int, fd: int) -> None:
        """Wait until the kernel takes more of a frame: for room, as far as anybody else can tell.

        When the second thread waits, the loop is at work.
        """
        if self.in_second_thread() or self._row[STATE] != State.BUSY:
            await_kernel(fd)
            return
        self._row[BUSY_NS] += self.enter_state(State.WAITING_OUT, edge + 1)
        await_kernel(fd)
        self._row[WAIT_OUT_NS] += self.enter_state(State.BUSY, 0)

    def back_off(self, seconds: float) -> None:
        """Wait before an item is tried again; everything was flushed before.

        The bell ends it when the run is drained; nothing is left to wait for then.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        until = time.monotonic() + seconds
        self.before_room()
        try:
            while not self._draining[0] and (left_s := until - time.monotonic()) > 0:
                self._row[BUSY_NS] += self.enter_state(State.BACKING_OFF, 0)
                poll, watched = self._poll_for_bell()
                ready = frozenset(fd for fd, _ in poll.poll(min(left_s, TIDY_S) * 1000))
                self._bell.clear()
                if not watched.isdisjoint(ready):
                    self.outbox.check_readers(ready)
                self._pool.tidy()
        finally:
            self._row[BUSY_NS] += self.enter_state(State.BUSY, 0)

    def rest(self, seconds: float | None, fd: int) -> None:
        """Wait for the clock or the world, on behalf of a source; see ``StageContext.rest``.

        The bell ends it when the run is drained; what the source gave before leaves meanwhile.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        until = None if seconds is None else time.monotonic() + seconds
        came = False
        self._row[BUSY_NS] += self.enter_state(State.RESTING, 0)
        try:
            while not came and not self._draining[0]:
                left_s = math.inf if until is None else min(DAY_S, until - time.monotonic())
                if left_s <= 0:
                    break
                if self._pool.lends():
                    left_s = min(left_s, TIDY_S)
                poll, watched = self._poll_for_bell()
                if fd >= 0:
                    poll.register(fd, select.POLLIN)
                found = poll.poll(None if left_s == math.inf else left_s * 1000)
                ready = frozenset(each for each, _ in found)
                came = fd in ready
                self._bell.clear()
                if not watched.isdisjoint(ready):
                    self.outbox.check_readers(ready)
                self._pool.tidy()
        finally:
            self._row[WAIT_IN_NS] += self.enter_state(State.BUSY, 0)

    def attend(self, events: Events) -> None:
        """From now on the tasks of an asyncio loop go on during every wait."""
        self._events = events
        self._polled, self._room_fds, self._task_poll = (-1, -1), [], None

    def _poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait, and do from time to time what others may need to go on.

        A pool that lent slots looks what came back; writers may need credit that an inbox holds.
        """
        inbox = self.inbox
        assert inbox is not None
        poll = self._poll_for_input()
        if not (self._pool.lends() or inbox.parks()):
            return poll.poll(None if timeout_s is None else timeout_s * 1000)
        until = None if timeout_s is None else time.monotonic() + timeout_s
        left_s = TIDY_S if timeout_s is None else max(timeout_s, 0)
        while True:
            if (ready := poll.poll(min(left_s, TIDY_S) * 1000)) or self._has_news():
                return ready
            self._pool.tidy()
            inbox.help_writers()
            if until is not None and (left_s := until - time.monotonic()) <= 0:
                return []

    def _awaits(self) -> bool:
        """Whether the user's function is at work in tasks."""
        return self._events is not None and self._events.in_flight > 0

    def _has_news(self) -> bool:
        return self._events is not None and self._events.news

    def _make_poll(self, *, heeds_news: bool = True) -> Poll:
        if self._events is None:
            return select.poll()
        return self._events.poll(heeds_news=heeds_news)

    def _poll_for_input(self) -> Poll:
        """What to wait on, readers' ends among it; made anew on a change."""
        assert self.inbox is not None
        ends = (self.inbox.open_ends(), self.outbox.open_ends())
        if ends != self._polled:  # they only ever become fewer
            self._input_poll, self._polled = self._make_poll(), ends
            for fd in self.inbox.descriptors():
                self._input_poll.register(fd, select.POLLIN)
            self._watched = frozenset(self.outbox.watched())
            for fd in self._watched:
                self._input_poll.register(fd, 0)
        return self._input_poll

    def _poll_for_bell(self) -> tuple[Poll, frozenset[int]]:
        """What to wait on when nothing is due, and which of it are readers' ends."""
        poll, watched = self._make_poll(), frozenset(self.outbox.watched())
        poll.register(self._bell.fileno(), select.POLLIN)
        for fd in watched:
            poll.register(fd, 0)
        return poll, watched

    def _poll_for_room(self, senders: Sequence[Sender]) -> Poll:
        """What to wait on for room; made anew on a change."""
        fds = [sender.fileno() for sender in senders]
        if fds != self._room_fds:
            empty = self._make_poll(heeds_news=False)
            self._room_poll, self._room_fds = room_poll(senders, self._bell, poll=empty), fds
        return self._room_poll

    def _note_short_wait(self, cell: int, began_ns: int) -> None:
        """Note a wait that was over so soon that it is no state for others to see."""
        row, now = self._row, time.monotonic_ns()
        row[BUSY_NS] += began_ns - self._since
        row[cell] += now - began_ns
        row[TURNS] += 1
        row[SINCE_NS] = self._since = now

    def enter_state(self, state: State, waits_on: int) -> int:
        """Note a new state; nanoseconds spent in the one before."""
        now = time.monotonic_ns()
        spent, self._since = now - self._since, now
        row = self._row
        row[WAITS_ON] = waits_on
        row[STATE] = state
        row[SINCE_NS] = now
        row[TURNS] += 1
        return spent
