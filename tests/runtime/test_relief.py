"""A unit may be missing for good: those who have passed it are not kept waiting for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeflow.runtime.board import EDGE_WORDS, TURNS, WORKER_WORDS
from pipeflow.runtime.flow.arrivals import Arrivals
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.inlets import InChannel, InPort
from pipeflow.runtime.flow.joins import Calls
from pipeflow.runtime.flow.merging import Merge
from pipeflow.runtime.flow.units import Batch
from pipeflow.transports.base import Frame, FrameKind, Packet


class Queue:
    """The reading end of a queue of two writers: frames from a list, the credit that went back."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.credit, self.roused = [0, 0], [0, 0]
        self.waiting = {0, 1}

    def put(self, writer: int, *units: int) -> None:
        batch = Batch()
        for unit in units:
            batch.add(0, unit, (0, unit), None)
            batch.close(0, unit)
        packet = Packet(pickled=b"", buffers=(), items=len(units))
        self.frames.append(
            Frame(
                kind=FrameKind.ITEMS,
                writer=writer,
                seq=0,
                credits=len(units),
                meta=batch.meta(),
                packet=packet,
            )
        )

    def end(self, writer: int) -> None:
        self.frames.append(Frame(kind=FrameKind.END, writer=writer, seq=0, meta=b"", packet=None))

    def receive_plain(self) -> None:
        """Its frames come as packets."""

    def frame_cells(self) -> None:
        return None

    def receive(self) -> Frame | None:
        return self.frames.pop(0) if self.frames else None

    def confirm(self) -> None:
        pass

    def took(self, writer: int, credits: int, nbytes: int) -> None:
        self.credit[writer] += credits

    def rouse(self) -> None:
        self.roused = list(self.credit)

    def writer_waits(self, writer: int) -> bool:
        return writer in self.waiting


def inbox_of(queue: Queue, cut_short: Callable[[], bool] | None) -> Inbox:
    collector = Collector(
        writers=2, lanes=1, ordered=True, in_parts=False, first=0, step=1, cut_short=cut_short
    )
    channel = InChannel(receiver=queue, first_writer=0, writers=2, lot=1)  # type: ignore[arg-type]  # only what it uses
    row = memoryview(bytearray(8 * EDGE_WORDS)).cast("Q")
    port = InPort(edge=0, row=row, private=False, intake=collector, channels=[channel])

    def decode(packet: Packet, private: bool) -> list[Any]:
        return [None] * packet.items

    own = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    arrivals = Arrivals([port], decode, own)
    return Inbox(Merge([collector], [0], unit_ends=False), [0], arrivals)


def called(inbox: Inbox) -> list[int]:
    """The units whose items come to a call."""
    units = []
    while isinstance(row := inbox.take(), Calls):
        inbox.delivered_in(row, len(row.payloads))
        inbox.pay(row, len(row.payloads))
        units += [row.unit + place for place in range(len(row.payloads))]
    return units


def test_one_writer_of_a_queue_has_ended_before_the_others_have() -> None:
    queue = Queue()
    inbox = inbox_of(queue, cut_short=lambda: True)
    queue.put(1, 1, 2)

    queue.end(0)

    assert called(inbox) == [1, 2]


def test_writers_get_room_past_a_unit_that_may_never_come() -> None:
    queue = Queue()
    inbox = inbox_of(queue, cut_short=lambda: True)
    queue.put(1, 1, 2)
    queue.put(1, 3)
    before = inbox.arrivals.row[TURNS]

    assert called(inbox) == []

    assert queue.credit == queue.roused == [0, 3]
    assert inbox.arrivals.row[TURNS] > before
    queue.put(0, 0)
    assert called(inbox) == [0, 1, 2, 3]
    assert queue.credit == [1, 3]  # none comes back twice


def test_nobody_gets_room_who_does_not_wait_for_it() -> None:
    queue = Queue()
    queue.waiting = {0}
    inbox = inbox_of(queue, cut_short=lambda: True)
    queue.put(1, 1, 2)

    assert called(inbox) == []

    assert queue.credit == [0, 0]


def test_while_the_unit_that_is_due_is_sure_to_come_its_place_is_kept() -> None:
    ended = False
    queue = Queue()
    inbox = inbox_of(queue, cut_short=lambda: ended)
    queue.put(1, 1, 2)

    assert called(inbox) == []
    assert queue.credit == [0, 0]
    assert inbox.parks()  # so whoever waits looks again
    ended = True
    inbox.help_writers()

    assert queue.credit == queue.roused == [0, 2]


def test_where_there_can_be_no_gap_nobody_looks_for_one() -> None:
    queue = Queue()
    inbox = inbox_of(queue, cut_short=None)
    queue.put(1, 1, 2)

    assert called(inbox) == []

    assert not inbox.parks()
    assert queue.credit == [0, 0]
