"""The inbox: the reading side of a worker, from what arrives to messages.

    arrivals ── payloads ──> intake of the edge ──> join ──> messages

It counts what is delivered, and gives credit back in lots once the user's function was called;
before a wait it owes nothing. It never waits itself: ``take`` answers ``None`` when nothing is
there, and the worker decides what to do about it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from pipeflow.runtime.board import DELIVERED, EARLY, UNMATCHED, WIDTH_MAX
from pipeflow.runtime.flow.arrivals import Arrivals
from pipeflow.runtime.flow.inlets import FrameNote, InPort, has_room
from pipeflow.runtime.flow.joins import (
    Call,
    Calls,
    Join,
    Kept,
    Lone,
    Output,
    Passed,
    UnitEnd,
    Unjoinable,
)
from pipeflow.runtime.flow.merging import Merge, Straight
from pipeflow.runtime.messages import Barrier, EndOfInput
from pipeflow.transports.base import NOTHING
from pipeflow.transports.plain import load_plain
from pipeflow.values import dataclass, field

if TYPE_CHECKING:
    from pipeflow.runtime.flow.keyed import KeyJoin
    from pipeflow.runtime.flow.latest import Latest
    from pipeflow.runtime.flow.positions import ZipByPosition

#: What a stage's loop gets.
Message: TypeAlias = Call | Calls | Lone | Unjoinable | UnitEnd | Barrier | EndOfInput


@dataclass(slots=True)
class Inbox:
    """The inputs of one worker.

    Args:
        join: Makes calls of what the ports' collectors give.
        lane_bases: Number of each port's first lane among all lanes of the stage.
        arrivals: What comes over its channels.

    Attributes:
        ports: Its edges, in the order of the file.
        closed: It needs no more.
        owing: Notes of frames with credit to be given back before a wait, by their identity.
    """

    join: Join
    lane_bases: Sequence[int]
    arrivals: Arrivals
    ports: Sequence[InPort] = field(init=False)
    closed: bool = False
    _finished: bool = False
    owing: dict[int, FrameNote] = field(default_factory=dict)
    _sifted: deque[Output] = field(default_factory=deque)
    _by_position: ZipByPosition | None = None
    _by_key: KeyJoin | None = None
    _latest: Latest | None = None
    _straight: Straight | None = None

    def __post_init__(self) -> None:
        self.ports, join = self.arrivals.ports, self.join
        if isinstance(join, Straight):
            self._straight = join
        elif not isinstance(join, Merge):
            self._note_join()

    def _note_join(self) -> None:
        """Note what kind of join it is; they are loaded here, for most stages have none."""
        from pipeflow.runtime.flow.keyed import KeyJoin
        from pipeflow.runtime.flow.latest import Latest
        from pipeflow.runtime.flow.positions import ZipByPosition

        match self.join:
            case ZipByPosition() as join:
                self._by_position = join
            case KeyJoin() as join:
                self._by_key = join
            case Latest() as join:
                self._latest = join
            case _:
                pass  # of a zip by id nothing more is asked

    def take(self) -> Message | None:
        """The next message, or ``None`` when nothing is there yet.

        Whoever gets a ``Call`` says ``delivered`` before the function is called; of ``Calls``
        ``delivered_in`` and ``pay`` once ``lot`` of them were called.

        Raises:
            PeerLost: A writer went away.
            ProtocolError: A frame or a unit is missing.
            InputNotLoadable: An item cannot be unpickled.
        """
        straight, arrivals = self._straight, self.arrivals
        came: bool | None = None  # not known yet
        if (
            straight is not None
            and arrivals.short is not None
            and not (straight.ready or self._sifted)
        ):
            channel = arrivals.short
            frame = channel.receiver.receive_plain()
            if frame:
                meta, pickled, cost = frame
                payloads = load_plain(pickled)
                owed = FrameNote(channel, 0, len(payloads), 0, cost)
                row = straight.row_of(channel.first_writer, meta, payloads, owed)
                if row is not None:
                    return row
            elif frame is NOTHING:
                self.settle()
                return None
            else:
                came = arrivals.receive_longer(*arrivals.open[0])
        while True:
            if self._latest is not None and self._latest.idle():
                arrivals.freshen()
            output = self.join.take() if arrivals.sound else self._take_sifted()
            if type(output) is Calls or type(output) is Call:
                return output
            match output:
                case None:
                    if arrivals.barrier is not None:
                        barrier, arrivals.barrier = arrivals.barrier, None
                        return barrier
                    if self._latest is not None and self._latest.over():
                        return self._end()  # the others may bring something for ever
                    if came is None:
                        came = arrivals.receive()
                    if not came:
                        arrivals.raise_lost()
                        self.settle()
                        arrivals.relief.at_once()
                        return self._end()
                    came = None
                case Passed(origin, cost):
                    note: FrameNote = origin.frame
                    note.took(cost, 0)
                case Kept(origin):
                    self._pay(origin.frame)
                case _:
                    return output

    def give_rows(self, *, woven: bool, pairs: bool = False) -> None:
        """Its reader knows ``Calls`` that end their units.

        Args:
            woven: And those that are of several frames.
            pairs: And such with an item of each of several edges.
        """
        join = self.join
        if isinstance(join, Straight):
            join.give_rows()
        elif isinstance(join, Merge):
            join.give_rows(woven=woven)
        elif pairs and len(self.ports) <= WIDTH_MAX:
            from pipeflow.runtime.flow.positions import ZipByPosition
            from pipeflow.runtime.flow.zipping import ZipById

            if isinstance(join, ZipById | ZipByPosition):
                join.give_rows()

    def _take_sifted(self) -> Output | None:
        """What the join gives, where some items could not be loaded."""
        from pipeflow.runtime.flow.unloaded import without_unloadable  # few runs need it

        if not self._sifted and (output := self.join.take()) is not None:
            self._sifted.extend(without_unloadable(output))
        return self._sifted.popleft() if self._sifted else None

    def delivered(self, call: Call) -> None:
        """The user's function is called with these items now."""
        for port, _, note in call.origins:
            self.ports[port].row[DELIVERED] += 1
            if note is None:
                continue  # its credit went back while it was kept
            note.items -= 1
            note.owed += 1
            if not note.items or note.owed >= note.channel.lot:
                self.owing.pop(id(note), None)
                note.give_back()
            elif note.owed == 1:
                self.owing[id(note)] = note

    def hold(self, call: Call, size: int) -> Call:
        """A call waits for others, to make a batch of so many with them.

        Its credit goes back at once where the rest of the batch may need it: a writer's share may
        be smaller than a batch, and nobody knows how many bytes the others have.
        """
        if all(has_room(origin.frame, size) for origin in call.origins):
            return call
        for origin in call.origins:
            if origin.frame is not None:
                self._pay(origin.frame)
        return call._replace(
            origins=tuple([origin._replace(frame=None) for origin in call.origins])
        )

    def hold_row(self, calls: Calls, size: int) -> Calls:
        """``hold``, for a row of calls that wait together."""
        note: FrameNote | None = calls.origin.frame
        if note is None or has_room(note, size):
            return calls
        count = len(calls.payloads)
        self.owing.pop(id(note), None)
        note.items -= count
        note.owed += count
        note.give_back()
        return calls._replace(origin=calls.origin._replace(frame=None))

    def lot(self, calls: Calls) -> int:
        """How many calls may be made before the writer is told."""
        note: FrameNote = calls.origin.frame
        lot = note.channel.lot
        for origin in calls.partners:
            lot = min(lot, origin.frame.channel.lot)
        return lot

    def delivered_in(self, calls: Calls, count: int) -> None:
        """The user's function was called with so many more of these items."""
        self.ports[calls.origin.port].row[DELIVERED] += count
        for origin in calls.partners:
            self.ports[origin.port].row[DELIVERED] += count

    def pay(self, calls: Calls, count: int, *, at: int = 0) -> None:
        """Give the credit of so many of these items back, from this one on."""
        if not count:
            return
        if calls.origins:
            froms = calls.froms[at : at + count]
            for number, origin in enumerate(calls.origins):
                self._pay_some(origin.frame, froms.count(number))
        else:
            self._pay_some(calls.origin.frame, count)
            for origin in calls.partners:
                self._pay_some(origin.frame, count)

    def owe(self, note: FrameNote) -> None:
        """Some of a frame's items were delivered, and their writer was not told yet."""
        self.owing[id(note)] = note

    def _pay_some(self, note: FrameNote | None, count: int) -> None:
        if not count or note is None:
            return
        note.items -= count
        if not note.items and count == note.left:  # all at once, as where items come slowly
            nbytes, note.nbytes, note.left = note.nbytes, 0, 0
            note.channel.receiver.took(note.writer, count, nbytes)
            return
        note.owed += count
        if not note.items or note.owed >= note.channel.lot:
            if self.owing:
                self.owing.pop(id(note), None)
            note.give_back()
        else:
            self.owing[id(note)] = note

    def port_of(self, calls: Calls) -> InPort:
        """The edge that they came over."""
        return self.ports[calls.origin.port]

    def unmatched(self, lone: Lone) -> None:
        """An item has no partner and goes its own way."""
        self.ports[lone.origin.port].row[UNMATCHED] += 1
        if lone.origin.frame is not None:
            self._pay(lone.origin.frame)

    def _pay(self, note: FrameNote) -> None:
        """Give the credit of one more item back at once."""
        self.owing.pop(id(note), None)
        note.items -= 1
        note.owed += 1
        note.give_back()

    def is_on_demand(self) -> bool:
        """Whether nothing may be taken before it is needed.

        That is so where a writer sends only what was asked for, and where the newest counts.
        """
        on_demand = any(channel.on_demand for _, channel in self.arrivals.open)
        return on_demand or self._latest is not None

    def comes_in_turn(self) -> bool:
        """Whether what comes from several writers waits for its turn, and frames are counted.

        Nobody shall ask for what is sent on demand, or for the newest, later than he could.
        """
        return not self.is_on_demand() and self.arrivals.come_in_turn()

    def waits_for(self) -> int:
        """Number of the edge that is waited for, plus 1; 0: any of several."""
        port = self.join.waits_for()
        return 0 if port is None else self.ports[port].edge + 1

    def wake_in(self) -> float | None:
        """Seconds until there is something to do though nothing comes; ``None``: never."""
        return None if self._by_key is None else self._by_key.wake_in()

    def no_more_calls(self) -> bool:
        """Whether a zip's shortest input has ended: what still comes has no partner."""
        return self._by_position is not None and self._by_position.shortest_ended()

    def parks(self) -> bool:
        """Whether something is held that ``help_writers`` may have to do with."""
        return self.arrivals.relief.may_be_due()

    def help_writers(self) -> None:
        """Nothing has come for a while: give writers room who may wait for each other, or for us.

        See ``relief``.
        """
        self.arrivals.relief.for_lanes()
        self.arrivals.relief.past_gaps()

    def close(self) -> None:
        """Need no more. Before the end of input this is an early end."""
        if self.closed:
            return
        self.closed = True
        if not self._finished:
            self.arrivals.row[EARLY] = 1
        for port in self.ports:
            for channel in port.channels:
                channel.receiver.close()

    def settle(self) -> None:
        """Before a wait nothing is owed: a writer may wait for just that."""
        if self.owing:
            for note in self.owing.values():
                note.give_back()
            self.owing.clear()
        for _, channel in self.arrivals.open:
            channel.receiver.rouse()

    def _end(self) -> EndOfInput | None:
        """The end of input, if this is it."""
        if not self.join.over():
            return None
        # The join of the latest ends with its first port: to the others this may be an early end.
        self._finished = self._latest is None or self._latest.heard_all()
        units: dict[int, int] = {}
        for port, base in zip(self.ports, self.lane_bases, strict=True):
            for lane, reached in enumerate(port.intake.frontier):
                units[base + lane] = max(reached, units.get(base + lane, 0))
        return EndOfInput(units, 0 if self._by_key is None else self._by_key.calls)
