"""A ring of bytes between two processes: what was written is there to be read, whoever dies.

    writer ──> [ bytes in shared memory ] ──> reader
               head: written so far   tail: taken so far

A pipe costs its writer a call of the kernel for each record, so records are held back and go down
with a writer that is killed. Here each record is safe as soon as it is written, at the price of a
copy. One process writes, one reads, and each of the cells has one of them as its only writer (the
queue of one producer and one consumer: L. Lamport, "Proving the Correctness of Multiprocess
Programs", 1977). Nobody waits in here: the writer is told that there is no room, and asks again.
"""

from __future__ import annotations

from typing import Final

#: Cells of a ring: bytes ever written, bytes ever taken.
HEAD, TAIL = 0, 1
RING_WORDS: Final = 2

_LENGTH_BYTES: Final = 4


class RingWriter:
    """The writing end.

    Args:
        words: Its cells, ``RING_WORDS`` unsigned 64-bit words.
        memory: Its bytes; how many is the most that can wait to be read.
    """

    def __init__(self, words: memoryview, memory: memoryview) -> None:
        self._words, self._memory = words, memory
        self._left = memoryview(b"")

    def begin(self, record: bytes) -> bool:
        """Write a record, as far as there is room; whether all of it is written.

        While it is not, ``go_on`` comes next. The reader sees it once all of it is written.
        """
        words, memory = self._words, self._memory
        head, size, data = (
            words[HEAD],
            len(memory),
            len(record).to_bytes(_LENGTH_BYTES, "little") + record,
        )
        count, at = len(data), head % size
        if at + count <= size and head - words[TAIL] + count <= size:  # as most often
            memory[at : at + count] = data
            words[HEAD] = head + count
            return True
        self._left = memoryview(data)
        return self.go_on()

    def go_on(self) -> bool:
        """Write more of the record at hand; whether all of it is written."""
        words, memory = self._words, self._memory
        size = len(memory)
        while self._left:
            head = words[HEAD]
            room = size - (head - words[TAIL])
            at = head % size
            count = min(len(self._left), room, size - at)
            if not count:
                return False
            memory[at : at + count] = self._left[:count]
            words[HEAD] = head + count  # after the bytes: what counts as written is there
            self._left = self._left[count:]
        return True

    def has_room(self) -> bool:
        """Whether anything can be written."""
        return self._words[HEAD] - self._words[TAIL] < len(self._memory)


class RingReader:
    """The reading end.

    Args:
        words: Its cells.
        memory: Its bytes.
    """

    def __init__(self, words: memoryview, memory: memoryview) -> None:
        self._words, self._memory = words, memory
        self._partial = bytearray()

    def is_empty(self) -> bool:
        """Whether nothing is there to be taken."""
        return bool(self._words[HEAD] == self._words[TAIL])

    def take(self) -> list[bytes]:
        """All records that are whole by now, oldest first."""
        words, memory, partial = self._words, self._memory, self._partial
        size = len(memory)
        tail, head = words[TAIL], words[HEAD]
        while tail < head:
            at = tail % size
            count = min(head - tail, size - at)
            partial += memory[at : at + count]
            tail += count
        words[TAIL] = tail
        records: list[bytes] = []
        at = 0
        while len(partial) - at >= _LENGTH_BYTES:
            begin = at + _LENGTH_BYTES
            end = begin + int.from_bytes(partial[at:begin], "little")
            if len(partial) < end:
                break
            records.append(bytes(partial[begin:end]))
            at = end
        del partial[:at]
        return records
