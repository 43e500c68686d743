"""What a reader knows of its channels before it waits for several frames on purpose."""

from __future__ import annotations

import pytest

from pipeflow.runtime.board import EDGE_WORDS, WORKER_WORDS, Words
from pipeflow.runtime.flow.arrivals import Arrivals
from pipeflow.runtime.flow.collector import Collector
from pipeflow.runtime.flow.inbox import Inbox
from pipeflow.runtime.flow.inlets import InChannel, InPort
from pipeflow.runtime.flow.merging import Merge
from pipeflow.runtime.flow.units import Batch
from pipeflow.transports.base import Frame, FrameKind, Packet


class Receiver:
    """One writer's frames, counted as they come; all of them go the longer way."""

    def __init__(self, *, counted: bool = True) -> None:
        self._words: Words = memoryview(bytearray(16)).cast("Q")
        self._counted = counted
        self._frames: list[Frame] = []
        self.waiting = False

    def frame_cells(self) -> tuple[Words, int, int] | None:
        return (self._words, 0, 1) if self._counted else None

    def put(self) -> None:
        batch = Batch()
        batch.add(0, 0, (0, 0), None)
        packet = Packet(pickled=b"", buffers=(), items=1)
        self._frames.append(
            Frame(kind=FrameKind.ITEMS, writer=0, seq=0, meta=batch.meta(), packet=packet)
        )

    def receive_plain(self) -> None:
        """None of them is plain."""

    def receive(self) -> Frame | None:
        self._words[1] += bool(self._frames)
        return self._frames.pop(0) if self._frames else None

    def confirm(self) -> None:
        """It needs no arrays."""

    def writer_waits(self, _writer: int) -> bool:
        return self.waiting


def inbox_of(*receivers: Receiver, ordered: bool = True, on_demand: bool = False) -> Inbox:
    count = len(receivers)
    collector = Collector(writers=count, lanes=1, ordered=ordered, in_parts=False, first=0, step=1)
    channels = [
        InChannel(
            receiver=one,  # type: ignore[arg-type]  # only what it uses
            first_writer=number,
            writers=1,
            lot=1,
            on_demand=on_demand,
        )
        for number, one in enumerate(receivers)
    ]
    row: Words = memoryview(bytearray(8 * EDGE_WORDS)).cast("Q")
    port = InPort(edge=0, row=row, private=False, intake=collector, channels=channels)
    own: Words = memoryview(bytearray(8 * WORKER_WORDS)).cast("Q")
    arrivals = Arrivals([port], lambda packet, _private: [None] * packet.items, own)
    return Inbox(Merge([collector], [0], unit_ends=False), [0], arrivals)


def test_what_replicas_send_in_order_comes_in_turn() -> None:
    assert inbox_of(Receiver(), Receiver()).comes_in_turn()


@pytest.mark.parametrize(
    "inbox",
    [
        inbox_of(Receiver()),
        inbox_of(Receiver(), Receiver(), ordered=False),
        inbox_of(Receiver(), Receiver(), on_demand=True),
        inbox_of(Receiver(), Receiver(counted=False)),
    ],
    ids=["one writer", "in any order", "on demand", "not counted"],
)
def test_anything_else_does_not(inbox: Inbox) -> None:
    assert not inbox.comes_in_turn()


def test_frames_are_counted_over_all_writers() -> None:
    first, second = Receiver(), Receiver()
    inbox = inbox_of(first, second)
    for receiver in (first, second, second):
        receiver.put()

    while inbox.arrivals.receive():
        pass

    assert inbox.arrivals.taken()[0] == 3


def test_a_writer_that_waits_for_room_is_held_up() -> None:
    first, second = Receiver(), Receiver()
    inbox = inbox_of(first, second)
    assert inbox.arrivals.taken() == (0, False)

    second.waiting = True

    assert inbox.arrivals.taken() == (0, True)


def test_whoever_sent_more_than_a_small_frame_may_be_held_up_once() -> None:
    first, second = Receiver(), Receiver()
    inbox = inbox_of(first, second)
    first.put()
    inbox.arrivals.receive()

    assert inbox.arrivals.taken() == (1, True)
    assert inbox.arrivals.taken() == (1, False)
