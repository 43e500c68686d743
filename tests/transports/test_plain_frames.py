"""Frames of plain items over a pipe: sent and received in a short way, with the same meaning."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import PeerLost, ProtocolError
from pipeflow.transports.base import NOTHING, ChannelSpec, FrameKind, Kind, Packet
from pipeflow.transports.counters import ChannelCounters
from pipeflow.transports.ends import create_ends
from pipeflow.transports.pipe import PipeReceiver, PipeSender

SPEC = ChannelSpec(number=5, kind=Kind.PIPE, capacity=1000)
#: How a frame came, its meta, its items and their cost.
Frame = tuple[str, bytes, list[object], int]
#: Longer than what is loaded without a note of it.
LONG = "x" * 70_000


@contextmanager
def channel(*, attempt: int = 1) -> Iterator[tuple[PipeSender, PipeReceiver, ChannelCounters, int]]:
    """Both ends, their counters, and what the writer writes to; the reader is of attempt 1."""
    ends, counters = create_ends(SPEC), ChannelCounters.private(SPEC)
    sender = PipeSender(ends, counters, attempt)
    receiver = PipeReceiver(ends, counters, 1, None)
    try:
        yield sender, receiver, counters, sender.fileno()
    finally:
        sender.close()
        receiver.close()


def packed(items: list[object], *, plain: bool = True) -> Packet:
    return Packet(pickle.dumps(items, 5), (), len(items), plain=plain)


def received(receiver: PipeReceiver) -> Iterator[Frame]:
    """What comes, whichever way it has to be taken."""
    while True:
        frame = receiver.receive_plain()
        if frame:
            meta, pickled, cost = frame
            yield "plain", meta, pickle.loads(pickled), cost
            continue
        longer = receiver.receive()
        if longer is None:
            return
        items = [] if longer.packet is None else pickle.loads(longer.packet.pickled)
        receiver.confirm()
        yield longer.kind.name, longer.meta, items, longer.credits


FRAMES = st.lists(
    st.sampled_from(["plain", "as a packet", "not plain", "a buffer beside", "long", "barrier"])
)


@given(FRAMES)
def test_frames_come_in_order_and_are_counted_whichever_way_they_go(kinds: list[str]) -> None:
    with channel() as (sender, receiver, counters, _):
        seen: list[Frame] = []
        expected: list[Frame] = []
        for number, kind in enumerate(kinds):
            meta, items = b"m%d" % number, [number, {"n": number}]
            how, cost = "ITEMS", 2
            match kind:
                case "plain":
                    sender.send_plain(meta, pickle.dumps(items, 5), 2)
                    how = "plain"
                case "as a packet":
                    sender.send(meta, packed(items), 2)
                    how = "plain"
                case "not plain":
                    sender.send(meta, packed(items, plain=False), 2)
                case "a buffer beside":
                    packet = packed(items)
                    packet.buffers, packet.copied_bytes = (b"beside",), 6
                    sender.send(meta, packet, 2)
                case "long":
                    items = [number, LONG]
                    sender.send_plain(meta, pickle.dumps(items, 5), 2)
                case _:
                    sender.barrier(meta)
                    how, items, cost = "BARRIER", [], 0
            expected.append((how, meta, items, cost))
            if number % 3:
                seen += received(receiver)
        seen += received(receiver)

        assert seen == expected
        assert counters.frames_in_flight() == counters.lost(0) == 0
        assert all(counters.is_confirmed(0, number) for number in range(len(kinds)))
        sender.end()
        end = receiver.receive()  # it checks what was received against what was sent
        assert end is not None
        assert end.kind is FrameKind.END


def test_who_has_got_all_that_was_sent_is_told_so_without_a_question_to_the_kernel() -> None:
    with channel() as (sender, receiver, _, _):
        sender.send_plain(b"m", pickle.dumps([1], 5), 1)

        assert receiver.receive_plain()
        assert receiver.receive_plain() is NOTHING
        assert receiver.receive_plain() is None  # the kernel also knows who is gone


def test_a_frame_that_is_counted_and_not_written_yet_has_not_come() -> None:
    with channel() as (sender, receiver, _, write):
        written = list[bytes]()
        sender._write_small = written.append  # type: ignore[method-assign, assignment]
        sender.send_plain(b"m", pickle.dumps([1], 5), 1)

        assert receiver.receive_plain() is NOTHING
        os.write(write, written[0][:70])
        assert receiver.receive_plain() is None
        assert receiver.receive() is None
        os.write(write, written[0][70:])
        assert [items for _, _, items, _ in received(receiver)] == [[1]]


def test_a_writer_that_is_gone_is_found_out_by_whoever_asks_for_plain_frames_first() -> None:
    with channel() as (sender, receiver, _, _):
        sender.send_plain(b"m", pickle.dumps([1], 5), 1)
        assert receiver.receive_plain()
        sender._account.note_sent(1, 0)  # it dies between counting and writing
        sender.close()

        assert not receiver.receive_plain()
        with pytest.raises(PeerLost):
            receiver.receive()


@pytest.mark.parametrize("what", ["attempt", "again", "torn"])
def test_a_frame_that_is_wrong_is_no_plain_frame_and_is_refused(what: str) -> None:
    with channel(attempt=2 if what == "attempt" else 1) as (sender, receiver, counters, write):
        written = list[bytes]()
        sender._write_small = written.append  # type: ignore[method-assign, assignment]
        sender.send_plain(b"m", pickle.dumps([1], 5), 1)
        (frame,) = written
        if what == "again":
            os.write(write, frame)
            assert receiver.receive_plain()
            sender._account.note_sent(1, 0)
        if what == "torn":
            frame = frame[:48] + (len(frame)).to_bytes(8, "little") + frame[56:] + bytes(64)
        os.write(write, frame)

        assert receiver.receive_plain() is None
        with pytest.raises(ProtocolError):
            receiver.receive()
        assert counters.frames_in_flight() == 1
