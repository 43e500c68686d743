from __future__ import annotations

from typing import Any

from pipeflow.planner.plan import Numbering, Route
from pipeflow.runtime.flow.collector import Arrived, Collector
from pipeflow.runtime.flow.outbox import Outbox
from pipeflow.runtime.flow.ports import OutPort
from pipeflow.runtime.flow.targets import OutChannel, Spread, Target
from pipeflow.runtime.flow.units import Part, parts_of
from pipeflow.transports.base import Packet
from pipeflow.transports.codec import Encoder
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


class Full(Sender):
    def room(self, _nbytes: int = 0) -> int:
        return 0
