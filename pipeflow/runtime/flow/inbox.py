"""The inbox: the reading side of a worker, from frames to messages.

    receivers ── frames ──> decoder ── payloads ──> intake of the edge ──> join ──> messages

It counts what is delivered, and gives credit back in lots once the user's function was called;
before a wait it owes nothing. It never waits itself: ``take`` answers ``None`` when nothing is
there, and the worker decides what to do about it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pickle import loads
from typing import Any, TypeAlias

from pipeflow.errors import ItemNotLoadable, PeerLost
from pipeflow.runtime.board import (
    DELIVERED,
    EARLY,
    LOADING,
    UNMATCHED,
    Words,
    put_loading,
)
from pipeflow.runtime.flow.inlets import FrameNote, InChannel, InPort, has_room
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
from pipeflow.runtime.flow.keyed import KeyJoin
from pipeflow.runtime.flow.latest import Latest
from pipeflow.runtime.flow.merging import Merge, Straight
from pipeflow.runtime.flow.refused import InputNotLoadable
from pipeflow.runtime.flow.relief import Relief
from pipeflow.runtime.flow.units import first_id, id_at
from pipeflow.runtime.flow.zipping import ZipByPosition
from pipeflow.runtime.messages import Barrier, EndOfInput
from pipeflow.transports.base import NOTHING, Frame, FrameKind, Packet
from pipeflow.values import dataclass, field

#: Turns a packet into payloads; ``private`` makes arrays writable copies.
Decode = Callable[[Packet, bool], list[Any]]

#: Makes items of a packet and of what its frame says of them, without opening them.
Seal = Callable[[Packet, bytes, bool], list[Any]]

#: What a stage's loop gets.
Message: TypeAlias = Call | Calls | Lone | Unjoinable | UnitEnd | Barrier | EndOfInput

#: To unpickle so few bytes of plain data runs no code of the user's and takes hardly any memory:
#: who does so need not note it first.
QUIET_BYTES = 64 * 1024


@dataclass(slots=True)
class Inbox:
    """The inputs of one worker.

    Args:
        ports: Its edges, in the order of the file.
        join: Makes calls of what the ports' collectors give.
        lane_bases: Number of each port's first lane among all lanes of the stage.
        decode: Turns packets into payloads.
        row: The worker's row of the board.
        salvage: The same as ``decode``, where an item that cannot be loaded is a failure of its
            own; ``None``: it ends the run.
        seal: Makes items of packets without opening them; ``None``: they are opened here, plain
            ones without ``decode``.
    """

    ports: Sequence[InPort]
    join: Join
    lane_bases: Sequence[int]
    decode: Decode
    row: Words
    salvage: Decode | None = None
    seal: Seal | None = None
    closed: bool = False
    _finished: bool = False
    _owing: dict[int, FrameNote] = field(default_factory=dict)
    _barriers: dict[int, set[int]] = field(default_factory=dict)
    _pending_barrier: Barrier | None = None
    _lost: PeerLost | None = None  # a writer is gone; what others have sent comes first
    _lost_noted: bool = False
    _sound: bool = True  # all that came could be loaded
    _sifted: deque[Output] = field(default_factory=deque)
    _cells: tuple[Words, int, int] | None = None
    _open: list[tuple[InPort, InChannel]] = field(init=False)
    _relief: Relief = field(init=False)
    _by_position: ZipByPosition | None = field(init=False)
    _by_key: KeyJoin | None = field(init=False)
    _latest: Latest | None = field(init=False)
    _straight: Straight | None = field(init=False)  # takes plain frames of the one channel

    def __post_init__(self) -> None:
        self._by_position = self.join if isinstance(self.join, ZipByPosition) else None
        self._by_key = self.join if isinstance(self.join, KeyJoin) else None
        self._latest = self.join if isinstance(self.join, Latest) else None
        self._open = [(port, channel) for port in self.ports for channel in port.channels]
        self._relief = Relief(self.ports, self.row)
        if len(self._open) == 1:
            self._cells = self._open[0][1].receiver.frame_cells()
        self._straight = self._short_way()

    def take(self) -> Message | None:
        """The next message, or ``None`` when nothing is there yet.

        Whoever gets a ``Call`` says ``delivered`` before the function is called; of ``Calls``
        ``delivered_in`` and ``pay`` once ``lot`` of them were called.

        Raises:
            PeerLost: A writer went away.
            ProtocolError: A frame or a unit is missing.
            InputNotLoadable: An item cannot be unpickled.
        """
        straight = self._straight
        if straight is not None and not straight.ready:
            _, channel = self._open[0]
            frame = channel.receiver.receive_plain()
            if frame:
                meta, pickled, cost = frame
                payloads = loads(pickled)
                owed = FrameNote(channel, 0, len(payloads), 0, cost)
                row = straight.row_of(channel.first_writer, meta, payloads, owed)
                if row is not None:
                    return row
            elif frame is NOTHING:
                self.settle()
                return None
        while True:
            if self._latest is not None and self._latest.idle():
                self._freshen()
            output = self.join.take() if self._sound else self._take_sifted()
            if type(output) is Calls or type(output) is Call:
                return output
            match output:
                case None:
                    if self._pending_barrier is not None:
                        barrier, self._pending_barrier = self._pending_barrier, None
                        return barrier
                    if self._latest is not None and self._latest.over():
                        return self._end()  # the others may bring something for ever
                    if not self._receive():
                        self._raise_lost()
                        self.settle()
                        self._relief.at_once()
                        return self._end()
                case Passed(origin, cost):
                    note: FrameNote = origin.frame
                    note.took(cost, 0)
                case Kept(origin):
                    self._pay(origin.frame)
                case _:
                    return output

    def _short_way(self) -> Straight | None:
        """What takes frames of plain items as they come; ``None``: they go the longer way."""
        join = self.join
        if type(join) is not Straight or self._cells is None or self.seal is not None:
            return None
        (_, channel), *_ = self._open
        return None if channel.on_demand or self._relief.lanes else join

    def give_rows(self) -> None:
        """Its reader knows ``Calls`` that end their units."""
        if isinstance(self.join, Merge):
            self.join.give_rows()

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
                self._owing.pop(id(note), None)
                note.give_back()
            elif note.owed == 1:
                self._owing[id(note)] = note

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

    def lot(self, calls: Calls) -> int:
        """How many calls may be made before the writer is told."""
        note: FrameNote = calls.origin.frame
        return note.channel.lot

    def delivered_in(self, calls: Calls, count: int) -> None:
        """The user's function was called with so many more of these items."""
        self.ports[calls.origin.port].row[DELIVERED] += count

    def pay(self, calls: Calls, count: int) -> None:
        """Give the credit of so many of these items back."""
        if not count:
            return
        note: FrameNote = calls.origin.frame
        note.items -= count
        if not note.items and count == note.left and not note.nbytes:
            note.left = 0  # all of it at once, as most often where items come slowly
            note.channel.receiver.took(note.writer, count, 0)
            return
        note.owed += count
        if not note.items or note.owed >= note.channel.lot:
            if self._owing:
                self._owing.pop(id(note), None)
            note.give_back()
        else:
            self._owing[id(note)] = note

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
        self._owing.pop(id(note), None)
        note.items -= 1
        note.owed += 1
        note.give_back()

    def descriptors(self) -> list[int]:
        """What becomes readable when something may have come."""
        fds = [channel.receiver.fileno() for _, channel in self._open]
        return [fd for fd in fds if fd >= 0]  # what stays in this process has none

    def is_on_demand(self) -> bool:
        """Whether nothing may be taken before it is needed.

        That is so where a writer sends only what was asked for, and where the newest counts.
        """
        return self._latest is not None or any(channel.on_demand for _, channel in self._open)

    def open_ends(self) -> int:
        """How many channels may still bring something."""
        return len(self._open)

    def ready(self) -> bool:
        """Whether something has come that was not taken yet."""
        if self._lost is not None:
            return True
        for _, channel in self._open:  # noqa: SIM110 - a generator costs more than the look
            if channel.receiver.ready():
                return True
        return False

    def is_sent_more(self) -> bool:
        """Whether a frame is on its way, as far as the counters know."""
        if self._cells is not None:  # most often, and looked at all the time while one waits
            words, sent, received = self._cells
            return words[sent] > words[received]
        for _, channel in self._open:  # noqa: SIM110 - a generator costs more than the look
            if channel.receiver.is_sent_more():
                return True
        return False

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
        return self._relief.may_be_due()

    def help_writers(self) -> None:
        """Nothing has come for a while: give writers room who may wait for each other, or for us.

        See ``relief``.
        """
        self._relief.for_lanes()
        self._relief.past_gaps()

    def close(self) -> None:
        """Need no more. Before the end of input this is an early end."""
        if self.closed:
            return
        self.closed = True
        if not self._finished:
            self.row[EARLY] = 1
        for port in self.ports:
            for channel in port.channels:
                channel.receiver.close()

    def _receive(self) -> bool:
        """Take one frame from each channel that has one; whether anything came."""
        if len(self._open) == 1:  # most often
            return self._receive_from(*self._open[0])
        came = False
        for port, channel in tuple(self._open):
            came |= self._receive_from(port, channel)
        return came

    def _freshen(self) -> None:
        """Take what has come on all ports but the first, so that the newest is the newest."""
        for port, channel in tuple(self._open):
            if port is not self.ports[0]:
                if channel.on_demand:
                    self._receive_from(port, channel)
                    continue
                while channel.receiver.is_sent_more() and self._receive_from(port, channel):
                    if channel.over:
                        break

    def _receive_from(self, port: InPort, channel: InChannel) -> bool:
        if channel.on_demand:
            if not channel.wanted:
                channel.wanted = 1
                channel.receiver.want(1)
        elif self.seal is None:
            plain = channel.receiver.receive_plain()
            if plain:
                meta, pickled, cost = plain
                payloads = loads(pickled)
                self._feed(port, meta, payloads, FrameNote(channel, 0, len(payloads), 0, cost))
                return True
            if plain is NOTHING:
                return False
        try:
            frame = channel.receiver.receive()
        except StopIteration:
            self._over(port, channel)
            return True
        except PeerLost as error:
            if channel.cut_short():
                self._over(port, channel)  # what it has sent is all that comes of it
            else:
                self._lost = error
                self._drop(port, channel)
            return True
        if frame is None:
            return False
        if frame.packet is not None:
            self._take_in(port, channel, frame, frame.packet)
        elif frame.kind is FrameKind.BARRIER:
            self._align(int.from_bytes(frame.meta, "little"), id(channel) + frame.writer)
        else:
            # Others may still write the same queue, and wait until nobody waits for this one.
            port.intake.end(channel.first_writer + frame.writer)
        return True

    def _take_in(self, port: InPort, channel: InChannel, frame: Frame, packet: Packet) -> None:
        """Make items of a frame, and say that its buffers are held."""
        if packet.handed is not None:
            payloads = packet.handed
        elif self.seal is not None:
            payloads = self.seal(packet, frame.meta, port.private)
        elif packet.plain and len(packet.pickled) < QUIET_BYTES:
            payloads = loads(packet.pickled)
        else:
            payloads = self._load(port, packet, frame.meta)
        channel.receiver.confirm()
        if channel.on_demand:
            channel.wanted = max(0, channel.wanted - packet.items)
        note = FrameNote(channel, frame.writer, packet.items, packet.shared_bytes, frame.credits)
        self._feed(port, frame.meta, payloads, note)

    def _feed(self, port: InPort, meta: bytes, payloads: list[Any], note: FrameNote) -> None:
        """Give what came to the edge's intake."""
        if self._relief.lanes:
            self._relief.note(note)
        port.intake.feed_frame(note.channel.first_writer + note.writer, meta, payloads, note)

    def _raise_lost(self) -> None:
        """Nothing is left to work on. Before it is said that a writer is gone results may leave.

        Raises:
            PeerLost: That was said already: there is nothing more to do.
        """
        if self._lost is not None and self._lost_noted:
            raise self._lost
        self._lost_noted = self._lost is not None

    def _load(self, port: InPort, packet: Packet, meta: bytes) -> list[Any]:
        """Unpickle what came: code of the user's may run, and fail, or end the process."""
        row = self.row
        if packet.items:
            put_loading(row, first_id(meta), packet.items)
        try:
            return self.decode(packet, port.private)
        except ItemNotLoadable as error:
            if self.salvage is None:
                raise InputNotLoadable(id_at(meta, error.index), error) from error
            self._sound = False
            return self.salvage(packet, port.private)
        finally:
            row[LOADING] = 0

    def _over(self, port: InPort, channel: InChannel) -> None:
        """No more comes from this channel, and its writers have said so."""
        self._drop(port, channel)
        for writer in range(channel.writers):
            port.intake.end(channel.first_writer + writer)

    def _drop(self, port: InPort, channel: InChannel) -> None:
        channel.over = True
        self._open.remove((port, channel))
        self._cells = self._straight = None
        self._relief.over(channel)

    def settle(self) -> None:
        """Before a wait nothing is owed: a writer may wait for just that."""
        if self._owing:
            for note in self._owing.values():
                note.give_back()
            self._owing.clear()
        for _, channel in self._open:
            channel.receiver.rouse()

    def _align(self, checkpoint: int, sender: int) -> None:
        """A barrier counts once every writer has sent it."""
        seen = self._barriers.setdefault(checkpoint, set())
        seen.add(sender)
        if len(seen) == sum(channel.writers for _, channel in self._open):
            del self._barriers[checkpoint]
            self._pending_barrier = Barrier(checkpoint)

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
