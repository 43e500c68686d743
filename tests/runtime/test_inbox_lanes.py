"""Two lanes share the credit of a channel: whoever has the unit that is due gets room for it."""

from __future__ import annotations

from typing import Any

from pipeflow.runtime.board import EDGE_WORDS, TURNS, WORKER_WORDS
from pipeflow.runtime.flow.arrivals import Arrivals
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.inlets import InChannel, InPort
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.merging import Merge
from pipeflow.runtime.flow.relief import EARLY_MOST
from pipeflow.runtime.flow.units import Batch
from pipeflow.transports.base import Frame, FrameKind, Packet


class Receiver:
    """Frames from a list, and the credit that went back."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.credit = self.roused = 0
        self.waiting = True

    def put(self, lane: int, unit: int) -> None:
        batch = Batch()
        batch.add(lane, unit, (lane, unit), None)
        batch.close(lane, unit)
        packet = Packet(pickled=b"", buffers=(), items=1)
        self.frames.append(
            Frame(
                kind=FrameKind.ITEMS, writer=0, seq=0, credits=1, meta=batch.meta(), packet=packet
            )
        )

    def receive_plain(self) -> None:
        """Its frames come as packets."""

    def frame_cells(self) -> None:
        """Nobody counts its frames."""

    def receive(self) -> Frame | None:
        return self.frames.pop(0) if self.frames else None

    def confirm(self) -> None:
        pass

    def took(self, writer: int, credits: int, nbytes: int) -> None:
        self.credit += credits

    def rouse(self) -> None:
        self.roused = self.credit

    def writer_waits(self, writer: int) -> bool:
        return self.waiting


def inbox_of(first: Receiver, second: Receiver) -> Inbox:
    collector = Collector(writers=2, lanes=2, ordered=True, in_parts=False, first=0, step=1)
    channels = [
        InChannel(receiver=one, first_writer=number, writers=1, lot=1)  # type: ignore[arg-type]  # only what it uses
        for number, one in enumerate((first, second))
    ]
    row = memoryview(bytearray(8 * EDGE_WORDS)).cast("Q")
    port = InPort(edge=0, row=row, private=False, intake=collector, channels=channels)

    def decode(packet: Packet, private: bool) -> list[Any]:
        return [None] * packet.items

    own = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    arrivals = Arrivals([port], decode, own)
    return Inbox(Merge([collector], [0], unit_ends=False), [0], arrivals)


def calls(inbox: Inbox) -> list[tuple[int, int]]:
    taken = []
    while isinstance(row := inbox.take(), Calls):
        inbox.delivered_in(row, len(row.payloads))
        inbox.pay(row, len(row.payloads))
        taken += [(row.lane, row.unit + place) for place in range(len(row.payloads))]
    return taken


def test_when_all_writers_wait_each_gets_room_for_one_more() -> None:
    first, second = Receiver(), Receiver()
    inbox = inbox_of(first, second)
    first.put(0, 1)  # unit 0 of lane 0 is with the second, unit 0 of lane 1 with the first
    second.put(1, 1)

    assert calls(inbox) == []
    assert (first.credit, second.credit) == (1, 1)
    assert (first.roused, second.roused) == (1, 1)  # it was told of it, too
    first.put(1, 0)
    second.put(0, 0)

    assert sorted(calls(inbox)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (first.credit, second.credit) == (2, 2)


def test_room_that_a_waiting_worker_gives_shows_on_the_board() -> None:
    first = Receiver()
    inbox = inbox_of(first, Receiver())
    first.put(0, 1)
    assert calls(inbox) == []
    before = inbox.arrivals.row[TURNS]

    first.put(0, 2)
    assert calls(inbox) == []
    inbox.help_writers()

    assert inbox.arrivals.row[TURNS] > before


def test_a_writer_that_is_only_slow_is_waited_for() -> None:
    first, second = Receiver(), Receiver()
    second.waiting = False
    inbox = inbox_of(first, second)
    first.put(0, 1)

    assert calls(inbox) == []
    assert first.credit == 0
    assert inbox.parks()


def test_no_writer_runs_ahead_without_end() -> None:
    first, second = Receiver(), Receiver()
    second.waiting = False
    inbox = inbox_of(first, second)
    for unit in range(EARLY_MOST + 100):
        first.put(0, unit + 1)
        assert calls(inbox) == []
        inbox.help_writers()

    assert first.credit == EARLY_MOST
