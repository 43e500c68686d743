"""What a transport offers: ends, frames, packets and their counters. Knows nothing of pipelines.

    writer process                                   reader process
    Encoder ── Packet ──> Sender ══ bytes ══> Receiver ── Frame ──> Decoder
       │ large buffers        ▲                   │                    │
       └──> slots of its pool │ credit, in shared │ counters           └──> views into the slots
                              └───────────────────┘

The rules that keep both ends from deadlock and the bytes from being torn:

1. Nothing is locked across processes. Each cell of the shared counters has one writing process;
   what several processes share is a pipe or a socket of the kernel.
2. A writer sends no more than its credit: ``capacity`` less what was sent and not yet taken. Credit
   counts the units of ``Sender.send(credits=...)``, the bytes count shared buffers, and one send is
   always allowed when nothing is in flight.
3. Whoever waits has first flushed what it holds back, says so in its counter, looks again, and
   waits with a deadline: a wake-up that was missed costs a moment, never a hang.
4. A frame is read whole or not at all; it bears the attempt and a number. A number that is missing,
   repeated or of another attempt is a ``ProtocolError``, never skipped.
5. A buffer that travels by reference is kept by its sender until the reader has said that it holds
   it; then the reader's own cell keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from pipeflow.values import dataclass


class FrameKind(IntEnum):
    """What a frame carries."""

    ITEMS = 1
    BARRIER = 2
    END = 3


class Kind(Enum):
    """How bytes cross."""

    PIPE = "pipe"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """One channel: some writers, some readers, one way for the bytes.

    Attributes:
        number: Its number in the run; frames and messages bear it.
        kind: A pipe has one writer and one reader; a queue any number of both, and a frame goes
            to whichever reader takes it first.
        writers: How many.
        readers: How many.
        capacity: Credits of each writer, at least 1.
        capacity_bytes: Bytes of shared buffers that each writer may have in flight.
    """

    number: int
    kind: Kind
    writers: int = 1
    readers: int = 1
    capacity: int = 256
    capacity_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        if self.kind is Kind.PIPE and (self.writers, self.readers) != (1, 1):
            raise ValueError("a pipe has one writer and one reader")
        if min(self.writers, self.readers, self.capacity) < 1:
            raise ValueError("writers, readers and capacity are at least 1")


class SlotRef(NamedTuple):
    """Where one buffer lies in shared memory.

    A tuple, as one is made for each buffer at both ends: a frozen dataclass takes four times as
    long.

    Attributes:
        pool: Number of the pool: the number of the worker that filled it.
        slot: Number of the slot in that pool; the holders' cells go by it.
        offset: First byte, counted from the start of the pool's range.
        nbytes: Length in bytes.
    """

    pool: int
    slot: int
    offset: int
    nbytes: int


@dataclass(slots=True)
class Packet:
    """Some items, pickled once; it may be sent to many.

    Attributes:
        pickled: The pickle (protocol 5) of the list of payloads; a received one may be a view
            of the block in which it was read.
        buffers: Its out-of-band buffers in order: small ones as bytes, large ones by reference.
        items: How many payloads.
        shared_bytes: Bytes that stay where they are (the sum over the references).
        copied_bytes: Bytes of buffers that travel in the frame.
        keep: What must live until every reader holds its own reference.
        plain: It was made of numbers, texts, and dicts, lists and tuples of such: to unpickle it
            runs no code of the user's.
        parts: Its bytes as a frame has them, once a transport has worked that out.
        handed: The payloads themselves, for a reader in the same process: nobody else has them.
    """

    pickled: bytes | memoryview
    buffers: tuple[bytes | SlotRef, ...]
    items: int
    shared_bytes: int = 0
    copied_bytes: int = 0
    keep: tuple[object, ...] = ()
    plain: bool = False
    parts: tuple[bytes | memoryview, ...] | None = None
    handed: list[Any] | None = None

    @property
    def moved_bytes(self) -> int:
        """Bytes that travel: the pickle, and the buffers beside it that are not shared."""
        return len(self.pickled) + self.copied_bytes


@dataclass(slots=True)
class Frame:
    """What a receiver hands out.

    Attributes:
        kind: Items, a barrier, or the end of input.
        writer: Which of the channel's writers sent it, from 0.
        seq: Its number among this writer's frames on this channel, from 0.
        meta: What the sender put beside the packet, as bytes: the receiver does not look inside.
        packet: The items; ``None`` for barriers and the end.
        total: Of an ``END``: how many credits its writer sent in all.
        credits: What its sender gave to ``Sender.send``; to be given back by ``Receiver.took``.
    """

    kind: FrameKind
    writer: int
    seq: int
    meta: bytes
    packet: Packet | None
    total: int = 0
    credits: int = 0


#: Of a frame of plain items: its meta, a view of its pickle until the next one is received, and
#: what its sender gave as credits.
PlainFrame: TypeAlias = tuple[bytes, memoryview, int]
#: Of a frame of one buffer in shared memory: its meta, its pickle, where the buffer lies as a
#: ``SlotRef`` has it, and what its sender gave as credits.
SharedFrame: TypeAlias = tuple[bytes, bytes, tuple[int, int, int, int], int]
Nothing: TypeAlias = tuple[()]
NOTHING: Final[Nothing] = ()


class Bell(Protocol):
    """Wakes a process that waits: rung by many, heard by one."""

    def fileno(self) -> int:
        """Readable while it was rung and not yet cleared."""
        ...

    def ring(self) -> None:
        """Wake the owner; never blocks."""
        ...

    def clear(self) -> None:
        """Forget the rings so far; never blocks."""
        ...


class Sender(Protocol):
    """The writing end of a channel, for one writer.

    Attributes:
        hands_over: Its reader is in this process, and the only one: it may get objects as they are.
        readers: How many readers take from it.
        before_wait: Called before the kernel is waited for in the middle of a frame.
        await_kernel: Waits for it, given the descriptor; who shows his waits has one of his own.
    """

    hands_over: bool
    readers: int
    before_wait: Callable[[], None]
    await_kernel: Callable[[int], None]

    def fileno(self) -> int:
        """Polls as ``POLLERR`` when every reader has closed."""
        ...

    def room(self, nbytes: int = 0) -> int:
        """Credits that may be sent now; 0 when full, by items or by bytes.

        Args:
            nbytes: Shared bytes of the packet that is to be sent, where they are known.
        """
        ...

    def bytes_left(self) -> int:
        """Bytes of shared buffers that may be sent now; 0 or less when full by bytes."""
        ...

    def idle(self) -> bool:
        """Whether the readers have taken all that was sent: flush at once.

        Taken, not received: a reader that still works through a batch is not helped by another
        frame, and each frame it is spared makes the next one larger.
        """
        ...

    def taken(self) -> int:
        """Credits that the readers have taken, in all."""
        ...

    def credit_cells(self) -> tuple[memoryview, int, int] | None:
        """The words of the counters, and the cells of credits sent and taken: ``idle`` as a look.

        ``None`` where several readers take.
        """
        ...

    def is_taken_singly(self) -> bool:
        """Whether the one reader has said so: ``Receiver.take_singly``."""
        ...

    def demand(self) -> int:
        """Items that readers have asked for by ``Receiver.want`` and that were not sent yet."""
        ...

    def set_waiting(self, waiting: bool) -> None:
        """Ask the readers to ring this writer's bell when they take; ``await_room`` does so."""
        ...

    def settle(self) -> None:
        """Let go of what the readers hold by now; also done by ``room`` and ``send``."""
        ...

    def send(self, meta: bytes, packet: Packet, credits: int) -> None:
        """Send one frame of items.

        May wait for the kernel to take the bytes, never for credit: ask ``room`` first.

        Raises:
            PeerClosed: Every reader has closed.
        """
        ...

    def send_plain(self, meta: bytes, pickled: bytes, count: int) -> None:
        """``send`` for a list of so many plain items, of a credit each: see ``Packet.plain``.

        Args:
            meta: As for ``send``.
            pickled: Their pickle.
            count: How many they are.

        Raises:
            PeerClosed: Every reader has closed.
        """
        ...

    def barrier(self, meta: bytes) -> None:
        """Send a barrier; it needs no credit."""
        ...

    def end(self) -> None:
        """Send the end of input with the count of credits sent, then close."""
        ...

    def close(self) -> None:
        """Close without an end of input (a second time: nothing). Readers see ``PeerLost``."""
        ...


class Receiver(Protocol):
    """The reading end of a channel, for one reader."""

    def fileno(self) -> int:
        """Polls as readable when ``receive`` may return something; -1 when closed."""
        ...

    def ready(self) -> bool:
        """Whether ``receive`` has something that was read already, so that polling would sleep."""
        ...

    def is_sent_more(self) -> bool:
        """Whether the counters know of a frame that no reader has received: no system call.

        It may still be on its way, and of a queue another reader may get it.
        """
        ...

    def frame_cells(self) -> tuple[memoryview, int, int] | None:
        """The words of the counters, and the cells of frames sent and received.

        ``None`` where there are several writers or readers.
        """
        ...

    def receive(self) -> Frame | None:
        """The next whole frame, or ``None`` when none is there yet; never blocks.

        Each writer's end of input comes as a frame of kind ``END``, then ``StopIteration`` says
        that no more will come. Of a queue with several readers every reader gets these frames
        when the last writer has closed.

        Raises:
            StopIteration: Every writer has ended properly.
            PeerLost: A writer went away without its end of input.
            ProtocolError: A frame is torn, repeated, missing or of another attempt.
        """
        ...

    def receive_plain(self) -> PlainFrame | Nothing | None:
        """The next frame if it holds plain items, as most do: it needs no ``confirm``.

        Returns:
            ``NOTHING`` if none has come. ``None``: ``receive`` knows more.
        """
        ...

    def receive_shared(self) -> SharedFrame | None:
        """The next frame if it has come and holds one item whose one buffer lies in shared memory.

        Returns:
            ``None``: ``receive`` knows more.
        """
        ...

    def confirm(self) -> None:
        """Say that the views of all frames received so far are held: senders may let go."""
        ...

    def took(self, writer: int, credits: int, nbytes: int) -> None:
        """Give credit back to a writer, and wake it if it waits."""
        ...

    def rouse(self) -> None:
        """Wake the writers that wait, however little room they have: the reader needs more now.

        ``took`` alone lets a writer sleep until it is worth its while.
        """
        ...

    def writer_waits(self, writer: int) -> bool:
        """Whether a writer waits for credit."""
        ...

    def take_singly(self, singly: bool) -> None:
        """Tell the writers whether a frame for each large array is best: it is as quick with them.

        Else several that come together cost less than one by one.
        """
        ...

    def want(self, items: int = 1) -> None:
        """Ask each writer for items, where writers send on demand only (``drop_*``)."""
        ...

    def close(self) -> None:
        """Need no more: the writers get ``PeerClosed`` once all readers have closed."""
        ...
