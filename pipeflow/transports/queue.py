"""A channel over a socket pair that all its ends share; a frame is a message.

    writers ── writev ──> [ messages in the kernel ] ── read ──> whichever reader is first

The kernel hands out whole messages, so a process that is killed tears nothing and holds nothing. A
frame too large for a message has its body in a slot of its writer's pool.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from pipeflow.errors import ChannelClosed, PeerLost, ProtocolError
from pipeflow.transports.base import Frame, FrameKind, Packet
from pipeflow.transports.bell import Bell
from pipeflow.transports.counters import ChannelCounters, WriterCell
from pipeflow.transports.ends import SEQPACKET, Ends
from pipeflow.transports.frames import (
    HEADER,
    Flag,
    SequenceCheck,
    pack_body,
    pack_header,
    pack_reference,
    total_bytes,
    unpack_body,
    unpack_header,
    unpack_reference,
)
from pipeflow.transports.outgoing import Incoming, Outgoing
from pipeflow.transports.slots import SlotPool
from pipeflow.transports.views import Views

#: The longest message; where there are only datagrams the kernel takes far less (not tested).
MESSAGE_BYTES: Final = 64 * 1024 if SEQPACKET else 2048
_MOST_PARTS: Final = 512


class QueueSender(Outgoing):
    """A writing end; see ``base.Sender``. It owns its process's descriptor."""

    def __init__(
        self,
        ends: Ends,
        writer: int,
        counters: ChannelCounters,
        attempt: int,
        pool: SlotPool | None,
    ) -> None:
        super().__init__(ends.spec, counters, writer)
        self._fd, self._attempt, self._pool = ends.write, attempt, pool

    def fileno(self) -> int:
        return self._fd

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        self.settle()
        self._put(FrameKind.ITEMS, meta, packet, credits)

    def barrier(self, meta: bytes) -> None:
        self._put(FrameKind.BARRIER, meta, None, 0)

    def end(self) -> None:
        self._check_open()
        total = self._counters.of_writer(self._writer, WriterCell.CREDITS)
        if self._spec.readers == 1:
            self._put(FrameKind.END, b"", None, total)
        # Several readers learn of it when all writers have closed: a message would reach but one.
        self._note_end()
        self.close()

    def close(self) -> None:
        fd, self._fd, self._closed = self._fd, -1, True
        if fd >= 0:
            os.close(fd)

    def _put(self, kind: FrameKind, meta: bytes, packet: Packet | None, credits: int) -> None:
        self._check_open()
        body: Sequence[bytes | memoryview] = pack_body(meta, packet)
        nbytes = total_bytes(body)
        keep = packet.keep if packet is not None else ()
        flags = Flag.NONE
        if HEADER.size + nbytes > MESSAGE_BYTES or len(body) > _MOST_PARTS:
            reference, lease = self._put_aside(body, nbytes)
            body, flags, keep = (reference,), Flag.IN_SLOT, (*keep, lease)
        seq = self._next_seq()
        place = (self._writer, self._spec.number, self._attempt, seq)
        header = pack_header(kind, place, meta, packet, nbytes, credits, flags)
        self._keep(seq, keep)
        self._note_sent(packet, credits if kind is FrameKind.ITEMS else 0)
        self._write([header, *body])

    def _put_aside(self, body: Sequence[bytes | memoryview], nbytes: int) -> tuple[bytes, object]:
        """Put a body into a slot; the bytes that say where, and what keeps it there."""
        if self._pool is None:
            raise ProtocolError(
                f"channel {self._spec.number}: a frame of {nbytes} bytes needs shared memory"
            )
        lease = self._pool.reserve(nbytes)
        if lease is None:
            raise ProtocolError(
                f"channel {self._spec.number}: all slots of shared memory are held, so a frame of "
                f"{nbytes} bytes cannot be sent"
            )
        at = 0
        for part in body:
            lease.memory[at : at + len(part)] = part
            at += len(part)
        return pack_reference(lease.ref), lease

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        waited = False
        while True:
            try:
                os.writev(self._fd, parts)  # one call, one message
            except BlockingIOError:
                if not waited:
                    self.before_wait()
                    waited = True
                self.await_kernel(self._fd)
            except (BrokenPipeError, ConnectionResetError):
                # Reset: the last reader closed with messages unread.
                raise self._peer_closed() from None
            else:
                return


class QueueReceiver(Incoming):
    """A reading end; see ``base.Receiver``. It owns its process's descriptor."""

    def __init__(
        self,
        ends: Ends,
        reader: int,
        counters: ChannelCounters,
        attempt: int,
        writer_bells: Sequence[Bell],
        views: Views | None,
    ) -> None:
        super().__init__(ends.spec, counters, reader)
        self._fd, self._bells, self._views = ends.read, tuple(writer_bells), views
        self._check = SequenceCheck(
            channel=ends.spec.number,
            attempt=attempt,
            writers=ends.spec.writers,
            gapless=ends.spec.readers == 1,
        )
        self._ends: list[int] = []  # writers whose end of input was handed out

    def fileno(self) -> int:
        return self._fd

    def ready(self) -> bool:
        return len(self._ends) == self._spec.writers

    def receive(self) -> Frame | None:
        if self._fd < 0:
            raise ChannelClosed(f"channel {self._spec.number} was closed by its reader")
        if len(self._ends) == self._spec.writers:
            raise StopIteration
        try:
            message = os.read(self._fd, MESSAGE_BYTES)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            message = b""  # how datagrams say that the other side is closed
        if not message:
            return self._after_the_last_writer()
        frame = self._unpack(message)
        self._note_received(frame)
        if frame.kind is FrameKind.END:
            self._ends.append(frame.writer)
        return frame

    def took(self, writer: int, credits: int, nbytes: int) -> None:
        if self._note_taken(writer, credits, nbytes) and self._bells:
            self._bells[writer].ring()

    def rouse(self) -> None:
        for writer, bell in enumerate(self._bells):
            if self._owes_ring(writer):
                bell.ring()

    def want(self, items: int = 1) -> None:
        self._note_wanted(items)
        for bell in self._bells:
            bell.ring()

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _unpack(self, message: bytes) -> Frame:
        if len(message) < HEADER.size:
            raise ProtocolError(f"channel {self._spec.number}: a message of {len(message)} bytes")
        header = unpack_header(message)
        self._check.admit(header)
        body = memoryview(message)[HEADER.size :]
        in_slot = bool(header.flags & Flag.IN_SLOT)
        if in_slot:
            if self._views is None:
                raise ProtocolError(f"channel {self._spec.number}: shared memory is not attached")
            body = memoryview(self._views.read(unpack_reference(body)))
        if len(body) != header.body:
            raise ProtocolError(
                f"channel {self._spec.number}: a frame of {header.body} bytes has {len(body)}"
            )
        return unpack_body(header, body, own=in_slot)

    def _after_the_last_writer(self) -> Frame:
        """Give out the ends of all writers, one a call; each must have said so before it closed."""
        for writer in range(self._spec.writers):
            total = self._counters.ended(writer)
            if total is None or self._spec.readers == 1:
                if writer in self._ends:
                    continue
                raise PeerLost(
                    f"channel {self._spec.number}: writer {writer} is gone, without an end"
                )
            if writer not in self._ends:
                self._ends.append(writer)
                seq = self._counters.of_writer(writer, WriterCell.FRAMES)
                return Frame(FrameKind.END, writer, seq, b"", None, total=total)
        raise StopIteration
