"""Hops: all that is done for a plain frame, or an array, from one pipe to another, in one step.

    pipe ══ frame ══> items ──> function ──> results ══ frame ══> pipe

Where a stage reads one pipe and its results leave by one other, or nobody reads them, a frame of
small plain items costs as much in Python around the calls as the calls themselves. So that way, and
only that, is written once more in C (``stretch/*.h``), on the same objects: what it does is what
``Inbox.take``, ``CallLoop``, ``Express``, ``Keeping`` and ``ProcessWaits.for_input`` say. A large
array that comes alone is such an item too: it is looked at (``Decoder.shared``) and sent
(``Express.send_alone``) in Python. At the first thing that is more than that it comes back, with
what is left of the row, and they go on.

Where nothing could be compiled there are none, and all goes the way that is written in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from pipeflow.runtime.board import RECEIVED, Words
from pipeflow.runtime.flow.express import Express
from pipeflow.runtime.flow.gapped import GappedRun
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.inlets import FrameNote
from pipeflow.runtime.flow.joins import Calls, Origin
from pipeflow.runtime.flow.keeping import Keeping
from pipeflow.runtime.flow.merging import Straight
from pipeflow.runtime.loops import stretch
from pipeflow.runtime.loops.rows import MORE, Gathered, Halt, pass_on
from pipeflow.transports.pipe import PipeReceiver, PipeSender
from pipeflow.values import dataclass

if TYPE_CHECKING:
    from pipeflow.runtime.loops.stretch._compiled import Hop, Outlet
    from pipeflow.runtime.waits.shown import Shown
    from pipeflow.transports.pause import LookOut

#: Why hops came to an end: no frame is there; ``Inbox.take`` knows more; others may have a turn.
IDLE: Final = 10
LONGER: Final = 11
ON: Final = 12
#: There is no room for the results of what is left of a row, or more than plain ones wait there.
FULL: Final = 13
#: Where more than one in so many items is more than plain, the way in Python is shorter.
RARELY: Final = 8
#: So many items are looked at before that is judged.
ENOUGH: Final = 64


class Worth:
    """Whether the compiled way is worth to be tried.

    Attributes:
        holds: It is.
    """

    def __init__(self) -> None:
        self.holds = True
        self._items = self._odd = 0

    def note(self, items: int, *, odd: bool) -> None:
        """Note some items, of which the last was more than it can do, or was not."""
        self._items += items
        self._odd += odd
        self.holds = self._items < ENOUGH or self._odd * RARELY < self._items


@dataclass(frozen=True, slots=True)
class Looks:
    """How a worker that has its process for itself looks out before it waits.

    Attributes:
        row: Its row of the board.
        shown: What shows it.
        for_input: Before a wait for items.
        for_room: Before a wait for room.
    """

    row: Words
    shown: Shown
    for_input: LookOut
    for_room: LookOut


def _shared(looks: Looks, look: LookOut) -> tuple[Any, ...]:
    """What compiled looks are done on; in the order that they know (``types.h``)."""
    return looks.row, looks.shown, look, look.longest_ns


def outlet_of(express: Express | None, looks: Looks | None) -> Outlet | None:
    """The compiled way out for what goes by this one; ``None``: there is none."""
    if (
        not stretch.HOPS
        or looks is None
        or express is None
        or type(express) not in {Express, Keeping}
        or not express.is_timed_by(perf_counter)
    ):
        return None
    channels = express.target.channels
    sender = channels[0].sender if len(channels) == 1 else None
    if not isinstance(sender, PipeSender):
        return None
    finish = partial(_finish, express, sender)
    from pipeflow.runtime.loops.stretch._compiled import Outlet

    run = express.run
    units = (run.units, run.empties) if isinstance(run, GappedRun) else (None, None)
    alone = express.send_alone if express.passes_alone else None
    shared = (*express.shared(), *sender.shared(), finish, alone, *units)
    return Outlet((*shared, *_shared(looks, looks.for_room)))


def _finish(
    express: Express,
    sender: PipeSender,
    meta: bytes | None,
    data: bytes,
    count: int,
    nbytes: int,
) -> None:
    """Send what an outlet has cut off and counted, but for the frame's number; with the lock.

    Args:
        express: Whose way it is.
        sender: Its end.
        meta: What the frame says of its items; ``None``: it was begun, and the frame counted.
        data: The pickle; of one that was begun: what is left to be written.
        count: How many items.
        nbytes: Bytes of the pickle.
    """
    if meta is None:
        express.finish(partial(sender.write_rest, data), nbytes)
    else:
        express.finish(partial(sender.send_plain, meta, data, count), nbytes)


class Gathering:
    """A source's short way: what its iterator gives leaves by an outlet.

    Args:
        express: Where its items go.
        looks: How it looks out for room; ``None``: its process is not its own.
    """

    def __init__(self, express: Express, looks: Looks | None) -> None:
        self._express, self._outlet = express, outlet_of(express, looks)
        self._worth = Worth()

    def gather(
        self,
        items: Iterator[Any],
        stage: int,
        first: int,
        *,
        stopping: Sequence[int],
        asking: bytearray,
    ) -> Gathered | None:
        """See ``rows.append_from``; ``None``: that knows more.

        Args:
            items: The user's iterator.
            stage: What the ids begin with.
            first: Ordinal of the first item.
            stopping: Its first cell says to go no further; looked at after each item.
            asking: Its one byte says that the user's code is being asked.
        """
        if self._outlet is None or not self._worth.holds:
            return None
        count, why, result, alone = self._outlet.gather(items, stage, first, stopping, asking)
        if why == stretch.RAISED:
            return Gathered(count, error=result)
        if why != stretch.OTHER:
            self._worth.note(count, odd=False)
            return Gathered(count) if count else None
        if result is None or type(result) in MORE:
            return Gathered(count, result)
        self._worth.note(count + 1, odd=True)
        try:
            pass_on(self._express, result, first + count, alone=alone, wake=True)
        except BaseException as error:  # what it is made of is the user's: a boundary
            return Gathered(count, error=error)
        return Gathered(count + 1)


@dataclass(slots=True)
class Rest:
    """What is left of a row at which a hop came to an end.

    Attributes:
        calls: The row.
        at: Place of the call to go on with.
        halt: What ended it, if that call was made.
    """

    calls: Calls
    at: int
    halt: Halt | None


class Hops:
    """A stage's hops.

    Args:
        hop: They themselves.
        inbox: Where frames come from.
        express: Where results go; ``None``: nobody reads them.
        row: The worker's row of the board.
        unit_ends: The stage keeps the units of its items.

    Attributes:
        express: See there.
        keeping: The same, if units are kept.
    """

    def __init__(
        self, hop: Hop, inbox: Inbox, express: Express | None, row: Words, *, unit_ends: bool
    ) -> None:
        self._hop, self._inbox, self._row, self._unit_ends = hop, inbox, row, unit_ends
        self.express = express
        self.keeping = express if isinstance(express, Keeping) else None
        ((_, self._channel),) = inbox.arrivals.open
        self._worth = Worth()
        self._channel.receiver.take_singly(True)

    def go(self, function: Callable[..., Any]) -> Rest | int:
        """Go on as long as there are plain frames, and everything about them is plain.

        Before ``IDLE`` it has looked out for the next.

        Args:
            function: The user's.

        Returns:
            ``IDLE``, ``LONGER``, ``ON``, or what is left of a row.
        """
        before = self._row[RECEIVED]
        why, *left = self._hop.go(function)
        whole = self._row[RECEIVED] - before  # and those of what is left that were called
        if not left:
            self._note(whole, odd=False)
            return int(why)
        prefix, first, payloads, unit, at, delivered, owed, nbytes, value = left
        count = len(payloads)
        rest = count - delivered
        note = FrameNote(self._channel, 0, rest, nbytes, rest + owed, owed)
        if owed:
            self._inbox.owe(note)
        ordinals = range(first, first + count)
        calls = Calls(
            prefix,
            ordinals,
            payloads,
            self._inbox.lane_bases[0],
            unit,
            Origin(0, 0, note),
            end_units=self._unit_ends,
        )
        self._note(whole + count - delivered, odd=why == stretch.OTHER)
        if why == FULL:
            return Rest(calls, at, None)
        if self.keeping is not None:
            self.keeping.retract()
        if why == stretch.RAISED:
            return Rest(calls, at, Halt(at, error=value))
        return Rest(calls, at, Halt(at, result=value))

    def may_go(self) -> bool:
        """Whether most of what comes is plain, and nothing has come that cannot be loaded."""
        return self._worth.holds and self._inbox.arrivals.sound

    def _note(self, items: int, *, odd: bool) -> None:
        """See ``Worth.note``; where hops end for good, arrays shall come several in a frame."""
        self._worth.note(items, odd=odd)
        if not self._worth.holds:
            self._channel.receiver.take_singly(False)


def hops_of(
    inbox: Inbox,
    *,
    express: Express | None,
    unread: tuple[Words, int],
    looks: Looks,
    may_look: bool,
) -> Hops | None:
    """The hops of a stage; ``None``: it has none.

    Args:
        inbox: Where its frames come from.
        express: Where its results go; ``None``: nobody reads them.
        unread: The board's words, and the cell that counts results that nobody reads.
        looks: How it looks out.
        may_look: All that has to be done before a wait for items is to flush that way.
    """
    channel, join, outlet = inbox.arrivals.short, inbox.join, outlet_of(express, looks)
    if not stretch.HOPS or channel is None or not isinstance(join, Straight):
        return None
    if outlet is None and express is not None:
        return None
    receiver = channel.receiver
    if not isinstance(receiver, PipeReceiver) or channel.first_writer:
        return None
    (port,), (words, cell) = inbox.ports, unread
    from pipeflow.runtime.loops.stretch._compiled import Hop

    hop = Hop(
        (
            *receiver.shared(),
            None if port.private else inbox.arrivals.show,
            *(join.frontier, join.ready, inbox.owing, channel.lot),
            *(port.edge, port.row, may_look),
            *_shared(looks, looks.for_input),
            *(outlet, cell, words),
        )
    )
    return Hops(hop, inbox, express, looks.row, unit_ends=join.unit_ends)
