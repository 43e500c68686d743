"""A channel over a pipe of the kernel: one writer, one reader, frames back to back.

PipeSender ── writev ──> [ up to 1 MiB in the kernel ] ── readv ──> block ──> frames
"""

from __future__ import annotations

import mmap
import os
from typing import Any, Final

from pipeflow.errors import ChannelClosed, PeerLost
from pipeflow.transports.base import (
    NOTHING,
    Frame,
    FrameKind,
    Nothing,
    Packet,
    PlainFrame,
    SharedFrame,
)
from pipeflow.transports.bell import Bell
from pipeflow.transports.counters import ChannelCounters
from pipeflow.transports.ends import Ends
from pipeflow.transports.frames import (
    DESCRIPTOR,
    HEADER,
    PLAIN_HEADER,
    Header,
    SequenceCheck,
    items_head,
    pack_body,
    pack_header,
    pack_simple,
    plain_head,
    total_bytes,
    unpack_body,
    unpack_header,
    unpack_simple,
)
from pipeflow.transports.outgoing import Incoming, Outgoing

#: The block that a reader reads into; larger frames get one of their own.
_BLOCK_BYTES: Final = 256 * 1024
_IOV_MAX: Final = 512
_ITEMS: Final = int(FrameKind.ITEMS)
_HEADER_BYTES: Final = HEADER.size
_pack_plain: Final = PLAIN_HEADER.pack
_unpack_plain: Final = PLAIN_HEADER.unpack_from
_unpack_reference: Final = DESCRIPTOR.unpack_from
_REFERENCE_BYTES: Final = DESCRIPTOR.size
#: Frames with bodies below this, in bytes, are joined before they are written.
JOINED_BELOW: Final = 64 * 1024


class PipeSender(Outgoing):
    """The writing end; see ``base.Sender``. It owns the descriptor."""

    def __init__(self, ends: Ends, counters: ChannelCounters, attempt: int) -> None:
        super().__init__(ends.spec, counters, 0)
        self._fd, self._number, self._attempt = ends.write, ends.spec.number, attempt
        self._head = plain_head(ends.spec.number, attempt)

    def fileno(self) -> int:
        return self._fd

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        if self._closed:
            self._check_open()
        seq = self._account.note_sent(credits, packet.shared_bytes)
        place = (0, self._number, self._attempt, seq)
        if packet.keep:
            self._kept.append((seq, packet.keep))
        if packet.copied_bytes or len(packet.pickled) >= JOINED_BELOW:
            self._put(FrameKind.ITEMS, place, meta, packet, credits)
        else:
            self._write_small(pack_simple(place, meta, packet, credits))
        if self._kept:
            self.settle()  # after it: its reader waits for the frame, and nobody for this

    def send_plain(self, meta: bytes, pickled: bytes, count: int) -> None:
        told, length = len(meta), len(pickled)
        if length >= JOINED_BELOW:
            super().send_plain(meta, pickled, count)
            return
        if self._closed:
            self._check_open()
        seq = self._account.note_sent(count, 0)
        header = _pack_plain(self._head, seq, count, 0, told, length, told + length, count)
        self._write_small(b"".join((header, meta, pickled)))
        if self._kept:
            self.settle()

    def write_rest(self, data: bytes) -> None:
        """Write the rest of a frame that was counted, and begun, by who has what is ``shared``.

        Raises:
            PeerClosed: The reader has closed.
        """
        self._write([data])
        self.settle()

    def shared(self) -> tuple[Any, ...]:
        """What a compiled outlet does its work on; in the order that it knows (``types.h``)."""
        words, row, (reader,) = self._counters.rows(0)
        return (
            *(self, self._account, self._kept),
            *(row, reader, words, self._head, self._spec.capacity),
        )

    def barrier(self, meta: bytes) -> None:
        self._check_open()
        self._put_empty(FrameKind.BARRIER, meta, 0)

    def end(self) -> None:
        self._check_open()
        self._put_empty(FrameKind.END, b"", self._note_end())
        self.close()

    def close(self) -> None:
        fd, self._fd, self._closed = self._fd, -1, True
        if fd >= 0:
            os.close(fd)

    def _put_empty(self, kind: FrameKind, meta: bytes, credits: int) -> None:
        """Send a frame without items."""
        seq = self._account.note_sent(0, 0)
        self._put(kind, (0, self._number, self._attempt, seq), meta, None, credits)

    def _put(
        self,
        kind: int,
        place: tuple[int, int, int, int],
        meta: bytes,
        packet: Packet | None,
        credits: int,
    ) -> None:
        body = pack_body(meta, packet)
        nbytes = total_bytes(body)
        header = pack_header(kind, place, meta, packet, nbytes, credits)
        if nbytes < JOINED_BELOW:
            self._write_small(b"".join((header, *body)))
        else:
            self._write([header, *body])

    def _write_small(self, data: bytes) -> None:
        """Write what most often goes at once: one part costs less than several."""
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        except BrokenPipeError:
            raise self._peer_closed() from None
        if written < len(data):
            self._write([memoryview(data)[written:]])

    def _write(self, parts: list[bytes | memoryview]) -> None:
        """Write all of it, waiting for the kernel where it must."""
        waited = False
        while parts:
            try:
                written = os.writev(self._fd, parts if len(parts) <= _IOV_MAX else parts[:_IOV_MAX])
            except BlockingIOError:
                if not waited:
                    self.before_wait()
                    waited = True
                self.await_kernel(self._fd)
                continue
            except BrokenPipeError:
                raise self._peer_closed() from None
            parts = _after(parts, written)


class PipeReceiver(Incoming):
    """The reading end; see ``base.Receiver``. It owns the descriptor."""

    def __init__(
        self, ends: Ends, counters: ChannelCounters, attempt: int, writer_bell: Bell | None
    ) -> None:
        super().__init__(ends.spec, counters, 0)
        self._fd, self._bell = ends.read, writer_bell
        self._check = SequenceCheck(
            channel=ends.spec.number, attempt=attempt, writers=1, gapless=True
        )
        # Private memory, of which only as much is taken as frames ever fill.
        self._block = memoryview(mmap.mmap(-1, _BLOCK_BYTES, mmap.MAP_PRIVATE))
        self._whole_block = [self._block]
        self._head = plain_head(ends.spec.number, attempt)
        self._items_head = items_head(ends.spec.number, attempt)
        self._start = self._stop = 0  # what was read and not yet handed out
        self._large: _LargeFrame | None = None
        self._gave = False  # the last call gave a frame
        self._ended = False

    def fileno(self) -> int:
        return self._fd

    def ready(self) -> bool:
        return self._ended or (self._large is None and self._whole() is not None)

    def receive(self) -> Frame | None:
        if self._fd < 0:
            raise ChannelClosed(f"channel {self._spec.number} was closed by its reader")
        if self._ended:
            raise StopIteration
        while True:
            if self._large is not None:
                frame = self._large_frame()
            elif self._start == self._stop:
                self._start = self._stop = 0
                frame = None
            else:
                frame = self._small_frame()
            if frame is not None:
                self._gave = True
                self._ended = frame.kind is FrameKind.END
                self._note_received(frame)
                return frame
            if self._gave and not self.is_sent_more():
                # The counters say so at a fraction of the price. Who is told waits and asks again:
                # then the kernel is asked, which also knows whether the writer is gone.
                self._gave = False
                return None
            if not self._read():
                return None

    def receive_plain(self) -> PlainFrame | Nothing | None:
        start, stop = self._start, self._stop
        if start == stop:
            if self._large is not None or self._ended or self._fd < 0:
                return None
            if not self._account.is_sent_more():
                if not self._gave:
                    return None  # the kernel is asked, as in ``receive``
                self._gave = False
                return NOTHING
            try:
                stop = os.readv(self._fd, self._whole_block)
            except BlockingIOError:
                return NOTHING
            self._start, self._stop = 0, stop  # 0: ``receive`` finds that the writer is gone
            start = 0
        meta_at = start + _HEADER_BYTES
        if meta_at > stop:
            return None
        block, check = self._block, self._check
        head, seq, _, buffers, told, length, body, cost = _unpack_plain(block, start)
        pickle_at = meta_at + told
        end = pickle_at + length
        if (
            head != self._head
            or seq != check.due[0]
            or end > stop
            or end != meta_at + body
            or buffers
            or length >= JOINED_BELOW
        ):
            return None  # it is another kind of frame, is not all there, or is wrong
        check.due[0] = seq + 1
        check.credits[0] += cost
        self._start, self._gave = end, True
        self._account.note_plain(cost)
        return bytes(block[meta_at:pickle_at]), block[pickle_at:end], cost

    def receive_shared(self) -> SharedFrame | None:
        start, stop = self._start, self._stop
        meta_at = start + _HEADER_BYTES
        if meta_at > stop:
            return None
        block, check = self._block, self._check
        head, seq, items, buffers, told, length, body, cost = _unpack_plain(block, start)
        refs_at = meta_at + told
        pickle_at = refs_at + _REFERENCE_BYTES
        end = pickle_at + length
        if (
            head != self._items_head
            or seq != check.due[0]
            or (items, buffers) != (1, 1)
            or end > stop
            or end != meta_at + body
        ):
            return None  # as above
        place = _unpack_reference(block, refs_at)
        if place[0] < 0:
            return None  # the buffer is empty
        check.due[0] = seq + 1
        check.credits[0] += cost
        self._start, self._gave = end, True
        self._account.note_received(0, cost)
        self._counts[0] += 1
        return bytes(block[meta_at:refs_at]), bytes(block[pickle_at:end]), place, cost

    def took(self, writer: int, credits: int, nbytes: int) -> None:
        if self._account.note_taken(writer, credits, nbytes) and self._bell is not None:
            self._bell.ring()

    def ring(self) -> None:
        """Wake the writer if it waits, and by now it is worth its while; as ``took`` does."""
        if self._account.owes_ring(0, at_once=False) and self._bell is not None:
            self._bell.ring()

    def shared(self) -> tuple[Any, ...]:
        """What a compiled hop does its work on; in the order that it knows (``types.h``)."""
        words, (waiting,), (reader,) = self._counters.rows_of_reader(0)
        return (
            *(self, self._check.due, self._check.credits, self._block),
            *(0, reader, waiting, words, self._head, self._items_head),
        )

    def rouse(self) -> None:
        if self._account.owes_ring(0, at_once=True) and self._bell is not None:
            self._bell.ring()

    def want(self, items: int = 1) -> None:
        self._note_wanted(items)
        if self._bell is not None:
            self._bell.ring()

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    # -- from bytes to frames

    def _whole(self) -> Header | None:
        """The header of the next frame if all of it is in the block."""
        have = self._stop - self._start - _HEADER_BYTES
        if have < 0:
            return None
        header = unpack_header(self._block, self._start)
        return header if have >= header.body else None

    def _small_frame(self) -> Frame | None:
        block, at = self._block, self._start + _HEADER_BYTES
        have = self._stop - at
        header = unpack_header(block, self._start) if have >= 0 else None
        if header is None or header.body > have:
            self._make_place()
            return None
        self._check.admit(header)
        self._start = end = at + header.body
        if header.kind == _ITEMS:
            return unpack_simple(header, block, at)
        return unpack_body(header, block[at:end], own=False)

    def _make_place(self) -> None:
        """Have place in the block for the rest of a frame, or begin one that is too large."""
        have = self._stop - self._start
        if have >= _HEADER_BYTES:
            header = unpack_header(self._block, self._start)
            if _HEADER_BYTES + header.body > _BLOCK_BYTES:
                self._check.admit(header)
                self._large = _LargeFrame(header)
                self._large.fill(self._block[self._start + _HEADER_BYTES : self._stop])
                self._start = self._stop = 0
                return
        if self._start:
            self._block[:have] = self._block[self._start : self._stop]
            self._start, self._stop = 0, have

    def _large_frame(self) -> Frame | None:
        large = self._large
        if large is None or large.missing:
            return None
        self._large = None
        return unpack_body(large.header, large.body, own=True)

    def _read(self) -> bool:
        """Read what is there; whether there was anything."""
        target = self._block[self._stop :] if self._large is None else self._large.rest()
        try:
            count = os.readv(self._fd, [target])
        except BlockingIOError:
            return False
        if not count:
            raise PeerLost(f"channel {self._spec.number}: its writer is gone, without an end")
        if self._large is None:
            self._stop += count
        else:
            self._large.filled += count
        return True


class _LargeFrame:
    """A frame that gets a block of its own, so that its pickle need not be copied again."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.body = memoryview(bytearray(header.body))
        self.filled = 0

    @property
    def missing(self) -> int:
        return len(self.body) - self.filled

    def fill(self, data: memoryview) -> None:
        self.body[: len(data)] = data
        self.filled = len(data)

    def rest(self) -> memoryview:
        return self.body[self.filled :]


def _after(parts: list[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """What is left of the parts after so many bytes."""
    if written == total_bytes(parts):
        return []
    for index, part in enumerate(parts):
        if written < len(part):
            return [memoryview(part)[written:], *parts[index + 1 :]]
        written -= len(part)
    return []
