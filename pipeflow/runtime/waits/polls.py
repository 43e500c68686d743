"""What wakes a waiting worker: frames, room, its bell, the ends of its readers, its tasks."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.transports.base import Sender
from pipeflow.transports.bell import Bell
from pipeflow.transports.waiting import Poll, room_poll

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events

#: How often a waiting worker looks what of its shared memory came back, in seconds.
TIDY_S: Final = 0.1


class Polls:
    """The polls of one worker. Those that are asked for all the time are made anew on a change.

    With tasks in flight, these go on while a poll lasts.

    Args:
        bell: Of the worker.
        inbox: Its inputs; ``None`` for a source.
        outbox: Its outputs.

    Attributes:
        readers: Which of what ``for_input`` watches are readers' ends.
    """

    def __init__(self, bell: Bell, inbox: Inbox | None, outbox: Outbox) -> None:
        self._bell, self._inbox, self._outbox = bell, inbox, outbox
        self._events: Events | None = None
        self._input_poll: Poll = select.poll()
        self._input_ends = (-1, -1)
        self._room_poll: Poll = select.poll()
        self._room_fds: list[int] = []
        self._task_poll: tuple[int, Poll, frozenset[int]] | None = None
        self.readers: frozenset[int] = frozenset()

    def attend(self, events: Events) -> None:
        """From now on the tasks of an asyncio loop go on during every wait."""
        self._events = events
        self._input_ends, self._room_fds, self._task_poll = (-1, -1), [], None

    def for_input(self) -> Poll:
        """What to wait on for frames."""
        assert self._inbox is not None
        ends = (self._inbox.arrivals.open_ends(), self._outbox.open_ends())
        if ends != self._input_ends:  # they only ever become fewer
            self._input_poll, self._input_ends = self._make(), ends
            for fd in self._inbox.arrivals.descriptors():
                self._input_poll.register(fd, select.POLLIN)
            self.readers = self.watch_readers(self._input_poll)
        return self._input_poll

    def for_bell(self) -> tuple[Poll, frozenset[int]]:
        """What to wait on when nothing is due, and which of it are readers' ends."""
        poll = self._make()
        readers = self.watch_readers(poll)
        poll.register(self._bell.fileno(), select.POLLIN)
        return poll, readers

    def for_tasks(self) -> tuple[Poll, frozenset[int]]:
        """What to wait on for tasks, and which of it are readers' ends."""
        ends = self._outbox.open_ends()
        if self._task_poll is None or self._task_poll[0] != ends:
            self._task_poll = (ends, *self.for_bell())
        return self._task_poll[1:]

    def for_room(self, senders: Sequence[Sender]) -> Poll:
        """What to wait on for room."""
        fds = [sender.fileno() for sender in senders]
        if fds != self._room_fds:
            empty = self._make(heeds_news=False)
            self._room_poll, self._room_fds = room_poll(senders, self._bell, poll=empty), fds
        return self._room_poll

    def watch_readers(self, poll: Poll) -> frozenset[int]:
        """Have a poll end when a reader has closed or is gone; the readers' ends."""
        readers = frozenset(self._outbox.watched())
        for fd in readers:
            poll.register(fd, 0)
        return readers

    def _make(self, *, heeds_news: bool = True) -> Poll:
        if self._events is None:
            return select.poll()
        return self._events.poll(heeds_news=heeds_news)
