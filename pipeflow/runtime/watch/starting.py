"""Workers that are slow to start: told from time to time with what they are at, then given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pipeflow.planner.plan import Plan, StagePlan
from pipeflow.runtime import board as cells
from pipeflow.runtime.board import Board, State
from pipeflow.runtime.last_words import LastWords, stack_of
from pipeflow.runtime.machine import is_stopped
from pipeflow.runtime.messages import Failure
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.ending import Ending
from pipeflow.runtime.watch.terms import SLOW_START_S, STACK_S
from pipeflow.runtime.watch.watched import Watched
from pipeflow.telemetry.events import Event

_NS: Final = 1e9


class Starting:
    """Watches each worker from its start until it is ready.

    Args:
        plan: What runs.
        board: Where each says how far it has come.
        last_words: Where each says where it is.
        ending: Asks them.
        alarms: Where the next look is set.
        tell: Hears of the slow ones.
        patience_s: How long one may take; 0: as long as it likes.
    """

    def __init__(
        self,
        plan: Plan,
        board: Board,
        last_words: LastWords,
        *,
        ending: Ending,
        alarms: Alarms,
        tell: Callable[[Event], None],
        patience_s: float,
    ) -> None:
        self._plan, self._board, self._last_words = plan, board, last_words
        self._ending, self._alarms, self._tell = ending, alarms, tell
        self._patience_s = patience_s
        self._began: dict[int, float] = {}
        self._asked: set[int] = set()

    def begin(self, watched: Watched, now: float) -> None:
        """A worker's process exists."""
        self._began[watched.plan.index] = now
        self._set(watched.plan.index, self._due(SLOW_START_S) + now)

    def over(self, watched: Watched, now: float) -> None:
        """A worker is ready, or has ended; one that was slow is told once more."""
        number = watched.plan.index
        self._alarms.clear(Alarm.START, number)
        took = now - self._began.pop(number, now)
        if took >= SLOW_START_S and not watched.ended:
            self._tell(watched.line("info", f"was loaded after {took:.0f} s"))

    def ring(self, watched: Watched, stage: StagePlan, now: float) -> Failure | None:
        """A look is due at a worker that is not ready; why it is given up, if it is."""
        number = watched.plan.index
        took = now - self._began[number]
        if number not in self._asked:
            self._asked.add(number)
            self._ending.ask_where([watched])
            self._set(number, now + STACK_S)  # it takes a moment to write down where it is
            return None
        self._asked.discard(number)
        row = self._board.worker(number)
        phase, doing = _at(State(row[cells.STATE]), stage)
        since_s = time.monotonic() - row[cells.SINCE_NS] / _NS if row[cells.SINCE_NS] else took
        stack = stack_of(self._last_words.take(self._plan.code_pool(watched.plan.process)))
        text = f"not ready after {took:.0f} s: {doing} has taken {since_s:.0f} s so far"
        if is_stopped(watched.pid):
            text += f"; its process was stopped by a signal: kill -CONT {watched.pid}"
        if 0 < self._patience_s <= took:
            return Failure(phase=phase, kind="StartTimeout", message=text, traceback=stack)
        self._tell(watched.line("warning", f"{text}\n{stack}".rstrip()))
        self._set(number, now - took + self._due(2 * took))
        return None

    def _due(self, seconds: float) -> float:
        return min(seconds, self._patience_s) if self._patience_s > 0 else seconds

    def _set(self, number: int, at_s: float) -> None:
        self._alarms.set(Alarm.START, at_s, number)


def _at(state: State, stage: StagePlan) -> tuple[str, str]:
    """The phase in which a worker is that has not begun, and what that is in words."""
    if state is State.STARTING:
        return "import", f"the import of '{stage.call.partition(':')[0] or stage.work}'"
    return "constructor", f"the constructor of '{stage.work}'"
