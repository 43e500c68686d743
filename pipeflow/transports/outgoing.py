"""What the senders of all transports do alike: count, keep what is in flight, let go of it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator

from pipeflow.errors import ChannelClosed, PeerClosed
from pipeflow.transports import credit
from pipeflow.transports.base import ChannelSpec, Frame, Nothing, Packet, PlainFrame, SharedFrame
from pipeflow.transports.counters import ChannelCounters, ReaderAccount, ReaderCell, WriterAccount
from pipeflow.transports.waiting import await_kernel


class Outgoing(ABC):
    """One writer's books of a channel, and the buffers that its readers do not hold yet."""

    hands_over = False

    def __init__(self, spec: ChannelSpec, counters: ChannelCounters, writer: int) -> None:
        self._spec, self._counters, self._writer = spec, counters, writer
        self.readers = spec.readers
        self._account = WriterAccount(counters, writer)
        self._kept: deque[tuple[int, tuple[object, ...]]] = deque()
        self._settled = 0  # frames that were confirmed at the last settling
        self._settling = threading.Lock()
        self._closed = False
        #: Called before the kernel is waited for in the middle of a frame.
        self.before_wait: Callable[[], None] = lambda: None
        #: Waits for the kernel, in the middle of a frame, to take more by this descriptor.
        self.await_kernel: Callable[[int], None] = await_kernel

    def room(self, nbytes: int = 0) -> int:
        if self._kept:
            self.settle()
        spec = self._spec
        in_flight = self._account.in_flight()
        if not in_flight:
            return spec.capacity  # as ``credit.room`` has it, and most often so
        return credit.room(
            in_flight=in_flight,
            capacity=spec.capacity,
            bytes_in_flight=self._account.bytes_in_flight(),
            capacity_bytes=spec.capacity_bytes,
            nbytes=nbytes,
        )

    def bytes_left(self) -> int:
        return self._spec.capacity_bytes - self._account.bytes_in_flight()

    def idle(self) -> bool:
        return self._account.idle()

    def taken(self) -> int:
        return self._account.taken()

    def is_taken_singly(self) -> bool:
        return self._account.is_taken_singly()

    def credit_cells(self) -> tuple[memoryview, int, int] | None:
        return self._account.credit_cells()

    def demand(self) -> int:
        return self._counters.demand(self._writer)

    def set_waiting(self, waiting: bool) -> None:
        self._account.set_waiting(waiting)

    def settle(self) -> None:
        # The pool asks for this from the user's thread while the second thread may be sending; and
        # what dies here may run code that comes back. Whoever is second leaves it to the first.
        if not self._kept:
            return
        confirmed = self._account.confirmed()
        if confirmed <= self._settled:
            return
        if not self._settling.acquire(blocking=False):
            return
        try:
            self._let_go_of(confirmed)
        finally:
            self._settling.release()

    def _let_go_of(self, confirmed: int) -> None:
        """Let go of what is held, of which there are so many frames."""
        kept, self._settled = self._kept, confirmed
        if self._spec.readers == 1:  # in order
            while kept and kept[0][0] < confirmed:
                kept.popleft()
            return
        for _ in range(len(kept)):
            seq, keep = kept.popleft()
            if not self._counters.is_confirmed(self._writer, seq):
                kept.append((seq, keep))

    def kept(self) -> Iterator[object]:
        """What the readers may not hold yet; also after the end."""
        self.settle()
        for _, keep in self._kept:
            yield from keep

    @abstractmethod
    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        """See ``base.Sender``."""

    def send_plain(self, meta: bytes, pickled: bytes, count: int) -> None:
        self.send(meta, Packet(pickled, (), count, plain=True), count)

    # -- for the senders

    def _peer_closed(self) -> PeerClosed:
        """Nobody will read what is in flight: let go of it."""
        self._kept.clear()
        return PeerClosed(f"channel {self._spec.number}: every reader has closed")

    def _check_open(self) -> None:
        if self._closed:
            raise ChannelClosed(f"channel {self._spec.number} was closed by its writer")

    def _next_seq(self) -> int:
        return self._account.frames()

    def _keep(self, seq: int, keep: tuple[object, ...]) -> None:
        if keep:
            self._kept.append((seq, keep))

    def _note_sent(self, packet: Packet | None, credits: int) -> None:
        if packet is None:
            self._account.note_sent(credits, 0)
        else:
            self._account.note_sent(credits, packet.shared_bytes)

    def _note_end(self) -> int:
        return self._account.end()


class Incoming:
    """One reader's books of a channel."""

    def __init__(self, spec: ChannelSpec, counters: ChannelCounters, reader: int) -> None:
        self._spec, self._counters, self._reader = spec, counters, reader
        self._account = ReaderAccount(counters, reader)
        # Frames not confirmed yet. One reader confirms in order, so a count for each writer tells.
        self._in_order = spec.readers == 1
        self._counts = [0] * spec.writers
        self._unconfirmed: list[tuple[int, int]] = []

    def confirm(self) -> None:
        if self._in_order:
            for writer, count in enumerate(self._counts):
                if count:
                    self._account.note_confirmed(writer, count)
                    self._counts[writer] = 0
            return
        for writer, seq in self._unconfirmed:
            self._counters.mark_confirmed(self._reader, writer, seq)
        self._unconfirmed.clear()

    def is_sent_more(self) -> bool:
        return self._account.is_sent_more()

    def frame_cells(self) -> tuple[memoryview, int, int] | None:
        return self._account.frame_cells()

    def receive_plain(self) -> PlainFrame | Nothing | None:
        return None

    def receive_shared(self) -> SharedFrame | None:
        return None

    def take_singly(self, singly: bool) -> None:
        for writer in range(self._spec.writers):
            self._counters.set_reader(self._reader, writer, ReaderCell.SINGLY, singly)

    def writer_waits(self, writer: int) -> bool:
        return self._counters.waiting(writer)

    def _note_received(self, frame: Frame) -> None:
        writer = frame.writer
        self._account.note_received(writer, frame.credits)
        if self._in_order:
            self._counts[writer] += 1
        else:
            self._unconfirmed.append((writer, frame.seq))

    def _owes_ring(self, writer: int) -> bool:
        """Whether to ring a writer that waits, however little room it has."""
        return self._account.owes_ring(writer, at_once=True)

    def _note_taken(self, writer: int, credits: int, nbytes: int) -> bool:
        """Give credit back; whether to ring the writer's bell."""
        return self._account.note_taken(writer, credits, nbytes)

    def _note_wanted(self, items: int) -> None:
        for writer in range(self._spec.writers):
            self._counters.add_reader(self._reader, writer, ReaderCell.DEMAND, items)
