"""A stage between two real pipes, all in this process: its loop goes the way that is asked for."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pipeflow.errors import Location
from pipeflow.planner.plan import Numbering, Route, StagePlan
from pipeflow.runtime.board import EDGE_WORDS, WORKER_WORDS, Words
from pipeflow.runtime.flow.arrivals import Arrivals
from pipeflow.runtime.flow.gapped import GAPPED_FORM, Gapped
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.inlets import LOT_MOST, LOT_SHARE, InChannel, InPort
from pipeflow.runtime.flow.merging import Straight
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.runs import plain_meta
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.flow.units import Part, parts_of
from pipeflow.runtime.loops.hops import Looks
from pipeflow.runtime.loops.pick import make_loop
from pipeflow.runtime.loops.rows import NEVER
from pipeflow.runtime.messages import ItemId, WorkerReport
from pipeflow.runtime.waits.shown import Shown
from pipeflow.spec.policies import Budget, ErrorPolicy, OnError
from pipeflow.spec.ports import OUT
from pipeflow.stages.work import Work
from pipeflow.transports.base import ChannelSpec, FrameKind, Kind, Packet
from pipeflow.transports.codec import Decoder, Encoder, encode_settled
from pipeflow.transports.counters import ChannelCounters
from pipeflow.transports.ends import create_ends
from pipeflow.transports.pause import LookOut
from pipeflow.transports.pipe import PipeReceiver, PipeSender
from pipeflow.transports.plain import dump_plain
from pipeflow.transports.shm import Share

AT: Final = Location("pipeline.yaml", 3, 3)
#: Index of the stage whose items come, and of ours.
BEFORE, OURS = 2, 4


def gapped_meta(told: Gapped) -> bytes:
    """What a frame with such units says."""
    return bytes([GAPPED_FORM]) + pickle.dumps(tuple(told))


class Bell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.rung = 0

    def fileno(self) -> int:
        return -1

    def ring(self) -> None:
        self.rung += 1

    def clear(self) -> None:
        """Nobody waits for it."""


class Line:
    """A pipe with both of its ends here."""

    def __init__(self, number: int, capacity: int) -> None:
        self.spec = ChannelSpec(number=number, kind=Kind.PIPE, capacity=capacity)
        self.ends = create_ends(self.spec)
        self.counters = ChannelCounters.private(self.spec)
        self.bell = Bell()
        self.sender = PipeSender(self.ends, self.counters, 0)
        self.receiver = PipeReceiver(self.ends, self.counters, 0, self.bell)  # type: ignore[arg-type]  # it only rings

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()


class Stage:
    """A stage between two pipes.

    Args:
        work: The user's code: a function of an item, or a source.
        hops: It may hop; else it goes the way that is written in Python.
        keeps: It keeps the units of its items, as a replica of several does.
        capacity: Of both edges.
        read: Whether anybody reads its results.
        then: Its policy.
        budget: What it may give up.
        look_s: How long it looks out before it waits, in seconds.
        stopping: Its first cell says that the run is being drained.
        shares: Of shared memory: of who feeds it, its own, and of who reads it.
    """

    def __init__(
        self,
        work: Work,
        *,
        hops: bool,
        keeps: bool = False,
        capacity: int = 256,
        read: bool = True,
        then: OnError = OnError.SKIP,
        budget: Budget | None = None,
        look_s: float = 0.0,
        stopping: Sequence[int] = NEVER,
        shares: Sequence[Share] = (),
    ) -> None:
        self.before, self.behind = Line(0, capacity), Line(1, capacity)
        self._encoders = [Encoder(share.pool) for share in shares] or [Encoder()] * 3
        self._decoders = [Decoder(share.views) for share in shares] or [Decoder()] * 3
        self.behind.sender.await_kernel = lambda _fd: self.take()
        self.row: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
        self.edges: tuple[Words, Words] = tuple(  # type: ignore[assignment]  # two of them
            memoryview(bytearray(8 * EDGE_WORDS)).cast("Q") for _ in range(2)
        )
        self.cells: Words = memoryview(bytearray(8)).cast("Q")
        self.got: list[tuple[ItemId, Any]] = []
        #: Of each unit of its results that is over: ids of the items that it has.
        self.units: dict[int, list[ItemId]] = {}
        #: How many items each frame of results held.
        self.frames: list[int] = []
        self.reports: list[WorkerReport] = []
        self.waits = 0
        self._ordinal = self._unit = 0
        self._numbering = Numbering.KEEP if keeps else Numbering.PER_STAGE
        self._open: dict[int, list[ItemId]] = {}
        self.inbox = self._inbox(capacity)
        self.outbox = self._outbox(read)
        looks = Looks(self.row, Shown(self.row), LookOut(look_s), LookOut(look_s))
        self.loop = make_loop(
            work,
            stage=StagePlan(
                index=OURS,
                name="ours",
                at=AT,
                on_error=ErrorPolicy(then=then, budget=budget),
                ports=("out",),
                numbering=self._numbering,
            ),
            replica=0,
            names=("a", "b", "before", "d", "ours"),
            inbox=None if work.source else self.inbox,
            outbox=self.outbox,
            row=self.row,
            tell=self.reports.append,
            waits=self,
            stopping=stopping,
            now=lambda: 1000.0,
            looks=looks if hops else None,
        )
        self.steps: Iterator[bool] = self.loop.steps()

    def _inbox(self, capacity: int) -> Inbox:
        keeps = self._numbering is Numbering.KEEP
        straight = Straight(writers=1, lanes=1, lane_base=0, unit_ends=keeps)
        lot = max(1, min(LOT_MOST, capacity // LOT_SHARE))
        channel = InChannel(receiver=self.before.receiver, first_writer=0, writers=1, lot=lot)
        port = InPort(edge=0, row=self.edges[0], private=False, intake=straight, channels=[channel])
        decoder = self._decoders[1]
        arrivals = Arrivals(
            [port],
            lambda packet, private: decoder.decode(packet, private=private),
            self.row,
            show=decoder.shared,
        )
        return Inbox(straight, [0], arrivals)

    def _outbox(self, read: bool) -> Outbox:
        channel = OutChannel(self.behind.sender, 1, self.edges[1])
        port = OutPort(OUT, [Spread(Route.SINGLE, [Target([channel])])])
        return Outbox(
            {OUT: port} if read else {},
            numbering=self._numbering,
            encoder=self._encoders[1],
            wait_for_room=self.make_room,
            counters=(self.cells, {OUT: 0}),
        )

    # -- what others do

    def feed(
        self, *payloads: Any, gap: int = 0, skip: int = 0, apart: int = 1, stage: int = BEFORE
    ) -> None:
        """A frame of these items is sent to the stage.

        Args:
            payloads: The items.
            gap: So many ids before the first are no item's.
            skip: So many units before the first are another replica's.
            apart: How much each unit is greater than the one before.
            stage: What their ids begin with.
        """
        self._ordinal += gap
        self._unit += skip
        ordinals = range(self._ordinal, self._ordinal + len(payloads))
        end = self._unit + apart * len(payloads)
        meta = plain_meta(self._unit, (stage,), ordinals)
        if apart > 1:
            units = range(self._unit, end, apart)
            meta = gapped_meta(Gapped(self._unit, end, units, (), [(0, (stage,))], ordinals))
        assert meta is not None
        self._ordinal += len(payloads)
        self._unit = end
        self.before.sender.send_plain(
            meta, dump_plain(pickle.loads(pickle.dumps([*payloads]))), len(payloads)
        )

    def feed_packet(self, packet: Packet) -> None:
        """The same of a packet that was made before."""
        meta = plain_meta(self._unit, (BEFORE,), range(self._ordinal, self._ordinal + packet.items))
        assert meta is not None
        self._ordinal += packet.items
        self._unit += packet.items
        self.before.sender.send(meta, packet, packet.items)

    def feed_array(self, array: Any) -> None:
        """A frame of one array is sent to the stage."""
        self.feed_packet(self.packet_of(array))

    def packet_of(self, array: Any) -> Packet:
        """What travels for one array."""
        packet = self._encoders[0].alone(array)
        assert packet is not None
        return packet

    def pass_over(self, units: int) -> None:
        """A frame says that so many units are another replica's."""
        end = self._unit + units
        meta = gapped_meta(Gapped(self._unit, end, (), (), [(0, ())], ()))
        self._unit = end
        self.before.sender.send(meta, encode_settled([], True), 0)

    def go(self) -> None:
        """Let it work until it waits."""
        for wants in self.steps:
            if wants:
                return

    def end(self) -> None:
        """End its input, if that is open, and let it work to its end."""
        if not self.before.counters.ended(0):
            self.before.sender.end()
        for _ in self.steps:
            pass
        self.outbox.end()

    def take(self) -> None:
        """Read what it has sent, and give credit back for it."""
        while self.behind.counters.frames_in_flight() and (frame := self.behind.receiver.receive()):
            if frame.kind is not FrameKind.ITEMS:
                return
            assert frame.packet is not None
            payloads = self._decoders[2].decode(frame.packet)
            self.behind.receiver.confirm()
            self.frames.append(len(payloads))
            for part in parts_of(frame.meta, payloads):
                self.got += part.items
                self._note_units(part)
            self.behind.receiver.took(0, frame.credits, frame.packet.shared_bytes)

    def _note_units(self, part: Part) -> None:
        for one in part.singly():
            for unit in range(one.unit, one.unit + one.span):
                assert unit not in self.units
                self._open.setdefault(unit, []).extend([item for item, _ in one.items])
                if one.closed:
                    self.units[unit] = self._open.pop(unit)

    def close(self) -> None:
        self.before.close()
        self.behind.close()

    # -- its waits

    def make_room(self, _targets: Any) -> None:
        self.waits += 1
        self.take()

    def for_input(self, timeout_s: float | None) -> None:
        """It does not wait: ``go`` comes back."""
