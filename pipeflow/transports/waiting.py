"""Waiting: for room to send, for frames to come. Always with a deadline or a way to be woken."""

from __future__ import annotations

import select
import time
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from pipeflow.transports.base import Bell, Receiver, Sender

#: How long a missed wake-up may go unnoticed. The flag is set before the last look, so on one
#: machine none should be missed; a reader of another kind of processor may reorder.
BACKSTOP_S: Final = 0.1


class Poll(Protocol):
    """What ``select.poll`` can do; who waits by other means has one of its own."""

    def register(self, fd: int, eventmask: int, /) -> object:
        """Watch a descriptor; errors are always reported."""
        ...

    def poll(self, timeout_ms: float | None = None, /) -> list[tuple[int, int]]:
        """What is ready, within so many milliseconds."""
        ...


def room_poll(
    senders: Sequence[Sender],
    bell: Bell,
    extra_fds: Collection[int] = (),
    *,
    poll: Poll | None = None,
) -> Poll:
    """What ``await_room`` waits on, for who waits for the same ends again and again.

    Args:
        senders: Those that may get room.
        bell: Of this process.
        extra_fds: What else ends the wait.
        poll: Takes them; ``select.poll`` if there is none.
    """
    poll = poll or select.poll()
    for fd in (bell.fileno(), *extra_fds):
        poll.register(fd, select.POLLIN)
    for sender in senders:
        if sender.fileno() >= 0:
            poll.register(sender.fileno(), 0)  # errors alone: they are always reported
    return poll


def await_room(
    senders: Sequence[Sender],
    bell: Bell,
    deadline_s: float | None = None,
    *,
    extra_fds: Collection[int] = (),
    poll: Poll | None = None,
) -> set[int]:
    """Wait until one of the senders has room, its readers are gone, or the bell is rung.

    The caller has flushed what it holds back, and looks at everything again afterwards: the bell is
    cleared here, whatever it was rung for.

    Args:
        senders: Those that may get room.
        bell: Of this process.
        deadline_s: Seconds to wait from now at most; ``None``: as long as it takes.
        extra_fds: What else ends the wait when it becomes readable.
        poll: From ``room_poll``, with the same arguments.

    Returns:
        Which of ``extra_fds`` are ready, and the descriptors of senders whose readers are gone:
        these never get room again, and ``send`` raises.
    """
    poll = poll or room_poll(senders, bell, extra_fds)
    until = None if deadline_s is None else time.monotonic() + deadline_s
    for sender in senders:
        sender.set_waiting(True)
    try:
        while not _has_room(senders):
            left_s = BACKSTOP_S if until is None else min(BACKSTOP_S, until - time.monotonic())
            ready = {fd for fd, _ in poll.poll(max(0.0, left_s) * 1000)}
            if bell.fileno() in ready:
                bell.clear()
            if ready or left_s <= 0:
                return ready - {bell.fileno()}.difference(extra_fds)
        return set()
    finally:
        for sender in senders:
            sender.set_waiting(False)


def _has_room(senders: Sequence[Sender]) -> bool:
    for sender in senders:  # noqa: SIM110 - a generator costs more than the look
        if sender.room():
            return True
    return False


def await_kernel(fd: int) -> None:
    """Wait until the kernel takes more of a frame, or says that nobody will read."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


def await_frames(
    receivers: Sequence[Receiver],
    extra_fds: Collection[int] = (),
    deadline_s: float | None = None,
) -> set[int]:
    """Wait until a receiver may have a frame (or its end), or another descriptor is ready.

    Args:
        receivers: Those to listen to; closed ones are passed over.
        extra_fds: What else ends the wait when it becomes readable: bells, control pipes.
        deadline_s: Seconds to wait from now at most; ``None``: as long as it takes.

    Returns:
        The descriptors that are ready, of receivers and others; none when the time is up.
    """
    poll = select.poll()
    at_hand: set[int] = set()
    for receiver in receivers:
        fd = receiver.fileno()
        if fd >= 0:
            poll.register(fd, select.POLLIN)
            if receiver.ready():
                at_hand.add(fd)
    for fd in extra_fds:
        poll.register(fd, select.POLLIN)
    if at_hand:
        deadline_s = 0
    found = poll.poll(None if deadline_s is None else max(0.0, deadline_s) * 1000)
    broken = [fd for fd, event in found if event & select.POLLNVAL]
    if broken:
        raise ValueError(f"descriptors that are not open cannot be awaited: {broken}")
    return at_hand | {fd for fd, _ in found}
