"""A drain: the run was asked to end, so its sources end, and what is in flight is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeflow.planner.plan import StagePlan
from pipeflow.runtime.launch.wires import Wires
from pipeflow.runtime.watch.alarms import Alarm, Alarms
from pipeflow.runtime.watch.root_cause import signal_name
from pipeflow.runtime.watch.standstill import waits_for
from pipeflow.runtime.watch.watched import Watched
from pipeflow.telemetry.events import Draining, Event


class Drain:
    """The drain of a run, asked for or not.

    Args:
        stages: Those of the plan.
        wires: Where it is told, and whom it wakes.
        alarms: Where the end of the grace is set.
        tell: Hears that it has begun.
        grace_s: Seconds for which nothing may move while it lasts.

    Attributes:
        asked_by: The first signal that asked the run to end; 0: none.
    """

    def __init__(
        self,
        stages: Sequence[StagePlan],
        wires: Wires,
        *,
        alarms: Alarms,
        tell: Callable[[Event], None],
        grace_s: float,
    ) -> None:
        self._stages = stages
        self._wires, self._alarms, self._tell = wires, alarms, tell
        self._grace_s, self._began_s = grace_s, 0.0
        self.asked_by = 0

    def begin(self, number: int, alive: Iterable[Watched], now: float) -> None:
        """Have the sources end, and let all that is in flight be finished."""
        self.asked_by, self._began_s = number, now
        self._wires.board.drain()
        self._tell(Draining(signal=signal_name(number)))
        for watched in alive:
            self._wires.ring(watched.plan.index)
        self._alarms.set(Alarm.GRACE, now + self._grace_s)

    def is_stuck(self, still_s: float, now: float) -> bool:
        """Whether nothing has moved for as long as it may.

        Args:
            still_s: Seconds for which nothing has moved.
            now: The time.
        """
        return bool(self.asked_by) and min(still_s, now - self._began_s) >= self._grace_s

    def say_stuck(self, at_work: Iterable[Watched], still_s: float) -> None:
        """Say who is stopped because the drain is stuck."""
        for watched in at_work:
            stage = self._stages[watched.plan.stage]
            text = f"stopped: the run is drained, and nothing has moved for {still_s:.0f} s"
            text += f"; {waits_for(stage.program)}" if stage.program is not None else ""
            self._tell(watched.line("warning", text))
