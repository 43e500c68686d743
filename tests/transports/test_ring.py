"""The ring: what was written is read, whole and in order, however large and whoever dies."""

from __future__ import annotations

import mmap
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeflow.transports.ring import HEAD, RING_WORDS, TAIL, RingReader, RingWriter
from tests.transports.children import Child


def make_ring(size: int) -> tuple[RingWriter, RingReader, memoryview]:
    memory = memoryview(mmap.mmap(-1, RING_WORDS * 8 + size))
    words = memory[: RING_WORDS * 8].cast("Q")
    data = memory[RING_WORDS * 8 :]
    return RingWriter(words, data), RingReader(words, data), words


@given(
    size=st.integers(1, 40), records=st.lists(st.binary(max_size=60), max_size=20), late=st.data()
)
def test_records_come_whole_and_in_order_whenever_they_are_taken(
    size: int, records: list[bytes], late: st.DataObject
) -> None:
    writer, reader, _ = make_ring(size)
    got: list[bytes] = []

    for record in records:
        done = writer.begin(record)
        while not done:
            assert not writer.has_room()
            got += reader.take()
            done = writer.go_on()
        if late.draw(st.booleans()):
            got += reader.take()
    got += reader.take()

    assert got == records
    assert reader.is_empty()


def test_a_record_that_is_not_whole_is_not_given_out() -> None:
    writer, reader, words = make_ring(16)

    assert not writer.begin(bytes(30))

    assert reader.take() == []
    assert words[HEAD] == words[TAIL] == 16


@pytest.mark.processes
def test_what_a_killed_writer_has_written_is_there() -> None:
    writer, reader, _ = make_ring(4096)

    def write() -> None:
        for number in range(100):
            assert writer.begin(str(number).encode())
        os.kill(os.getpid(), 9)

    child = Child(write)

    assert child.join() == -9
    assert reader.take() == [str(number).encode() for number in range(100)]
