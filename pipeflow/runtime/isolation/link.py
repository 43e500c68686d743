"""The link of a keeper and its runner: a pipe for orders, a ring for records, cells, two bells.

    keeper ── orders ──> pipe ──> runner           items to work on, the end of input
    keeper <── ring <── records ── runner          what came of them
    keeper ── cells: takes no more, sleeps ──>     keeper's bell: there are records
           <── cells: begun, when, waits ──        runner's bell: there is room

No deadlock: the keeper never waits for the runner alone (it writes no more than the pipe takes, and
waits on everything at once); the runner may wait for the keeper.

The cells survive whoever wrote them. Each has one writing process.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from enum import IntEnum
from typing import Final

from pipeflow.runtime.board import WORKER_WORDS, Words
from pipeflow.transports.bell import Bell
from pipeflow.transports.ring import RING_WORDS, RingReader, RingWriter

#: Bytes of records that may wait to be heard; pages that are never used take no memory.
_RING_BYTES: Final = 1 << 20
_PIPE_BYTES: Final = 1 << 20
_F_SETPIPE_SZ: Final = 1031


class Cell(IntEnum):
    """Cells of the link; the two of the ring come before them."""

    CONFIRMED = RING_WORDS  #: records that the keeper has heard, and whose arrays it holds
    KEEPER_SLEEPS = RING_WORDS + 1  #: ring its bell when something is there
    LEAVE = RING_WORDS + 2  #: the keeper needs no more
    RUNNER_SLEEPS = RING_WORDS + 3  #: ring its bell when there is room
    BEGUN = RING_WORDS + 4  #: calls that the runner has taken in hand
    BEGUN_NS = RING_WORDS + 5  #: when it took the last one, by the monotonic clock
    WAITED_NS = RING_WORDS + 6  #: how long it has waited since, in nanoseconds
    WAITS_SINCE_NS = RING_WORDS + 7  #: since when it waits; 0: it does not
    TAKEN = RING_WORDS + 8  #: results that the keeper has sent on
    LOADING = RING_WORDS + 9  #: number of the frame that the runner loads, plus 1; 0: none
    LOADING_AT = RING_WORDS + 10  #: place of the item of it, plus 1; 0: all of them at once
    LOADS = RING_WORDS + 11  #: how often it has begun to load something
    QUIET = RING_WORDS + 12  #: calls of one item that gave nothing, of which no record tells
    ROW = RING_WORDS + 13  #: the runner's own row, as the loop keeps it


# Plain numbers: to look a member of an enum up takes longer than to read its cell.
_BEGUN, _BEGUN_NS, _WAITED_NS, _KEEPER_SLEEPS = map(
    int, (Cell.BEGUN, Cell.BEGUN_NS, Cell.WAITED_NS, Cell.KEEPER_SLEEPS)
)
_WORDS: Final = Cell.ROW + WORKER_WORDS


class Link:
    """What one runner and its keeper share. Made by the keeper, which owns it; ``close`` ends it.

    A runner that is a fork of the keeper inherits it.
    """

    def __init__(self) -> None:
        memory = memoryview(mmap.mmap(-1, _WORDS * 8 + _RING_BYTES))
        self.cells: Words = memory[: _WORDS * 8].cast("Q")
        self.row: Words = self.cells[Cell.ROW :]
        self._memory = memory[_WORDS * 8 :]
        self.orders_r, self.orders_w = os.pipe()
        os.set_blocking(self.orders_r, False)
        os.set_blocking(self.orders_w, False)
        _widen(self.orders_w)
        self.keeper_bell, self.runner_bell = Bell.create(), Bell.create()

    def writer(self) -> RingWriter:
        """The ring, for the runner."""
        return RingWriter(self.cells[:RING_WORDS], self._memory)

    def reader(self) -> RingReader:
        """The ring, for the keeper."""
        return RingReader(self.cells[:RING_WORDS], self._memory)

    @property
    def runner_fds(self) -> tuple[int, ...]:
        """What the runner keeps of it."""
        return (self.orders_r, *self.keeper_bell.fds, *self.runner_bell.fds)

    # -- the runner's cells

    def begin(self) -> None:
        """The runner takes a call in hand."""
        cells = self.cells
        cells[_WAITED_NS], cells[_BEGUN_NS] = 0, time.monotonic_ns()
        # Last: whoever sees it begun sees no older clock.
        cells[_BEGUN] += 1
        if cells[_KEEPER_SLEEPS]:
            self.keeper_bell.ring()

    def begin_loading(self, frame: int, at: int | None, *, rings: bool = True) -> None:
        """The runner loads a frame, or one item of it: its time counts as the item's.

        Args:
            frame: Number of the frame.
            at: Place of the item; ``None``: all of them.
            rings: A keeper that sleeps is woken; one that knows of the item before need not be.
        """
        cells = self.cells
        self.start_clock()
        cells[Cell.LOADING_AT] = 0 if at is None else at + 1
        cells[Cell.LOADING] = frame + 1
        cells[Cell.LOADS] += 1
        if rings and cells[Cell.KEEPER_SLEEPS]:
            self.keeper_bell.ring()

    def end_loading(self) -> None:
        """The frame is loaded."""
        self.cells[Cell.LOADING] = 0

    def start_clock(self) -> None:
        """The time of the item in hand counts from now."""
        self.cells[Cell.WAITED_NS] = 0
        self.cells[Cell.BEGUN_NS] = time.monotonic_ns()

    def stop_clock(self) -> None:
        """The runner waits: that is not the item's time."""
        self.cells[Cell.WAITS_SINCE_NS] = time.monotonic_ns()

    def go_on_clock(self) -> None:
        """The wait is over."""
        cells = self.cells
        since = cells[Cell.WAITS_SINCE_NS]
        if since:  # else another thread's wait was over before, and has counted for both
            cells[Cell.WAITED_NS] += time.monotonic_ns() - since
        cells[Cell.WAITS_SINCE_NS] = 0

    # -- seen by the keeper

    def loading(self) -> tuple[int, int | None] | None:
        """The frame that the runner loads, and which item of it; ``None`` for all at once."""
        frame, at = self.cells[Cell.LOADING], self.cells[Cell.LOADING_AT]
        return (frame - 1, at - 1 if at else None) if frame else None

    def in_hand_s(self) -> float:
        """Seconds that the order in hand has taken so far, waits left out.

        Whoever asks makes sure that it was the same order before and after.
        """
        cells = self.cells
        since, now = cells[Cell.WAITS_SINCE_NS], time.monotonic_ns()
        waits = now - since if since else 0
        return (now - cells[Cell.BEGUN_NS] - cells[Cell.WAITED_NS] - waits) / 1e9

    def close(self) -> None:
        """Close the keeper's ends; twice is harmless."""
        for number in (self.orders_r, self.orders_w):
            if number >= 0:
                os.close(number)
        self.orders_r = self.orders_w = -1
        self.keeper_bell.close()
        self.runner_bell.close()

    def let_go_of_runners_end(self) -> None:
        """The runner exists: its end of the pipe is its own, so that its death shows."""
        os.close(self.orders_r)
        self.orders_r = -1


def _widen(fd: int) -> None:
    """A pipe that takes more at once."""
    if sys.platform != "linux":
        return
    import fcntl

    try:
        fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        pass  # the user has used up what pipes may take: 64 KiB work as well, more slowly
