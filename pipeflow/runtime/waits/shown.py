"""What a worker does, as the board shows it to others; and how long it did it."""

from __future__ import annotations

import time

from pipeflow.runtime.board import BUSY_NS, SINCE_NS, STATE, TURNS, WAITS_ON, State, Words


class Shown:
    """The state of one worker. Its process writes it, the supervisor and others read it.

    Args:
        row: Its row of the board.
    """

    def __init__(self, row: Words) -> None:
        self._row = row
        self._since = time.monotonic_ns()

    def begin(self) -> None:
        """The loop begins: it is busy from now on."""
        self._since = time.monotonic_ns()
        self.enter(State.BUSY, 0)

    def enter(self, state: State, waits_on: int) -> int:
        """Note a new state; nanoseconds spent in the one before.

        Args:
            state: The state.
            waits_on: The edge that ends it, plus 1; 0: none does.
        """
        now = time.monotonic_ns()
        spent, self._since = now - self._since, now
        row = self._row
        row[WAITS_ON] = waits_on
        row[STATE] = state
        row[SINCE_NS] = now
        row[TURNS] += 1
        return spent

    def begin_look(self) -> None:
        """A wait begins that may be over so soon that it is no state for others to see.

        Whoever looks in vain enters another state; whoever does not ends it by ``end_look``.
        """
        row, now = self._row, time.monotonic_ns()
        row[BUSY_NS] += now - self._since
        row[TURNS] += 1
        self._since = now

    def end_look(self, cell: int) -> None:
        """It was so soon over. What is waited for is there, so little is done here.

        Args:
            cell: Where the time of such waits is counted.
        """
        row, now = self._row, time.monotonic_ns()
        row[cell] += now - self._since
        row[SINCE_NS] = self._since = now
