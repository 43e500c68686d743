"""The waits of a worker's process: for input, for room, for its tasks, for the clock.

Each of them has flushed before, shows on the board if it is longer than a look, and watches the
neighbours' ends: a reader that closed or died shows there.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from pipeflow.runtime.board import (
    BUSY_NS,
    HAND_DEPTH,
    STATE,
    WAIT_IN_NS,
    WAIT_OUT_NS,
    State,
    Words,
)
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.targets import OutChannel, Target
from pipeflow.runtime.loops.base import DAY_S
from pipeflow.runtime.loops.hops import Looks
from pipeflow.runtime.waits.polls import TIDY_S, Polls
from pipeflow.runtime.waits.shown import Shown
from pipeflow.transports.bell import Bell
from pipeflow.transports.pause import SHORT_S, SPIN_S, LookOut
from pipeflow.transports.slots import SlotPool
from pipeflow.transports.waiting import await_kernel, await_room

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events
    from pipeflow.runtime.loops.outside import Outside
    from pipeflow.runtime.waits.beside import BesideWaits
    from pipeflow.runtime.waits.moderation import Moderation

#: How often a zip whose shortest input has ended looks at the rest, in seconds.
REST_LOOK_S: Final = 0.1
#: So many times in a row a frame that is counted is taken for written: only the kernel knows of
#: readers that are gone.
HOPES: Final = 16


class ProcessWaits:
    """How one worker waits; see ``loops.base.Waits``.

    Args:
        row: Its row of the board.
        bell: Its bell.
        draining: Its first cell says that the run is being drained.
        pool: Its shared memory.
        spins: It looks out for longer before it sleeps.
        crowded: Whoever wakes up takes a core from another.

    Attributes:
        shown: What the worker does, on the board.
        outside: What may let the loop go on beside its inputs; see ``StageLoop.outside``.
        before_room: Called before it waits for room: what others in this process hold back must
            leave first.
        in_second_thread: Whether it is not the loop that waits, but who sends what that left.
    """

    _inbox: Inbox | None
    _outbox: Outbox
    _polls: Polls

    def __init__(
        self,
        row: Words,
        bell: Bell,
        draining: Sequence[int],
        pool: SlotPool,
        *,
        spins: bool,
        crowded: bool = False,
    ) -> None:
        self._row, self._bell, self._draining, self._pool = row, bell, draining, pool
        self._input_look = LookOut(SPIN_S if spins else SHORT_S)
        self._room_look = LookOut(SPIN_S if spins else SHORT_S)
        self.outside: Callable[[], Outside | None] = lambda: None
        self.before_room: Callable[[], None] = lambda: None
        self.in_second_thread: Callable[[], bool] = lambda: False
        self.shown = Shown(row)
        self._events: Events | None = None
        self._moderates = crowded and not spins
        self._moderation: Moderation | None = None
        self._hoped = 0  # times in a row that the kernel was not asked

    def connect(self, inbox: Inbox | None, outbox: Outbox) -> None:
        """Take the worker's ends, before the first wait: these need to know how to wait.

        Args:
            inbox: Its inputs; ``None`` for a source.
            outbox: Its outputs.
        """
        self._inbox, self._outbox = inbox, outbox
        self._polls = Polls(self._bell, inbox, outbox)
        if self._moderates and inbox is not None and inbox.comes_in_turn():
            from pipeflow.runtime.waits.moderation import Moderation  # few workers read so

            self._moderation = Moderation(time.perf_counter())

    @cached_property
    def beside(self) -> BesideWaits:
        """Its waits for another process that belongs to it; once it is connected."""
        from pipeflow.runtime.waits.beside import BesideWaits  # few workers have such a process

        assert self._outbox is not None
        return BesideWaits(
            self._row,
            self.shown,
            self._bell,
            self._draining,
            self._pool,
            inbox=self._inbox,
            outbox=self._outbox,
            polls=self._polls,
        )

    def looks(self) -> Looks:
        """How it looks out before it waits."""
        return Looks(self._row, self.shown, self._input_look, self._room_look)

    def pause(self) -> None:
        """The loop has given way to another in this process, until something comes."""
        assert self._inbox is not None
        self._row[HAND_DEPTH] = 0
        self._row[BUSY_NS] += self.shown.enter(State.WAITING_IN, self._inbox.waits_for())

    def resume(self) -> None:
        """The loop has its turn again."""
        self._row[WAIT_IN_NS] += self.shown.enter(State.BUSY, 0)

    def tidy(self) -> None:
        """Do what others may need to go on; see ``_poll``."""
        assert self._inbox is not None
        self._pool.tidy()
        self._inbox.help_writers()

    def for_input(self, timeout_s: float | None) -> None:
        """Wait until something may have come; everything was flushed before.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        outside = self.outside()
        if outside is not None:
            self.beside.for_program(outside)
            return
        inbox = self._inbox
        assert inbox is not None
        if inbox.no_more_calls():
            timeout_s = REST_LOOK_S
        elif (wake_s := inbox.wake_in()) is not None:
            timeout_s = min(wake_s, TIDY_S if timeout_s is None else timeout_s, TIDY_S)
        busy = self._awaits()  # its function is at work, whatever else is waited for
        if not busy:
            self._row[HAND_DEPTH] = 0
        looks = not busy and timeout_s is None
        if looks and self._moderation is not None and self._waits_on_purpose(self._moderation):
            return
        ready = self._look_for_input(inbox) if looks else None
        if ready is None:
            if busy:
                state, waits_on = State.BUSY, 0
            else:
                # A wait with an end is no part of a circle.
                state = State.WAITING_IN if timeout_s is None else State.IN_OR_CLOCK
                waits_on = inbox.waits_for()
            self._row[BUSY_NS] += self.shown.enter(state, waits_on)
            ready = [] if inbox.arrivals.ready() else self._poll(timeout_s)
            self._row[BUSY_NS if busy else WAIT_IN_NS] += self.shown.enter(State.BUSY, 0)
        for fd, _ in ready:
            if fd in self._polls.readers:
                self._outbox.check_readers(frozenset([each for each, _ in ready]))
                break

    def _waits_on_purpose(self, moderation: Moderation) -> bool:
        """Whether it has waited a moment for several frames."""
        inbox = self._inbox
        assert inbox is not None
        frames, held_up = inbox.arrivals.taken()
        wait_s = moderation.wait_s(frames, time.perf_counter(), held_up=held_up)
        if not wait_s:
            return False
        self._row[BUSY_NS] += self.shown.enter(State.IN_OR_CLOCK, inbox.waits_for())
        self._poll_ends(wait_s)
        self._row[WAIT_IN_NS] += self.shown.enter(State.BUSY, 0)
        return True

    def _look_for_input(self, inbox: Inbox) -> list[tuple[int, int]] | None:
        """What came while we were looking out for it; ``None``: nothing, so it must be awaited."""
        look = self._input_look
        self.shown.begin_look()
        ready: list[tuple[int, int]] | None = []
        if not inbox.arrivals.ready():
            # A frame is counted first and written then, so it is there when it is read: most often.
            late = inbox.arrivals.is_sent_more()
            if not look.sees(inbox.arrivals.is_sent_more):
                ready = None
            elif late or self._hoped >= HOPES:
                self._hoped = 0
                ready = look.sees(partial(self._polls.for_input().poll, 0))
            else:
                self._hoped += 1
        if ready is not None:
            self.shown.end_look(WAIT_IN_NS)
        return ready

    def for_tasks(self) -> None:
        """Wait until a task has something to tell, a reader has closed, or the bell is rung.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        self._poll_ends(TIDY_S)

    def _poll_ends(self, seconds: float) -> None:
        poll, readers = self._polls.for_tasks()
        ready = frozenset(fd for fd, _ in poll.poll(seconds * 1000))
        if ready:
            self._bell.clear()
            if not readers.isdisjoint(ready):
                self._outbox.check_readers(ready)
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
        self.shown.begin_look()
        if self._room_look.sees(lambda: not all(target.full() for target in targets)):
            self.shown.end_look(WAIT_OUT_NS)
            return
        self._row[BUSY_NS] += self.shown.enter(State.WAITING_OUT, full[0].edge + 1)
        senders = [channel.sender for channel in full]
        most_s = TIDY_S if self._pool.lends() else None  # others may need what we do not
        poll = self._polls.for_room(senders)
        self._end_wait(targets, await_room(senders, self._bell, most_s, poll=poll))

    def for_moments(self, targets: Sequence[Target], rests: Iterator[float], /) -> None:
        """Wait so many seconds again and again, until there are no more.

        One of their readers that has closed ends it, and the bell. It is for room: one of the
        targets will be given more then.
        """
        channels = [channel for target in targets for channel in target.channels]
        self.before_room()
        edge = channels[0].edge + 1 if channels else 0
        self._row[BUSY_NS] += self.shown.enter(State.WAITING_OUT, edge)
        poll = self._polls.for_room([channel.sender for channel in channels])
        ready: set[int] = set()
        for rest_s in rests:
            ready = {fd for fd, _ in poll.poll(rest_s * 1000)}
            if ready:
                break
        self._bell.clear()
        self._end_wait(targets, ready - {self._bell.fileno()})

    def _end_wait(self, targets: Sequence[Target], gone: Collection[int]) -> None:
        """A wait for room is over, and these ends have lost their readers."""
        self._pool.tidy()
        if gone:
            for target in targets:
                for channel in [one for one in target.channels if one.sender.fileno() in gone]:
                    target.drop(channel)
        self._row[WAIT_OUT_NS] += self.shown.enter(State.BUSY, 0)

    def for_kernel(self, edge: int, fd: int) -> None:
        """Wait until the kernel takes more of a frame: for room, as far as anybody else can tell.

        When the second thread waits, the loop is at work.
        """
        if self.in_second_thread() or self._row[STATE] != State.BUSY:
            await_kernel(fd)
            return
        self._row[BUSY_NS] += self.shown.enter(State.WAITING_OUT, edge + 1)
        await_kernel(fd)
        self._row[WAIT_OUT_NS] += self.shown.enter(State.BUSY, 0)

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
                self._row[BUSY_NS] += self.shown.enter(State.BACKING_OFF, 0)
                self._poll_bell(min(left_s, TIDY_S))
        finally:
            self._row[BUSY_NS] += self.shown.enter(State.BUSY, 0)

    def rest(self, seconds: float | None, fd: int) -> None:
        """Wait for the clock or the world, on behalf of a source; see ``StageContext.rest``.

        The bell ends it when the run is drained; what the source gave before leaves meanwhile.

        Raises:
            ReadersGone: Nobody needs the results any more.
        """
        until = None if seconds is None else time.monotonic() + seconds
        came = False
        self._row[BUSY_NS] += self.shown.enter(State.RESTING, 0)
        try:
            while not came and not self._draining[0]:
                left_s = math.inf if until is None else min(DAY_S, until - time.monotonic())
                if left_s <= 0:
                    break
                if self._pool.lends():
                    left_s = min(left_s, TIDY_S)
                came = fd in self._poll_bell(left_s, fd)
        finally:
            self._row[WAIT_IN_NS] += self.shown.enter(State.BUSY, 0)

    def _poll_bell(self, seconds: float, fd: int = -1) -> frozenset[int]:
        """Wait so long, or until the bell is rung or a reader has closed.

        Args:
            seconds: The longest time; infinite: any.
            fd: What else ends it when it can be read; -1: nothing.

        Returns:
            What was ready.
        """
        poll, readers = self._polls.for_bell()
        if fd >= 0:
            poll.register(fd, select.POLLIN)
        found = poll.poll(None if seconds == math.inf else seconds * 1000)
        ready = frozenset(each for each, _ in found)
        self._bell.clear()
        if not readers.isdisjoint(ready):
            self._outbox.check_readers(ready)
        self._pool.tidy()
        return ready

    def attend(self, events: Events) -> None:
        """From now on the tasks of an asyncio loop go on during every wait."""
        self._events = events
        self._polls.attend(events)

    def _poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait, and do from time to time what others may need to go on.

        A pool that lent slots looks what came back; writers may need credit that an inbox holds.
        """
        inbox = self._inbox
        assert inbox is not None
        poll = self._polls.for_input()
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
