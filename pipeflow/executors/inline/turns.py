"""Whose turn it is when all workers share one process: what each can do, and who is next."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeflow.executors.inline.coroutine import Baton, Steps
from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.board import Words
from pipeflow.runtime.flow.inlets import InChannel
from pipeflow.runtime.loops.base import StageLoop
from pipeflow.runtime.loops.outside import Outside
from pipeflow.stages.context import StageContext
from pipeflow.transports.inline import InlineChannel
from pipeflow.values import dataclass, field

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events


@dataclass(slots=True, kw_only=True, eq=False)
class Turn:
    """One replica, as the executor sees it.

    Attributes:
        index: Number of the worker.
        stage: Its stage.
        context: What its code may ask.
        row: Its row of the board.
        source: It has no inputs.
        loop: Its loop; made when it is loaded.
        runner: Resumes it.
        goes_on: It has more to do without anything new.
        outside: What may let it go on beside its inputs, if it waits.
        done: It has ended.
        mail_only: All that is left is what its mailboxes hold.
        inlets: The channels that it reads.
        outlets: The channels that it writes and whose readers have not closed.
        bounds: The channels that it writes, each with its capacity; only where stages wait for one
            of several inputs: others take all that comes.
        readers: Who reads them.
        place: Among all, furthest downstream first.
        events: The asyncio loop of its ``async`` code, if it has any.
        imported: Its module is imported; what fails from here on is its constructor.
    """

    index: int
    stage: StagePlan
    context: StageContext
    row: Words
    source: bool
    loop: StageLoop | None = None
    runner: Steps | Baton | None = None
    goes_on: bool = True
    outside: Outside | None = None
    done: bool = False
    mail_only: bool = False
    inlets: list[InChannel] = field(default_factory=list)
    outlets: list[InlineChannel] = field(default_factory=list)
    bounds: list[tuple[InlineChannel, int]] = field(default_factory=list)
    readers: list[Turn] = field(default_factory=list)
    place: int = 0
    events: Events | None = None
    imported: bool = False

    def note_import(self) -> None:
        """Its module has been imported."""
        self.imported = True

    def can_go_on(self) -> bool:
        """Whether a turn of this one would do anything."""
        if self.done or self.mail_only:
            return False
        if self.goes_on:
            return True
        if self.is_due():
            return True
        if self.outside is not None and (self.outside.is_ready() or self.is_drained()):
            return True
        # Plain loops: this is asked several times for every item.
        for inlet in self.inlets:
            if not inlet.over and inlet.receiver.ready():
                return True
        for outlet in self.outlets:  # noqa: SIM110 - likewise
            if not outlet.readers_open:
                return True
        return False

    def is_full(self) -> bool:
        """Whether its readers still have as much before them as a process would let it send."""
        return any(
            channel.readers_open and channel.counters.in_flight() >= capacity
            for channel, capacity in self.bounds
        )

    def is_due(self) -> bool:
        """Whether it has more to do by now though nothing has come."""
        alarm = None if self.loop is None else self.loop.alarm
        return alarm is not None and alarm <= time.monotonic()

    def awaits(self) -> bool:
        """Whether its function is at work in tasks."""
        return self.events is not None and self.events.in_flight > 0

    def is_drained(self) -> bool:
        """Whether it is a source that is to end."""
        return self.source and self.loop is not None and bool(self.loop.stopping[0])

    def is_overtaken(self) -> bool:
        """Whether somebody further downstream can do something by now."""
        for reader in self.readers:  # noqa: SIM110 - see above
            if reader.can_go_on():
                return True
        return False

    def lose_outlets(self) -> list[InlineChannel]:
        """Take out the channels whose readers have closed, and give them."""
        gone = [outlet for outlet in self.outlets if not outlet.readers_open]
        if gone:
            self.outlets = [outlet for outlet in self.outlets if outlet.readers_open]
        return gone


class Order:
    """Who is next: whoever lies furthest downstream and can do something; sources come last.

    A source that has had its turn is the last of them: one that never ends keeps none waiting.
    Who is full has its turn when nobody else can do anything: of two sources that never end, one
    that runs ahead of a join would keep the other from ever having its turn.

    Those further downstream than who had the last turn could do nothing before it, and only its
    readers may be able to now: so there is no need to ask everybody each time.

    Args:
        turns: All of them, in the order of the plan.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        #: Replicas of a stage in their order.
        self._turns = sorted(
            turns, key=lambda turn: (-turn.stage.level, turn.stage.index, turn.index)
        )
        for place, turn in enumerate(self._turns):
            turn.place = place
        self._first_source = sum(not turn.source for turn in self._turns)
        self._start = 0

    def ask_everybody(self) -> None:
        """Something has happened beside the turns."""
        self._start = 0

    def next(self) -> Turn | None:
        """Who has the next turn; ``None``: nobody can do anything."""
        found = self._first_from(self._start)
        if found is None and self._start:
            found = self._first_from(0)
        if found is None and any(turn.bounds for turn in self._turns):
            found = self._first_from(0, even_full=True)
        if found is not None:
            if found.source:
                self._put_last(found)
            idle = self._first_source if found.source else found.place
            self._start = min((reader.place for reader in found.readers), default=idle)
        return found

    def _put_last(self, source: Turn) -> None:
        """The other sources have their turns before this one has its next."""
        if self._turns[-1] is source:
            return
        self._turns.remove(source)
        self._turns.append(source)
        for place in range(self._first_source, len(self._turns)):
            self._turns[place].place = place

    def _first_from(self, start: int, *, even_full: bool = False) -> Turn | None:
        for turn in self._turns[start:] if start else self._turns:
            if turn.can_go_on() and (even_full or not turn.bounds or not turn.is_full()):
                return turn
        return None


def await_programs(turns: Sequence[Turn], seconds: float) -> bool:
    """Nobody can go on but by what a program does: wait a moment; whether there is one at all."""
    outsides = [turn.outside for turn in turns if turn.outside and not turn.done]
    poll = select.poll()
    for outside in outsides:
        for fd, events in outside.events:
            poll.register(fd, events)
    if outsides:
        poll.poll(seconds * 1000)
    for turn in turns:
        turn.goes_on |= turn.outside is not None and turn.outside.patience_s is not None
    return bool(outsides)
