"""Frames as bytes: packing, unpacking, and the checks that a stream of them must pass.

    header (64 bytes) │ meta │ descriptors of buffers │ pickle │ small buffers
    └─ body bytes ────┴──────────────────────────────────────────────────────

A frame that is too large for a message has ``Flag.IN_SLOT``: its body is one descriptor, of a slot
that holds the true body. How bytes travel is left to the pipe and the queue.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntFlag
from functools import partial
from typing import Any, Final, NamedTuple

from pipeflow.errors import ProtocolError
from pipeflow.transports.base import Frame, FrameKind, Packet, SlotRef

MAGIC: Final = 0x50464C57
HEADER: Final = struct.Struct("<IBBHIIQIII4xQQQ")
DESCRIPTOR: Final = struct.Struct("<iIQQ")  # pool, slot, offset, bytes; pool -1: in the frame

#: To call the enum takes five times as long.
_KINDS: Final = {int(kind): kind for kind in FrameKind}
_ITEMS, _BARRIER, _END = int(FrameKind.ITEMS), int(FrameKind.BARRIER), int(FrameKind.END)
#: Pickles below this, in bytes, are copied to stand beside what comes before them: one part less.
_JOINED_BELOW: Final = 4096
_INLINE: Final = -1  # in place of a pool: the buffer lies in the frame


class Flag(IntFlag):
    """What is special about a frame."""

    NONE = 0
    IN_SLOT = 1
    PLAIN = 2  #: see ``Packet.plain``


class Header(NamedTuple):
    """The fixed part of a frame. A tuple, as each end makes one for each frame.

    Attributes:
        magic: What all headers begin with.
        kind: What it carries, as a number.
        flags: What is special.
        writer: Which of the channel's writers.
        channel: Number of the channel.
        attempt: Number of the attempt of the run.
        seq: Number of the frame among this writer's on this channel.
        items: Payloads in the packet.
        buffers: Descriptors.
        meta: Bytes of meta.
        pickled: Bytes of the pickle.
        body: Bytes after the header.
        credits: Of items: what they cost. Of an end of input: what the writer sent in all.
    """

    magic: int
    kind: int
    flags: int
    writer: int
    channel: int
    attempt: int
    seq: int
    items: int
    buffers: int
    meta: int
    pickled: int
    body: int
    credits: int


#: ``_make``, of which the check of the length takes half of the time.
_make_header: Final = partial(tuple.__new__, Header)
_make_reference: Final[Callable[[tuple[Any, ...]], SlotRef]] = partial(tuple.__new__, SlotRef)
_PLAIN: Final = int(Flag.PLAIN)
#: A header whose first part is the same all the time: that part, number of the frame, items, 0
#: descriptors, bytes of meta, of the pickle, of both, credits.
PLAIN_HEADER: Final = struct.Struct("<16sQIII4xQQQ")
_HEAD_BYTES: Final = 16


def pack_header(
    kind: int,
    place: tuple[int, int, int, int],
    meta: bytes,
    packet: Packet | None,
    body: int,
    credits: int,
    flags: int = 0,
) -> bytes:
    """The header of a frame.

    Args:
        kind: What it carries.
        place: Number of the writer, of the channel, of the attempt, of the frame.
        meta: As it goes into the body.
        packet: Likewise.
        body: Bytes after the header.
        credits: See ``Header``.
        flags: See ``Flag``.
    """
    if packet is None:
        return HEADER.pack(MAGIC, kind, flags, *place, 0, 0, len(meta), 0, body, credits)
    return HEADER.pack(
        MAGIC,
        kind,
        flags | _PLAIN if packet.plain else flags,
        *place,
        packet.items,
        len(packet.buffers),
        len(meta),
        len(packet.pickled),
        body,
        credits,
    )


def pack_simple(
    place: tuple[int, int, int, int], meta: bytes, packet: Packet, credits: int
) -> bytes:
    """A whole frame of a packet of which no buffer travels: most are, so it is kept short.

    Args:
        place: As for ``pack_header``.
        meta: Likewise.
        packet: All of its buffers stay where they are, or it has none.
        credits: What it costs.
    """
    pickled, buffers = packet.pickled, packet.buffers
    told, length = len(meta), len(pickled)
    flags = _PLAIN if packet.plain else 0
    if len(buffers) == 1:  # of those that have any, as most often
        described = _describe(buffers[0])
    else:
        described = b"".join(map(_describe, buffers)) if buffers else b""
    body = told + len(described) + length
    header = HEADER.pack(
        MAGIC, _ITEMS, flags, *place, packet.items, len(buffers), told, length, body, credits
    )
    return b"".join((header, meta, described, pickled))


def plain_head(channel: int, attempt: int) -> bytes:
    """How the header begins of each frame of plain items that a channel's first writer sends.

    Args:
        channel: Number of the channel.
        attempt: Number of the attempt.
    """
    return _head(channel, attempt, _PLAIN)


def items_head(channel: int, attempt: int) -> bytes:
    """The same of each frame of other items."""
    return _head(channel, attempt, 0)


def _head(channel: int, attempt: int, flags: int) -> bytes:
    whole = HEADER.pack(MAGIC, _ITEMS, flags, 0, channel, attempt, 0, 0, 0, 0, 0, 0, 0)
    return whole[:_HEAD_BYTES]


def unpack_header(data: memoryview | bytes, at: int = 0) -> Header:
    """Read the header that begins at ``at``; ``data`` is long enough.

    Raises:
        ProtocolError: These are not the bytes of a header.
    """
    header: Header = _make_header(HEADER.unpack_from(data, at))
    if header.magic != MAGIC:
        raise ProtocolError(f"these bytes are no frame: they begin with {header.magic:#010x}")
    if header.kind not in _KINDS:
        raise ProtocolError(f"no kind of frame has the number {header.kind}")
    return header


def pack_body(meta: bytes, packet: Packet | None) -> list[bytes | memoryview]:
    """The parts of a frame after its header, in order; empty parts left out.

    Those of a packet are worked out once, however many readers get it.
    """
    parts: list[bytes | memoryview] = [meta] if meta else []
    if packet is None:
        return parts
    if packet.parts is None:
        packet.parts = _parts(packet)
    parts += packet.parts
    return parts


def _parts(packet: Packet) -> tuple[bytes | memoryview, ...]:
    buffers = packet.buffers
    if not buffers:
        return (packet.pickled,)
    described = b"".join(map(_describe, buffers))
    inline = [buffer for buffer in buffers if isinstance(buffer, bytes) and buffer]
    if len(packet.pickled) < _JOINED_BELOW:
        return (described + packet.pickled, *inline)
    return (described, packet.pickled, *inline)


def unpack_body(header: Header, body: memoryview, *, own: bool) -> Frame:
    """The frame behind a header.

    Args:
        header: Its header.
        body: Exactly ``header.body`` bytes.
        own: Whether ``body`` belongs to the frame, so that a long pickle may stay in it; else it
            is copied out.

    Raises:
        ProtocolError: The lengths contradict each other.
    """
    _, kind, flags, writer, _, _, seq, items, buffers, meta_bytes, pickle_bytes, length, cost = (
        header
    )
    if kind == _END:
        return Frame(FrameKind.END, writer, seq, b"", None, total=cost)
    meta = bytes(body[:meta_bytes])
    if kind == _BARRIER:
        return Frame(FrameKind.BARRIER, writer, seq, meta, None)
    at = meta_bytes + buffers * DESCRIPTOR.size
    end = at + pickle_bytes
    if end > length:
        raise ProtocolError(f"a frame of {length} bytes describes {end}: it is torn")
    pickled = body[at:end]
    packet = Packet(pickled.toreadonly() if own else bytes(pickled), (), items)
    packet.plain = bool(flags & _PLAIN)
    if buffers or end != length:
        _read_buffers(packet, header, body, inline_at=end)
    return Frame(FrameKind.ITEMS, writer, seq, meta, packet, 0, cost)


def unpack_simple(header: Header, block: memoryview, at: int) -> Frame:
    """``unpack_body`` for a frame of items, in a block that is read into again.

    Args:
        header: Its header.
        block: Its body is in there.
        at: Where that begins.

    Raises:
        ProtocolError: The lengths contradict each other.
    """
    _, _, flags, writer, _, _, seq, items, buffers, told, length, whole, cost = header
    refs_at = at + told
    pickle_at = refs_at + buffers * DESCRIPTOR.size
    end = pickle_at + length
    if end != at + whole:  # a buffer travels, or it is torn
        return unpack_body(header, block[at : at + whole], own=False)
    packet = Packet(bytes(block[pickle_at:end]), (), items)
    packet.plain = flags & _PLAIN != 0
    if buffers:
        _read_references(packet, block[refs_at:pickle_at])
    return Frame(FrameKind.ITEMS, writer, seq, bytes(block[at:refs_at]), packet, 0, cost)


def pack_reference(ref: SlotRef) -> bytes:
    """The body of a frame whose true body lies in a slot."""
    return _describe(ref)


def unpack_reference(body: memoryview) -> SlotRef:
    """Where the true body of a frame lies."""
    return SlotRef(*DESCRIPTOR.unpack_from(body))


class SequenceCheck:
    """Watches over the frames of a channel that one reader gets.

    Args:
        channel: Number that frames must bear.
        attempt: Number that frames must bear.
        writers: How many writers there are.
        gapless: Whether this reader gets every frame; of a queue with several readers it gets
            some, still in rising order.
    """

    def __init__(self, *, channel: int, attempt: int, writers: int, gapless: bool) -> None:
        self._channel, self._attempt, self._gapless = channel, attempt, gapless
        #: For each writer, the number of the next frame, and what those before it have cost.
        self.due = [0] * writers
        self.credits = [0] * writers

    def admit(self, header: Header) -> None:
        """Let one frame pass.

        Raises:
            ProtocolError: It is of another channel or attempt, repeated, or one is missing.
        """
        _, kind, _, writer, channel, attempt, seq, _, _, _, _, _, cost = header
        due = self.due
        if attempt != self._attempt or channel != self._channel or writer >= len(due):
            raise self._stray(header)
        expected = due[writer]
        if seq != expected and (seq < expected or self._gapless):
            what = "repeated" if seq < expected else "lost"
            raise ProtocolError(
                f"channel {self._channel}: frame {expected} of writer {writer} was expected,"
                f" {seq} came: {what}"
            )
        due[writer] = seq + 1
        if kind == _ITEMS:
            self.credits[writer] += cost
        elif kind == _END and self._gapless:
            self._check_total(header)

    def _stray(self, header: Header) -> ProtocolError:
        if header.attempt != self._attempt:
            return ProtocolError(
                f"channel {self._channel}: a frame of attempt {header.attempt} came in attempt "
                f"{self._attempt}"
            )
        return ProtocolError(
            f"channel {self._channel}: a frame for channel {header.channel}, writer "
            f"{header.writer} came here"
        )

    def _check_total(self, header: Header) -> None:
        received = self.credits[header.writer]
        if received != header.credits:
            raise ProtocolError(
                f"channel {self._channel}: writer {header.writer} says that it sent "
                f"{header.credits}, {received} came"
            )


def _describe(buffer: bytes | SlotRef) -> bytes:
    if isinstance(buffer, bytes):
        return DESCRIPTOR.pack(_INLINE, 0, 0, len(buffer))
    return DESCRIPTOR.pack(*buffer)


def _read_buffers(packet: Packet, header: Header, body: memoryview, *, inline_at: int) -> None:
    """Fill in the packet's buffers: references, and copies of what came along."""
    buffers: list[bytes | SlotRef] = []
    at = inline_at
    for index in range(header.buffers):
        pool, slot, offset, nbytes = DESCRIPTOR.unpack_from(
            body, header.meta + index * DESCRIPTOR.size
        )
        if pool == _INLINE:
            # A copy of its own is aligned, and does not keep its neighbours alive.
            buffers.append(bytes(body[at : at + nbytes]))
            at += nbytes
            packet.copied_bytes += nbytes
        else:
            buffers.append(SlotRef(pool, slot, offset, nbytes))
            packet.shared_bytes += nbytes
    if at != header.body:
        raise ProtocolError(f"a frame of {header.body} bytes describes {at}: it is torn")
    packet.buffers = tuple(buffers)


def _read_references(packet: Packet, described: memoryview) -> None:
    """The same where no buffer travels, but for empty ones."""
    buffers: list[bytes | SlotRef] = []
    for place in DESCRIPTOR.iter_unpack(described):
        if place[0] != _INLINE:
            buffers.append(_make_reference(place))
            packet.shared_bytes += place[3]
        elif place[3]:
            raise ProtocolError(f"a frame describes a buffer of {place[3]} bytes: it is torn")
        else:
            buffers.append(b"")
    packet.buffers = tuple(buffers)


def total_bytes(parts: Sequence[bytes | memoryview]) -> int:
    """Length of the parts together, in bytes."""
    return sum(map(len, parts))
