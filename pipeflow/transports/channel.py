"""Opens the ends of channels, whatever their transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from pipeflow.transports.base import ChannelSpec, Kind, Receiver, Sender
from pipeflow.transports.bell import Bell
from pipeflow.transports.counters import ChannelCounters
from pipeflow.transports.ends import Ends
from pipeflow.transports.pipe import PipeReceiver, PipeSender
from pipeflow.transports.queue import QueueReceiver, QueueSender
from pipeflow.transports.slots import SlotPool
from pipeflow.transports.views import Views


def open_sender(
    spec: ChannelSpec,
    ends: Ends,
    writer: int,
    counters: ChannelCounters,
    attempt: int = 0,
    pool: SlotPool | None = None,
) -> Sender:
    """The end of one writer, in its own process; it owns ``ends.write`` there.

    Args:
        spec: The channel.
        ends: Its descriptors.
        writer: Which of its writers.
        counters: Its cells.
        attempt: Of the run; readers of another attempt refuse the frames.
        pool: Of this worker; always given where its packets come from an encoder with a pool, for
            it sees to it that nothing in flight is lent again, not even when this worker ends. A
            queue needs it for frames that are larger than a message.
    """
    sender: PipeSender | QueueSender
    match spec.kind:
        case Kind.PIPE:
            sender = PipeSender(ends, counters, attempt)
        case Kind.QUEUE:
            sender = QueueSender(ends, writer, counters, attempt, pool)
        case _:
            assert_never(spec.kind)
    if pool is not None:
        pool.watch(sender)
    return sender


def open_receiver(
    spec: ChannelSpec,
    ends: Ends,
    reader: int,
    counters: ChannelCounters,
    attempt: int = 0,
    writer_bells: Sequence[Bell] = (),
    views: Views | None = None,
) -> Receiver:
    """The end of one reader, in its own process; it owns ``ends.read`` there.

    Args:
        spec: The channel.
        ends: Its descriptors.
        reader: Which of its readers.
        counters: Its cells.
        attempt: Of the run.
        writer_bells: Bell of each writer's process, in order; without them writers that wait for
            credit find out by themselves, later.
        views: Of this worker; a queue needs them for frames that are larger than a message.
    """
    match spec.kind:
        case Kind.PIPE:
            bell = writer_bells[0] if writer_bells else None
            return PipeReceiver(ends, counters, attempt, bell)
        case Kind.QUEUE:
            return QueueReceiver(ends, reader, counters, attempt, writer_bells, views)
        case _:
            assert_never(spec.kind)
