"""Frames of which no buffer travels: packed and read in a short way, with the same meaning."""

from __future__ import annotations

import struct

import pytest

from pipeflow.errors import ProtocolError
from pipeflow.transports.base import Frame, FrameKind, Packet, SlotRef
from pipeflow.transports.frames import (
    DESCRIPTOR,
    HEADER,
    pack_body,
    pack_header,
    pack_simple,
    total_bytes,
    unpack_body,
    unpack_header,
    unpack_simple,
)

PLACE = (0, 3, 1, 7)  # writer, channel, attempt, frame
SOME = SlotRef(pool=2, slot=5, offset=4096, nbytes=1 << 20)
REST = SlotRef(pool=0, slot=0, offset=0, nbytes=40_000)


def packet(*buffers: bytes | SlotRef) -> Packet:
    shared = sum(each.nbytes for each in buffers if isinstance(each, SlotRef))
    return Packet(b"pickled", buffers, 2, shared_bytes=shared, plain=not buffers)


def read(frame: bytes, at: int = 0) -> Frame:
    block = memoryview(bytes(at) + frame + b"the next frame")
    return unpack_simple(unpack_header(block, at), block, at + HEADER.size)


@pytest.mark.parametrize(
    "buffers",
    [(), (SOME,), (SOME, REST), (SOME, b""), (b"",)],
    ids=["none", "one", "two", "an empty one beside it", "an empty one"],
)
def test_a_frame_is_the_same_whichever_way_it_is_packed_and_read(
    buffers: tuple[bytes | SlotRef, ...],
) -> None:
    sent = packet(*buffers)
    body = pack_body(b"meta", sent)
    kind = FrameKind.ITEMS
    longer = b"".join(
        (pack_header(kind, PLACE, b"meta", sent, total_bytes(body), 2), *map(bytes, body))
    )

    shorter = pack_simple(PLACE, b"meta", sent, 2)

    assert shorter == longer
    found = read(shorter, at=24)
    whole = memoryview(longer)[HEADER.size :]
    assert found == unpack_body(unpack_header(longer), whole, own=False)
    assert found.packet is not None
    assert (found.packet.buffers, found.packet.shared_bytes) == (buffers, sent.shared_bytes)
    assert (found.meta, found.credits, found.seq) == (b"meta", 2, 7)


def test_a_buffer_that_travels_is_read_though_the_short_way_was_asked() -> None:
    sent = packet(b"travels", SOME)
    body = pack_body(b"meta", sent)
    header = pack_header(FrameKind.ITEMS, PLACE, b"meta", sent, total_bytes(body), 2)

    found = read(header + b"".join(map(bytes, body)))

    assert found.packet is not None
    assert found.packet.buffers == (b"travels", SOME)


@pytest.mark.parametrize("field", ["meta", "pickled", "buffers"])
def test_a_header_that_contradicts_its_body_is_a_torn_frame(field: str) -> None:
    frame = bytearray(pack_simple(PLACE, b"meta", packet(SOME), 2))
    at = {"buffers": 28, "meta": 32, "pickled": 40}[field]
    (value,) = struct.unpack_from("<I", frame, at)
    struct.pack_into("<I", frame, at, value + 1)

    with pytest.raises(ProtocolError, match="it is torn"):
        read(bytes(frame))


def test_a_descriptor_of_bytes_that_are_not_there_is_a_torn_frame() -> None:
    frame = pack_simple(PLACE, b"meta", packet(SOME), 2)
    missing = DESCRIPTOR.pack(-1, 0, 0, 5)

    with pytest.raises(ProtocolError, match="a buffer of 5 bytes: it is torn"):
        read(frame.replace(DESCRIPTOR.pack(*SOME), missing))
