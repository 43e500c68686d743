"""Arrays that travel alone: packed, sent, received and looked at in a short way, with the same
meaning."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.errors import ProtocolError
from pipeflow.transports.base import NOTHING, FrameKind, Packet, SlotRef
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.counters import ReaderCell
from pipeflow.transports.shelf import SHARED_FROM
from pipeflow.transports.shm import Arena, Share
from tests.transports.test_plain_frames import channel

Array = np.ndarray[Any, Any]

SOME = SlotRef(pool=2, slot=5, offset=4096, nbytes=1 << 20)
REST = SlotRef(pool=0, slot=0, offset=0, nbytes=40_000)


@pytest.fixture
def shares() -> Iterator[list[Share]]:
    """Those of a writer and of a reader, in a list, for pytest keeps what a test was given."""
    arena = Arena.create(2, 2**28)
    made = [Share(arena.handle, worker) for worker in range(2)]
    yield made
    while made:
        made.pop().pool.close()
    gc.collect()
    arena.close()


# -- packets


def lent(share: Share, shape: tuple[int, ...], dtype: Any) -> Array:
    array = share.pool.empty(shape, dtype)
    array[...] = np.arange(array.size).reshape(shape)
    return array


LAYOUTS: dict[str, Callable[[Share], Array]] = {
    "lent": lambda share: lent(share, (100, 100), "i8"),
    "lent, turned": lambda share: lent(share, (100, 100), "i8").T,
    "a part of what was lent": lambda share: lent(share, (300, 100), "i8")[::3],
    "in another shape": lambda share: lent(share, (100, 100), "i8").reshape(-1),
    "private": lambda _: np.arange(10_000.0),
    "private, turned": lambda _: np.arange(10_000).reshape(10, -1).T,
    "private, a part": lambda _: np.arange(30_000)[::3],
    "of records": lambda share: lent(share, (5_000,), [("n", "i8"), ("x", "f4")]),
    "of days": lambda share: lent(share, (5_000,), "M8[D]"),
    "big-endian": lambda share: lent(share, (5_000,), ">i8"),
}


def alone(encoder: Encoder, array: Array) -> Packet:
    packet = encoder.alone(array)
    assert packet is not None
    return packet


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_packet_is_what_a_pile_gives(shares: list[Share], layout: str) -> None:
    writer, reader = shares
    array = LAYOUTS[layout](writer)
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)
    pile = encoder.pile()

    found_first = decoder.decode(alone(encoder, array))
    packet = alone(encoder, array)  # this kind was seen before
    found_next = decoder.decode(packet)
    pile.add(array)
    same = pile.packet()

    for (found,) in (found_first, found_next):
        np.testing.assert_array_equal(found, array)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert not found.flags.writeable
    assert (packet.pickled, packet.items, packet.shared_bytes, packet.copied_bytes) == (
        same.pickled,
        1,
        same.shared_bytes,
        same.copied_bytes,
    )
    if "lent" in layout:
        assert packet.buffers == same.buffers
        assert [id(each) for each in packet.keep] == [id(each) for each in same.keep]
        assert not array.flags.writeable


@pytest.mark.parametrize(
    "array",
    [np.zeros(SHARED_FROM - 1, np.uint8), np.full(SHARED_FROM, None), np.zeros((0, 3))],
    ids=["small", "of objects", "empty"],
)
def test_what_is_small_or_holds_objects_goes_another_way(shares: list[Share], array: Array) -> None:
    assert Encoder(shares[0].pool).alone(array) is None
    assert Encoder().alone(np.zeros(SHARED_FROM)) is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_of_a_kind_that_came_before_is_looked_at_in_short(
    shares: list[Share], layout: str
) -> None:
    writer, reader = shares
    array = LAYOUTS[layout](writer)
    packet = alone(Encoder(writer.pool), array)
    (ref,) = packet.buffers
    assert isinstance(ref, SlotRef)
    decoder = Decoder(reader.views)

    before = decoder.shared(bytes(packet.pickled), ref)
    decoder.decode(packet)
    found = decoder.shared(bytes(packet.pickled), ref)

    assert before is None
    assert found is not None
    np.testing.assert_array_equal(found[0], array)
    assert (found[0].dtype, found[0].strides) == (array.dtype, decoder.decode(packet)[0].strides)
    assert not found[0].flags.writeable


def test_only_so_many_kinds_are_noted(shares: list[Share]) -> None:
    writer, reader = shares
    encoder, decoder = Encoder(writer.pool), Decoder(reader.views)

    for length in range(SHARED_FROM, SHARED_FROM + 200):
        decoder.decode(alone(encoder, writer.pool.empty(length, np.uint8)))

    assert len(encoder._known) == len(decoder._known) == 64


# -- frames


def packet_with(*buffers: bytes | SlotRef, items: int = 1) -> Packet:
    shared = sum(each.nbytes for each in buffers if isinstance(each, SlotRef))
    copied = sum(len(each) for each in buffers if isinstance(each, bytes))
    return Packet(b"pickled", buffers, items, shared_bytes=shared, copied_bytes=copied)


def test_a_frame_of_one_buffer_comes_in_short_and_is_counted_once_it_is_held() -> None:
    with channel() as (sender, receiver, counters, _):
        sender.send(b"meta", packet_with(SOME), 1)
        assert receiver.receive_plain() is None

        shared = receiver.receive_shared()

        assert shared == (b"meta", b"pickled", tuple(SOME), 1)
        assert counters.over_readers(0, ReaderCell.FRAMES) == 1
        assert counters.over_readers(0, ReaderCell.CREDITS) == 1
        assert counters.over_readers(0, ReaderCell.CONFIRMED) == 0
        receiver.confirm()
        assert counters.over_readers(0, ReaderCell.CONFIRMED) == 1


KINDS = {
    "one": packet_with(SOME),
    "two": packet_with(SOME, REST),
    "two items": packet_with(SOME, items=2),
    "empty": packet_with(b""),
    "beside": packet_with(b"travels"),
    "plain": Packet(b"pickled", (), 1, plain=True),
}


@given(st.lists(st.sampled_from(sorted(KINDS))))
def test_all_others_go_another_way_and_none_is_lost(kinds: list[str]) -> None:
    with channel() as (sender, receiver, counters, _):
        for number, kind in enumerate(kinds):
            packet = KINDS[kind]
            sender.send(b"%d" % number, packet, packet.items)
        sender.barrier(b"b")
        came: list[tuple[str, bytes]] = []

        while True:
            if plain := receiver.receive_plain():
                came.append(("plain", plain[0]))
            elif shared := receiver.receive_shared():
                assert shared[1:] == (b"pickled", tuple(SOME), 1)
                came.append(("one", shared[0]))
            else:
                frame = receiver.receive()
                assert frame is not None
                if frame.kind is FrameKind.BARRIER:
                    break
                came.append(("longer", frame.meta))
        receiver.confirm()

        short = {"one": "one", "plain": "plain"}
        assert came == [
            (short.get(kind, "longer"), b"%d" % number) for number, kind in enumerate(kinds)
        ]
        assert counters.lost(0) == 0
        assert counters.over_readers(0, ReaderCell.CONFIRMED) == len(kinds) + 1


def test_nothing_is_taken_of_a_frame_that_is_not_all_there() -> None:
    with channel() as (sender, receiver, _, write):
        written = list[bytes]()
        sender._write_small = written.append  # type: ignore[method-assign, assignment]
        sender.send(b"meta", packet_with(SOME), 1)
        whole = written[0]

        for start, stop in ((0, 60), (60, 90), (90, len(whole))):
            assert receiver.receive_plain() in (NOTHING, None)
            assert receiver.receive() is None
            assert receiver.receive_shared() is None
            os.write(write, whole[start:stop])
        frame = receiver.receive()

        assert frame is not None
        assert frame.meta == b"meta"


@pytest.mark.parametrize("what", ["attempt", "again", "torn"])
def test_a_frame_that_is_wrong_is_not_taken_in_short_and_is_refused(what: str) -> None:
    with channel(attempt=2 if what == "attempt" else 1) as (sender, receiver, _, write):
        written = list[bytes]()
        sender._write_small = written.append  # type: ignore[method-assign, assignment]
        sender.send(b"meta", packet_with(SOME), 1)
        (frame,) = written
        if what == "again":
            os.write(write, frame)
            assert receiver.receive_plain() is None
            assert receiver.receive_shared()
            receiver.confirm()
            sender._account.note_sent(1, SOME.nbytes)
        if what == "torn":
            frame = frame[:48] + len(frame).to_bytes(8, "little") + frame[56:] + bytes(64)
        os.write(write, frame)

        assert receiver.receive_plain() is None
        assert receiver.receive_shared() is None
        with pytest.raises(ProtocolError):
            receiver.receive()
