"""Workers that nobody needs any more: found on the board, and ended if a call of theirs lasts."""

from __future__ import annotations

from collections.abc import Mapping

from pipeflow.planner.plan import Plan
from pipeflow.runtime import board as cells
from pipeflow.runtime.board import Board, State
from pipeflow.runtime.flow.wiring import ChannelPlan
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.early_end import unneeded
from pipeflow.runtime.watch.ending import Ending
from pipeflow.runtime.watch.terms import CUT_S
from pipeflow.runtime.watch.watched import Watched


class Cutting:
    """Cuts short who works for nobody (design 3.9).

    Args:
        plan: What runs.
        channels: Its channels.
        board: Where workers say that they need no more, and count their turns.
        ending: Ends them.
        alarms: Where the next look at one of them is set.
        workers: All of them, by number.
    """

    def __init__(
        self,
        plan: Plan,
        channels: tuple[ChannelPlan, ...],
        board: Board,
        *,
        ending: Ending,
        alarms: Alarms,
        workers: Mapping[int, Watched],
    ) -> None:
        self._plan, self._channels, self._board = plan, channels, board
        self._ending, self._alarms, self._workers = ending, alarms, workers

    def look(self, now: float) -> None:
        """See whose readers have all closed; they get a moment to end by themselves."""
        workers, board = self._workers, self._board
        early = [n for n, w in workers.items() if w.excused or board.worker(n)[cells.EARLY]]
        ended = [n for n, watched in workers.items() if watched.ended]
        for number in unneeded(self._plan, self._channels, early=early, ended=ended):
            watched = workers[number]
            if watched.at_work and not self._alarms.is_set(Alarm.CUT, number):
                watched.turns = board.worker(number)[cells.TURNS]
                self._alarms.set(Alarm.CUT, now + CUT_S, number)

    def ring(self, watched: Watched, now: float) -> None:
        """Nobody needs a worker: end it if it has been in one call all the time since.

        Who waits for room is in none: a dead letter of it has a reader yet, and ends it by itself.
        """
        number = watched.plan.index
        row = self._board.worker(number)
        turns = row[cells.TURNS]
        if not watched.at_work:
            return
        if turns == watched.turns and row[cells.STATE] != State.WAITING_OUT:
            mates = [each.index for each in self._plan.sharing(number)]
            for mate in mates:
                # Who reads its dead letters takes its death for the end that it could not send.
                row = self._board.worker(mate)
                row[cells.EARLY] = row[cells.CUT] = 1
            self._ending.excuse([self._workers[mate] for mate in mates])
        else:
            watched.turns = turns
            self._alarms.set(Alarm.CUT, now + CUT_S, number)
