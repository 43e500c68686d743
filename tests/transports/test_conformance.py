"""What every transport does, between two processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pipeflow.errors import ChannelClosed, PeerClosed, PeerLost, ProtocolError
from pipeflow.transports.base import FrameKind, Kind
from pipeflow.transports.counters import WriterCell
from pipeflow.transports.waiting import await_frames, await_room
from tests.transports.children import Child, Reader, Rig, Writer

Start = Callable[[Callable[[], None]], Child]
MakeRig = Callable[..., Rig]

pytestmark = pytest.mark.processes


@dataclass(frozen=True)
class Photo:
    name: str
    pixels: np.ndarray[Any, Any]


def sending(rig: Rig, send: Callable[[Writer], None], *, end: bool = True) -> Callable[[], None]:
    """The body of a writing child."""

    def body() -> None:
        writer = rig.sender()
        send(writer)
        if end:
            writer.end.end()
        writer.share.close()

    return body


def reader_of(rig: Rig) -> Reader:
    """This process reads; the writing end belongs to the child."""
    return rig.receiver()


def test_items_arrive_in_order_and_then_the_end(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind, capacity=64)

    def send(writer: Writer) -> None:
        for first in range(0, 5000, 10):
            writer.put(*range(first, first + 10))

    child = start(sending(rig, send))
    got = list(reader_of(rig).items())

    assert got == list(range(5000))
    assert child.join() == 0
    assert rig.counters.ended(0) == 5000
    assert rig.counters.lost(0) == 0
    assert rig.counters.in_flight() == 0
    assert rig.counters.peak_in_flight() <= 64 + 10


@pytest.mark.parametrize("nbytes", [0, 1, 1000, 70_000, 300_000, 3_000_000, 64_000_000])
def test_any_size_crosses_as_bytes_and_as_array(
    kind: Kind, nbytes: int, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind)
    text, array = os.urandom(16) * (nbytes // 16 + 1), np.arange(nbytes, dtype=np.uint8)

    start(sending(rig, lambda writer: writer.put(text[:nbytes], array)))
    got_text, got_array = list(reader_of(rig).items())

    assert got_text == text[:nbytes]
    assert np.array_equal(got_array, array)
    assert not got_array.flags.writeable


def test_any_object_crosses(kind: Kind, make_rig: MakeRig, start: Start) -> None:
    rig = make_rig(kind)
    photo = Photo("sea", np.ones((300, 400, 3), np.uint8))
    sent = [42, None, "hello", {"a": [1, (2, 3)]}, photo, {1, 2}, 3.5, b"", ..., 1 + 2j]

    start(sending(rig, lambda writer: writer.put(*sent)))
    got = list(reader_of(rig).items())

    assert [item for item in got if not isinstance(item, Photo)] == [
        item for item in sent if item is not photo
    ]
    assert got[4].name == "sea"
    assert np.array_equal(got[4].pixels, photo.pixels)


def test_meta_and_barriers_cross_in_their_place(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind)

    def send(writer: Writer) -> None:
        writer.put("a", meta=b"one")
        writer.end.barrier(b"checkpoint")
        writer.put("b", meta=b"two")

    start(sending(rig, send))
    reader = reader_of(rig)
    frames = [reader.frame() for _ in range(4)]

    assert [(frame.kind, frame.meta, frame.seq) for frame in frames] == [
        (FrameKind.ITEMS, b"one", 0),
        (FrameKind.BARRIER, b"checkpoint", 1),
        (FrameKind.ITEMS, b"two", 2),
        (FrameKind.END, b"", 3),
    ]
    assert frames[-1].total == 2
    with pytest.raises(StopIteration):
        reader.end.receive()


def test_a_writer_has_no_room_beyond_the_capacity_until_items_are_taken(
    kind: Kind, make_rig: MakeRig
) -> None:
    writer, reader = make_rig(kind, capacity=3).split()
    for item in range(3):
        writer.put(item)

    before = writer.end.room()
    reader.open(reader.frame())

    assert before == 0
    assert writer.end.room() == 1


def test_a_writer_has_no_room_beyond_the_bytes_but_one_packet_always_fits(
    kind: Kind, make_rig: MakeRig
) -> None:
    writer, reader = make_rig(kind, capacity_bytes=100_000).split()
    alone = writer.end.room(10**9)
    writer.put(np.zeros(60_000, np.uint8))

    assert alone == 256
    assert writer.end.room(30_000) == 255
    assert writer.end.room(50_000) == 0
    reader.open(reader.frame())
    assert writer.end.room(50_000) == 256


def test_a_waiting_writer_is_woken_by_what_the_reader_takes(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind, capacity=1)

    def send(writer: Writer) -> None:
        writer.put_all(range(300))

    start(sending(rig, send))

    # With the backstop alone this would take 30 s.
    assert list(reader_of(rig).items()) == list(range(300))


def test_the_wait_for_room_ends_at_its_deadline(kind: Kind, make_rig: MakeRig) -> None:
    writer, _reader = make_rig(kind, capacity=1).split()
    writer.put("full")

    ready = await_room([writer.end], writer.bell, 0.02)

    assert ready == set()
    assert writer.end.room() == 0


def test_the_wait_for_frames_hears_other_descriptors_too(kind: Kind, make_rig: MakeRig) -> None:
    writer, reader = make_rig(kind).split()
    writer.bell.ring()

    ready = await_frames([reader.end], [writer.bell.fileno()], 5)

    assert ready == {writer.bell.fileno()}


def test_a_sender_knows_when_all_was_taken(kind: Kind, make_rig: MakeRig) -> None:
    writer, reader = make_rig(kind).split()
    before = writer.end.idle()
    writer.put(1)

    sent = writer.end.idle()
    reader.frame()
    received = writer.end.idle()
    reader.end.took(0, 1, 0)

    assert (before, sent, received, writer.end.idle()) == (True, False, False, True)


def test_readers_say_how_much_they_want(kind: Kind, make_rig: MakeRig) -> None:
    writer, reader = make_rig(kind).split()
    reader.end.want(3)

    rung = await_frames([], [writer.bell.fileno()], 0)
    before = writer.end.demand()
    writer.put("one", "two")

    assert rung == {writer.bell.fileno()}
    assert (before, writer.end.demand()) == (3, 1)


def test_a_writer_learns_that_its_reader_has_closed(
    kind: Kind, make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(kind, capacity=4)

    def send(writer: Writer) -> None:
        with pytest.raises(PeerClosed):
            writer.put_all(range(10_000))

    child = start(sending(rig, send, end=False))
    reader = reader_of(rig)
    reader.open(reader.frame())
    reader.end.close()
    reader.end.close()

    assert child.join() == 0


def test_a_writer_in_the_middle_of_a_large_frame_learns_it_too(
    make_rig: MakeRig, start: Start
) -> None:
    rig = make_rig(Kind.PIPE)

    def send(writer: Writer) -> None:
        with pytest.raises(PeerClosed):
            writer.put(bytes(50_000_000))

    child = start(sending(rig, send, end=False))
    reader = reader_of(rig)
    await_frames([reader.end], deadline_s=10)
    reader.end.close()

    assert child.join() == 0


def test_only_who_must_wait_in_the_middle_of_a_frame_calls_for_it(
    kind: Kind, make_rig: MakeRig
) -> None:
    writer, reader = make_rig(kind).split()
    waits, got = list[int](), list[bytes]()

    def take_all(fd: int) -> None:
        waits.append(fd)
        while (frame := reader.end.receive()) is not None:
            got.extend(reader.open(frame))

    writer.end.await_kernel = take_all
    writer.put(bytes(60_000))
    assert waits == []

    writer.put_all([bytes(60_000)] * 99)
    assert set(waits) == {writer.end.fileno()}
    assert len(waits) < 20

    take_all(-1)
    assert got == [bytes(60_000)] * 100


def test_closing_without_an_end_is_a_loss(kind: Kind, make_rig: MakeRig, start: Start) -> None:
    rig = make_rig(kind)

    def send(writer: Writer) -> None:
        writer.put(1)
        writer.end.close()
        writer.end.close()

    start(sending(rig, send, end=False))
    reader = reader_of(rig)
    first = reader.open(reader.frame())

    assert first == [1]
    with pytest.raises(PeerLost):
        reader.frame()


def test_ends_that_were_closed_refuse(kind: Kind, make_rig: MakeRig) -> None:
    writer, reader = make_rig(kind).split()
    packet = writer.encoder.encode([1])
    writer.end.close()
    reader.end.close()

    with pytest.raises(ChannelClosed):
        writer.end.send(b"", packet, 1)
    with pytest.raises(ChannelClosed):
        reader.end.receive()


def test_a_frame_of_another_attempt_is_refused(kind: Kind, make_rig: MakeRig) -> None:
    rig = make_rig(kind)
    writer, reader = rig.sender(keep_other=True), rig.receiver(attempt=1, keep_other=True)
    writer.put(1)

    with pytest.raises(ProtocolError, match="attempt 0 came in attempt 1"):
        reader.frame()


def test_a_lost_frame_is_noticed(kind: Kind, make_rig: MakeRig) -> None:
    writer, reader = make_rig(kind).split()
    writer.put("first")
    os.read(reader.end.fileno(), 2**20)
    writer.put("second")

    with pytest.raises(ProtocolError, match="frame 0 of writer 0 was expected, 1 came: lost"):
        reader.frame()


def test_an_end_that_counts_more_than_came_is_noticed(kind: Kind, make_rig: MakeRig) -> None:
    rig = make_rig(kind)
    writer, reader = rig.split()
    writer.put("first")
    rig.counters.add_writer(0, WriterCell.CREDITS, 5)  # as if five more had been sent
    writer.end.end()
    reader.frame()

    with pytest.raises(ProtocolError, match="it sent 6, 1 came"):
        reader.frame()


def test_bytes_that_are_no_frame_are_refused(kind: Kind, make_rig: MakeRig) -> None:
    rig = make_rig(kind)
    reader = rig.receiver(keep_other=True)
    os.write(rig.ends.write, b"x" * 100)

    with pytest.raises(ProtocolError, match="no frame"):
        reader.frame()


def test_receiving_never_blocks_and_half_a_frame_is_none(make_rig: MakeRig) -> None:
    rig = make_rig(Kind.PIPE)
    writer, reader = rig.split()
    writer.put("whole")
    frame = os.read(rig.ends.read, 2**20)

    os.write(rig.ends.write, frame[:70])
    half = reader.end.receive()
    os.write(rig.ends.write, frame[70:])

    assert half is None
    assert reader.open(reader.frame()) == ["whole"]


def test_frames_that_were_read_together_need_no_polling(make_rig: MakeRig) -> None:
    writer, reader = make_rig(Kind.PIPE).split()
    writer.put(1)
    writer.put(2)
    reader.frame()

    ready = await_frames([reader.end], deadline_s=10)

    assert reader.end.ready()
    assert ready == {reader.end.fileno()}


def test_no_name_appears_in_shared_memory(kind: Kind, make_rig: MakeRig, start: Start) -> None:
    # That no end stays open is seen to by the fixture round every test.
    before = set(os.listdir("/dev/shm"))  # noqa: PTH208 - names are all we want
    rig = make_rig(kind)
    start(sending(rig, lambda writer: writer.put(np.ones(10**6)))).join()

    (array,) = reader_of(rig).items()

    assert array.sum() == 10**6
    assert set(os.listdir("/dev/shm")) == before  # noqa: PTH208 - likewise
