"""What goes on while no stage can have a turn: tasks, programs, and the time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

from pipeflow.executors.inline.environment import Environment
from pipeflow.executors.inline.pauses import NAP_S
from pipeflow.executors.inline.printed import Printed
from pipeflow.executors.inline.turns import Order, Turn, await_programs
from pipeflow.executors.inline.waiting import Waiting
from pipeflow.stages.context import enter

#: How long the tasks of one of several ``async`` stages go on before those of the next, in seconds.
SLICE_S: Final = 0.001

#: How long a program is waited for at a time, in seconds: signals are looked at in between.
_LOOK_S: Final = 0.1


class Idle:
    """Lets time pass until somebody can go on.

    Args:
        turns: Those of all replicas.
        order: Is told when anybody may be able to go on.
        waiting: How this process waits.
        told: Both are told whose tasks go on: they may print, and have variables of their own.
    """

    def __init__(
        self,
        turns: Sequence[Turn],
        order: Order,
        waiting: Waiting,
        told: tuple[Printed, Environment],
    ) -> None:
        self._turns = turns
        self._order = order
        self._waiting = waiting
        self._printed, self._environment = told
        self._timed: list[Turn] = []

    def heed_alarms_of(self, turn: Turn) -> None:
        """This replica may have more to do though nothing comes."""
        self._timed.append(turn)

    def anybody_is_due(self) -> bool:
        """Whether anybody has more to do by now though nothing has come."""
        return any(turn.is_due() for turn in self._timed)

    def let_time_pass(self) -> bool:
        """Nobody can go on before it is later, or a program does; whether anybody can then."""
        left_s, with_programs = self._alarm_in(), await_programs(self._turns, self.look_s())
        if any(turn.awaits() for turn in self._turns):
            self.run_tasks(min(left_s, NAP_S))
            self._order.ask_everybody()
        elif with_programs:
            pass  # they were waited for
        elif left_s < math.inf:
            self._waiting.back_off(left_s)
        else:
            return False
        return True

    def look_s(self) -> float:
        """How long a program may be waited for at a time: tasks and alarms go on meanwhile."""
        if any(turn.awaits() for turn in self._turns):
            return 0.0
        return min(_LOOK_S, self._alarm_in())

    def run_tasks(self, longest_s: float = NAP_S) -> None:
        """Let the tasks of all ``async`` stages go on, until one has something to tell."""
        waiting = [turn for turn in self._turns if turn.awaits()]
        for turn in waiting:
            assert turn.events is not None
            before = enter(turn.context)
            self._printed.turn_to(turn.context)
            had_turn = self._environment.turn_to(turn)
            try:
                turn.events.wait(longest_s if len(waiting) == 1 else min(longest_s, SLICE_S))
            finally:
                enter(before)
                self._environment.turn_to(had_turn)
                if before is not None:
                    self._printed.turn_to(before)
            turn.goes_on = turn.goes_on or turn.events.news

    def _alarm_in(self) -> float:
        """Seconds until somebody has more to do though nothing comes."""
        loops = [turn.loop for turn in self._timed]
        alarms = [loop.alarm for loop in loops if loop is not None and loop.alarm is not None]
        return max(0.0, min(alarms) - time.monotonic()) if alarms else math.inf
