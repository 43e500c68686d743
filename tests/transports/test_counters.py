"""Credit and the shared cells, as arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.transports.base import ChannelSpec, Kind
from pipeflow.transports.bell import Bell
from pipeflow.transports.counters import (
    ChannelCounters,
    ReaderAccount,
    ReaderCell,
    WriterAccount,
    WriterCell,
)
from pipeflow.transports.credit import room

amounts = st.integers(0, 1000)


def queue(**options: int) -> ChannelSpec:
    return ChannelSpec(number=1, kind=Kind.QUEUE, **options)


@given(in_flight=amounts, capacity=st.integers(1, 1000), held=amounts, bound=amounts, next_=amounts)
def test_room_never_passes_the_capacity_and_nothing_in_flight_is_always_room(
    in_flight: int, capacity: int, held: int, bound: int, next_: int
) -> None:
    free = room(
        in_flight=in_flight,
        capacity=capacity,
        bytes_in_flight=held,
        capacity_bytes=bound,
        nbytes=next_,
    )

    assert 0 <= free <= capacity
    if in_flight == 0:
        assert free == capacity
    elif free:
        assert in_flight + free <= capacity
        assert held + next_ <= bound


def test_a_channel_needs_its_words() -> None:
    with pytest.raises(ValueError, match="words of format 'Q'"):
        ChannelCounters(queue(), memoryview(bytearray(64)).cast("Q"))


def test_writers_and_readers_count_apart() -> None:
    counters = ChannelCounters.private(queue(writers=2, readers=2))
    first, second = WriterAccount(counters, 0), WriterAccount(counters, 1)

    first.note_sent(credits=5, nbytes=100)
    second.note_sent(credits=1, nbytes=0)
    counters.add_reader(0, 0, ReaderCell.TAKEN_CREDITS, 2)
    counters.add_reader(1, 0, ReaderCell.TAKEN_CREDITS, 1)
    counters.add_reader(1, 0, ReaderCell.TAKEN_BYTES, 60)

    assert [counters.in_flight(writer) for writer in (0, 1, None)] == [2, 1, 3]
    assert [counters.bytes_in_flight(writer) for writer in (0, 1, None)] == [40, 0, 40]
    assert counters.peak_in_flight() == 5
    assert (counters.ended(0), first.end(), counters.ended(0)) == (None, 5, 5)
    assert not counters.waiting(0)
    assert counters.lost(0) == 5


@given(st.data())
def test_with_several_readers_each_frame_is_confirmed_by_itself(data: st.DataObject) -> None:
    counters = ChannelCounters.private(queue(readers=3, capacity=8))
    held: list[int] = []

    for seq in range(5000, 5000 + 60):
        held.append(seq)
        if len(held) > 8:
            done = data.draw(st.sampled_from(held))
            counters.mark_confirmed(seq % 3, 0, done)
            held.remove(done)
            assert counters.is_confirmed(0, done)
        assert not any(counters.is_confirmed(0, open_) for open_ in held if open_ > seq - 50)


def test_demand_is_what_was_wanted_and_not_sent() -> None:
    counters = ChannelCounters.private(queue(readers=2))
    counters.add_reader(0, 0, ReaderCell.DEMAND, 2)
    counters.add_reader(1, 0, ReaderCell.DEMAND, 1)

    before = counters.demand(0)
    counters.set_writer(0, WriterCell.CREDITS, 2)

    assert (before, counters.demand(0)) == (3, 1)


def test_a_bell_is_heard_until_it_is_cleared() -> None:
    bell = Bell.create()
    other = Bell.attach(bell.fds)
    other.ring()
    other.ring()

    heard = _readable(bell)
    bell.clear()
    bell.clear()

    assert (heard, _readable(bell)) == (True, False)
    bell.close()
    bell.close()
    bell.ring()


def test_a_bell_over_a_pipe_does_the_same() -> None:
    import os

    fds = os.pipe()
    for fd in fds:
        os.set_blocking(fd, False)
    bell = Bell(fds)
    for _ in range(20_000):
        bell.ring()

    heard = _readable(bell)
    bell.clear()

    assert (heard, _readable(bell)) == (True, False)
    bell.close()


def _readable(bell: Bell) -> bool:
    import select

    return bool(select.select([bell.fileno()], [], [], 0)[0])


def test_a_writer_that_waits_is_rung_once_for_each_wait() -> None:
    spec = ChannelSpec(number=0, kind=Kind.PIPE, capacity=4)
    counters = ChannelCounters.private(spec)
    writer, reader = WriterAccount(counters, 0), ReaderAccount(counters, 0)
    writer.note_sent(credits=4, nbytes=0)

    rings = [reader.note_taken(0, 1, 0)]
    for _ in range(2):
        writer.set_waiting(True)
        rings += [reader.note_taken(0, 1, 0), reader.note_taken(0, 0, 0)]
        writer.set_waiting(False)
    rings.append(reader.note_taken(0, 1, 0))

    assert rings == [False, True, False, True, False, False]


def test_a_writer_is_rung_when_half_is_free_or_its_reader_needs_more() -> None:
    spec = ChannelSpec(number=0, kind=Kind.PIPE, capacity=8, capacity_bytes=80)
    counters = ChannelCounters.private(spec)
    writer, reader = WriterAccount(counters, 0), ReaderAccount(counters, 0)
    writer.note_sent(credits=8, nbytes=80)
    writer.set_waiting(True)

    rings = [reader.note_taken(0, 1, 10) for _ in range(3)]
    of_bytes_too = reader.note_taken(0, 1, 9)
    half = reader.note_taken(0, 0, 1)
    writer.set_waiting(True)
    writer.note_sent(credits=4, nbytes=40)
    needed = reader.owes_ring(0, at_once=True)

    assert rings == [False, False, False]
    assert (of_bytes_too, half, needed) == (False, True, True)
    assert not reader.owes_ring(0, at_once=True)
