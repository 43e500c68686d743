"""Arrivals: what comes over a worker's channels, from frames to the intakes of their edges.

    receivers ── frames ──> decoder ── payloads ──> intake of the edge

It never waits, and gives no credit back: each frame goes to its intake with a note of what its
writer will want.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from pipeflow.errors import ItemNotLoadable, PeerLost
from pipeflow.runtime.board import LOADING, Words, put_loading
from pipeflow.runtime.flow.inlets import FrameNote, InChannel, InPort
from pipeflow.runtime.flow.refused import InputNotLoadable
from pipeflow.runtime.flow.relief import Relief
from pipeflow.runtime.flow.units import first_id, id_at
from pipeflow.runtime.messages import Barrier
from pipeflow.transports.base import NOTHING, Frame, FrameKind, Packet, SharedFrame, SlotRef
from pipeflow.transports.codec import holds_arrays
from pipeflow.transports.plain import load_plain
from pipeflow.values import dataclass, field

#: Turns a packet into payloads; ``private`` makes arrays writable copies.
Decode: TypeAlias = Callable[[Packet, bool], list[Any]]

#: Turns a packet of one array in shared memory into payloads: its pickle, and where that lies;
#: ``None``: it is more than that.
Show: TypeAlias = Callable[[bytes, tuple[int, int, int, int]], list[Any] | None]

#: Makes items of a packet and of what its frame says of them, without opening them.
Seal: TypeAlias = Callable[[Packet, bytes, bool], list[Any]]

#: To unpickle so few bytes of plain data runs no code of the user's and takes hardly any memory:
#: who does so need not note it first.
QUIET_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class Arrivals:
    """The channels of one worker's inputs.

    Args:
        ports: Its edges, in the order of the file.
        decode: Turns packets into payloads.
        row: The worker's row of the board.
        salvage: The same as ``decode``, where an item that cannot be loaded is a failure of its
            own; ``None``: it ends the run.
        seal: Makes items of packets without opening them; ``None``: they are opened here, plain
            ones without ``decode``.
        show: A shorter way than ``decode`` for single arrays; ``None``: there is none.

    Attributes:
        relief: What may be given back early of what has come.
        open: Channels that may still bring something.
        short: The one channel whose plain frames may be taken without more ado; ``None``: there is
            none.
        sound: All that came could be loaded.
        barrier: One that every writer has sent, and that was not given on yet.
    """

    ports: Sequence[InPort]
    decode: Decode
    row: Words
    salvage: Decode | None = None
    seal: Seal | None = None
    show: Show | None = None
    relief: Relief = field(init=False)
    open: list[tuple[InPort, InChannel]] = field(init=False)
    short: InChannel | None = None
    sound: bool = True
    barrier: Barrier | None = None
    _longer: int = 0  # frames that were more than small plain ones, since ``taken``
    _cells: list[tuple[Words, int, int]] | None = None
    _barriers: dict[int, set[int]] = field(default_factory=dict)
    _lost: PeerLost | None = None  # a writer is gone; what others have sent comes first
    _lost_noted: bool = False

    def __post_init__(self) -> None:
        self.relief = Relief(self.ports, self.row)
        self.open = [(port, channel) for port in self.ports for channel in port.channels]
        self._note_cells()
        if len(self.open) == 1:
            ((_, channel),) = self.open
            plain = self.seal is None and not channel.on_demand and not self.relief.lanes
            self.short = channel if plain and self._cells is not None else None

    def _note_cells(self) -> None:
        """Note what counts the frames of all channels, unless one of them counts otherwise."""
        cells = [channel.receiver.frame_cells() for _, channel in self.open]
        known = [each for each in cells if each is not None]
        self._cells = known if len(known) == len(cells) else None

    def descriptors(self) -> list[int]:
        """What becomes readable when something may have come."""
        fds = [channel.receiver.fileno() for _, channel in self.open]
        return [fd for fd in fds if fd >= 0]  # what stays in this process has none

    def open_ends(self) -> int:
        """How many channels may still bring something."""
        return len(self.open)

    def ready(self) -> bool:
        """Whether something has come that was not taken yet."""
        if self._lost is not None:
            return True
        for _, channel in self.open:  # noqa: SIM110 - a generator costs more than the look
            if channel.receiver.ready():
                return True
        return False

    def is_sent_more(self) -> bool:
        """Whether a frame is on its way, as far as the counters know."""
        if self._cells is not None:  # most often, and looked at all the time while one waits
            for words, sent, received in self._cells:  # noqa: SIM110 - as below
                if words[sent] > words[received]:
                    return True
            return False
        for _, channel in self.open:  # noqa: SIM110 - a generator costs more than the look
            if channel.receiver.is_sent_more():
                return True
        return False

    def come_in_turn(self) -> bool:
        """Whether what comes from several writers waits for its turn, and frames are counted."""
        return self._cells is not None and any(port.intake.ordered for port in self.ports)

    def taken(self) -> tuple[int, bool]:
        """How many frames were received, where they are counted; whether writers are held up.

        They may be if they wait for room, or if their frames are large: these go by pieces.
        """
        longer, self._longer = self._longer, 0
        held_up = longer > 0
        for _, channel in self.open:
            held_up = held_up or any(map(channel.receiver.writer_waits, range(channel.writers)))
        return sum([words[received] for words, _, received in self._cells or ()]), held_up

    def receive(self) -> bool:
        """Take one frame from each channel that has one; whether anything came."""
        if len(self.open) == 1:  # most often
            return self._receive_from(*self.open[0])
        came = False
        for port, channel in tuple(self.open):
            came |= self._receive_from(port, channel)
        return came

    def freshen(self) -> None:
        """Take what has come on all ports but the first, so that the newest is the newest."""
        for port, channel in tuple(self.open):
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
                payloads = load_plain(pickled)
                self._feed(port, meta, payloads, FrameNote(channel, 0, len(payloads), 0, cost))
                return True
            if plain is NOTHING:
                return False
        return self.receive_longer(port, channel)

    def receive_longer(self, port: InPort, channel: InChannel) -> bool:
        """Take a frame of any kind from a channel, or find out that there are no more."""
        if self.show is not None and not port.private and not channel.on_demand:
            shared = channel.receiver.receive_shared()
            if shared is not None:
                self._longer += 1
                self._take_shared(port, channel, shared, self.show)
                return True
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
        self._longer += 1
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
            payloads = load_plain(packet.pickled)
        else:
            payloads = self._load(port, packet, frame.meta)
        channel.receiver.confirm()
        if channel.on_demand:
            channel.wanted = max(0, channel.wanted - frame.credits)
        note = FrameNote(channel, frame.writer, packet.items, packet.shared_bytes, frame.credits)
        self._feed(port, frame.meta, payloads, note)

    def _take_shared(
        self, port: InPort, channel: InChannel, shared: SharedFrame, show: Show
    ) -> None:
        """``_take_in`` for a frame of one item in shared memory, from the channel's one writer."""
        meta, pickled, place, cost = shared
        payloads = show(pickled, place)
        if payloads is None:
            packet = Packet(pickled, (SlotRef(*place),), 1, place[3])
            frame = Frame(FrameKind.ITEMS, 0, 0, meta, packet, 0, cost)
            self._take_in(port, channel, frame, packet)
            return
        channel.receiver.confirm()
        self._feed(port, meta, payloads, FrameNote(channel, 0, 1, place[3], cost))

    def _feed(self, port: InPort, meta: bytes, payloads: list[Any], note: FrameNote) -> None:
        """Give what came to the edge's intake."""
        if self.relief.lanes:
            self.relief.note(note)
        port.intake.feed_frame(note.channel.first_writer + note.writer, meta, payloads, note)

    def raise_lost(self) -> None:
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
        if packet.items and (port.private or not holds_arrays(packet)):
            put_loading(row, first_id(meta), packet.items)
        try:
            return self.decode(packet, port.private)
        except ItemNotLoadable as error:
            if self.salvage is None:
                raise InputNotLoadable(id_at(meta, error.index), error) from error
            self.sound = False
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
        self.open.remove((port, channel))
        self.short = None
        self._note_cells()
        self.relief.over(channel)

    def _align(self, checkpoint: int, sender: int) -> None:
        """A barrier counts once every writer has sent it."""
        seen = self._barriers.setdefault(checkpoint, set())
        seen.add(sender)
        if len(seen) == sum(channel.writers for _, channel in self.open):
            del self._barriers[checkpoint]
            self.barrier = Barrier(checkpoint)
