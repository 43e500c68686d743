"""What the tests of this folder share: forked children with a deadline, channels, arenas."""

from __future__ import annotations

import dataclasses
import mmap
import os
import select
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from pipeflow.transports.base import ChannelSpec, Frame, FrameKind, Kind, Receiver, Sender
from pipeflow.transports.bell import Bell
from pipeflow.transports.channel import open_receiver, open_sender
from pipeflow.transports.codec import Decoder, Encoder
from pipeflow.transports.counters import ChannelCounters
from pipeflow.transports.ends import Ends, create_ends
from pipeflow.transports.shm import Arena, Share
from pipeflow.transports.waiting import await_frames, await_room

DEADLINE_S: Final = 20.0
KINDS: Final = (Kind.PIPE, Kind.QUEUE)


class Child:
    """A forked process that runs one function; exit status 0 means that it returned."""

    def __init__(self, body: Callable[[], None]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            _run(body)
        self._sentinel = os.pidfd_open(self.pid)
        self._status: int | None = None

    def join(self) -> int:
        """Its exit status, or minus its signal."""
        if self._status is None:
            if not select.select([self._sentinel], [], [], DEADLINE_S)[0]:
                self.kill()
                raise TimeoutError(f"child {self.pid} did not end")
            self._reap()
        assert self._status is not None
        return self._status

    def halt(self) -> None:
        """SIGSTOP it, and wait until it stands still."""
        signal.pidfd_send_signal(self._sentinel, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def kill(self) -> None:
        """SIGKILL it and wait for its death."""
        if self._status is None:
            signal.pidfd_send_signal(self._sentinel, signal.SIGKILL)
            self._reap()

    def _reap(self) -> None:
        self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._sentinel)


def _run(body: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        body()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


@dataclass
class Rig:
    """One channel with everything round it; each process calls ``sender`` or ``receiver``."""

    spec: ChannelSpec
    ends: Ends
    counters: ChannelCounters
    bells: tuple[Bell, ...]
    arena: Arena
    opened: list[Sender | Receiver] = field(default_factory=list)
    foreign: set[int] = field(default_factory=set)

    @classmethod
    def make(
        cls,
        kind: Kind,
        *,
        writers: int = 1,
        readers: int = 1,
        capacity: int = 256,
        capacity_bytes: int = 2**26,
        limit: int = 2**29,
    ) -> Rig:
        spec = ChannelSpec(
            number=7,
            kind=kind,
            writers=writers,
            readers=readers,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
        )
        words = memoryview(mmap.mmap(-1, 8 * ChannelCounters.words(spec))).cast("Q")
        return cls(
            spec=spec,
            ends=(ends := create_ends(spec)),
            foreign=set(ends.fds),
            counters=ChannelCounters(spec, words),
            bells=tuple(Bell.create() for _ in range(writers)),
            arena=Arena.create(writers + readers, limit),
        )

    def sender(self, writer: int = 0, *, attempt: int = 0, keep_other: bool = False) -> Writer:
        self._hand_over(self.ends.write, self.ends.read, keep_other)
        share = Arena.attach(self.arena.handle, writer)
        end = open_sender(self.spec, self.ends, writer, self.counters, attempt, share.pool)
        self.opened.append(end)
        return Writer(end, share, self.bells[writer])

    def receiver(self, reader: int = 0, *, attempt: int = 0, keep_other: bool = False) -> Reader:
        self._hand_over(self.ends.read, self.ends.write, keep_other)
        share = Arena.attach(self.arena.handle, self.spec.writers + reader)
        end = open_receiver(
            self.spec, self.ends, reader, self.counters, attempt, self.bells, share.views
        )
        self.opened.append(end)
        return Reader(end, share)

    def _hand_over(self, mine: int, other: int, keep_other: bool) -> None:
        self.foreign.discard(mine)
        if not keep_other and other in self.foreign:
            os.close(other)
            self.foreign.discard(other)

    def split(self) -> tuple[Writer, Reader]:
        """Both ends in this process, for what needs no second one."""
        return self.sender(keep_other=True), self.receiver(keep_other=True)

    def close_ends(self) -> None:
        """As a launcher does once its children run."""
        for fd in self.foreign:
            os.close(fd)
        self.foreign.clear()

    def close(self) -> None:
        self.close_ends()
        for end in self.opened:
            end.close()
        for bell in self.bells:
            bell.close()
        self.arena.close()


@dataclass
class Writer:
    end: Sender
    share: Share
    bell: Bell

    def __post_init__(self) -> None:
        self.encoder = Encoder(self.share.pool)

    def put(self, *payloads: Any, meta: bytes = b"") -> None:
        """Send one frame once there is room for it."""
        packet = self.encoder.encode(list(payloads))
        while self.end.room(packet.shared_bytes) < min(len(payloads), 1):
            if self.end.fileno() in await_room([self.end], self.bell, DEADLINE_S):
                break  # all readers are gone: sending says so
        self.end.send(meta, packet, len(payloads))

    def put_all(self, payloads: Iterable[Any]) -> None:
        """A frame each."""
        for payload in payloads:
            self.put(payload)


@dataclass
class Reader:
    end: Receiver
    share: Share

    def __post_init__(self) -> None:
        self.decoder = Decoder(self.share.views)

    def frame(self) -> Frame:
        """The next frame, waiting for it.

        Raises:
            StopIteration: There are no more.
        """
        while (frame := self.end.receive()) is None:
            if not await_frames([self.end], deadline_s=DEADLINE_S):
                raise TimeoutError("no frame came")
        return frame

    def open(self, frame: Frame, *, private: bool = False) -> list[Any]:
        """Its payloads, confirmed and taken."""
        assert frame.packet is not None
        payloads = self.decoder.decode(frame.packet, private=private)
        self.end.confirm()
        self.end.took(frame.writer, frame.credits, frame.packet.shared_bytes)
        return payloads

    def batches(self, *, private: bool = False) -> Iterator[list[Any]]:
        """The payloads of every frame of items until the end."""
        while True:
            try:
                frame = self.frame()
            except StopIteration:
                return
            if frame.kind is FrameKind.ITEMS:
                yield self.open(frame, private=private)

    def items(self, *, private: bool = False) -> Iterator[Any]:
        """Every payload until the end; none is held on to here."""
        for batch in self.batches(private=private):
            batch.reverse()
            while batch:
                yield batch.pop()


def duplicate(ends: Ends) -> Ends:
    """Ends of its own for a second writer or reader in this process."""
    return dataclasses.replace(ends, read=os.dup(ends.read), write=os.dup(ends.write))
