"""A channel within one process, for the inline executor: packets in a row, the same credit."""

from __future__ import annotations

from collections import deque

from pipeflow.errors import ChannelClosed, PeerLost
from pipeflow.transports.base import ChannelSpec, Frame, FrameKind, Packet
from pipeflow.transports.counters import ChannelCounters
from pipeflow.transports.outgoing import Incoming, Outgoing


class InlineChannel:
    """All ends of one channel; frames go to whichever reader takes them first.

    Nothing here can wait, and no descriptor is behind it: ``fileno`` is -1.

    Args:
        spec: As for any transport; the kind does not matter.
        counters: The channel's cells; its own when not given.
        hands_over: Objects that nobody can change any more need not be pickled.
    """

    def __init__(
        self,
        spec: ChannelSpec,
        counters: ChannelCounters | None = None,
        *,
        hands_over: bool = False,
    ) -> None:
        self.hands_over = hands_over and spec.readers == 1
        self.counters = counters or ChannelCounters.private(spec)
        self.frames: deque[Frame] = deque()
        self.readers_open = spec.readers
        self.writers_open = set(range(spec.writers))
        self.ends: dict[int, Frame] = {}
        self.senders = tuple(InlineSender(self, spec, writer) for writer in range(spec.writers))
        self.receivers = tuple(InlineReceiver(self, spec, reader) for reader in range(spec.readers))


class InlineSender(Outgoing):
    """A writing end; see ``base.Sender``."""

    def __init__(self, channel: InlineChannel, spec: ChannelSpec, writer: int) -> None:
        super().__init__(spec, channel.counters, writer)
        self._channel = channel
        self.hands_over = channel.hands_over

    def fileno(self) -> int:
        return -1

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        self._put(FrameKind.ITEMS, meta, packet, credits)

    def barrier(self, meta: bytes) -> None:
        self._put(FrameKind.BARRIER, meta, None, 0)

    def end(self) -> None:
        self._check_open()
        seq = self._next_seq()
        end = Frame(FrameKind.END, self._writer, seq, b"", None, total=self._note_end())
        self._note_sent(None, 0)
        self._channel.ends[self._writer] = end
        if self._spec.readers == 1:
            self._channel.frames.append(end)
        self.close()

    def close(self) -> None:
        self._closed = True
        self._channel.writers_open.discard(self._writer)

    def _put(self, kind: FrameKind, meta: bytes, packet: Packet | None, credits: int) -> None:
        self._check_open()
        if not self._channel.readers_open:
            raise self._peer_closed()
        self.settle()
        seq = self._next_seq()
        self._keep(seq, packet.keep if packet is not None else ())
        self._note_sent(packet, credits)
        frame = Frame(kind, self._writer, seq, meta, packet, credits=credits)
        self._channel.frames.append(frame)


class InlineReceiver(Incoming):
    """A reading end; see ``base.Receiver``."""

    def __init__(self, channel: InlineChannel, spec: ChannelSpec, reader: int) -> None:
        super().__init__(spec, channel.counters, reader)
        self._channel = channel
        self._closed = False
        self._ended = 0

    def fileno(self) -> int:
        return -1

    def ready(self) -> bool:
        return bool(self._channel.frames) or not self._channel.writers_open

    def receive(self) -> Frame | None:
        if self._closed:
            raise ChannelClosed(f"channel {self._spec.number} was closed by its reader")
        channel = self._channel
        if channel.frames:
            frame = channel.frames.popleft()
            self._note_received(frame)
            self._ended += frame.kind is FrameKind.END
            return frame
        if self._ended == self._spec.writers:
            raise StopIteration
        if channel.writers_open:
            return None
        if len(channel.ends) < self._spec.writers:
            raise PeerLost(f"channel {self._spec.number}: a writer closed without an end of input")
        frame = channel.ends[self._ended]
        self._ended += 1
        return frame

    def took(self, writer: int, credits: int, nbytes: int) -> None:
        self._note_taken(writer, credits, nbytes)

    def rouse(self) -> None:
        """Nobody sleeps in here."""

    def want(self, items: int = 1) -> None:
        self._note_wanted(items)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._channel.readers_open -= 1
