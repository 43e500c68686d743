from __future__ import annotations

from typing import Any

import numpy as np

from pipeflow.planner.plan import Numbering, Route
from pipeflow.runtime.flow.collector import Arrived, Collector
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.flow.units import Part, parts_of
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Decoder, Encoder
from tests.runtime.loop_fakes import PlainAsPackets


class Sender(PlainAsPackets):
    """Keeps the parts that it was asked to send."""

    hands_over = False

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def room(self, _nbytes: int = 0) -> int:
        return 100

    def idle(self) -> bool:
        return True

    def credit_cells(self) -> None:
        """It has none."""

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        self.parts += parts_of(meta, [None] * packet.items)


def outbox_to(*senders: Sender) -> Outbox:
    targets = [
        Target([OutChannel(sender, 0, memoryview(bytearray(256)).cast("Q"))])  # type: ignore[arg-type]  # only what it uses
        for sender in senders
    ]
    return Outbox(
        {"out": OutPort("out", [Spread(Route.BALANCE, targets)])},
        numbering=Numbering.KEEP,
        encoder=Encoder(),
        wait_for_room=lambda _: None,
        counters=(memoryview(bytearray(64)).cast("Q"), {"out": 0}),
    )


def outbox_to_one_and_keyed(plain: Sender, keyed: Sender, other: Sender) -> Outbox:
    """One port with two readers: one gets all, of the other's replicas ``keyed`` does."""
    targets = [
        Target([OutChannel(each, 0, memoryview(bytearray(256)).cast("Q"))])  # type: ignore[arg-type]  # only what it uses
        for each in (plain, keyed, other)
    ]
    by_key = Spread(Route.KEY, targets[1:], pick_key=lambda _: 0)
    return Outbox(
        {"out": OutPort("out", [Spread(Route.SINGLE, targets[:1]), by_key])},
        numbering=Numbering.PER_PORT,
        encoder=Encoder(),
        wait_for_room=lambda _: None,
        counters=(memoryview(bytearray(64)).cast("Q"), {"out": 0}),
        now=lambda: 0.0,
    )


def interleave(outbox: Outbox) -> None:
    """Unit 3 of lane 0 is open while unit 5 of lane 1 comes and goes."""
    outbox.emit("out", "a", (1, 3, 0), 0, 3)
    outbox.emit("out", "b", (2, 5), 1, 5)
    outbox.end_unit(1, 5, 1, free=False)
    outbox.emit("out", "c", (1, 3, 1), 0, 3)
    outbox.end_unit(0, 3, 1, free=False)
    outbox.flush()


def all_of(collector: Collector, parts: list[Part]) -> list[Arrived]:
    for part in parts:
        collector.feed(0, part, None)
    arrived: list[Arrived] = []
    while (one := collector.take()) is not None:
        arrived.append(one)
    return arrived


def test_a_unit_that_others_interrupt_ends_once() -> None:
    sender = Sender()

    interleave(outbox_to(sender))

    ends = [(part.lane, part.unit) for part in sender.parts if part.closed]
    assert sorted(ends) == [(0, 3), (1, 5)]
    settings: dict[str, Any] = {"ordered": True, "in_parts": False, "first": 3, "step": 1}
    arrived = all_of(Collector(writers=2, lanes=2, **settings), sender.parts)
    items = [item for one in arrived for item, _ in one.part.items if one.part.lane == 0]
    assert items == [(1, 3, 0), (1, 3, 1)]


def test_a_unit_that_others_interrupt_stays_with_one_reader() -> None:
    first, second = Sender(), Sender()

    interleave(outbox_to(first, second))

    whole = [{(p.lane, p.unit) for p in sender.parts} for sender in (first, second)]
    assert whole[0].isdisjoint(whole[1])
    assert whole[0] | whole[1] == {(0, 3), (1, 5)}


def test_a_target_waits_for_its_full_readers_only() -> None:
    roomy, full = Sender(), Full()
    row = memoryview(bytearray(256)).cast("Q")
    target = Target([OutChannel(each, 0, row) for each in (roomy, full)])  # type: ignore[arg-type]  # only what it uses

    assert target.look() == 0
    assert [channel is target.channels[1] for channel in target.full()] == [True]


class Told:
    """An item that tells each time it is pickled."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def __reduce__(self) -> Any:
        self._log.append("pickled")
        return (str, ("told",))


def test_items_for_a_keyed_reader_and_another_are_pickled_once_and_travel_together() -> None:
    plain, keyed, other = Busy(), Busy(), Busy()
    outbox = outbox_to_one_and_keyed(plain, keyed, other)
    log: list[str] = []

    for ordinal in range(5):
        outbox.emit("out", Told(log), (0, ordinal), 0, 0)
    outbox.flush()

    assert log == ["pickled"] * 5
    assert plain.frames == keyed.frames == [["told"] * 5]
    assert [(part.span, list(part.items)) for part in other.parts] == [(5, [])]


def test_an_item_with_buffers_leaves_alone_behind_those_before_it() -> None:
    plain, keyed, other = Busy(), Busy(), Busy()
    outbox = outbox_to_one_and_keyed(plain, keyed, other)

    for ordinal, item in enumerate([1, 2, np.arange(3), 4]):
        outbox.emit("out", item, (0, ordinal), 0, 0)
    outbox.flush()

    for reader in (plain, keyed):
        assert [len(frame) for frame in reader.frames] == [2, 1, 1]
        assert reader.frames[1][0].tolist() == [0, 1, 2]


class Busy(Sender):
    """Keeps the frames too; its reader has always something left to do."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[list[Any]] = []

    def idle(self) -> bool:
        return False

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        super().send(meta, packet, credits)
        if packet.items:
            self.frames.append(Decoder().decode(packet))


class Full(Sender):
    def room(self, _nbytes: int = 0) -> int:
        return 0
