"""The channel within one process keeps the rules of the others."""

from __future__ import annotations

import pytest

from pipeflow.errors import ChannelClosed, PeerClosed, PeerLost
from pipeflow.transports.base import ChannelSpec, FrameKind, Kind, Packet, Receiver, Sender
from pipeflow.transports.inline import InlineChannel


def channel(**options: int) -> InlineChannel:
    return InlineChannel(ChannelSpec(number=1, kind=Kind.QUEUE, **options))


def packet(nbytes: int = 0) -> Packet:
    return Packet(pickled=b"", buffers=(), items=1, shared_bytes=nbytes)


def test_frames_arrive_in_order_and_then_the_end() -> None:
    made = channel(capacity=10)
    sender: Sender = made.senders[0]
    receiver: Receiver = made.receivers[0]
    first, second = packet(), packet()

    sender.send(b"1", first, 2)
    sender.barrier(b"now")
    sender.send(b"2", second, 1)
    sender.end()
    frames = [receiver.receive() for _ in range(4)]

    assert [(frame.kind, frame.meta, frame.seq, frame.packet) for frame in frames if frame] == [
        (FrameKind.ITEMS, b"1", 0, first),
        (FrameKind.BARRIER, b"now", 1, None),
        (FrameKind.ITEMS, b"2", 2, second),
        (FrameKind.END, b"", 3, None),
    ]
    assert frames[3] is not None
    assert frames[3].total == 3
    with pytest.raises(StopIteration):
        receiver.receive()


def test_room_goes_by_items_and_bytes() -> None:
    made = channel(capacity=3, capacity_bytes=100)
    (sender,), (receiver,) = made.senders, made.receivers

    empty = sender.room(500)
    sender.send(b"", packet(80), 1)
    taken = receiver.receive()

    assert taken is not None
    assert (empty, sender.room(), sender.room(30)) == (3, 2, 0)
    receiver.took(0, 1, 80)
    assert sender.room(30) == 3
    assert sender.idle()


def test_buffers_are_kept_until_the_reader_confirms() -> None:
    class Keeper: ...

    made = channel()
    (sender,), (receiver,) = made.senders, made.receivers
    keeper = Keeper()
    sender.send(b"", Packet(pickled=b"", buffers=(), items=1, keep=(keeper,)), 1)

    before = list(sender.kept())
    receiver.receive()
    receiver.confirm()

    assert before == [keeper]
    assert list(sender.kept()) == []


def test_a_writer_learns_that_all_readers_have_closed() -> None:
    made = channel(readers=2)
    made.receivers[0].close()
    made.receivers[0].close()
    made.senders[0].send(b"", packet(), 1)

    made.receivers[1].close()

    with pytest.raises(PeerClosed):
        made.senders[0].send(b"", packet(), 1)
    with pytest.raises(ChannelClosed):
        made.receivers[1].receive()


def test_every_reader_learns_of_every_writers_end() -> None:
    made = channel(writers=2, readers=2)
    made.senders[1].end()
    before = made.receivers[0].receive()
    made.senders[0].end()

    ends = [[reader.receive() for _ in range(2)] for reader in made.receivers]

    assert before is None
    assert [[frame.writer for frame in frames if frame] for frames in ends] == [[0, 1], [0, 1]]
    with pytest.raises(StopIteration):
        made.receivers[1].receive()


def test_closing_without_an_end_is_a_loss() -> None:
    made = channel()
    made.senders[0].close()

    assert made.receivers[0].ready()
    with pytest.raises(PeerLost):
        made.receivers[0].receive()
    with pytest.raises(ChannelClosed):
        made.senders[0].end()
