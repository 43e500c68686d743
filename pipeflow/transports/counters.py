"""The shared cells of one channel: what each end has sent, received, taken. Decides nothing.

    writer row (one a writer)            reader row (one a reader and writer)
    ┌───────────────────────────┐        ┌──────────────────────────────────┐
    │ credits bytes frames      │        │ received confirmed taken demand  │
    │ waiting peak ended        │        │ ...                              │
    └───────────────────────────┘        └──────────────────────────────────┘
    marks (several readers only): one byte a writer and frame number, modulo ``MARKS_PER_CREDIT``
    times the capacity, set by whichever reader holds that frame.

Every cell has one writing process (a mark: one at a time, for a frame has one taker), so nothing is
locked; a sum over cells may be a moment old, never torn. Rows are cache lines; all begins as 0.
"""

from __future__ import annotations

from enum import IntEnum

from pipeflow.transports.base import ChannelSpec

ROW_WORDS = 8
MARKS_PER_CREDIT = 2
_LAPS = 256


class WriterCell(IntEnum):
    """Cells that a writer writes."""

    CREDITS = 0
    BYTES = 1
    FRAMES = 2
    WAITING = 3
    PEAK = 4
    #: The count of credits at its end of input, plus 1; 0 before.
    ENDED = 5


class ReaderCell(IntEnum):
    """Cells that a reader writes for each writer."""

    FRAMES = 0
    CREDITS = 1
    CONFIRMED = 2
    TAKEN_CREDITS = 3
    TAKEN_BYTES = 4
    DEMAND = 5
    #: Whether it is quick with frames of one array, so that several in one would only come later.
    SINGLY = 6


class ChannelCounters:
    """The cells of one channel over a block of unsigned 64-bit words that its maker owns.

    Any process may read; the supervisor does so for progress and the ledger.
    """

    def __init__(self, spec: ChannelSpec, words: memoryview) -> None:
        if words.format != "Q" or len(words) < self.words(spec):
            raise ValueError(f"a channel needs {self.words(spec)} words of format 'Q'")
        self.spec = spec
        self._words = words
        self._readers_at = spec.writers * ROW_WORDS
        marks_at = self._readers_at + spec.readers * spec.writers * ROW_WORDS
        self._mark_count = _mark_words(spec) * 8
        self._marks = words[marks_at : marks_at + spec.writers * _mark_words(spec)].cast("B")

    @classmethod
    def words(cls, spec: ChannelSpec) -> int:
        """How many 64-bit words the channel needs."""
        rows = spec.writers + spec.readers * spec.writers
        return rows * ROW_WORDS + spec.writers * _mark_words(spec)

    @classmethod
    def private(cls, spec: ChannelSpec) -> ChannelCounters:
        """Cells in this process alone, for a channel that stays within it."""
        return cls(spec, memoryview(bytearray(8 * cls.words(spec))).cast("Q"))

    # -- single cells

    def of_writer(self, writer: int, cell: WriterCell) -> int:
        """The value of a writer's cell."""
        return self._words[writer * ROW_WORDS + cell]

    def set_writer(self, writer: int, cell: WriterCell, value: int) -> None:
        """Only ``writer`` itself may call this."""
        self._words[writer * ROW_WORDS + cell] = value

    def add_writer(self, writer: int, cell: WriterCell, amount: int) -> None:
        """Only ``writer`` itself may call this."""
        self._words[writer * ROW_WORDS + cell] += amount

    def add_reader(self, reader: int, writer: int, cell: ReaderCell, amount: int) -> None:
        """Only ``reader`` itself may call this."""
        self._words[self._reader_row(reader, writer) + cell] += amount

    def set_reader(self, reader: int, writer: int, cell: ReaderCell, value: int) -> None:
        """Only ``reader`` itself may call this."""
        self._words[self._reader_row(reader, writer) + cell] = value

    def over_readers(self, writer: int, cell: ReaderCell) -> int:
        """The sum of a cell over all readers, for one writer."""
        words, first = self._words, self._reader_row(0, writer) + cell
        if self.spec.readers == 1:
            return words[first]
        stride = self.spec.writers * ROW_WORDS
        return sum(words[first + reader * stride] for reader in range(self.spec.readers))

    def rows(self, writer: int) -> tuple[memoryview, int, tuple[int, ...]]:
        """The words, where a writer's row begins, and where each reader's row for it begins.

        For what is asked with every item, where a call for each cell would cost more than the look.
        """
        readers = tuple(self._reader_row(reader, writer) for reader in range(self.spec.readers))
        return self._words, writer * ROW_WORDS, readers

    def rows_of_reader(self, reader: int) -> tuple[memoryview, tuple[int, ...], tuple[int, ...]]:
        """The words, and for each writer: where it says that it waits, and this reader's row."""
        writers = range(self.spec.writers)
        waiting = tuple(writer * ROW_WORDS + WriterCell.WAITING for writer in writers)
        return self._words, waiting, tuple(self._reader_row(reader, writer) for writer in writers)

    # -- which frames are held

    def mark_confirmed(self, reader: int, writer: int, seq: int) -> None:
        """Say that ``reader`` holds what frame ``seq`` refers to."""
        if self._mark_count:
            place = writer * self._mark_count + seq % self._mark_count
            self._marks[place] = _lap(seq, self._mark_count)
        self.add_reader(reader, writer, ReaderCell.CONFIRMED, 1)

    def is_confirmed(self, writer: int, seq: int) -> bool:
        """Whether the reader that took frame ``seq`` has confirmed it.

        With one reader frames are confirmed in order and a count tells. With several a frame's
        mark bears the lap of the last frame confirmed at its place; a later lap says the same,
        for frames in flight are fewer than places.
        """
        if not self._mark_count:
            return self.over_readers(writer, ReaderCell.CONFIRMED) > seq
        mark = self._marks[writer * self._mark_count + seq % self._mark_count]
        return mark != 0 and (mark - _lap(seq, self._mark_count)) % (_LAPS - 1) < _LAPS // 2

    # -- for whoever looks on

    def in_flight(self, writer: int | None = None) -> int:
        """Credits sent and not yet taken, of one writer or of all."""
        return self._open(writer, WriterCell.CREDITS, ReaderCell.TAKEN_CREDITS)

    def bytes_in_flight(self, writer: int | None = None) -> int:
        """Bytes of shared buffers sent and not yet taken, of one writer or of all."""
        return self._open(writer, WriterCell.BYTES, ReaderCell.TAKEN_BYTES)

    def frames_in_flight(self, writer: int | None = None) -> int:
        """Frames sent and not yet received, of one writer or of all."""
        return self._open(writer, WriterCell.FRAMES, ReaderCell.FRAMES)

    def peak_in_flight(self) -> int:
        """The most credits that any one writer has had in flight."""
        return max(self.of_writer(w, WriterCell.PEAK) for w in range(self.spec.writers))

    def waiting(self, writer: int) -> bool:
        """Whether the writer waits for room."""
        return self.of_writer(writer, WriterCell.WAITING) != 0

    def ended(self, writer: int) -> int | None:
        """Credits that the writer sent in all, once it has sent its end of input."""
        ended = self.of_writer(writer, WriterCell.ENDED)
        return ended - 1 if ended else None

    def demand(self, writer: int) -> int:
        """Items that the readers have asked this writer for and that it has not sent."""
        wanted = self.over_readers(writer, ReaderCell.DEMAND)
        return max(0, wanted - self.of_writer(writer, WriterCell.CREDITS))

    def lost(self, writer: int) -> int:
        """Credits sent that no reader has received; only says something once all is quiet."""
        received = self.over_readers(writer, ReaderCell.CREDITS)
        return self.of_writer(writer, WriterCell.CREDITS) - received

    def _open(self, writer: int | None, sent: WriterCell, got: ReaderCell) -> int:
        writers = range(self.spec.writers) if writer is None else (writer,)
        # What was taken is read first: read last, it could outrun an older count of what was sent.
        taken = sum(self.over_readers(w, got) for w in writers)
        return max(0, sum(self.of_writer(w, sent) for w in writers) - taken)

    def _reader_row(self, reader: int, writer: int) -> int:
        return self._readers_at + (reader * self.spec.writers + writer) * ROW_WORDS


class WriterAccount:
    """One writer's side of the books: what its sender asks and notes."""

    def __init__(self, counters: ChannelCounters, writer: int) -> None:
        self.counters = counters
        self.writer = writer
        self._words, self._row, self._readers = counters.rows(writer)
        self._waits, self._peak = 0, self._words[self._row + PEAK]

    def note_sent(self, credits: int, nbytes: int) -> int:
        """Count one frame as sent; called before the bytes leave, so no reader can outrun it.

        Args:
            credits: What it costs.
            nbytes: Its shared bytes.

        Returns:
            Its number.
        """
        words, row, readers = self._words, self._row, self._readers
        seq: int = words[row + FRAMES]
        words[row + FRAMES] = seq + 1
        if not credits:
            return seq
        words[row + CREDITS] = sent = words[row + CREDITS] + credits
        if nbytes:
            words[row + BYTES] += nbytes
        if len(readers) == 1:  # as in ``_sum``
            in_flight = sent - words[readers[0] + TAKEN_CREDITS]
        else:
            in_flight = sent - self._sum(TAKEN_CREDITS)
        if in_flight > self._peak:
            words[row + PEAK] = self._peak = in_flight
        return seq

    def in_flight(self) -> int:
        """Credits sent and not yet taken."""
        words, readers = self._words, self._readers
        if len(readers) == 1:  # asked for each frame
            taken = words[readers[0] + TAKEN_CREDITS]
            return max(0, words[self._row + CREDITS] - taken)
        return max(0, words[self._row + CREDITS] - self._sum(TAKEN_CREDITS))

    def bytes_in_flight(self) -> int:
        """Bytes of shared buffers sent and not yet taken."""
        return max(0, self._words[self._row + BYTES] - self._sum(TAKEN_BYTES))

    def frames(self) -> int:
        """Frames sent: the number of the next one."""
        return self._words[self._row + FRAMES]

    def confirmed(self) -> int:
        """Frames that readers have confirmed."""
        words, readers = self._words, self._readers
        if len(readers) == 1:  # as in ``_sum``; asked all the time while a slot is waited for
            return words[readers[0] + CONFIRMED]
        return self._sum(CONFIRMED)

    def idle(self) -> bool:
        """Whether the readers have taken every credit sent: they have nothing left to do."""
        return self._sum(TAKEN_CREDITS) >= self._words[self._row + CREDITS]

    def taken(self) -> int:
        """Credits that the readers have taken, in all."""
        return self._sum(TAKEN_CREDITS)

    def is_taken_singly(self) -> bool:
        """Whether the one reader wants arrays in frames of their own."""
        return len(self._readers) == 1 and self._words[self._readers[0] + SINGLY] != 0

    def credit_cells(self) -> tuple[memoryview, int, int] | None:
        """The words, and the cells of credits sent and taken, if there is but one reader."""
        if len(self._readers) != 1:
            return None
        return self._words, self._row + CREDITS, self._readers[0] + TAKEN_CREDITS

    def set_waiting(self, waiting: bool) -> None:
        """Ask the readers to ring when they take, or no longer.

        Each wait has a number of its own, so that a reader need not ring twice for one.
        """
        self._waits += waiting
        self.counters.set_writer(self.writer, WriterCell.WAITING, self._waits if waiting else 0)

    def end(self) -> int:
        """Note the end of input and give the count of credits that it bears."""
        total = self.counters.of_writer(self.writer, WriterCell.CREDITS)
        self.counters.set_writer(self.writer, WriterCell.ENDED, total + 1)
        return total

    def _sum(self, cell: int) -> int:
        """The sum of a cell over the readers."""
        words, readers = self._words, self._readers
        if len(readers) == 1:
            return words[readers[0] + cell]
        return sum([words[row + cell] for row in readers])


class ReaderAccount:
    """One reader's side of the books: what its receiver notes."""

    def __init__(self, counters: ChannelCounters, reader: int) -> None:
        self._counters = counters
        self._words, self._waiting, self._rows = counters.rows_of_reader(reader)
        self._spec = counters.spec
        self._alone = (counters.spec.writers, counters.spec.readers) == (1, 1)
        self._rung_for = [0] * len(self._rows)

    def note_received(self, writer: int, credits: int) -> None:
        """Count one frame as received, and what it costs."""
        words, row = self._words, self._rows[writer]
        words[row + RECEIVED] += 1
        if credits:
            words[row + RECEIVED_CREDITS] += credits

    def note_plain(self, credits: int) -> None:
        """Count one frame of the first writer as received and held, and what it costs."""
        words, row = self._words, self._rows[0]
        words[row + RECEIVED] += 1
        words[row + RECEIVED_CREDITS] += credits
        words[row + CONFIRMED] += 1

    def is_sent_more(self) -> bool:
        """Whether a frame was sent that no reader has received."""
        if self._alone:
            return self._words[FRAMES] > self._words[self._rows[0] + RECEIVED]
        return self._counters.frames_in_flight() > 0

    def frame_cells(self) -> tuple[memoryview, int, int] | None:
        """The words, and the cells of frames sent and received, if there is but one of each end."""
        return (self._words, FRAMES, self._rows[0] + RECEIVED) if self._alone else None

    def note_confirmed(self, writer: int, frames: int) -> None:
        """Count more frames as held; only where this is the one reader."""
        self._words[self._rows[writer] + CONFIRMED] += frames

    def note_taken(self, writer: int, credits: int, nbytes: int) -> bool:
        """Give credit back; whether to ring the writer, who waits and was not rung for that.

        A writer that was told of each credit would wake up for each: it is told when half of the
        channel is free, and what is left is enough to do until it comes. See ``owes_ring``.
        """
        words, row = self._words, self._rows[writer]
        # Bytes first: a writer that sees the credit sees them too.
        if nbytes:
            words[row + TAKEN_BYTES] += nbytes
        words[row + TAKEN_CREDITS] += credits
        return words[self._waiting[writer]] != 0 and self.owes_ring(writer, at_once=not self._alone)

    def owes_ring(self, writer: int, *, at_once: bool) -> bool:
        """Whether a writer waits and shall be rung, which is noted as done.

        Args:
            writer: Which.
            at_once: However little there is room for; else from half of the channel on.
        """
        words = self._words
        wait = words[self._waiting[writer]]
        if not wait or wait == self._rung_for[writer]:
            return False
        if not at_once:
            row = self._rows[writer]
            if (
                2 * (words[CREDITS] - words[row + TAKEN_CREDITS]) > self._spec.capacity
                or 2 * (words[BYTES] - words[row + TAKEN_BYTES]) > self._spec.capacity_bytes
            ):
                return False
        self._rung_for[writer] = wait
        return True


# Plain numbers: to look a member of an enum up takes longer than to read its cell.
CREDITS, BYTES, FRAMES, PEAK = map(
    int,
    (
        WriterCell.CREDITS,
        WriterCell.BYTES,
        WriterCell.FRAMES,
        WriterCell.PEAK,
    ),
)
RECEIVED, RECEIVED_CREDITS, TAKEN_CREDITS, TAKEN_BYTES, CONFIRMED, SINGLY = map(
    int,
    (
        ReaderCell.FRAMES,
        ReaderCell.CREDITS,
        ReaderCell.TAKEN_CREDITS,
        ReaderCell.TAKEN_BYTES,
        ReaderCell.CONFIRMED,
        ReaderCell.SINGLY,
    ),
)


def _mark_words(spec: ChannelSpec) -> int:
    """Words of marks for each writer; none where a count is enough."""
    if spec.readers == 1:
        return 0
    return max(8, -(-MARKS_PER_CREDIT * spec.capacity // 8))


def _lap(seq: int, places: int) -> int:
    """The lap of a frame as a byte, never 0: 0 is a place that was not used yet."""
    return seq // places % (_LAPS - 1) + 1
