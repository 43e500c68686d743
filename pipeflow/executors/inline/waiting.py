"""How the one process of a run waits for time or the world, and how a stage in it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeflow.executors.inline.coroutine import Baton
from pipeflow.executors.inline.interrupts import Interrupts
from pipeflow.executors.inline.pauses import Pause, await_input
from pipeflow.executors.inline.turns import Turn
from pipeflow.runtime.board import Board

if TYPE_CHECKING:
    from pipeflow.runtime.loops.events import Events


class Waiting:
    """Waits that end when the run is drained.

    Args:
        interrupts: What signals have asked for.
        board: Tells whether the run is drained.
        pause: Waits for time to pass.
    """

    def __init__(self, interrupts: Interrupts, board: Board, pause: Pause) -> None:
        self._interrupts = interrupts
        self._board = board
        self._pause = pause

    def is_stopping(self) -> bool:
        """What a stage's code is told: a signal may have come in the turn that it has now."""
        return self._board.draining or bool(self._interrupts.number)

    def back_off(self, seconds: float) -> None:
        """Nobody has anything to do meanwhile that could not be done after it."""
        self._pause(seconds, self.is_stopping)

    def rest(self, seconds: float | None, fd: int) -> None:
        """A source waits for the world: all others have done what they could."""
        if fd >= 0:
            await_input(fd, seconds, self.is_stopping)
        else:
            self._pause(math.inf if seconds is None else seconds, self.is_stopping)


class StageWaits:
    """How a stage waits here; a stream function for input: the baton goes back until it comes.

    Args:
        turn: The stage's.
        back_off: Waits so many seconds.
        for_tasks: Lets tasks go on for a moment.
    """

    def __init__(
        self, turn: Turn, back_off: Callable[[float], None], for_tasks: Callable[[], None]
    ) -> None:
        self._turn = turn
        self.back_off = back_off
        self.for_tasks = for_tasks

    def attend(self, events: Events) -> None:
        """See ``Waits``."""
        self._turn.events = events

    def for_input(self, timeout_s: float | None) -> None:
        """See ``Waits``."""
        del timeout_s  # nobody waits in time here
        assert isinstance(self._turn.runner, Baton)
        self._turn.runner.wait()
